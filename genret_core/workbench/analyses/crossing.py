"""Where two fitted curves meet, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.scaling import Fit

PLACES = 2000  # of the grid on which a change of sign is looked for
BEYOND = 100.0  # how far outside the data is still looked


@dataclass(frozen=True)
class Crossing:
    """Where one curve takes the lead from another.

    Attributes
    ----------
    at : float or None
        The argument at which the curves meet first; None if they do not within the range looked at.
    low, high : float or None
        Interval over the joint refits that cross; None where fewer than half of them do.
    share : float
        Share of the joint refits that cross at all.
    inside : bool
        Whether `at` lies where both were measured.
    looked : (float, float)
        The range looked at: the data of both, and a hundred times beyond.
    """

    at: float | None
    low: float | None
    high: float | None
    share: float
    inside: bool
    looked: tuple[float, float]


def crossing(a: Fit, b: Fit, *, level: float = 0.95) -> Crossing:
    """Find where two fits of one law meet, on their values clipped to the law's bounds.

    Parameters
    ----------
    a, b : Fit
        From replicates resampled together, so that refits pair up.
    level : float
        Of the interval.
    """
    low = min(a.x.min(), b.x.min()) / BEYOND
    high = max(a.x.max(), b.x.max()) * BEYOND
    grid = np.geomspace(low, high, PLACES)
    first = _first_change(grid, (_curves(a, grid) - _curves(b, grid)))
    at = None if np.isnan(first[0]) else float(first[0])
    common = max(a.x.min(), b.x.min()), min(a.x.max(), b.x.max())
    known = first[1:][~np.isnan(first[1:])]
    share = len(known) / max(len(first) - 1, 1)
    inside = at is not None and common[0] <= at <= common[1]
    if share < 0.5:
        return Crossing(at, None, None, share, inside, (low, high))
    ends = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Crossing(at, float(ends[0]), float(ends[1]), share, inside, (low, high))


def _curves(found: Fit, grid: np.ndarray) -> np.ndarray:
    """Evaluate the optimum and every refit: [1 + draws, places]."""
    names = found.law.names
    parameters = np.vstack([[found.params[name] for name in names], found.draws])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        curves = found.law.function(grid, *(parameters[:, j, None] for j in range(len(names))))
    return np.clip(curves, *found.law.bounds) if found.law.bounds else curves


def _first_change(grid: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Find the first change of sign in each row, interpolated on ln x; NaN where there is none.

    Stretches of exact equality (both curves clipped to a bound) are no change.
    """
    places = np.full(len(gap), np.nan)
    for i, row in enumerate(gap):
        kept = np.flatnonzero(np.isfinite(row) & (row != 0))
        signs = np.sign(row[kept])
        turns = np.flatnonzero(signs[1:] != signs[:-1])
        if len(turns):
            j, k = kept[turns[0]], kept[turns[0] + 1]
            weight = row[j] / (row[j] - row[k])
            places[i] = np.exp(np.log(grid[j]) + weight * (np.log(grid[k]) - np.log(grid[j])))
    return places
