"""Relevance judgements: ids become rows, doubles are merged, a query stays in one split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from genret_core.errors import BadInput
from genret_core.retrieval.text_table import TextTable

SPLITS = ("train", "validation", "test")

SCHEMA = pa.schema(
    [("query", pa.int32()), ("document", pa.int32()), ("relevance", pa.int32()), ("split", pa.int8())]
)
_BATCH = 65_536
_LARGEST = (1 << 31) - 1


class Qrel(NamedTuple):
    """A judgement of a document for a query.

    `split` is one of `SPLITS`; `where` (file:line) is used in messages only.
    """

    query_id: str
    document_id: str
    relevance: int
    split: str
    where: str = ""


def relevance_of(value: Any, where: str) -> int:
    """Read a relevance as files have it: a whole number, or a text of one.

    Raises
    ------
    BadInput
        If it is something else, or beyond 32 bits.
    """
    number: int | None = None
    if isinstance(value, str):
        with suppress(ValueError):
            number = int(value)
    elif type(value) is int or (isinstance(value, float) and value.is_integer()):
        number = int(value)
    if number is None or abs(number) > _LARGEST:
        raise BadInput(
            f"{where}: the relevance is {str(value)[:40]!r}; it must be a whole number of at most 32 bits."
        )
    return number


def is_header(fields: Sequence[str]) -> bool:
    """Whether the first row of a table of judgements names its columns: the last field has no digit."""
    return not any(character.isdigit() for character in fields[-1])


def resolve_qrels(
    qrels: Iterable[Qrel], queries: TextTable, documents: TextTable
) -> tuple[pa.RecordBatch, int]:
    """Turn judgements into a table of rows, sorted by query, then document.

    Parameters
    ----------
    qrels : iterable of Qrel
    queries, documents : TextTable

    Returns
    -------
    RecordBatch with `query`, `document` (rows), `relevance` (int32) and `split` (int8, index into `SPLITS`)
    int
        Judgements merged into another of the same query and document; the highest relevance counts.

    Raises
    ------
    BadInput
        If an id or a split is unknown, or a query is judged in two splits.
    """
    blocks = [_resolve(block, queries, documents) for block in _blocks(qrels)]
    columns = np.concatenate(blocks, axis=1) if blocks else np.empty((4, 0), np.int32)
    query, document, relevance, split = columns[:, np.lexsort((-columns[2], columns[1], columns[0]))]
    mixed = np.flatnonzero((query[1:] == query[:-1]) & (split[1:] != split[:-1]))
    if len(mixed):
        row = mixed[0]
        name = queries.texts("id", query[[row]])[0]
        raise BadInput(
            f"the query {name!r} has judgements in {SPLITS[split[row]]} and in {SPLITS[split[row + 1]]}; "
            "a query belongs to one split."
        )
    first = np.ones(len(query), bool)
    first[1:] = (query[1:] != query[:-1]) | (document[1:] != document[:-1])
    arrays = [query[first], document[first], relevance[first], split[first].astype(np.int8)]
    return pa.record_batch([pa.array(values) for values in arrays], schema=SCHEMA), int((~first).sum())


def _blocks(qrels: Iterable[Qrel]) -> Iterator[list[Qrel]]:
    stream = iter(qrels)
    while block := list(islice(stream, _BATCH)):
        yield block


def _resolve(block: list[Qrel], queries: TextTable, documents: TextTable) -> np.ndarray:
    query = queries.rows([qrel.query_id for qrel in block])
    document = documents.rows([qrel.document_id for qrel in block])
    bad = np.flatnonzero((query < 0) | (document < 0))
    if len(bad):
        qrel = block[bad[0]]
        kind, name = ("query", qrel.query_id) if query[bad[0]] < 0 else ("document", qrel.document_id)
        raise BadInput(
            f"{_place(qrel)}the judgement of document {qrel.document_id!r} for query {qrel.query_id!r} "
            f"names an unknown {kind}, {name!r}; add it or remove the judgement."
        )
    for qrel in block:
        if qrel.split not in SPLITS:
            raise BadInput(f"{_place(qrel)}the split {qrel.split!r} is none of {', '.join(SPLITS)}.")
    relevance = [qrel.relevance for qrel in block]
    split = [SPLITS.index(qrel.split) for qrel in block]
    return np.array([query, document, relevance, split], np.int32)


def _place(qrel: Qrel) -> str:
    return f"{qrel.where}: " if qrel.where else ""
