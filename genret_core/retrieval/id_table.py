"""Ids to rows through a sorted table on disk: memory does not grow with the corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

_BLOCK = 1 << 20

Texts = Callable[[np.ndarray], list[str]]


def hash_texts(texts: Sequence[str]) -> np.ndarray:
    """Hash strings to 64 bits (BLAKE2b), the same on every machine; uint64, shape (n,)."""
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class IdTable:
    """Sorted words of 64 bits: the upper bits of an id's hash over the bits of its row.

    The row needs ``bits`` = ceil(log2 n) bits; what is left of the hash only proposes candidates, which are
    then compared with the real ids. One array, sorted in place in a memory-mapped file, serves look-up and
    the search for duplicates.
    """

    packed: np.ndarray
    bits: int

    @staticmethod
    def build(path: Path) -> IdTable:
        """Turn a ``.npy`` file of raw hashes in row order into the sorted table, in place."""
        packed = np.load(path, mmap_mode="r+")
        bits = _row_bits(len(packed))
        for first in range(0, len(packed), _BLOCK):
            block = packed[first : first + _BLOCK]
            rows = np.arange(first, first + len(block), dtype=np.uint64)
            block[:] = _upper(block, bits) | rows
        packed.sort()
        packed.flush()
        return IdTable.open(path)

    @staticmethod
    def open(path: str | os.PathLike[str]) -> IdTable:
        """Map the table at `path`."""
        packed = np.load(path, mmap_mode="r")
        return IdTable(packed, _row_bits(len(packed)))

    def duplicate(self, ids_of: Texts) -> tuple[str, int, int] | None:
        """Find an id that two rows share.

        Returns
        -------
        tuple of (id, first row, second row), or None
        """
        for first in range(0, len(self.packed) - 1, _BLOCK):
            block = np.array(self.packed[first : first + _BLOCK + 1])
            upper = _upper(block, self.bits)
            twins = np.flatnonzero(upper[1:] == upper[:-1])
            if not len(twins):
                continue
            rows = np.sort(self._rows(block[np.union1d(twins, twins + 1)]))
            seen: dict[str, int] = {}
            for row, name in zip(rows.tolist(), ids_of(rows), strict=True):
                if name in seen:
                    return name, seen[name], row
                seen[name] = row
        return None

    def rows(self, ids: Sequence[str], ids_of: Texts) -> np.ndarray:
        """Look ids up.

        Parameters
        ----------
        ids : sequence of str
        ids_of : callable
            Gives the real ids of rows, to verify candidates.

        Returns
        -------
        ndarray of int64, shape (len(ids),)
            The rows; -1 where there is no such id.
        """
        found = np.full(len(ids), -1, np.int64)
        if not len(self.packed) or not len(ids):
            return found
        wanted = _upper(hash_texts(ids), self.bits)
        place = np.searchsorted(self.packed, wanted, side="left")
        pending = np.arange(len(ids))
        while len(pending):
            inside = place[pending] < len(self.packed)
            pending = pending[inside]
            candidate = np.asarray(self.packed[place[pending]])
            alike = _upper(candidate, self.bits) == wanted[pending]
            pending, rows = pending[alike], self._rows(candidate[alike])
            same = np.array([ids[i] == name for i, name in zip(pending, ids_of(rows), strict=True)], bool)
            found[pending[same]] = rows[same]
            pending = pending[~same]
            place[pending] += 1
        return found

    def _rows(self, packed: np.ndarray) -> np.ndarray:
        return (packed & np.uint64((1 << self.bits) - 1)).astype(np.int64)


def _row_bits(n: int) -> int:
    return max(n - 1, 0).bit_length()


def _upper(hashes: np.ndarray, bits: int) -> np.ndarray:
    return (hashes >> np.uint64(bits)) << np.uint64(bits)
