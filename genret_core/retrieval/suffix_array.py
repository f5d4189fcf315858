"""Sorting the suffixes of a long token array in bounded memory, with numpy alone.

As many tokens as fit go into one 64-bit key (6 for a vocabulary of 1,024, 4 up to 65,536); rows are sorted by
key, and only those still tied are looked at again with the following tokens, down to `max_depth`. Arrays
larger than `rows_in_memory` are first dealt out into key ranges on disk, so that only one range is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

CHUNK = 4_000_000  # positions read at once while dealing out
SAMPLE = 1 << 17  # keys sampled to choose the ranges


def token_bits(vocab_size: int) -> int:
    """Bits that one token of the vocabulary takes in a key."""
    return max(1, int(vocab_size - 1).bit_length())


def build_suffix_array(
    tokens: np.ndarray,
    out: np.ndarray,
    *,
    vocab_size: int,
    max_depth: int = 64,
    rows_in_memory: int = 8_000_000,
) -> None:
    """Write the positions of `tokens` into `out`, sorted by the `max_depth` tokens that follow each.

    Behind the end of the array its last token (the separator) is taken to repeat; ties go by position.

    Parameters
    ----------
    tokens : uint[N]
        May be memory-mapped.
    out : uint[N]
        Receives the suffix array; may be memory-mapped.
    vocab_size : int
        All tokens are below it.
    rows_in_memory : int
        Rows sorted at once, about 50 bytes each. A range that shares one key may exceed it.
    """
    bits = token_bits(vocab_size)
    per_key = 64 // bits
    splitters = _splitters(tokens, bits, per_key, rows_in_memory)
    edges = _deal_out(tokens, out, splitters, bits, per_key)

    def key_of(rows: np.ndarray, depth: int) -> np.ndarray:
        return pack_at(tokens, rows + depth, bits, per_key)

    for start, stop in pairwise(edges):
        rows = out[start:stop].astype(np.int64)
        out[start:stop] = sort_rows(rows, key_of, step=per_key, max_depth=max_depth)


def sort_rows(
    rows: np.ndarray, key_of: Callable[[np.ndarray, int], np.ndarray], *, step: int, max_depth: int
) -> np.ndarray:
    """Sort rows by ``key_of(rows, 0)``, then the tied by ``key_of(rows, step)`` and so on, then by number.

    Parameters
    ----------
    rows : int64[n]
        Distinct, non-negative.
    key_of : function (int64[m], depth) -> uint64[m]
    step : int
        Columns that one key covers.
    max_depth : int
        Keys are asked for at depths below this.
    """
    if max_depth <= 0 or len(rows) < 2:
        return np.sort(rows)
    key = key_of(rows, 0)
    order = np.argsort(key)
    rows, key = rows[order], key[order]
    active, group = _tied(key)
    depth = step
    while len(active):
        last = depth >= max_depth
        key = rows[active] if last else key_of(rows[active], depth)
        key = (group << np.uint64(32)) | _dense_rank(key)
        order = np.argsort(key)
        rows[active] = rows[active[order]]
        if last:
            break
        still, group = _tied(key[order])
        active = active[still]
        depth += step
    return rows


def pack_at(tokens: np.ndarray, positions: np.ndarray, bits: int, per_key: int) -> np.ndarray:
    """Pack `per_key` tokens from each position into a key, uint64[n]."""
    key = np.zeros(len(positions), np.uint64)
    for j in range(per_key):
        key <<= np.uint64(bits)
        key |= tokens.take(positions + j, mode="clip")
    return key


def _pack_slice(tokens: np.ndarray, start: int, stop: int, bits: int, per_key: int) -> np.ndarray:
    """Keys of the consecutive positions start .. stop-1."""
    window = np.asarray(tokens[start : stop + per_key - 1])
    missing = stop + per_key - 1 - len(tokens)
    if missing > 0:
        window = np.concatenate([window, np.repeat(tokens[-1:], missing)])
    key = np.zeros(stop - start, np.uint64)
    for j in range(per_key):
        key <<= np.uint64(bits)
        key |= window[j : j + stop - start]
    return key


def _splitters(tokens: np.ndarray, bits: int, per_key: int, rows_in_memory: int) -> np.ndarray:
    n_ranges = -(-2 * len(tokens) // rows_in_memory) if len(tokens) > rows_in_memory else 1
    if n_ranges == 1:
        return np.empty(0, np.uint64)
    places = np.random.default_rng(0).integers(0, len(tokens), max(SAMPLE, 64 * n_ranges))
    sample = np.sort(pack_at(tokens, places, bits, per_key))
    return np.unique(sample[np.arange(1, n_ranges) * len(sample) // n_ranges])


def _deal_out(
    tokens: np.ndarray, out: np.ndarray, splitters: np.ndarray, bits: int, per_key: int
) -> np.ndarray:
    """Write every position into the region of its key range; give the edges of the regions."""
    n = len(tokens)
    if not len(splitters):
        for start in range(0, n, CHUNK):
            out[start : start + CHUNK] = np.arange(start, min(n, start + CHUNK))
        return np.array([0, n])

    def ranges() -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, n, CHUNK):
            key = _pack_slice(tokens, start, min(n, start + CHUNK), bits, per_key)
            place = np.searchsorted(splitters, key, side="right")
            yield start, place.astype(np.uint16 if len(splitters) < 2**16 else np.int64)

    counts = np.zeros(len(splitters) + 1, np.int64)
    for _, place in ranges():
        counts += np.bincount(place, minlength=len(counts))
    edges = np.concatenate([[0], np.cumsum(counts)])
    cursor = edges[:-1].copy()
    for start, place in ranges():
        order = np.argsort(place, kind="stable")  # radix sort on 16 bits
        sizes = np.bincount(place, minlength=len(counts))
        ends = np.cumsum(sizes)
        for i in np.flatnonzero(sizes):
            out[cursor[i] : cursor[i] + sizes[i]] = start + order[ends[i] - sizes[i] : ends[i]]
        cursor += sizes
    return edges


def _tied(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in a sorted array that share their value with a neighbour, and the number of their group."""
    same = key[1:] == key[:-1]
    tied = np.zeros(len(key), bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    group = np.cumsum(np.concatenate([[True], ~same]))[places]
    return places, group.astype(np.uint64)


def _dense_rank(key: np.ndarray) -> np.ndarray:
    """0 for the smallest value, 1 for the next one and so on, uint64[n]."""
    order = np.argsort(key)
    ordered = key[order]
    rank = np.empty(len(key), np.uint64)
    rank[order] = np.cumsum(np.concatenate([[False], ordered[1:] != ordered[:-1]]))
    return rank
