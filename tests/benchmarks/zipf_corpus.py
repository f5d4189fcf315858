"""A corpus that is like text to an index: Zipf's law for words and phrases, documents of 100 to 160 tokens.

Zipf unigrams, 200,000 phrases of 1 to 7 tokens that recur with Zipf weights, 15 per cent noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genret_core.retrieval.npy_stream import NpyStream

V, SEP = 32_000, 1
CHUNK = 5_000_000


def zipf(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Draw from 0 .. n-1 with weights 1 / rank."""
    weights = np.cumsum(1 / np.arange(1, n + 1))
    return np.searchsorted(weights, rng.random(size) * weights[-1])


def write_corpus(folder: Path, n: int, seed: int = 0) -> None:
    """Write `ids.npy` and `starts.npy` of about `n` tokens, in little memory."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, 200_000)
    starts = np.cumsum(lengths) - lengths
    words = 2 + zipf(rng, V - 2, int(lengths.sum()))
    with (
        NpyStream(folder / "ids.npy", np.uint16) as ids,
        NpyStream(folder / "starts.npy", np.int64) as begins,
    ):
        begins.append(np.zeros(1, np.int64))
        while ids.n < n:
            tokens, ends = _chunk(rng, lengths, starts, words, min(CHUNK, n - ids.n))
            begins.append(ids.n + ends)
            ids.append(tokens)


def _chunk(
    rng: np.random.Generator, lengths: np.ndarray, starts: np.ndarray, words: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    chosen = zipf(rng, len(lengths), n // 2)
    chosen = chosen[: np.searchsorted(np.cumsum(lengths[chosen]), n) + 1]
    size = lengths[chosen]
    places = np.arange(size.sum()) + np.repeat(starts[chosen] - (np.cumsum(size) - size), size)
    tokens = words[places][:n]
    noise = rng.random(len(tokens)) < 0.15
    tokens[noise] = 2 + zipf(rng, V - 2, int(noise.sum()))
    ends = np.cumsum(rng.integers(101, 162, len(tokens) // 90 + 1))
    ends = np.append(ends[ends < len(tokens)], len(tokens))
    tokens[ends - 1] = SEP
    return tokens, ends
