"""N-gram identifiers: pieces of a document, drawn where it resembles the query (Sec. 3.1 of the paper).

A start is drawn with a probability that grows with the overlap of the words there with the query. The
n-gram is then cut out of the document's own token ids, never tokenised again, so that every training target
occurs in the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.draws import draw, pair_keys
from genret_core.retrieval.overlap import overlaps, stop_words, word_windows
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.token_stream import TokenStream

UNITS = ("tokens", "words")
ENDS = ("whole", "clipped")
_CELLS = 4_000_000  # similarities held at once


@dataclass(frozen=True)
class NgramConfig:
    """How n-grams are drawn.

    Attributes
    ----------
    length : int
        Units of an n-gram.
    unit : {"tokens", "words"}
        `tokens`: `length` tokens that start at a word. `words`: `length` whitespace words (the published
        code), as the tokens that make them up, at most `max_tokens`.
    n_samples : int
        Draws per query and document.
    temperature : float
        A start with overlap s has a weight of exp(s / temperature). The published code uses 1, close to
        uniform.
    replacement : bool
        Whether a start may be drawn again. Without replacement, a document with fewer starts than draws
        repeats them.
    window : int
        Words compared at a time.
    max_tokens : int
        Longest n-gram in tokens for the unit `words`.
    ends : {"whole", "clipped"}, optional
        At the end of a document, `whole` starts only where a whole n-gram fits (unless none does);
        `clipped` starts anywhere and cuts the n-gram off (the published code). Default: `whole` for tokens,
        `clipped` for words.
    """

    length: int = 10
    unit: str = "tokens"
    n_samples: int = 10
    temperature: float = 1.0
    replacement: bool = True
    window: int = 3
    max_tokens: int = 32
    ends: str | None = None

    @property
    def width(self) -> int:
        """Tokens of the longest n-gram."""
        return self.length if self.unit == "tokens" else self.max_tokens

    @property
    def whole(self) -> bool:
        """Whether starts are confined to whole n-grams."""
        return (self.ends or ("whole" if self.unit == "tokens" else "clipped")) == "whole"

    def check(self) -> None:
        """Refuse values that mean nothing, with `BadInput`."""
        if self.unit not in UNITS:
            raise BadInput(f"unit of an n-gram must be one of {', '.join(UNITS)}, not {self.unit!r}.")
        if self.ends is not None and self.ends not in ENDS:
            raise BadInput(f"ends of an n-gram must be one of {', '.join(ENDS)}, not {self.ends!r}.")
        if not self.temperature > 0:
            raise BadInput(f"temperature of n-gram sampling must be above 0, not {self.temperature}.")
        for name in ("length", "n_samples", "window", "max_tokens"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} of n-grams must be 1 or more, not {getattr(self, name)}.")


def sample_ngrams(
    corpus: Corpus,
    stream: TokenStream,
    queries: npt.ArrayLike,
    documents: npt.ArrayLike,
    config: NgramConfig,
    seed: int,
    n_samples: int | None = None,
) -> Pairs:
    """Draw n-grams of documents for queries.

    The overlap at a word of a document is the sum, over the query's windows of `window` words, of their
    similarity (normalised Indel, 0 to 1, lower-cased) to the window that begins there; windows at the end
    are shorter. Stop words start no n-gram. If no start is left, or all overlaps are 0, position 0 is taken
    each time, and `notes` say so.

    Parameters
    ----------
    corpus : Corpus
    stream : TokenStream
        The corpus as tokens; its `fields` decide which text is compared.
    queries, documents : int[n]
        Rows of the corpus, one pair each.
    config : NgramConfig
    seed : int
        With the ids of the query and the document it decides the draws of a pair, so that these depend
        neither on the order nor on what else is sampled. With replacement, fewer samples are the first of
        more.
    n_samples : int, optional
        Draws per pair, instead of `config.n_samples`.

    Returns
    -------
    Pairs
        n × n_samples rows, in the order of the pairs.

    Raises
    ------
    BadInput
        A value of `config` that means nothing, or texts that do not belong to the token stream.
    """
    config.check()
    n = config.n_samples if n_samples is None else n_samples
    if n < 1:
        raise BadInput(f"n_samples of n-grams must be 1 or more, not {n}.")
    query, document = _rows(queries), _rows(documents)
    keys = pair_keys(seed, _ids(corpus.query_id, query), _ids(corpus.document_id, document))
    start, length = np.zeros((2, len(query), n), np.int32)
    no_overlap = repeated = 0
    for part in _starts(corpus, stream, query, document, config):
        drawn = draw(part.logits, keys[part.rows], n, replacement=config.replacement)
        start[part.rows], length[part.rows] = part.start[drawn], part.length[drawn]
        no_overlap += int(np.isfinite(part.logits[:, -1]).sum())
        if not config.replacement:
            repeated += int((np.isfinite(part.logits).sum(axis=1) < n).sum())
    document = np.repeat(document, n)
    ids = _cut(stream, document, start.ravel(), length.ravel(), config.width)
    lengths = length.ravel().astype(np.int16)
    notes = _notes(len(query), no_overlap, repeated, n)
    return Pairs(np.repeat(query, n), document, ids, lengths, start.ravel(), notes)


def effective_starts(
    corpus: Corpus, stream: TokenStream, queries: npt.ArrayLike, documents: npt.ArrayLike, config: NgramConfig
) -> pd.DataFrame:
    """Measure how far the draws are from uniform.

    Returns
    -------
    DataFrame
        A row per pair: `query`, `document`, `starts` (places that can be drawn), `effective` (1 / Σ p²: two
        draws fall on the same start as often as if they were uniform over that many), `distinct` (expected
        number of distinct starts among `config.n_samples` draws with replacement).
    """
    config.check()
    query, document = _rows(queries), _rows(documents)
    starts, effective, distinct = np.zeros((3, len(query)))
    for part in _starts(corpus, stream, query, document, config):
        p = np.exp(part.logits - part.logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        starts[part.rows] = np.isfinite(part.logits).sum(axis=1)
        effective[part.rows] = 1 / (p**2).sum(axis=1)
        distinct[part.rows] = (1 - (1 - p) ** config.n_samples).sum(axis=1)
    columns = {"query": query, "document": document, "starts": starts.astype(np.int32)}
    return pd.DataFrame({**columns, "effective": effective, "distinct": distinct})


def start_probabilities(
    corpus: Corpus, stream: TokenStream, query: int, document: int, config: NgramConfig
) -> pd.DataFrame:
    """Give every place of a document that may start an n-gram for a query.

    Returns
    -------
    DataFrame
        A row per place: `position` (word of the document), `start` (its token), `score` (overlap with the
        query; 0 where only position 0 is left), `probability` (of a draw).
    """
    config.check()
    part = next(_starts(corpus, stream, _rows(query), _rows(document), config))
    possible = np.flatnonzero(np.isfinite(part.logits[0]))
    logits, start = part.logits[0, possible], part.start[possible]
    weight = np.exp(logits - logits.max())
    begin = int(stream.doc_starts[document])
    word = np.cumsum(stream.word_starts[begin : int(stream.doc_starts[document + 1])]) - 1
    return pd.DataFrame(
        {
            "position": word[start],
            "start": start,
            "score": logits * config.temperature,
            "probability": weight / weight.sum(),
        }
    )


class _Starts(NamedTuple):
    """Some pairs of one document. The last of its m + 1 places is position 0, drawn if there is no other."""

    rows: npt.NDArray[np.intp]
    logits: npt.NDArray[np.float64]  # [rows, m + 1]
    start: npt.NDArray[np.int32]  # [m + 1]
    length: npt.NDArray[np.int32]  # [m + 1]


def _starts(
    corpus: Corpus,
    stream: TokenStream,
    query: npt.NDArray[np.int32],
    document: npt.NDArray[np.int32],
    config: NgramConfig,
) -> Iterator[_Starts]:
    """Give the starts of every pair and their logits, document by document."""
    query_rows, inverse = np.unique(query, return_inverse=True)
    windows = [word_windows(text.lower().split(), config.window) for text in corpus.query_texts(query_rows)]
    order = np.argsort(document, kind="stable")
    documents, first = np.unique(document[order], return_index=True)
    texts = corpus.document_texts(documents, stream.fields)
    for row, text, members in zip(documents, texts, np.split(order, first[1:]), strict=True):
        words = text.lower().split()
        firsts, n_tokens = _word_tokens(corpus, stream, row, len(words))
        chosen, start, length = _places(words, firsts, n_tokens, config)
        own = word_windows(words, config.window, chosen)
        longest = max(len(windows[i]) for i in inverse[members])
        step = max(1, _CELLS // (longest * max(1, len(own))))
        for begin in range(0, len(members), step):
            rows = members[begin : begin + step]
            logits = np.full((len(rows), len(own) + 1), -np.inf)
            if own:
                scores = overlaps([windows[i] for i in inverse[rows]], own)
                alike = scores.any(axis=1)
                logits[alike, :-1] = scores[alike] / config.temperature
            logits[~np.isfinite(logits).any(axis=1), -1] = 0
            yield _Starts(rows, logits, start, length)


def _word_tokens(
    corpus: Corpus, stream: TokenStream, row: int, n_words: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Find the tokens of a document that begin its words, and count its tokens (the ending one left out)."""
    begin, end = int(stream.doc_starts[row]), int(stream.doc_starts[row + 1]) - 1
    firsts = np.flatnonzero(stream.word_starts[begin:end])
    if len(firsts) != n_words or end == begin:
        raise BadInput(
            f"Document {corpus.document_id(row)!r} has {n_words} words in its text and {len(firsts)} in the "
            "token stream; tokenise this very corpus."
        )
    return firsts, end - begin


def _places(
    words: list[str], firsts: npt.NDArray[np.int64], n_tokens: int, config: NgramConfig
) -> tuple[list[int], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Choose words to start an n-gram at; give their tokens and lengths, those of position 0 at the end."""
    word = np.arange(len(words))
    if config.unit == "tokens":
        ends = firsts + config.length
        fits = ends <= n_tokens
    else:
        ends = np.append(firsts, n_tokens)[np.minimum(word + config.length, len(words))]
        fits = word + config.length <= len(words)
    stops = stop_words()
    allowed = np.array([w not in stops for w in words])
    if config.whole and (allowed & fits).any():
        allowed &= fits
    chosen = np.flatnonzero(allowed)
    start = np.append(firsts[chosen], 0)
    length = np.minimum(np.append(ends[chosen], ends[0]), n_tokens) - start
    return chosen.tolist(), start.astype(np.int32), np.minimum(length, config.width).astype(np.int32)


def _cut(
    stream: TokenStream,
    document: npt.NDArray[np.int32],
    start: npt.NDArray[np.int32],
    length: npt.NDArray[np.int32],
    width: int,
) -> npt.NDArray[np.int32]:
    """Cut n-grams out of the token stream, -1 behind their ends."""
    ids = np.full((len(document), width), -1, np.int32)
    begin = np.asarray(stream.doc_starts)[document] + start
    for column in range(width):
        rows = np.flatnonzero(length > column)
        ids[rows, column] = stream.ids[begin[rows] + column]
    return ids


def _rows(rows: npt.ArrayLike) -> npt.NDArray[np.int32]:
    return np.asarray(rows, np.int32).reshape(-1)


def _ids(name_of: Callable[[int], str], rows: npt.NDArray[np.int32]) -> list[str]:
    distinct, inverse = np.unique(rows, return_inverse=True)
    names = [name_of(row) for row in distinct.tolist()]
    return [names[i] for i in inverse.tolist()]


def _notes(n: int, no_overlap: int, repeated: int, n_samples: int) -> tuple[str, ...]:
    notes = []
    if no_overlap:
        notes.append(
            f"{no_overlap} of {n} pairs have no start like the query: they take the document's first n-gram."
        )
    if repeated:
        notes.append(f"{repeated} of {n} pairs have fewer than {n_samples} starts: some n-grams repeat.")
    return tuple(notes)
