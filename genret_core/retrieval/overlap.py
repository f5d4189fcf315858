"""How much each place of a document resembles a query, by the similarity of short windows of words."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process


@functools.cache
def stop_words() -> frozenset[str]:
    """Read the English function words that start no n-gram."""
    text = resources.files("genret_core.retrieval").joinpath("data/stopwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def word_windows(words: Sequence[str], window: int, starts: Sequence[int] | None = None) -> list[str]:
    """Join `window` words from each start (default: every word); windows at the end are shorter."""
    places = range(len(words)) if starts is None else starts
    return [" ".join(words[i : i + window]) for i in places]


def overlaps(queries: Sequence[Sequence[str]], document: Sequence[str]) -> npt.NDArray[np.float64]:
    """Sum the similarities of a query's windows to each window of a document.

    Parameters
    ----------
    queries : sequence of sequences of str
        The windows of each query, one or more.
    document : sequence of str
        Windows of one document.

    Returns
    -------
    float64[n_queries, n_windows]
        Sums of normalised Indel similarities (0 to 1 each); they grow with the length of the query.
    """
    joined = [window for windows in queries for window in windows]
    starts = np.cumsum([0, *(len(windows) for windows in queries[:-1])])
    similar = process.cdist(joined, document, scorer=fuzz.ratio, dtype=np.float64)
    return np.add.reduceat(similar, starts, axis=0) / 100
