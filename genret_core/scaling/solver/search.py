"""Least squares by variable projection: the global optimum of each fit, of the points or of all their draws.

A law with one nonlinear unknown is searched on a grid of exponents, all draws in one matrix product, and the
minimum is polished on the derivative. A law with more is descended from many starts (`descent`). No random
numbers: the same points give the same digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver.descent import descend, slope, starts
from genret_core.scaling.solver.projection import Index, Task, best_linear, moments_outer, project, weigh

GRID = 4_000
DRAW_STRIDE = (
    8  # draws are searched on every 8th point: 2 % of an exponent, where a profile turns over 20 % or more
)
STARTS = 40
WARM_STARTS = 3  # distinct optima of the points from which each draw is descended
CHUNK = 400_000  # numbers in one block of grid x draws: stays in the cache
EDGE = 1e-6  # closer than this to a search edge, on the solver's scale, is at the edge
LEVEL = 1e-9  # an edge that fits as well as the optimum, to this share, is the optimum: nothing sets a limit
POLISH_STEPS = 60


@dataclass(frozen=True)
class Solutions:
    """Fits of one law, an array entry each.

    Attributes
    ----------
    law : Law
    theta : array [fits, k]
        Nonlinear unknowns; NaN where the amplitude is 0, as then nothing depends on them.
    sign, log_amplitude, floor : array [fits]
        The linear parts at the centre of the data; a logarithm, since steep laws leave the range of floats.
    objective : array [fits]
        Weighted sum of squared residuals.
    edge : int array [fits, k]
        -1 or 1 where an unknown lies at its lower or upper search edge.
    """

    law: Law
    theta: Array
    sign: Array
    log_amplitude: Array
    floor: Array
    objective: Array
    edge: npt.NDArray[np.int_]

    @property
    def amplitude(self) -> Array:
        """Height of the falling term at the centre of the data."""
        return self.sign * np.exp(self.log_amplitude)

    def rescaled(self, scale: float) -> Solutions:
        """Give the solutions in units of y, where `scale` is one unit of the task."""
        log_amplitude, floor = self.log_amplitude + np.log(scale), self.floor * scale
        return Solutions(self.law, self.theta, self.sign, log_amplitude, floor, self.objective, self.edge)

    def predict(self, u: Array, v: Array | None) -> Array:
        """Evaluate every solution at centred log arguments [n]; [fits, n], not clipped."""
        theta = np.where(np.isnan(self.theta), 1.0 if self.law.x2 is None else 0.5, self.theta)
        phi, log_scale = self.law.basis(u, v, theta)
        with np.errstate(over="ignore", invalid="ignore"):
            term = np.exp(self.log_amplitude + log_scale)[:, None] * phi
        term = np.where(self.sign[:, None] == 0, 0.0, self.sign[:, None] * term)
        return np.asarray(self.floor[:, None] + term)

    def parameters(self, centres: tuple[float, ...]) -> dict[str, Array]:
        """Give the parameters as the equation names them, [fits] each; `centres`: mean logs of x and x2."""
        return self.law.assemble(self.sign, self.log_amplitude, self.floor, self.theta, centres)


@dataclass(frozen=True)
class Certificate:
    """What was searched, and how the optimum stands against the next best one."""

    method: str
    searched: int
    minima: int
    objective: float
    runner_up: float | None
    gradient: float  # largest derivative of the objective by an unknown, over the spread of y

    def rescaled(self, unit: float) -> Certificate:
        """Give the objectives times `unit`."""
        runner_up = None if self.runner_up is None else self.runner_up * unit
        return replace(self, objective=self.objective * unit, runner_up=runner_up)


def solve(task: Task) -> tuple[Solutions, Certificate]:
    """Find the global optimum of the first row of `task.Y`.

    Returns
    -------
    Solutions
        All distinct local optima found, the best first.
    Certificate
    """
    task = task.rows(np.array([0]))
    k = len(task.law.nonlinear)
    if k == 0:
        found = _finish(task, np.empty((1, 0)))
        return found, Certificate("closed form", 1, 1, float(found.objective[0]), None, 0.0)
    t, method, searched = _grid_minima(task) if k == 1 else _descended(task)
    found = _finish(task.repeated(len(t)), t)
    order = _distinct(found.objective, t)
    found, t = _take(found, order), t[order]
    spread = float(weigh((task.Y - weigh(task.Y, task.w)[:, None] / task.w.sum()) ** 2, task.w)[0])
    steep = np.abs(slope(task, t[:1])) * (found.edge[:1] == 0)
    certificate = Certificate(
        method,
        searched,
        len(order),
        float(found.objective[0]),
        float(found.objective[1]) if len(order) > 1 else None,
        float(steep.max(initial=0.0) / spread) if spread > 0 else 0.0,
    )
    return found, certificate


def solve_draws(task: Task, warm: Solutions | None = None) -> Solutions:
    """Find the best fit of every row of `task.Y`; `warm`: optima of the points themselves."""
    k = len(task.law.nonlinear)
    if k == 0:
        return _finish(task, np.empty((len(task.Y), 0)))
    if k == 1:
        t = grid(task.law)[::DRAW_STRIDE]
        size = max(1, CHUNK // len(t))
        parts = [task.rows(np.arange(i, min(i + size, len(task.Y)))) for i in range(0, len(task.Y), size)]
        return _finish(
            task, np.concatenate([_polish(part, t, grid_objective(part, t).argmin(axis=0)) for part in parts])
        )
    assert warm is not None
    return _finish(task, _warm_descended(task, warm))


def grid(law: Law) -> Array:
    """Give the grid of the one nonlinear unknown in the solver's coordinates, [GRID]."""
    unknown = law.nonlinear[0]
    return np.linspace(float(unknown.to_t(unknown.low)), float(unknown.to_t(unknown.high)), GRID)


def grid_objective(task: Task, t: Array) -> Array:
    """Give the profile objective at `t` [grid] for every row of Y; [grid, fits]."""
    phi, _ = task.law.basis(task.u, task.v, task.theta(t[:, None]))
    return best_linear(task.law, moments_outer(phi, task.Y, task.w))[2]


def _grid_minima(task: Task) -> tuple[Array, str, int]:
    """Polish every local minimum of the profile of one set of points."""
    t = grid(task.law)
    # from the residuals and not from moments: near a perfect fit those differ in the last digits only
    profile = _objective(task, t[:, None])
    padded = np.concatenate([[np.inf], profile, [np.inf]])
    lowest = np.flatnonzero((profile <= padded[:-2]) & (profile < padded[2:]))
    if not len(lowest):  # flat: the amplitude is 0 for every exponent
        lowest = np.array([0])
    several = task.repeated(len(lowest))
    return _polish(several, t, lowest), "grid", len(t)


def _polish(task: Task, t: Array, lowest: Index) -> Array:
    """Find the zero of the derivative between the grid neighbours of each minimum (Illinois); [fits, 1].

    Where the derivative does not change sign (the minimum is at a search edge, or the profile is flat), the
    grid point stands.
    """
    a, b = t[np.maximum(lowest - 1, 0)], t[np.minimum(lowest + 1, len(t) - 1)]
    fa, fb = slope(task, a[:, None])[:, 0], slope(task, b[:, None])[:, 0]
    bracketed = (fa < 0) & (fb > 0)
    rows = np.flatnonzero(bracketed)
    for _ in range(POLISH_STEPS):
        if not len(rows):
            break
        a_, b_, fa_, fb_ = a[rows], b[rows], fa[rows], fb[rows]
        c = b_ - fb_ * (b_ - a_) / (fb_ - fa_)
        fc = slope(task.rows(rows), c[:, None])[:, 0]
        crossed = np.sign(fc) != np.sign(fb_)
        a[rows], fa[rows] = np.where(crossed, b_, a_), np.where(crossed, fb_, fa_ / 2)
        b[rows], fb[rows] = c, fc
        rows = rows[(fc != 0) & (np.abs(c - a[rows]) > 1e-13) & (np.abs(c - b_) > 1e-13)]
    start = t[lowest][:, None]
    polished = np.where(bracketed[:, None], b[:, None], start)
    better = _objective(task, polished) <= _objective(task, start)
    return _levelled(task, np.where(better[:, None], polished, start))


def _levelled(task: Task, t: Array) -> Array:
    """Move optima to a search edge that fits as well: rounding picks any point of a plateau."""
    reached = _objective(task, t)
    slack = LEVEL * reached + 1e-14 * weigh((task.Y - task.Y.mean(axis=1, keepdims=True)) ** 2, task.w)
    for edge in task.limits():
        at_edge = np.broadcast_to(edge, t.shape)
        t = np.where((_objective(task, at_edge) <= reached + slack)[:, None], at_edge, t)
    return t


def _objective(task: Task, t: Array) -> Array:
    phi, _ = task.law.basis(task.u, task.v, task.theta(t))
    return weigh(project(task, phi)[2] ** 2, task.w)


def _descended(task: Task) -> tuple[Array, str, int]:
    t0 = starts(task.law, STARTS)
    several = task.repeated(len(t0))
    return _pushed(several, *descend(several, t0)), "multi-start", len(t0)


def _pushed(task: Task, t: Array, objective: Array) -> Array:
    """Move unknowns that went far to the search edge, the others following, where that fits as well."""
    low, high = task.limits()
    for j in range(t.shape[1]):
        for edge, far in ((low[j], t[:, j] < low[j] / 2), (high[j], t[:, j] > high[j] / 2)):
            rows = np.flatnonzero(far & (np.abs(t[:, j] - edge) > EDGE))
            if len(rows):
                trial = t[rows]
                trial[:, j] = edge
                trial, reached = descend(task.rows(rows), trial, free=np.arange(t.shape[1]) != j)
                level = rows[reached <= objective[rows] * (1 + LEVEL)]
                t[level] = trial[reached <= objective[rows] * (1 + LEVEL)]
    return t


def _warm_descended(task: Task, warm: Solutions) -> Array:
    unknowns = task.law.nonlinear
    usable = np.flatnonzero(~np.isnan(warm.theta).any(axis=1))[:WARM_STARTS]
    t0 = np.stack([u.to_t(warm.theta[usable, j]) for j, u in enumerate(unknowns)], axis=-1)
    if not len(t0):
        t0 = starts(task.law, WARM_STARTS)
    runs = [descend(task, np.repeat(t[None], len(task.Y), axis=0)) for t in t0]
    objective, draws = np.stack([run[1] for run in runs]), np.arange(len(task.Y))
    best = objective.argmin(axis=0)
    return _pushed(task, np.stack([run[0] for run in runs])[best, draws], objective[best, draws])


def _distinct(objective: Array, t: Array) -> Index:
    """Order optima by objective and drop those that are the same point or lie on a better one's plateau."""
    keep: list[int] = []
    for i in np.argsort(objective, kind="stable"):
        if all(np.abs(t[i] - t[j]).max() > 1e-4 and objective[i] > objective[j] * (1 + 1e-9) for j in keep):
            keep.append(int(i))
    return np.array(keep)


def _finish(task: Task, t: Array) -> Solutions:
    theta = task.theta(t)
    phi, log_scale = task.law.basis(task.u, task.v, theta)
    amplitude, floor, residuals = project(task, phi)
    low, high = task.limits()
    edge = (t >= high - EDGE).astype(int) - (t <= low + EDGE).astype(int)
    flat = amplitude == 0
    with np.errstate(divide="ignore"):
        log_amplitude = np.log(np.abs(amplitude)) - log_scale
    return Solutions(
        task.law,
        np.where(flat[:, None], np.nan, theta),
        np.sign(amplitude),
        log_amplitude,
        np.asarray(floor, dtype=np.float64),
        weigh(residuals**2, task.w),
        np.where(flat[:, None], 0, edge),
    )


def _take(s: Solutions, rows: Index) -> Solutions:
    linear = (s.sign[rows], s.log_amplitude[rows], s.floor[rows])
    return Solutions(s.law, s.theta[rows], *linear, s.objective[rows], s.edge[rows])
