"""Tables of texts in Arrow files: written as a stream, read as memory maps, looked up by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from genret_core.errors import BadInput
from genret_core.retrieval.id_table import IdTable, hash_texts
from genret_core.retrieval.npy_stream import NpyStream

_BATCH_ROWS = 16_384
_BATCH_CHARACTERS = 1 << 22


class SharedId(BadInput):
    """Two rows of a table have the same id.

    Attributes
    ----------
    table, id : str
        The table ("documents") and the id.
    """

    def __init__(self, table: str, name: str, first: int, second: int) -> None:
        self.table, self.id = table, name
        super().__init__(
            f"{table}: the id {name!r} occurs twice, in rows {first} and {second} (the first row is 0); ids "
            "must be unique."
        )


class Digest(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes, /) -> None:
        """Take in bytes."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """Rows of text on disk, the first column being a unique `id`.

    Parameters
    ----------
    table : Table of str columns
        Memory-mapped, in one or more record batches.
    starts : ndarray of int64, shape (n_batches + 1,)
        First row of each batch.
    ids : IdTable
    """

    table: pa.Table
    starts: np.ndarray
    ids: IdTable

    @staticmethod
    def open(folder: Path, name: str) -> TextTable:
        """Map ``<name>.arrow`` and ``<name>_ids.npy``."""
        table = read_table(folder / f"{name}.arrow")
        lengths = [len(chunk) for chunk in table.column("id").chunks]
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return TextTable(table, starts, IdTable.open(folder / f"{name}_ids.npy"))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def texts(self, column: str, rows: np.ndarray) -> list[str]:
        """Read a column at `rows`, batch by batch.

        Only what is asked for is read: Arrow's own `take` may join all batches of a column in memory.
        """
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a table of {len(self)} rows")
        texts: list[str] = [""] * len(rows)
        batches = np.searchsorted(self.starts, rows, side="right") - 1
        for batch in np.unique(batches).tolist():
            places = np.flatnonzero(batches == batch)
            chunk = self.table.column(column).chunk(batch)
            local = pa.array(rows[places] - self.starts[batch], pa.int64())
            for place, text in zip(places.tolist(), chunk.take(local).to_pylist(), strict=True):
                texts[place] = text
        return texts

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Look ids up; int64, -1 where there is no such id."""
        return self.ids.rows(ids, self._ids_at)

    def duplicate(self) -> tuple[str, int, int] | None:
        """Find an id that two rows share: (id, first row, second row)."""
        return self.ids.duplicate(self._ids_at)

    def _ids_at(self, rows: np.ndarray) -> list[str]:
        return self.texts("id", rows)


def write_texts(
    folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]], digest: Digest
) -> TextTable:
    """Write rows of text to ``<name>.arrow`` and ``<name>_ids.npy``.

    Parameters
    ----------
    folder : Path
    name : str
        What the rows are, in files and in messages ("documents").
    columns : sequence of str
        The first is "id".
    rows : iterable of sequences of str
        Consumed once, never held.
    digest : hash object
        Updated with every row.

    Raises
    ------
    SharedId
        If two rows share an id.
    BadInput
        If a text cannot be encoded.
    """
    schema = pa.schema([(column, pa.string()) for column in columns])
    with (
        pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, schema) as table,
        NpyStream(folder / f"{name}_ids.npy", np.uint64) as hashes,
    ):
        for batch in _batches(rows):
            digest.update(b"".join(_digestible(name, row) for row in batch))
            arrays = [pa.array(column, pa.string()) for column in zip(*batch, strict=True)]
            table.write_batch(pa.record_batch(arrays, schema=schema))
            hashes.append(hash_texts([row[0] for row in batch]))
    IdTable.build(folder / f"{name}_ids.npy")
    written = TextTable.open(folder, name)
    double = written.duplicate()
    if double is not None:
        raise SharedId(name, *double)
    return written


def read_table(path: Path) -> pa.Table:
    """Map an Arrow file; its columns are read from disk when they are looked at."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _batches(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    batch: list[Sequence[str]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += sum(map(len, row))
        if len(batch) >= _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _digestible(name: str, row: Sequence[str]) -> bytes:
    try:
        return json.dumps([name, *row], ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        raise BadInput(
            f"{name}: the row with the id {row[0]!r} holds half a surrogate pair, which is no character; "
            "mend its text."
        ) from None
