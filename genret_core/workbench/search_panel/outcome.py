"""What one query leads to: what each retriever wrote and found, and what BM25 found. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """An identifier, or the beginning of one, that the beams wrote.

    Attributes
    ----------
    ids : tuple of int
        Its tokens.
    text : str
        The same for people: words, or codes as `c12 c3`.
    log_prob : float
        Sum of the model's log-probabilities, natural logarithm.
    count : int
        Places in the corpus for an n-gram, documents for codes.
    weight : float or None
        What it adds to the score of a document; None for codes, whose documents are ranked by `log_prob`.
    final : bool
        Written to its end.
    source : str
        Where it comes from: `beam`, `query` (the query's own words), `unigram` (a likely first token), or two
        of them.
    """

    ids: tuple[int, ...]
    text: str
    log_prob: float
    count: int
    weight: float | None
    final: bool
    source: str = "beam"


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a text that something written covers, and how much it weighs."""

    start: int
    end: int
    weight: float
    by: str


@dataclass(frozen=True)
class Document:
    """A document that was found.

    Attributes
    ----------
    row : int
        Row of the corpus.
    rank : int
        From 1.
    score : float
    title, text : str
        The text's words are joined by single spaces.
    spans, title_spans : tuple of Span
        What was matched in the text and in the title.
    codes : str
        Its codes, for codebooks.
    relevant : bool
        Whether the query asks for it.
    """

    row: int
    rank: int
    score: float
    title: str
    text: str
    spans: tuple[Span, ...] = ()
    title_spans: tuple[Span, ...] = ()
    codes: str = ""
    relevant: bool = False


@dataclass(frozen=True)
class Side:
    """One ranking: of a retriever, or of BM25.

    Attributes
    ----------
    name, family, method : str
        `bm25` is a family and a method of its own.
    beam : int or None
    seconds : float or None
        Of the search; None where it was not done now, and for BM25.
    written : tuple of Written
    documents : tuple of Document
        The first few, and the first relevant one if it comes later.
    n_found : int
        Documents in the whole ranking.
    note : str
        What has to be known about it; may be empty.
    flops : float or None
        FLOPs of the search, rescoring included; None where it was not done now, and for BM25.
    """

    name: str
    family: str
    method: str
    beam: int | None
    seconds: float | None
    written: tuple[Written, ...]
    documents: tuple[Document, ...]
    n_found: int
    note: str = ""
    flops: float | None = None

    @property
    def relevant_rank(self) -> int | None:
        """Rank of the first relevant document, from 1; None if none was found."""
        return min((d.rank for d in self.documents if d.relevant), default=None)


@dataclass(frozen=True)
class Wanted:
    """A document that the query asks for, by the relevance judgements."""

    row: int
    title: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """A query and all rankings for it.

    Attributes
    ----------
    query : str
    wanted : tuple of Wanted or None
        None for a query of one's own: what it asks for is not known.
    sides : tuple of Side
        One retriever or two.
    words : Side
        BM25.
    origin : str
        Where the rankings are from: a sentence.
    """

    query: str
    wanted: tuple[Wanted, ...] | None
    sides: tuple[Side, ...]
    words: Side
    origin: str

    @property
    def rankings(self) -> tuple[Side, ...]:
        """All of them, BM25 last."""
        return (*self.sides, self.words)
