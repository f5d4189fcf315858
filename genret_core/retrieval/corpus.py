"""The corpus: documents, queries and relevance judgements in memory-mapped Arrow files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json, write_json
from genret_core.retrieval import checksums
from genret_core.retrieval.build_folder import build_folder, room_on_disk
from genret_core.retrieval.qrels import SPLITS, Qrel, resolve_qrels
from genret_core.retrieval.text_table import TextTable, read_table, write_texts

__all__ = ["SPLITS", "Corpus", "Document", "Qrel", "Query", "fraction_queries", "write_corpus"]

_FIELDS = ("text", "title_text")
_TABLES = ("documents", "queries", "qrels")
_FILES = (*(f"{name}.arrow" for name in _TABLES), "documents_ids.npy", "queries_ids.npy")
_BLOCK = 4_096
_AGAIN = "read it again from its source"


class Document(NamedTuple):
    """A passage. `where` (file:line) is used in messages only."""

    id: str
    title: str
    text: str
    where: str = ""


class Query(NamedTuple):
    """A query. `where` (file:line) is used in messages only."""

    id: str
    text: str
    where: str = ""


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus on disk, its texts read when they are asked for: memory does not grow with their number.

    Parameters
    ----------
    folder : Path
        Where its files lie.
    key : str
        Hash of all ids, texts and judgements; the same on every machine.
    meta : dict
        `name`, `reader`, its parameters, versions, and `counts`.
    documents : Table with `id`, `title`, `text`
    queries : Table with `id`, `text`
    qrels : Table with `query` (row), `document` (row), `relevance`, `split` (index into `SPLITS`)
        Sorted by query, then document.
    """

    folder: Path
    key: str
    meta: dict[str, Any]
    documents: pa.Table
    queries: pa.Table
    qrels: pa.Table

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> Corpus:
        """Map the corpus in `folder`.

        Raises
        ------
        BadInput
            If there is none, or its files are cut short, missing or of another corpus.
        """
        folder = Path(folder)
        if not (folder / "corpus.json").is_file():
            raise BadInput(
                f"{folder} holds no corpus (there is no corpus.json); write one with a reader first."
            )
        try:
            header = read_json(folder / "corpus.json")
            if "blocks" in header:  # corpora written before had none
                _check(folder, header)
            tables = {name: read_table(folder / f"{name}.arrow") for name in _TABLES}
            corpus = Corpus(folder=folder, key=header["key"], meta=header["meta"], **tables)
            whole = all(tables[name].num_rows == corpus.meta["counts"][name] for name in _TABLES)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            if isinstance(error, BadInput):
                raise
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(f"{folder}: the corpus is damaged ({told}); {_AGAIN}.") from None
        if not whole:
            raise BadInput(f"{folder}: the files of the corpus do not belong together; {_AGAIN}.")
        return corpus

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return int(self.documents.num_rows)

    @property
    def n_queries(self) -> int:
        """Number of queries, of all splits."""
        return int(self.queries.num_rows)

    def document_rows(self, ids: Sequence[str]) -> np.ndarray:
        """Rows of documents by id, int32; BadInput names the first unknown one."""
        return self._rows(self._documents, ids, "document")

    def query_rows(self, ids: Sequence[str]) -> np.ndarray:
        """Rows of queries by id, int32; BadInput names the first unknown one."""
        return self._rows(self._queries, ids, "query")

    def document_id(self, row: int) -> str:
        """Id of a document."""
        return self._documents.texts("id", np.array([row]))[0]

    def query_id(self, row: int) -> str:
        """Id of a query."""
        return self._queries.texts("id", np.array([row]))[0]

    def document_text(self, row: int, fields: str = "text") -> str:
        """Text of a document; `fields` "title_text" puts the title before it."""
        return next(self.document_texts([row], fields))

    def query_text(self, row: int) -> str:
        """Text of a query."""
        return next(self.query_texts([row]))

    def document_texts(self, rows: ArrayLike | None = None, fields: str = "text") -> Iterator[str]:
        """Read documents one after the other, in the order of `rows` (default: all).

        Parameters
        ----------
        rows : sequence of int, optional
        fields : {"text", "title_text"}
        """
        if fields not in _FIELDS:
            raise BadInput(f"documents have no fields {fields!r}; choose one of {', '.join(_FIELDS)}.")
        return self._document_texts(rows, fields)

    def document_titles(self, rows: ArrayLike | None = None) -> Iterator[str]:
        """Read titles one after the other, in the order of `rows` (default: all); empty where none."""
        for block in _blocks(rows, self.n_documents):
            yield from self._documents.texts("title", block)

    def query_texts(self, rows: ArrayLike | None = None) -> Iterator[str]:
        """Read queries one after the other, in the order of `rows` (default: all)."""
        for block in _blocks(rows, self.n_queries):
            yield from self._queries.texts("text", block)

    def split_queries(self, split: str) -> np.ndarray:
        """Sorted rows of the queries of a split (int32): those with a relevant document in its qrels.

        Parameters
        ----------
        split : {"train", "validation", "test", "seen", "unseen"}
            "seen": test queries of which some relevant document has a training query too; "unseen": the other
            test queries.
        """
        if split in SPLITS:
            query, _ = self._judged(split)
            return np.unique(query)
        if split not in ("seen", "unseen"):
            raise BadInput(f"no split is called {split!r}; choose one of {', '.join(SPLITS)}, seen, unseen.")
        query, document = self._judged("test")
        seen = np.unique(query[np.isin(document, self._judged("train")[1])])
        return seen if split == "seen" else np.setdiff1d(query, seen)

    def relevant(self, query_row: int) -> np.ndarray:
        """Sorted rows of the documents with relevance > 0 for a query, int32."""
        first, last = np.searchsorted(self._qrel("query"), [query_row, query_row + 1])
        return self._qrel("document")[first:last][self._qrel("relevance")[first:last] > 0]

    def training_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """(query rows, document rows) with relevance > 0 in train, int32, sorted by query, then document."""
        return self._judged("train")

    def _judged(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        kept = (self._qrel("split") == SPLITS.index(split)) & (self._qrel("relevance") > 0)
        return self._qrel("query")[kept], self._qrel("document")[kept]

    def _qrel(self, column: str) -> np.ndarray:
        return self.qrels.column(column).to_numpy()  # one batch: a view of the file

    def _document_texts(self, rows: ArrayLike | None, fields: str) -> Iterator[str]:
        for block in _blocks(rows, self.n_documents):
            texts = self._documents.texts("text", block)
            if fields == "title_text":
                titles = self._documents.texts("title", block)
                texts = [
                    f"{title} {text}" if title else text for title, text in zip(titles, texts, strict=True)
                ]
            yield from texts

    def _rows(self, table: TextTable, ids: Sequence[str], kind: str) -> np.ndarray:
        rows = table.rows(ids)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            raise BadInput(f"no {kind} of the corpus in {self.folder} has the id {ids[unknown[0]]!r}.")
        return rows.astype(np.int32)

    @cached_property
    def _documents(self) -> TextTable:
        return TextTable.open(self.folder, "documents")

    @cached_property
    def _queries(self) -> TextTable:
        return TextTable.open(self.folder, "queries")


def write_corpus(
    folder: str | os.PathLike[str],
    documents: Iterable[Document],
    queries: Iterable[Query],
    qrels: Iterable[Qrel],
    meta: Mapping[str, Any],
) -> Corpus:
    """Write a corpus, whole or not at all, and open it. Texts are streamed, only qrels are held.

    Parameters
    ----------
    folder : path-like
        Must not exist, be empty, or hold this very corpus already.
    documents, queries, qrels : iterables
        Consumed once, in this order. Judgements given twice are merged, the highest relevance counting.
    meta : mapping
        JSON-like: `name`, `reader`, its parameters, versions.

    Raises
    ------
    BadInput
        If there is no document; an id occurs twice; a document or query has no word; a judgement names an
        unknown id or split; a query is judged in two splits; `folder` holds something else.
    """
    folder = Path(folder)
    if (
        folder.exists()
        and not (folder / "corpus.json").is_file()
        and (folder.is_file() or any(folder.iterdir()))
    ):
        raise BadInput(f"{folder} is in use and holds no corpus; name an empty or new folder.")
    with build_folder(folder) as part, room_on_disk(folder, "the corpus"):
        key = _write_parts(part, documents, queries, qrels, meta)
    corpus = Corpus.open(folder)
    if corpus.key != key:
        raise BadInput(
            f"{folder} holds another corpus ({corpus.key}); name a new folder, or remove it first."
        )
    return corpus


def fraction_queries(train_query_rows: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose a seeded part of the training queries; a smaller fraction is always part of a larger one.

    Parameters
    ----------
    train_query_rows : ndarray of int, shape (n,)
    fraction : float
        In (0, 1]; round(fraction n) queries are kept, at least one.
    seed : int

    Returns
    -------
    ndarray, sorted
    """
    if not 0 < fraction <= 1:
        raise BadInput(
            f"the fraction of training queries is {fraction}; give a number above 0 and at most 1."
        )
    rows = np.unique(train_query_rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    return np.sort(rows[order[: max(1, round(fraction * len(rows)))]])


def _write_parts(
    part: Path,
    documents: Iterable[Document],
    queries: Iterable[Query],
    qrels: Iterable[Qrel],
    meta: Mapping[str, Any],
) -> str:
    digest = hashlib.sha256()
    document_rows = (row[:3] for row in _with_words(documents, "document"))
    query_rows = (row[:2] for row in _with_words(queries, "query"))
    document_table = write_texts(part, "documents", ("id", "title", "text"), document_rows, digest)
    if not len(document_table):
        raise BadInput("the corpus is empty: there is no document to retrieve.")
    query_table = write_texts(part, "queries", ("id", "text"), query_rows, digest)
    judgements, merged = resolve_qrels(qrels, query_table, document_table)
    for column in judgements.columns:
        digest.update(column.to_numpy().tobytes())
    with (
        pa.OSFile(str(part / "qrels.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, judgements.schema) as table,
    ):
        table.write_batch(judgements)  # one batch: its columns are views of the file
    counts = {
        "documents": len(document_table),
        "queries": len(query_table),
        "qrels": judgements.num_rows,
        "qrels_merged": merged,
    }
    key = digest.hexdigest()[:16]
    header = {
        "key": key,
        "meta": {**meta, "counts": counts},
        "blocks": {name: checksums.of_file(part / name) for name in _FILES},
    }
    checksums.note(part, _FILES)
    write_json(part / "corpus.json", header | {"seal": content_key(header)})
    return key


def _check(folder: Path, header: dict[str, Any]) -> None:
    """Refuse files that were changed since they were written."""
    if header.pop("seal", None) != content_key(header):
        raise BadInput(f"{folder / 'corpus.json'} was changed since the corpus was written; {_AGAIN}.")
    checksums.check(folder, header["blocks"], again=_AGAIN)


_Row = TypeVar("_Row", Document, Query)


def _with_words(rows: Iterable[_Row], kind: str) -> Iterator[_Row]:
    for number, row in enumerate(rows):
        if not row.text or row.text.isspace():
            place = row.where or f"row {number}"
            raise BadInput(f"{place}: the {kind} {row.id!r} has no words; give it a text or leave it out.")
        yield row


def _blocks(rows: ArrayLike | None, n: int) -> Iterator[np.ndarray]:
    chosen = None if rows is None else np.asarray(rows, np.int64)
    for first in range(0, n if chosen is None else len(chosen), _BLOCK):
        yield np.arange(first, min(first + _BLOCK, n)) if chosen is None else chosen[first : first + _BLOCK]
