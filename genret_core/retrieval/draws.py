"""Random draws that belong to a query and a document, whatever else is drawn and in whatever order."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

_STEP = np.uint64(0x9E3779B97F4A7C15)


def pair_keys(seed: int, first: Sequence[str], second: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Hash a seed and pairs of ids into keys, uint64[n]; the same on every machine."""
    parts = [f"{seed} {len(a)} {a}{b}".encode() for a, b in zip(first, second, strict=True)]
    return np.array(
        [int.from_bytes(blake2b(part, digest_size=8).digest(), "little") for part in parts], np.uint64
    )


def uniforms(keys: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.float64]:
    """Give `count` uniform numbers in [0, 1) for every key, float64[n, count]; more of them begin with fewer.

    SplitMix64 (Steele, Lea and Flood 2014): the mixed values of key + golden ratio, key + 2 golden ratio,
    ... A generator object per key would cost fifty times as much, and numpy may change the streams of its
    own.
    """
    z = keys[:, None] + _STEP * np.arange(1, count + 1, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(
    logits: npt.NDArray[np.float64], keys: npt.NDArray[np.uint64], count: int, *, replacement: bool
) -> npt.NDArray[np.intp]:
    """Draw columns with probabilities softmax(logits), row by row.

    Parameters
    ----------
    logits : float64[n, m]
        -inf for what cannot be drawn; at least one is finite in every row.
    keys : uint64[n]
    count : int
    replacement : bool
        Without replacement, a row with fewer than `count` finite logits repeats its draws in the same
        order.

    Returns
    -------
    int[n, count]
    """
    if replacement:
        total = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
        targets = uniforms(keys, count) * total[:, -1:]
        last = (total < total[:, -1:]).sum(
            axis=1, keepdims=True
        )  # rounding must not lead behind the last weight
        drawn = [
            np.searchsorted(sums, target, side="right") for sums, target in zip(total, targets, strict=True)
        ]
        return np.minimum(np.array(drawn), last)
    # the order of logit + Gumbel noise is that of draws without replacement (Gumbel top-k)
    noise = -np.log(-np.log(uniforms(keys, logits.shape[1]) + 2.0**-54))
    order = np.argsort(-(logits + noise), axis=1, kind="stable")[:, :count]
    available = np.minimum(np.isfinite(logits).sum(axis=1, keepdims=True), order.shape[1])
    return np.take_along_axis(order, np.arange(count)[None] % available, axis=1)
