"""Sorting suffixes in memory, with numpy alone.

As many tokens as fit go into one 64-bit key (6 for a vocabulary of 1,024, 4 up to 65,536); rows are sorted by
key, and only those still tied are looked at again with the following tokens, down to `max_depth`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def token_bits(vocab_size: int) -> int:
    """Bits that one token of the vocabulary takes in a key."""
    return max(1, int(vocab_size - 1).bit_length())


@dataclass(frozen=True)
class Packing:
    """A token array with the number of its tokens that one key holds."""

    tokens: np.ndarray
    bits: int
    per_key: int

    @staticmethod
    def of(tokens: np.ndarray, vocab_size: int) -> Packing:
        """Pack as many tokens of a vocabulary as fit into 64 bits."""
        bits = token_bits(vocab_size)
        return Packing(tokens, bits, 64 // bits)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Keys of some positions, uint64[n]."""
        return pack_at(self.tokens, positions, self.bits, self.per_key)

    def between(self, start: int, stop: int) -> np.ndarray:
        """Keys of the consecutive positions start .. stop-1, uint64[n]."""
        window = np.asarray(self.tokens[start : stop + self.per_key - 1])
        missing = stop + self.per_key - 1 - len(self.tokens)
        if missing > 0:
            window = np.concatenate([window, np.repeat(self.tokens[-1:], missing)])
        key = np.zeros(stop - start, np.uint64)
        for j in range(self.per_key):
            key <<= np.uint64(self.bits)
            key |= window[j : j + stop - start]
        return key

    def sort(self, rows: np.ndarray, depth: int, max_depth: int) -> np.ndarray:
        """Sort positions that agree in their first `depth` tokens."""
        return sort_rows(
            rows,
            lambda some, more: self.at(some + depth + more),
            step=self.per_key,
            max_depth=max_depth - depth,
        )


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
