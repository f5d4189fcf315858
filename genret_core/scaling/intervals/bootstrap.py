"""Pairs bootstrap: points drawn with replacement, and the law refitted to every such sample."""

from __future__ import annotations

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array
from genret_core.scaling.points import Points

FROM = 20  # points; with fewer, too many resamples hold too few distinct arguments (the profile is better)
DRAWS = 2_000
ROUNDS = 20  # of drawing again what cannot hold the law
FEWEST = 40


def draw_counts(points: Points, draws: int, seed: int) -> tuple[Array, float]:
    """Draw how often each point is in each resample.

    A resample with fewer distinct arguments than the law has parameters cannot hold it, and is drawn again.

    Returns
    -------
    counts : array [draws, n]
    redrawn : float
        Share of the resamples that were of no use.

    Raises
    ------
    BadInput
        If hardly any resample can hold the law.
    """
    if draws < FEWEST:
        raise BadInput(
            f"{draws} resamples are too few for an interval; ask for {FEWEST} or more.", code="bad_option"
        )
    rng, n = np.random.default_rng(seed), points.n
    _, place = np.unique(points.design, axis=0, return_inverse=True)
    there = np.zeros((n, points.n_distinct))
    there[np.arange(n), place.ravel()] = 1.0
    kept: list[Array] = []
    found = tried = 0
    for _ in range(ROUNDS):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
        usable = counts[((counts @ there) > 0).sum(axis=1) >= len(points.law.parameters)]
        kept.append(usable)
        found, tried = found + len(usable), tried + draws
        if found >= draws:
            break
    if found < draws:
        raise BadInput(
            f"Of {tried:,} resamples of these {n} points only {found:,} hold enough distinct arguments for "
            f"the law {points.law.name}; leave the bootstrap out, or add points.",
            code="too_few_points",
        )
    return np.concatenate(kept)[:draws], 1 - found / tried
