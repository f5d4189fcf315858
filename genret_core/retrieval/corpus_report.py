"""What a corpus holds, in numbers and examples."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from genret_core.retrieval.corpus import SPLITS, Corpus
from genret_core.retrieval.id_table import hash_texts

_BATCH = 4_096
_SHOWN = 400  # characters of a text; `to_dict` has all
_JOINERS = "\u200c\u200d"  # of letters and emoji
_QUANTILES = {"min": 0.0, "10 %": 0.1, "median": 0.5, "90 %": 0.9, "max": 1.0}


@dataclass(frozen=True)
class Example:
    """A query and the passage it is to find."""

    split: str
    query: str
    document: str
    title: str
    text: str


@dataclass(frozen=True)
class CorpusReport:
    """A corpus in numbers; prints as a table.

    Attributes
    ----------
    name, reader, key : str
    documents, queries, qrels : int
    queries_by_split, pairs_by_split : dict
        Queries with a relevant document (test: also seen and unseen), and their (query, document) pairs.
    document_words, query_words : dict
        Mean and quantiles of lengths in white-space words.
    documents_per_query, training_queries_per_document : dict
        Mean and quantiles of the relevant documents of a query (all splits), and of the training queries of a
        document.
    documents_without_training_query : int
    queries_in_train_and_test : int
        Test queries whose text (lower-cased, white space collapsed) is a training query's, too.
    repeated_queries, repeated_documents : int
        Queries and documents whose text an earlier one has.
    versions : dict
        Packages that the texts come from, where there are any.
    notes : tuple of str
        What the reader changed.
    examples : tuple of Example
    """

    name: str
    reader: str
    key: str
    documents: int
    queries: int
    qrels: int
    queries_by_split: dict[str, int]
    pairs_by_split: dict[str, int]
    document_words: dict[str, float]
    query_words: dict[str, float]
    documents_per_query: dict[str, float]
    training_queries_per_document: dict[str, float]
    documents_without_training_query: int
    queries_in_train_and_test: int
    repeated_queries: int
    repeated_documents: int
    versions: dict[str, str]
    notes: tuple[str, ...]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the report as JSON-like values, with all digits."""
        return asdict(self)

    def __str__(self) -> str:
        rows = list(self._rows())
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:<{width}}  {value}" for label, value in rows]
        for example in self.examples:
            place = f"{example.document} ({_line(example.title)})" if example.title else example.document
            lines += ["", f"{example.split} query  {_line(example.query)}", f"finds  {place}"]
            lines.append(f"  {_line(example.text)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(label)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for label, value in self._rows()
        )
        items = "".join(
            f"<li><bdi><b>{html.escape(_line(e.query))}</b></bdi> ({e.split}) finds "
            f"<bdi><i>{html.escape(_line(e.title or e.document))}</i></bdi>: "
            f"<bdi>{html.escape(_line(e.text))}</bdi></li>"
            for e in self.examples
        )
        return f"<table>{body}</table><ul>{items}</ul>"

    def _rows(self) -> Iterator[tuple[str, str]]:
        splits = self.queries_by_split
        yield "corpus", f"{self.name} (reader {self.reader}, key {self.key})"
        yield "documents", f"{self.documents:,}"
        yield "words of a document", _spread(self.document_words)
        yield "queries", f"{self.queries:,}"
        yield "words of a query", _spread(self.query_words)
        for split in SPLITS:
            pairs = f"{splits[split]:,} queries, {self.pairs_by_split[split]:,} pairs"
            seen = f" ({splits['seen']:,} seen, {splits['unseen']:,} unseen)" if split == "test" else ""
            yield split, pairs + seen
        yield "relevant documents of a query", _spread(self.documents_per_query)
        yield "training queries of a document", _spread(self.training_queries_per_document)
        yield "documents without a training query", f"{self.documents_without_training_query:,}"
        yield "test queries that are training queries, too", f"{self.queries_in_train_and_test:,}"
        yield "repeated texts", f"{self.repeated_documents:,} documents, {self.repeated_queries:,} queries"
        if self.versions:
            yield "versions", ", ".join(f"{name} {version}" for name, version in self.versions.items())
        for note in self.notes:
            yield "note", note


def _line(text: str) -> str:
    """One line of a text, for reading: cut if it is long, and without what would steer a terminal."""
    plain = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text[: _SHOWN + 1])
    return plain if len(text) <= _SHOWN else plain[:_SHOWN].rstrip() + "…"


def describe(corpus: Corpus, *, n_examples: int = 3) -> CorpusReport:
    """Count what a corpus holds. Texts are streamed; memory grows by 12 bytes a document.

    Parameters
    ----------
    corpus : Corpus
    n_examples : int
        Queries shown, evenly spaced in the test split (in train if there is none).
    """
    document_words, document_hashes = _scan(corpus.document_texts())
    query_words, query_hashes = _scan(corpus.query_texts())
    of_split = {split: corpus.split_queries(split) for split in (*SPLITS, "seen", "unseen")}
    _, trained = corpus.training_pairs()
    per_document = np.bincount(trained, minlength=corpus.n_documents)
    query = corpus.qrels.column("query").to_numpy()
    relevant = corpus.qrels.column("relevance").to_numpy() > 0
    split_of = corpus.qrels.column("split").to_numpy()
    train_texts = query_hashes[of_split["train"]]
    return CorpusReport(
        name=str(corpus.meta.get("name", corpus.folder.name)),
        reader=str(corpus.meta.get("reader", "none")),
        key=corpus.key,
        documents=corpus.n_documents,
        queries=corpus.n_queries,
        qrels=corpus.qrels.num_rows,
        queries_by_split={split: len(rows) for split, rows in of_split.items()},
        pairs_by_split={
            split: int((relevant & (split_of == number)).sum()) for number, split in enumerate(SPLITS)
        },
        document_words=_quantiles(document_words),
        query_words=_quantiles(query_words),
        documents_per_query=_quantiles(np.unique(query[relevant], return_counts=True)[1]),
        training_queries_per_document=_quantiles(per_document),
        documents_without_training_query=int((per_document == 0).sum()),
        queries_in_train_and_test=int(np.isin(query_hashes[of_split["test"]], train_texts).sum()),
        repeated_queries=len(query_hashes) - len(np.unique(query_hashes)),
        repeated_documents=len(document_hashes) - len(np.unique(document_hashes)),
        versions=dict(corpus.meta.get("versions", {})),
        notes=tuple(corpus.meta.get("notes", ())),
        examples=tuple(_examples(corpus, of_split, n_examples)),
    )


def _scan(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in words, and hashes of the lower-cased words."""
    lengths, hashes = [np.zeros(0, np.int32)], [np.zeros(0, np.uint64)]
    stream = iter(texts)
    while batch := [text.lower().split() for text in islice(stream, _BATCH)]:
        lengths.append(np.array([len(words) for words in batch], np.int32))
        hashes.append(hash_texts([" ".join(words) for words in batch]))
    return np.concatenate(lengths), np.concatenate(hashes)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    spread = np.quantile(values, list(_QUANTILES.values()), method="inverted_cdf")
    return {"mean": float(values.mean()), **dict(zip(_QUANTILES, spread.astype(float).tolist(), strict=True))}


def _spread(values: dict[str, float]) -> str:
    if not values:
        return "none"
    quantiles = ", ".join(f"{name} {values[name]:,.0f}" for name in _QUANTILES)
    return f"mean {values['mean']:,.1f} ({quantiles})"


def _examples(corpus: Corpus, of_split: dict[str, np.ndarray], n: int) -> Iterator[Example]:
    split = "test" if len(of_split["test"]) else "train"
    rows = of_split[split]
    for row in rows[np.arange(min(n, len(rows))) * len(rows) // max(1, min(n, len(rows)))].tolist():
        document = int(corpus.relevant(row)[0])
        yield Example(
            split=split,
            query=corpus.query_text(row),
            document=corpus.document_id(document),
            title=next(corpus.document_titles([document])),
            text=corpus.document_text(document),
        )
