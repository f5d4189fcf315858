"""Sorting the suffixes of a token array that is larger than memory.

Positions are dealt out on disk into ranges of their keys (the first tokens, packed into 64 bits), so that
one range at a time is held and sorted. A range that is still too large is dealt out again, by the following
tokens if all its keys are equal. Ranges do not depend on each other: several processes may sort them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from genret_core.retrieval.index_files import CHUNK, reserve
from genret_core.retrieval.suffix_array import Packing

SAMPLE = 1 << 17  # keys sampled to choose the ranges
LARGEST = np.uint64(2**64 - 1)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Range:
    """Rows start .. stop - 1 of the suffix array, known to agree in their first `depth` tokens."""

    start: int
    stop: int
    depth: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


def build_suffix_array(
    tokens: np.ndarray,
    out: np.ndarray,
    *,
    vocab_size: int,
    max_depth: int = 64,
    rows_in_memory: int = 8_000_000,
    scratch: str | os.PathLike[str] | None = None,
) -> None:
    """Write the positions of `tokens` into `out`, sorted by the `max_depth` tokens that follow each.

    Behind the end of the array its last token (the separator) is taken to repeat; ties go by position.

    Parameters
    ----------
    tokens : uint[N + m]
        May be memory-mapped. The last m tokens are only looked at, not sorted.
    out : uint[N]
        Receives the suffix array; may be memory-mapped.
    vocab_size : int
        All tokens are below it.
    rows_in_memory : int
        Rows sorted at once, about 50 bytes each.
    scratch : path-like, optional
        Folder for temporary files, where a range has to be dealt out again.
    """
    packing = Packing.of(tokens, vocab_size)
    for part in deal_out(packing, out, max_depth=max_depth, rows_in_memory=rows_in_memory, scratch=scratch):
        sort_range(packing, out, part, max_depth)


def sort_range(packing: Packing, out: np.ndarray, part: Range, max_depth: int) -> None:
    """Sort one range in memory and write it back."""
    if part.depth < max_depth:
        rows = out[part.start : part.stop].astype(np.int64)
        out[part.start : part.stop] = packing.sort(rows, part.depth, max_depth)


def deal_out(
    packing: Packing,
    out: np.ndarray,
    *,
    max_depth: int,
    rows_in_memory: int,
    scratch: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> list[Range]:
    """Fill `out` with all positions, range by range in the order of their keys; give the ranges.

    Within a range positions rise. A range of more than `rows_in_memory` rows agrees in all `max_depth` tokens
    and is sorted already.
    """
    n = len(out)
    if n <= rows_in_memory:
        for start in range(0, n, CHUNK):
            out[start : start + CHUNK] = np.arange(start, min(n, start + CHUNK))
        return [Range(0, n)]
    cuts = _cuts(_sample(packing, None, Range(0, n)), n, rows_in_memory)
    whole = _Source(packing, None, Range(0, n))
    todo, done = list(_split(whole, out, cuts, progress)), []
    while todo:
        part = todo.pop()
        if len(part) <= rows_in_memory or part.depth >= max_depth:
            done.append(part)
            continue
        cuts = _cuts(_sample(packing, out, part), len(part), rows_in_memory)
        with tempfile.TemporaryFile(dir=scratch) as file:
            reserve(file.fileno(), len(part) * out.dtype.itemsize, Path(scratch or tempfile.gettempdir()))
            copy = np.memmap(file, out.dtype, "r+", shape=(len(part),))
            smaller = list(_split(_Source(packing, out, part), copy, cuts))
            for start in range(0, len(part), CHUNK):
                chunk = copy[start : start + CHUNK]
                out[part.start + start : part.start + start + len(chunk)] = chunk
        todo += [replace(x, start=part.start + x.start, stop=part.start + x.stop) for x in smaller]
    return sorted(done, key=lambda x: x.start)


@dataclass(frozen=True)
class _Source:
    """The rows of a range with their keys; of the whole array where there are no rows yet."""

    packing: Packing
    rows: np.ndarray | None
    part: Range

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give rows and keys, piece by piece."""
        for start in range(self.part.start, self.part.stop, CHUNK):
            stop = min(self.part.stop, start + CHUNK)
            if self.rows is None:
                yield np.arange(start, stop), self.packing.between(start, stop)
            else:
                rows = self.rows[start:stop].astype(np.int64)
                yield rows, self.packing.at(rows + self.part.depth)


def _sample(packing: Packing, rows: np.ndarray | None, part: Range) -> np.ndarray:
    places = np.random.default_rng(0).integers(part.start, part.stop, SAMPLE)
    positions = places if rows is None else rows.take(places).astype(np.int64)
    return np.sort(packing.at(positions + part.depth))


def _cuts(sample: np.ndarray, n: int, rows_in_memory: int) -> np.ndarray:
    """Choose keys that cut `n` rows into ranges of half of what fits; frequent keys get their own range."""
    n_ranges = -(-2 * n // rows_in_memory)
    cuts, times = np.unique(sample[np.arange(1, n_ranges) * len(sample) // n_ranges], return_counts=True)
    frequent = cuts[(times > 1) & (cuts < LARGEST)]
    return np.unique(np.concatenate([cuts, frequent + np.uint64(1)]))


def _split(
    source: _Source, out: np.ndarray, cuts: np.ndarray, progress: Progress | None = None
) -> Iterator[Range]:
    """Write the rows of a source into `out`, range by range; give the ranges, counted from 0."""
    n, said = len(source.part), progress or (lambda *_: None)
    kind = np.uint16 if len(cuts) < 2**16 else np.int64  # 16 bits are sorted by radix
    counts, read = np.zeros(len(cuts) + 1, np.int64), 0
    for rows, key in source.chunks():
        counts += np.bincount(np.searchsorted(cuts, key, side="right"), minlength=len(counts))
        read += len(rows)
        said("counting", read, n)
    edges = np.concatenate([[0], np.cumsum(counts)])
    cursor, read = edges[:-1].copy(), 0
    for rows, key in source.chunks():
        place = np.searchsorted(cuts, key, side="right").astype(kind)
        order = np.argsort(place, kind="stable")
        sizes = np.bincount(place, minlength=len(counts))
        ends = np.cumsum(sizes)
        for i in np.flatnonzero(sizes):
            out[cursor[i] : cursor[i] + sizes[i]] = rows[order[ends[i] - sizes[i] : ends[i]]]
        cursor += sizes
        read += len(rows)
        said("dealing out", read, n)
    depth = source.part.depth
    bounds = [0, *(int(cut) for cut in cuts), 2**64]
    for (start, stop), (low, high) in zip(pairwise(edges.tolist()), pairwise(bounds), strict=True):
        if stop > start:  # one key only: its tokens need not be looked at again
            yield Range(start, stop, depth + source.packing.per_key * (high - low == 1))
