"""How well the points hold a number: the profile along one, and the map over the exponent and the floor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.intervals.interval import ROUNDING, Noise
from genret_core.scaling.laws.law import Array
from genret_core.scaling.solver.descent import descend
from genret_core.scaling.solver.projection import Task
from genret_core.scaling.solver.search import grid, grid_objective, objective_at
from genret_core.scaling.solver.solutions import Solutions

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

SHOWN = 4.0  # a profile is drawn up to this many times the 95 % threshold
COARSE = 25  # places at which the range of a profile in several unknowns is felt for
WIDEST = 3.0  # and no farther from the optimum than this many spans of y, or e-folds of an exponent


@dataclass(frozen=True, eq=False)
class ProfileCurve:
    """The misfit along one parameter, everything else refitted.

    Attributes
    ----------
    name : str
    values : array [n]
        Of the parameter.
    excess : array [n]
        Rise of the objective over its least, in variances of a residual: an F or chi-square value.
    threshold68, threshold95 : float
        The excess at which the 68 and 95 % intervals end.
    best : float
    """

    name: str
    values: Array
    excess: Array
    threshold68: float
    threshold95: float
    best: float


@dataclass(frozen=True, eq=False)
class ProfileMap:
    """The misfit over exponent and floor, the amplitude refitted.

    Attributes
    ----------
    exponents, floors : array [n], array [m]
    excess : array [n, m]
        As in `ProfileCurve`.
    threshold68, threshold95 : float
        For one parameter at a time: the outline's extent along an axis is that parameter's interval.
    """

    exponents: Array
    floors: Array
    excess: Array
    threshold68: float
    threshold95: float
    _amplitude: Array = field(repr=False)
    _fit: Fit = field(repr=False)

    def params(self, i: int, j: int) -> dict[str, float]:
        """Give the parameters of the curve at exponent `i` and floor `j`."""
        points = self._fit.points
        theta = np.array([[self.exponents[i]]])
        with np.errstate(divide="ignore"):
            log_amplitude = np.log(self._amplitude[i, j][None])
        one = Solutions(
            points.law_here,
            theta,
            np.sign(self._amplitude[i, j])[None],
            log_amplitude,
            self.floors[j][None],
            np.zeros(1),
            np.zeros((1, 1), dtype=int),
        )
        found = one.parameters(points.centres)
        return {name: float(found[name][0]) for name in self._fit.law.names}


def noise_of(fit: Fit) -> Noise:
    """Give the noise that the intervals of a fit by least squares stand on.

    Raises
    ------
    BadInput
        If nothing tells it: no degree of freedom and no stated noise, or an objective without a profile.
    """
    points = fit.points
    if not points.objective.projects:
        raise BadInput(f"The objective {fit.objective} has no profile; choose ols or relative.")
    known = points.sd is not None
    if not known and fit.dof <= 0:
        raise BadInput("No degree of freedom is left to judge the scatter by; state the noise of the points.")
    task, least = points.task(), float(fit.optima.objective[0])
    rounding = ROUNDING * float(task.w.sum() * np.var(task.Y))
    variance = 1.0 if known else least / fit.dof
    return Noise(least, max(variance, rounding), None if known else fit.dof, rounding)


def profile_curve(fit: Fit, name: str, n: int = 81) -> ProfileCurve:
    """Give the misfit along a nonlinear parameter or the floor of a fit, over the range that matters.

    Parameters
    ----------
    fit : Fit
        By least squares (`ols` or `relative`).
    name : str
        An exponent, another nonlinear parameter, or the floor.
    n : int
        Values.

    Raises
    ------
    BadInput
        If the fit has no such parameter, no falling part, or nothing tells its noise.
    """
    noise, law = noise_of(fit), fit.points.law_here
    floors = [p.name for p in fit.law.with_role("floor")]
    unknowns = [unknown.name for unknown in law.nonlinear]
    if name not in (*floors, *unknowns):
        there = ", ".join((*unknowns, *floors)) or "none"
        raise BadInput(f"The law {fit.law.name} has no profile of {name!r}; there are {there}.")
    if fit.optima.sign[0] == 0:
        raise BadInput("The fit has no falling part, so that nothing hangs on its parameters.")
    limit = SHOWN * noise.threshold(0.95) - (SHOWN - 1) * noise.least
    if name in floors:
        values, objective = _along_floor(fit, limit, n)
        values = values * fit.points.scale
    else:
        values, objective = _along_unknown(fit, unknowns.index(name), limit, n)
    return ProfileCurve(
        name,
        values,
        np.maximum(objective - noise.least, 0.0) / noise.variance,
        noise.quantile(0.68) ** 2,
        noise.quantile(0.95) ** 2,
        fit.params[name],
    )


def profile_map(fit: Fit, n: int = 61) -> ProfileMap:
    """Give the misfit over the exponent and the floor of a law with one of each, [n, n].

    Raises
    ------
    BadInput
        As `profile_curve`, or for a law of another kind.
    """
    law, floors = fit.points.law_here, fit.law.with_role("floor")
    if len(law.nonlinear) != 1 or not floors or law.floor == "none":
        raise BadInput(
            f"The map needs a law with one exponent and a floor; {fit.law.name} is of another kind."
        )
    noise = noise_of(fit)
    exponents = profile_curve(fit, law.nonlinear[0].name, n).values
    levels = profile_curve(fit, floors[0].name, n).values
    task = fit.points.task()
    t = np.asarray(law.nonlinear[0].to_t(exponents))[:, None]
    objective, amplitude, log_scale = _held_floor(task, t, levels / fit.points.scale)
    return ProfileMap(
        exponents,
        levels,
        np.maximum(objective - noise.least, 0.0) / noise.variance,
        noise.quantile(0.68) ** 2,
        noise.quantile(0.95) ** 2,
        amplitude * np.exp(-log_scale)[:, None] * fit.points.scale,
        fit,
    )


def _held_floor(task: Task, t: Array, floors: Array) -> tuple[Array, Array, Array]:
    """Fit the amplitude at each `t` [g, 1] and floor [m]; objective and amplitude [g, m], log scale [g]."""
    phi, log_scale = task.law.basis(task.u, task.v, task.theta(t))
    w, rest = task.w[0], task.Y[0] - floors[:, None]
    across = phi @ (w * rest).T
    amplitude = across / np.maximum((phi * phi) @ w, 1e-300)[:, None]
    if task.law.amplitude == "positive":
        amplitude = np.maximum(amplitude, 0.0)
    # residuals, not sums: near a perfect fit sums have no digits left
    residuals = rest[None] - amplitude[:, :, None] * phi[:, None]
    return (residuals**2) @ w, amplitude, log_scale


def _along_unknown(fit: Fit, j: int, limit: float, n: int) -> tuple[Array, Array]:
    """Walk along nonlinear unknown `j`, the other ones refitted."""
    task, unknown = fit.points.task(), fit.points.law_here.nonlinear[j]
    low, high = (float(unknown.to_t(end)) for end in (unknown.low, unknown.high))
    best = float(unknown.to_t(fit.optima.theta[0, j]))
    if len(task.law.nonlinear) == 1:
        t = grid(task.law)
        inside = t[grid_objective(task, t)[:, 0] <= limit]
        first, last = (float(inside.min()), float(inside.max())) if len(inside) else (best, best)
        step = float(t[1] - t[0])
        values = np.linspace(max(low, first - step), min(high, last + step), n)
        values = np.sort(np.append(values[1:], best)) if low < best < high else values
        return np.asarray(unknown.from_t(values)), objective_at(task.repeated(len(values)), values[:, None])
    unknowns = fit.points.law_here.nonlinear
    start = np.array([float(u.to_t(fit.optima.theta[0, k])) for k, u in enumerate(unknowns)])

    def refit(values: Array) -> Array:
        t0 = np.repeat(start[None], len(values), axis=0)
        t0[:, j] = values
        return descend(task.repeated(len(values)), t0, free=np.arange(len(start)) != j)[1]

    coarse = np.linspace(max(low, best - WIDEST), min(high, best + WIDEST), COARSE)
    inside = np.append(coarse[refit(coarse) <= limit], best)
    step = float(coarse[1] - coarse[0])
    values = np.linspace(max(low, inside.min() - step), min(high, inside.max() + step), n)
    return np.asarray(unknown.from_t(values)), refit(values)


def _along_floor(fit: Fit, limit: float, n: int) -> tuple[Array, Array]:
    """Walk along the floor, in units of the solver; the rest refitted."""
    task, best = fit.points.task(), float(fit.optima.floor[0])
    unknowns = task.law.nonlinear
    start = np.array([float(u.to_t(fit.optima.theta[0, k])) for k, u in enumerate(unknowns)])
    lowest = 0.0 if task.law.floor == "positive" else -np.inf

    def refit(floors: Array) -> Array:
        _, objective = descend(
            task.repeated(len(floors)), np.repeat(start[None], len(floors), axis=0), fixed_floor=floors
        )
        return objective

    steps = WIDEST * np.geomspace(1e-6, 1.0, 40)
    ends = []
    for side in (-1.0, 1.0):
        tried = np.clip(best + side * steps, lowest, np.inf)
        outside = np.flatnonzero(refit(tried) > limit)
        ends.append(float(tried[outside[0]] if len(outside) else tried[-1]))
    values = np.unique(np.append(np.linspace(ends[0], ends[1], n - 1), best))
    return values, refit(values)
