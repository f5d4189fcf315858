"""Intervals of parameters and bands of predictions from resampled draws: percentiles of their refits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from genret_core.scaling.intervals.interval import AMPLITUDE, ROUNDING, Interval, from_ends
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.points import Points
from genret_core.scaling.solver.solutions import Solutions


def percentiles(values: Array, level: float) -> Interval:
    """Give the central interval of draws.

    Parameters
    ----------
    values : array [draws]
        -inf or inf where a draw hit a search edge, NaN where it left the value undefined: a NaN counts
        against both ends.
    """
    tail, ends = (1 - level) / 2, []
    for share, missing in ((tail, -np.inf), (1 - tail, np.inf)):
        filled = np.where(np.isnan(values), missing, values)
        method = (
            "linear" if np.isfinite(filled).all() else "inverted_cdf"
        )  # infinities cannot be interpolated
        ends.append(float(np.quantile(filled, share, method=method)))  # type: ignore[call-overload]
    return from_ends(ends[0], ends[1], level)


def above_zero(interval: Interval) -> Interval:
    """Open a lower end at 0, the bound of floors and amplitudes: the data did not set it."""
    return replace(interval, lo=None) if interval.lo is not None and interval.lo <= 0 else interval


def opened(law: Law, solutions: Solutions, params: Mapping[str, Array]) -> dict[str, Array]:
    """Put -inf, inf or NaN where a solution met a search edge: that is no limit of the data's."""
    edges = {unknown.name: solutions.edge[:, j] for j, unknown in enumerate(law.nonlinear)}
    anywhere = (solutions.edge != 0).any(axis=1)
    values = {}
    for p in law.parameters:
        value = np.array(params[p.name], dtype=np.float64)
        if p.name in edges:
            value[edges[p.name] < 0], value[edges[p.name] > 0] = -np.inf, np.inf
        if p.role == "scale":  # gamma follows from the exponent: at an edge it is the edge's, not the data's
            value[anywhere] = np.nan
        values[p.name] = value
    return values


@dataclass(frozen=True)
class Draws:
    """Intervals from refits of resampled values: percentiles.

    Attributes
    ----------
    points : Points
    Y : array [draws, n] or [1, n]
        The resampled values that were refitted, or the points themselves where these were resampled.
    solutions : Solutions
        One per draw, in units of y.
    level : float
    covers : str
    method : str
    counts : array [draws, n], optional
        How often each point is in each resample of the points.
    """

    points: Points
    Y: Array = field(repr=False)
    solutions: Solutions = field(repr=False)
    level: float
    covers: str
    method: str = "joint resampling"
    counts: Array | None = field(default=None, repr=False)

    def at(self, level: float) -> Draws:
        """Give the same draws at another level."""
        return self if level == self.level else replace(self, level=level)

    @property
    def flat(self) -> bool:
        """Whether the interval of every straight-line slope includes 0."""
        u, v = self.points.centred(self.points.x, self.points.x2)
        design = np.stack([a for a in (np.ones_like(u), u, v) if a is not None], axis=1)
        if self.counts is None:
            slopes = np.linalg.lstsq(design, self.Y.T, rcond=None)[0][1:]
        else:
            gram = np.einsum("bn,ni,nj->bij", self.counts, design, design)
            slopes = (np.linalg.pinv(gram) @ (self.counts * self.Y @ design)[..., None])[:, 1:, 0].T
        return all(0.0 in percentiles(slope, self.level) for slope in slopes)

    def parameters(self) -> Array:
        """Give the parameters of every draw, [draws, parameters], in the law's order."""
        params = self.solutions.parameters(self.points.centres)
        return np.stack([params[name] for name in self.points.law_here.names], axis=1)

    def intervals(self) -> dict[str, Interval]:
        """Give percentile intervals of the parameters, the amplitude and R²."""
        law, solutions = self.points.law_here, self.solutions
        values = opened(law, solutions, solutions.parameters(self.points.centres))
        if law.nonlinear:
            # an exponent at its upper edge makes of the amplitude whatever the edge makes of it
            steepest = (solutions.edge > 0).any(axis=1)
            values[AMPLITUDE] = np.where(steepest, -np.inf, solutions.amplitude)
        found = {name: percentiles(value, self.level) for name, value in values.items()}
        bounded = [p.name for p in law.with_role("floor")] + [AMPLITUDE] * (law.amplitude == "positive")
        found |= {name: above_zero(found[name]) for name in bounded if name in found}
        return {**found, "R2": percentiles(self._r2(), self.level)}

    def band(self, u: Array, v: Array | None) -> tuple[Array, Array]:
        """Give pointwise percentiles of the draws' curves."""
        curves = self.solutions.predict(u, v)
        tail = (1 - self.level) / 2
        low, high = np.quantile(curves, [tail, 1 - tail], axis=0)
        return low, high

    def _r2(self) -> Array:
        fitted = self.solutions.predict(*self.points.centred(self.points.x, self.points.x2))
        w = np.ones((1, self.points.n)) if self.counts is None else self.counts
        mean = (w * self.Y).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
        total = (w * (self.Y - mean) ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (w * (self.Y - fitted) ** 2).sum(axis=1) / total
        return np.where(np.abs(1 - share) < ROUNDING, 0.0, 1 - share)
