"""The global optimum of each fit, of the points or of all their draws, by variable projection.

A law with one nonlinear unknown is searched on a grid of exponents, all draws in one matrix product, and the
minimum is polished on the derivative. A law with more is screened on thousands of places, and descended from
the best of them and from evenly spread ones (`descent`). Losses that are not squares of y start from there
and walk on (`robust`). No random numbers: the same points give the same digits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver import robust
from genret_core.scaling.solver.descent import descend, slope, starts
from genret_core.scaling.solver.objective import Objective
from genret_core.scaling.solver.projection import Index, Task, best_linear, moments_outer, project, weigh
from genret_core.scaling.solver.robust import from_state
from genret_core.scaling.solver.solutions import EDGE, Certificate, Solutions, finish, take

GRID = 4_000
DENSE = 100  # points, beyond which the grid is coarser
SCREENED = (2_048, 8_192)  # places at which a law of up to three unknowns, or of more, is looked at,
CHOSEN, SPREAD = 24, 16  # the best of them, and the evenly spread ones, from which it is descended
ROBUST_STARTS = 24
CHUNK = 400_000  # numbers in one block of grid x draws: stays in the cache
LEVEL = 1e-9  # an edge that fits as well as the optimum, to this share, is the optimum: nothing sets a limit
POLISH_STEPS = 60


def solve(task: Task, objective: Objective = Objective()) -> tuple[Solutions, Certificate]:  # noqa: B008
    """Find the global optimum of the first row of `task.Y`.

    Returns
    -------
    Solutions
        All distinct local optima found, the best first.
    Certificate
    """
    task = task.rows(np.array([0]))
    k = len(task.law.nonlinear)
    if not objective.projects:
        return _solve_robust(task, objective)
    if k == 0:
        found = finish(task, np.empty((1, 0)))
        return found, Certificate("closed form", 1, (float(found.objective[0]),), 0.0)
    t, method, searched = _grid_minima(task) if k == 1 else _descended(task)
    found = finish(task.repeated(len(t)), t)
    order = _distinct(found.objective, t)
    found, t = take(found, order), t[order]
    spread = float(weigh((task.Y - weigh(task.Y, task.w)[:, None] / task.w.sum()) ** 2, task.w)[0])
    steep = np.abs(slope(task, t[:1])) * (found.edge[:1] == 0)
    gradient = float(steep.max(initial=0.0) / spread) if spread > 0 else 0.0
    return found, Certificate(method, searched, tuple(float(o) for o in found.objective), gradient)


def grid(law: Law, n: int = 0) -> Array:
    """Give the grid of the one nonlinear unknown in the solver's coordinates, [GRID] or fewer.

    With `n` points the profile is smooth, and a coarser grid finds every minimum of it: never fewer than 800
    places, 1.4 % of an exponent apart.
    """
    unknown, size = law.nonlinear[0], max(GRID // 5, min(GRID, GRID * DENSE // max(n, 1)))
    return np.linspace(float(unknown.to_t(unknown.low)), float(unknown.to_t(unknown.high)), size)


def grid_objective(task: Task, t: Array) -> Array:
    """Give the profile objective at `t` [grid] for every row of Y; [grid, fits]."""
    phi, _ = task.law.basis(task.u, task.v, task.theta(t[:, None]))
    return best_linear(task.law, moments_outer(phi, task.Y, task.w))[2]


def _grid_minima(task: Task) -> tuple[Array, str, int]:
    """Polish every local minimum of the profile of one set of points."""
    t = grid(task.law, task.u.size)
    # from the residuals and not from moments: near a perfect fit those differ in the last digits only
    profile = objective_at(task, t[:, None])
    padded = np.concatenate([[np.inf], profile, [np.inf]])
    lowest = np.flatnonzero((profile <= padded[:-2]) & (profile < padded[2:]))
    if not len(lowest):  # flat: the amplitude is 0 for every exponent
        lowest = np.array([0])
    several = task.repeated(len(lowest))
    return polish(several, t, lowest), "grid", len(t)


def polish(task: Task, t: Array, lowest: Index) -> Array:
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
    better = objective_at(task, polished) <= objective_at(task, start)
    return _levelled(task, np.where(better[:, None], polished, start))


def _levelled(task: Task, t: Array) -> Array:
    """Move optima to a search edge that fits as well: rounding picks any point of a plateau."""
    reached = objective_at(task, t)
    slack = LEVEL * reached + 1e-14 * weigh((task.Y - task.Y.mean(axis=1, keepdims=True)) ** 2, task.w)
    for edge in task.limits():
        at_edge = np.broadcast_to(edge, t.shape)
        t = np.where((objective_at(task, at_edge) <= reached + slack)[:, None], at_edge, t)
    return t


def objective_at(task: Task, t: Array) -> Array:
    """Give the least weighted sum of squares at each `t`."""
    phi, _ = task.law.basis(task.u, task.v, task.theta(t))
    with np.errstate(over="ignore"):
        return weigh(project(task, phi)[2] ** 2, task.w)


def _descended(task: Task) -> tuple[Array, str, int]:
    t0 = _screened(task)
    several = task.repeated(len(t0))
    return pushed(several, *descend(several, t0)), "screening and descent", _screened_places(task.law)


def _screened_places(law: Law) -> int:
    return SCREENED[len(law.nonlinear) > 3]


def _screened(task: Task) -> Array:
    """Choose starts: the best of many evenly spread places, and some of these whatever they promise."""
    places = starts(task.law, _screened_places(task.law))
    size = max(1, CHUNK // task.u.size)
    promise = np.concatenate(
        [
            objective_at(task.repeated(len(part)), part)
            for part in np.split(places, range(size, len(places), size))
        ]
    )
    best = np.argsort(promise, kind="stable")[: CHOSEN * (2 if len(task.law.nonlinear) > 3 else 1)]
    return np.concatenate([places[best], places[:SPREAD]])


def _promising(task: Task, objective: Objective) -> Array:
    """Choose starts by the loss itself, with amplitude and floor from relative least squares."""
    places = starts(task.law, _screened_places(task.law))
    size = max(1, CHUNK // task.u.size)
    promise = []
    for part in np.split(places, range(size, len(places), size)):
        several = task.repeated(len(part))
        promise.append(robust.value(several, objective, robust.start(several, part)))
    return places[np.argsort(np.concatenate(promise), kind="stable")[:CHOSEN]]


def _solve_robust(task: Task, objective: Objective) -> tuple[Solutions, Certificate]:
    """Walk from the optima of relative least squares and from spread starts; keep the distinct ends."""
    law, k = task.law, len(task.law.nonlinear)
    relative = replace(task, w=task.w / np.maximum(task.Y**2, 1e-300))
    t0 = np.empty((1, 0))
    if k == 1:
        t0 = np.concatenate([_grid_minima(relative)[0], grid(law)[:: GRID // ROBUST_STARTS, None]])
    elif k > 1:
        t0 = _descended(relative)[0]
        t0 = t0[_distinct(objective_at(relative.repeated(len(t0)), t0), t0)][:ROBUST_STARTS]
        t0 = np.concatenate([t0, _promising(task, objective), starts(law, ROBUST_STARTS)])
    several = task.repeated(len(t0))
    same = np.zeros(len(t0), dtype=int)
    state, reached = robust.walk(several, objective, robust.start(several, t0), rivals=same)
    order = _distinct(reached, state.t)
    order = order[np.isfinite(reached[order]) | (np.arange(len(order)) == 0)]  # without those given up
    found = take(from_state(several, state, reached), order)
    return found, Certificate("walks from many starts", len(t0), tuple(map(float, found.objective)), np.nan)


def pushed(task: Task, t: Array, objective: Array) -> Array:
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


def _distinct(objective: Array, t: Array) -> Index:
    """Order optima by objective and drop those that are the same point or lie on a better one's plateau."""
    keep: list[int] = []
    for i in np.argsort(objective, kind="stable"):
        if all(np.abs(t[i] - t[j]).max() > 1e-4 and objective[i] > objective[j] * (1 + 1e-9) for j in keep):
            keep.append(int(i))
    return np.array(keep)
