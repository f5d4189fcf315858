"""Vectors that somebody gave to the documents: a `.npy` file, checked against the corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.importing.json_stream import json_lines, text_of
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.stored_embedding import StoredEmbedding
from genret_core.retrieval.text_table import TextTable

_DTYPES = ("float16", "float32", "float64")
_BLOCK = 65_536


def vector_files(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """List the files that vectors are read from: the given one, and those beside it that are there.

    Beside `vectors.npy` may lie `vectors.ids` (an id per line) or `vectors.jsonl` (an object with `_id` per
    line), `vectors.queries.npy`, and ids of the queries alike (`vectors.queries.ids`).

    Raises
    ------
    BadInput
        There is no such file, or it is no `.npy`.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    if file.suffix != ".npy":
        raise BadInput(
            f"embedding must be tfidf, backbone or the path of a .npy file with a vector for every document, "
            f"not {os.fspath(path)!r}."
        )
    if not file.is_file():
        raise BadInput(f"there is no file {file} with vectors; give a .npy file with one for every document.")
    queries = file.with_suffix(".queries.npy")
    beside = [one.with_suffix(end) for one in (file, queries) for end in (".ids", ".jsonl")]
    return (file, *(one for one in (queries, *beside) if one.is_file()))


def read_vectors(path: str | os.PathLike[str], corpus: Corpus) -> StoredEmbedding:
    """Read the vectors of a corpus' documents, and of its queries where they are given.

    Without ids beside it, a file's rows are those of the corpus. With them they are put in the order of the
    corpus, and vectors of others are passed over. Vectors are taken as they are: nothing is scaled.

    Parameters
    ----------
    path : path-like
        float16, float32 or float64 [n, dim]; "~" and environment variables are replaced.
    corpus : Corpus

    Raises
    ------
    BadInput
        If a file is damaged, of another type or shape, holds a number that is not finite, has no vector for
        a document or two for one.
    """
    file, *_ = vector_files(path)
    rows, documents = _read(file, corpus, "documents", corpus.n_documents)
    if len(rows) < corpus.n_documents:
        lacking = np.setdiff1d(np.arange(corpus.n_documents), rows)
        raise BadInput(
            f"{file} has no vector for {len(lacking):,} of {corpus.n_documents:,} documents, such as "
            f"{corpus.document_id(int(lacking[0]))!r}; give one for every document."
        )
    query_rows, queries = np.zeros(0, np.int64), np.zeros((0, documents.shape[1]), np.float32)
    asked = file.with_suffix(".queries.npy")
    if asked.is_file():
        query_rows, queries = _read(asked, corpus, "queries", corpus.n_queries)
        if queries.shape[1] != documents.shape[1]:
            raise BadInput(
                f"{asked} holds vectors of {queries.shape[1]} numbers and {file} of {documents.shape[1]}; "
                "queries and documents must be embedded alike."
            )
    lengths = np.linalg.norm(documents, axis=1)
    unit = bool(np.all((np.abs(lengths - 1) < 1e-3) | (lengths == 0)))
    return StoredEmbedding(documents, query_rows, queries, f"given, {file.name}", unit)


def _read(
    file: Path, corpus: Corpus, table: str, n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Read a file as rows of the corpus, ascending, and their vectors."""
    try:
        stored = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadInput(f"{file} is no whole .npy file ({error}); write it again with numpy.save.") from None
    if stored.ndim != 2 or stored.dtype.name not in _DTYPES or not stored.size:
        raise BadInput(
            f"{file} holds {stored.dtype.name} of shape {stored.shape}; vectors must be float16, float32 or "
            "float64 of shape (documents, dimensions)."
        )
    ids = _ids(file)
    if ids is None:
        if len(stored) != n:
            raise BadInput(
                f"{file} has {len(stored):,} rows and the corpus {n:,} {table}; give a row for each, in the "
                f"order of the corpus, or their ids in {file.with_suffix('.ids').name}."
            )
        kept, rows = np.arange(n), np.arange(n)
    else:
        if len(ids) != len(stored):
            raise BadInput(f"{file} has {len(stored):,} rows, but there are {len(ids):,} ids beside it.")
        kept, rows = _places(file, ids, corpus, table)
    vectors = np.empty((len(rows), stored.shape[1]), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is told below
            vectors[block] = stored[kept[block]]
        if not np.isfinite(vectors[block]).all():
            bad = start + int(np.flatnonzero(~np.isfinite(vectors[block]).all(axis=1))[0])
            raise BadInput(
                f"{file}: row {int(kept[bad])} (counted from 0) holds a number that is not finite in "
                "float32; mend or leave out that vector."
            )
    return rows, vectors


def _places(
    file: Path, ids: Sequence[str], corpus: Corpus, table: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find which vectors belong to which rows of the corpus, in its order."""
    place = TextTable.open(corpus.folder, table).rows(ids)
    kept = np.flatnonzero(place >= 0)
    kept = kept[np.argsort(place[kept], kind="stable")]
    rows = place[kept]
    twice = np.flatnonzero(rows[1:] == rows[:-1])
    if len(twice):
        raise BadInput(f"{file}: the id {ids[int(kept[twice[0]])]!r} has two vectors; give each id once.")
    return kept, rows


def _ids(file: Path) -> list[str] | None:
    """Read the ids beside a file of vectors; None if there are none."""
    lines, objects = file.with_suffix(".ids"), file.with_suffix(".jsonl")
    if lines.is_file():
        try:
            told = lines.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            return [line.removesuffix("\r") for line in told]
        except UnicodeDecodeError:
            raise BadInput(f"{lines} is no text in UTF-8; write an id per line.") from None
    if objects.is_file():
        source = Source(objects, objects.name, "train")
        return [text_of(record, ("_id", "id"), where) for where, record in json_lines(source)]
    return None
