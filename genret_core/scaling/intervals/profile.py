"""Profile intervals of a law with several nonlinear unknowns: hold one number, refit the rest, walk out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genret_core.scaling.intervals import AMPLITUDE, Interval, from_ends
from genret_core.scaling.intervals.from_noise import FromNoise
from genret_core.scaling.intervals.linear import Plane
from genret_core.scaling.laws.law import Array
from genret_core.scaling.solver.descent import descend
from genret_core.scaling.solver.projection import moments
from genret_core.scaling.solver.solutions import EDGE

FIRST_STEP = 0.01
GROWTH = 1.7
STEPS = 18  # 0.01 * 1.7^17 = 83: a factor e^83, or 83 times the span of y
ROUNDS = 3
CUTS = 12  # a bracket shrinks 13 times a round


@dataclass(frozen=True)
class Profiles(FromNoise):
    """Profile intervals of the exponents, the floor and the amplitude at the centre; a local band.

    gamma and eta follow from all of these together: theirs are local intervals of their logarithms.
    """

    @property
    def flat(self) -> bool:
        """Whether a constant fits well enough."""
        return (
            float(moments(np.zeros_like(self._task.Y), self._task.Y, self._task.w).y_y[0]) <= self.threshold
        )

    def intervals(self) -> dict[str, Interval]:
        """Give the profile intervals."""
        law, scale = self.points.law_here, self.points.scale
        names = {p.name for p in law.parameters}
        found = {}
        for j, unknown in enumerate(law.nonlinear):
            if unknown.name in names:
                low, high = self._walk(j)
                found[unknown.name] = _interval(low, high, self.level, unknown.from_t)
        for p in law.with_role("floor"):
            low, high = self._walk("floor")
            found[p.name] = _interval(low, high, self.level, lambda floor: floor * scale)
        errors = self._plane.stderr(self.noise.variance)
        params = self.best.rescaled(scale).parameters(self.points.centres)
        for p in law.with_role("scale"):
            value = float(params[p.name][0])
            half = self.noise.quantile(self.level) * errors[p.name] / value if value > 0 else np.nan
            with np.errstate(over="ignore"):
                found[p.name] = from_ends(value * np.exp(-half), value * np.exp(half), self.level)
        low, high = self._walk(AMPLITUDE)
        found[AMPLITUDE] = _interval(low, high, self.level, lambda log: np.exp(log) * scale)
        return found

    def band(self, u: Array, v: Array | None) -> tuple[Array, Array]:
        """Give the linearised band of the curve, in units of y; NaN where the fit has no curvature."""
        centre = self.best.predict(u, v)[0] * self.points.scale
        half = self.noise.quantile(self.level) * self._plane.deviation(u, v, self.noise.variance)
        return centre - half * self.points.scale, centre + half * self.points.scale

    @cached_property
    def _plane(self) -> Plane:
        return Plane(self.points, self.best)

    @cached_property
    def _t(self) -> Array:
        """The optimum in the solver's coordinates, [1, k]."""
        unknowns = self.points.law_here.nonlinear
        return np.stack([u.to_t(self.best.theta[:1, j]) for j, u in enumerate(unknowns)], axis=-1)

    def _walk(self, which: int | str) -> tuple[float | None, float | None]:
        """Find both ends of the interval of one unknown (its index), of the floor or of the log amplitude."""
        return self._end(which, -1.0), self._end(which, 1.0)

    def _end(self, which: int | str, side: float) -> float | None:
        start, low, high = self._range(which)
        values = np.unique(np.clip(start + side * FIRST_STEP * GROWTH ** np.arange(STEPS), low, high))
        values = np.concatenate([[start], values[:: int(side)]])
        t = self._t
        for _ in range(1 + ROUNDS):
            objective, t, i = self._sweep(which, values, t)
            if i is None:
                return None  # up to the bound, or as far as anyone would look
            inside, outside = values[i - 1], values[i]
            excess = np.sqrt(
                np.maximum(np.append(objective[i - 1 : i + 1], self.threshold) - self._least, 0.0)
            )
            values, t = np.linspace(inside, outside, CUTS + 2), t[i - 1 : i]
        if which != "floor" and self._at_edge(t[0], which):
            return None  # only the search stopped the others from following
        # near the optimum the root of the excess is a straight line
        share = (excess[2] - excess[0]) / (excess[1] - excess[0]) if excess[1] > excess[0] else 0.5
        return float(inside + (outside - inside) * share)

    def _sweep(self, which: int | str, values: Array, t: Array) -> tuple[Array, Array, int | None]:
        """Refit at each of `values`, ordered outwards from one that is inside; find the first that is not.

        A refit that starts too far away can miss its optimum: each end is tried again from its neighbour.
        """
        objective, t = self._refit(which, values, np.repeat(t, len(values), axis=0))
        i = 1
        while i < len(values):
            if objective[i] > self.threshold:
                again, t_again = self._refit(which, values[i : i + 1], t[i - 1 : i])
                if again[0] < objective[i]:
                    objective[i], t[i] = again[0], t_again[0]
                if objective[i] > self.threshold:
                    return objective, t, i
            i += 1
        return objective, t, None

    def _at_edge(self, t: Array, which: int | str) -> bool:
        low, high = self._task.limits()
        edge = (t <= low + EDGE) | (t >= high - EDGE)
        return bool(edge[np.arange(len(t)) != which].any())

    @property
    def _least(self) -> float:
        return float(self.best.objective[0])

    def _range(self, which: int | str) -> tuple[float, float, float]:
        """Give where a walk starts and the bounds it stops at."""
        if which == "floor":
            bottom = 0.0 if self.points.law_here.floor == "positive" else -np.inf
            return float(self.best.floor[0]), bottom, np.inf
        if isinstance(which, str):
            return float(self.best.log_amplitude[0]), -np.inf, np.inf
        low, high = self._task.limits()
        return float(self._t[0, which]), float(low[which]), float(high[which])

    def _refit(self, which: int | str, values: Array, t: Array) -> tuple[Array, Array]:
        """Refit with one number held at each of `values`; objective [values] and t [values, k]."""
        several = self._task.repeated(len(t))
        if which == "floor":
            t, objective = descend(several, t, fixed_floor=values)
        elif isinstance(which, str):
            t, objective = descend(several, t, fixed_amplitude=np.exp(values))
        else:
            free = np.arange(t.shape[1]) != which
            t = t.copy()
            t[:, which] = values
            t, objective = descend(several, t, free=free)
        return objective, t


def _interval(
    low: float | None, high: float | None, level: float, convert: Callable[[Array], Array]
) -> Interval:
    lo, hi = (None if end is None else float(convert(np.array(end))) for end in (low, high))
    return Interval(lo, hi, level)
