"""Uncertainty of points that share their queries: resample the queries once, for all points together.

The cells of a study are measured on the same queries, so their errors go up and down together. Resampling
each point on its own would give slopes and differences far wider intervals than they have.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def query_counts(n_queries: int, draws: int, seed: int) -> npt.NDArray[np.int64]:
    """Count how often each query is drawn in each resample.

    Parameters
    ----------
    n_queries : int
        Queries Q, drawn Q times with replacement.
    draws : int
        Resamples.
    seed : int
        The same seed gives the same resamples, so that separate calls stay paired.

    Returns
    -------
    ndarray of int64, shape (draws, n_queries)
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_queries, np.full(n_queries, 1 / n_queries), size=draws)


def replicate_means(values: npt.ArrayLike, draws: int, seed: int) -> Floats:
    """Give the means of several points over the same resampled queries.

    Parameters
    ----------
    values : array, shape (n_points, n_queries)
        The value of each query at each point, in one order of queries.
    draws, seed : int
        See `query_counts`.

    Returns
    -------
    ndarray of float64, shape (n_points, draws)
    """
    matrix = np.asarray(values, np.float64)
    counts = query_counts(matrix.shape[1], draws, seed)
    return matrix @ counts.T / matrix.shape[1]


def pooled_sd(groups: Sequence[Hashable], values: npt.ArrayLike) -> tuple[float, int]:
    """Pool the standard deviation inside groups: sqrt(Σ (n_g - 1) s_g² / Σ (n_g - 1)).

    Parameters
    ----------
    groups : sequence, length n
        Which group each value belongs to, e.g. the cell without its seed.
    values : array, shape (n,)

    Returns
    -------
    sd : float
        NaN when no group has two values.
    degrees : int
        Degrees of freedom, Σ (n_g - 1).
    """
    numbers = np.asarray(values, np.float64)
    known = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    group = np.array([known[name] for name in groups], np.int64)
    sizes = np.bincount(group)
    means = np.bincount(group, numbers) / np.maximum(sizes, 1)
    degrees = int(np.maximum(sizes - 1, 0).sum())
    if degrees == 0:
        return float("nan"), 0
    return float(np.sqrt(((numbers - means[group]) ** 2).sum() / degrees)), degrees
