"""Which ids were seen: 8 bytes each, on disk, compared in blocks."""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from genret_core.retrieval.id_table import hash_texts
from genret_core.retrieval.npy_stream import NpyStream

_BLOCK = 1 << 16
_BYTES = 8


class Hashes:
    """Hashes of ids in the order in which they were added (in a ``with`` block), then sorted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n = 0
        self._waiting: list[str] = []
        self._stream = NpyStream(path, np.uint64)

    @staticmethod
    def of(name: str) -> int:
        """Hash an id as `hash_texts` does."""
        return int.from_bytes(blake2b(name.encode(), digest_size=_BYTES).digest(), "little")

    def __enter__(self) -> Hashes:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
        self._stream.__exit__(*error)  # type: ignore[arg-type]

    def add(self, name: str) -> None:
        """Note an id."""
        self._waiting.append(name)
        self.n += 1
        if len(self._waiting) >= _BLOCK:
            self._flush()

    def _raw(self) -> np.ndarray:
        """Map the hashes in the order of adding; numpy maps no empty file."""
        return np.load(self.path, mmap_mode="r") if self.n else np.zeros(0, np.uint64)

    def _flush(self) -> None:
        self._stream.append(hash_texts(self._waiting))
        self._waiting = []

    @cached_property
    def sorted(self) -> np.ndarray:
        """All hashes, sorted in a file beside the first; mapped."""
        path = self.path.with_suffix(".sorted.npy")
        raw = self._raw()
        with NpyStream(path, np.uint64) as stream:
            for first in range(0, len(raw), 1 << 20):
                stream.append(raw[first : first + (1 << 20)])
        if not len(raw):
            return np.zeros(0, np.uint64)
        table = np.load(path, mmap_mode="r+")
        table.sort()
        return table

    def twins(self) -> np.ndarray:
        """Give the hashes that occur twice or more."""
        table = self.sorted
        found = [np.zeros(0, np.uint64)]
        for first in range(0, len(table) - 1, 1 << 20):
            part = np.asarray(table[first : first + (1 << 20) + 1])
            found.append(part[1:][part[1:] == part[:-1]])
        return np.unique(np.concatenate(found))

    def distinct(self) -> int:
        """Count different ids."""
        table, total = self.sorted, min(1, self.n)
        for first in range(0, len(table) - 1, 1 << 20):
            part = np.asarray(table[first : first + (1 << 20) + 1])
            total += int((part[1:] != part[:-1]).sum())
        return total

    def holds(self, hashes: np.ndarray) -> np.ndarray:
        """Tell which of some hashes are here."""
        table = self.sorted
        if not len(table):
            return np.zeros(len(hashes), bool)
        place = np.searchsorted(table, hashes)
        return np.asarray(table[np.minimum(place, len(table) - 1)] == hashes)

    def first_not_in(self, others: Hashes) -> int | None:
        """Give the place of the first id that the others lack, in the order of adding."""
        raw = self._raw()
        for first in range(0, len(raw), 1 << 20):
            strange = np.flatnonzero(~others.holds(raw[first : first + (1 << 20)]))
            if len(strange):
                return first + int(strange[0])
        return None

    def count_not_in(self, others: Hashes) -> int:
        """Count the ids that the others lack."""
        raw = self._raw()
        return sum(
            int((~others.holds(raw[first : first + (1 << 20)])).sum())
            for first in range(0, len(raw), 1 << 20)
        )

    def shared(self, others: Hashes) -> int | None:
        """Give a hash that the others have as well."""
        raw = self._raw()
        for first in range(0, len(raw), 1 << 20):
            block = raw[first : first + (1 << 20)]
            both = block[others.holds(block)]
            if len(both):
                return int(both[0])
        return None
