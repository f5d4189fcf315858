"""Where a difference of two curves changes its sign, and the set around it on which that is not settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.scaling.beyond.refits import refitted
from genret_core.scaling.intervals import Interval
from genret_core.scaling.laws.law import Array

Gap = Callable[[Array], Array]  # a difference of two curves, at ln x
Limits = Callable[[Array], tuple[Array, Array]]  # its lower and upper limit
PAIRED = "the refits of both (percentiles of the difference)"
RECOVERED = "the bands of both (MOVER), taking the curves as independent"

PLACES = 400  # of the grid on which the difference is held against its limits
CUTS, ROUNDS = 16, 6  # an end is narrowed to 16^-6 of a place of that grid


def changes(gap: Gap, t: Array) -> list[tuple[float, float]]:
    """Give every change of sign of a difference, refined to rounding, and its sign beyond.

    Parameters
    ----------
    gap : callable
        The difference of two curves at ln x.
    t : array [places]
        A grid on ln x. A stretch of zeros is no change; where the difference only dips between two places,
        its least size is sought, so that two changes close to each other are not missed.
    """
    t, d = _with_dips(gap, t, gap(t))
    sign = np.sign(d)
    found = [
        (_root(gap, float(t[i]), float(t[i + 1])), float(sign[i + 1]))
        for i in np.flatnonzero(sign[:-1] * sign[1:] < 0)
    ]
    alone = np.flatnonzero((sign[1:-1] == 0) & (sign[:-2] * sign[2:] < 0)) + 1
    return sorted(found + [(float(t[i]), float(sign[i + 1])) for i in alone])


def _root(gap: Gap, low: float, high: float) -> float:
    from scipy.optimize import brentq  # slow to import

    return float(brentq(lambda t: float(gap(np.array(t))), low, high, xtol=1e-13, rtol=1e-14))


def _with_dips(gap: Gap, t: Array, d: Array) -> tuple[Array, Array]:
    """Add the places at which the difference passes 0 and comes back between two places of the grid."""
    from scipy.optimize import minimize_scalar

    def depth(t: float, side: float) -> float:
        return float(side * gap(np.array(t)))

    size, sign = np.abs(d), np.sign(d)
    same = (sign[:-2] == sign[1:-1]) & (sign[1:-1] == sign[2:]) & (sign[1:-1] != 0)
    dips = np.flatnonzero(same & (size[1:-1] < size[:-2]) & (size[1:-1] <= size[2:])) + 1
    for i in dips:
        found = minimize_scalar(depth, bounds=(t[i - 1], t[i + 1]), args=(sign[i],), method="bounded")
        if found.fun < 0:
            t, d = np.append(t, found.x), np.append(d, sign[i] * found.fun)
    order = np.argsort(t)
    return t[order], d[order]


def paired(a: Any, b: Any) -> tuple[slice, slice] | None:
    """Choose which refits of two fits make pairs; None where they cannot.

    Replicates of the same resampled queries pair up one by one. Resamples of points (bootstrap) are
    independent of the other fit: any pairing will do but the drawn order, as the same seed draws alike.
    """
    from_points = [getattr(one.spread, "counts", None) is not None for one in (a, b)]
    m = min(len(a.draws), len(b.draws))
    if m == 0 or (len(a.draws) != len(b.draws) and not any(from_points)):
        return None
    return slice(0, m), slice(m - 1, None, -1) if any(from_points) else slice(0, m)


def limits_of_difference(a: Any, b: Any, level: float) -> tuple[Limits | None, str, Gap | None]:
    """Choose where the limits of the difference of two curves come from.

    Returns
    -------
    limits : callable or None
        None where one of the curves has no band.
    method : str
        What they stand on.
    gaps : callable or None
        The difference by refit, [refits, places], where refits pair up.
    """
    if not (hasattr(a, "band") and hasattr(b, "band")):
        return None, "", None
    if pairing := paired(a, b):
        tails = [(1 - level) / 2, (1 + level) / 2]

        def gaps(t: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):
                return refitted(a, np.exp(t))[pairing[0]] - refitted(b, np.exp(t))[pairing[1]]

        def percentiles(t: Array) -> tuple[Array, Array]:
            low, high = np.quantile(gaps(t), tails, axis=0)
            return low, high

        return percentiles, PAIRED, gaps

    def recovered(t: Array) -> tuple[Array, Array]:
        x = np.exp(t)
        (a_low, a_high), (b_low, b_high) = a.band(x, level=level), b.band(x, level=level)
        ya, yb = a.predict(x), b.predict(x)
        return (
            ya - yb - np.hypot(ya - a_low, b_high - yb),
            ya - yb + np.hypot(a_high - ya, yb - b_low),
        )

    return recovered, RECOVERED, None


def around(limits: Limits, root: float, t: Array, level: float) -> Interval | None:
    """Give the connected set about `root` on which 0 lies within the limits of the difference.

    An end is open where the set goes on to the end of `t`. None where `root` itself is not in it (the refits
    do not scatter about the curves) or where nothing is known there.
    """
    here = np.array([root])
    if not np.isfinite(limits(here)).all() or not _unsettled(limits, here)[0]:
        return None
    grid = np.linspace(t[0], t[-1], PLACES)
    below, above = (_end(limits, root, part) for part in (grid[grid < root][::-1], grid[grid > root]))
    lo, hi = (None if end is None else float(np.exp(end)) for end in (below, above))
    return Interval(lo, hi, level)


def _end(limits: Limits, root: float, outwards: Array) -> float | None:
    """Walk outwards until the difference is settled, and narrow that place; None if it never is."""
    walk = np.append(root, outwards)
    for _ in range(1 + ROUNDS):
        settled = ~_unsettled(limits, walk)
        settled[0] = False
        if not settled.any():
            return None
        first = int(settled.argmax())
        walk = np.linspace(walk[first - 1], walk[first], CUTS + 1)
    return float(walk[0])


def _unsettled(limits: Limits, t: Array) -> npt.NDArray[np.bool_]:
    """Tell where 0 is within the limits, or these are unknown; not where both are 0 (curves at one bound)."""
    low, high = limits(t)
    return np.asarray(~((low > 0) | (high < 0)) & ~((low == 0) & (high == 0)))
