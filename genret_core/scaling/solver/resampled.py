"""The best fit of every resample of the points: of drawn values, or of drawn weights; all in one batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.solver import robust
from genret_core.scaling.solver.descent import descend, starts
from genret_core.scaling.solver.objective import Objective
from genret_core.scaling.solver.projection import Task
from genret_core.scaling.solver.search import CHUNK, grid, grid_objective, polish, pushed
from genret_core.scaling.solver.solutions import Solutions, finish

STRIDE = 8  # of the grid: 2 % of an exponent, where a profile turns over 20 % or more
WARM_STARTS = 3  # distinct optima of the points from which each draw is descended
PLAUSIBLE = 0.05  # share of the variation by which an optimum of the points may be worse and still be a start
FEW = 64  # so few resamples (one for each row left out) are also descended from spread starts


def solve_draws(
    task: Task,
    warm: Solutions | None = None,
    objective: Objective = Objective(),  # noqa: B008
) -> Solutions:
    """Find the best fit of every row of `task.Y` or of `task.w`; `warm`: optima of the points themselves."""
    fits, k = max(len(task.Y), len(task.w)), len(task.law.nonlinear)
    if len(task.Y) < fits:
        task = replace(task, Y=np.broadcast_to(task.Y, (fits, task.u.size)))
    if not objective.projects:
        assert warm is not None
        return _walk_draws(task, warm, objective)
    if k == 0:
        return finish(task, np.empty((fits, 0)))
    if k == 1:
        t = grid(task.law)[::STRIDE]
        size = max(1, CHUNK // len(t))
        parts = [task.rows(np.arange(i, min(i + size, fits))) for i in range(0, fits, size)]
        return finish(
            task, np.concatenate([polish(part, t, grid_objective(part, t).argmin(axis=0)) for part in parts])
        )
    assert warm is not None
    return finish(task, _warm_descended(task, warm))


def _walk_draws(task: Task, warm: Solutions, objective: Objective) -> Solutions:
    """Walk every draw from the optimum of the points, and few draws from other starts as well."""
    law, fits = task.law, len(task.Y)
    begins = np.empty((1, 0))
    if law.nonlinear:
        best = warm.theta[: 1 if fits > FEW else WARM_STARTS]
        begins = np.stack([u.to_t(best[:, j]) for j, u in enumerate(law.nonlinear)], axis=-1)
        begins = begins[~np.isnan(begins).any(axis=1)]
        if fits <= FEW or not len(begins):
            begins = np.concatenate([begins, starts(law, 2 * WARM_STARTS if fits <= FEW else 1)])
    draws = np.arange(fits)
    rows, t0 = np.tile(draws, len(begins)), np.repeat(begins, fits, axis=0)
    size = max(1, CHUNK // task.u.size)
    walked = []
    for i in range(0, len(rows), size):
        some = rows[i : i + size]
        part = task.rows(some)
        start = robust.start(part, t0[i : i + size])
        walked.append(robust.walk(part, objective, start, rough=fits > FEW, rivals=some))
    reached = np.concatenate([reached for _, reached in walked])
    best = draws + fits * reached.reshape(len(begins), fits).argmin(axis=0)
    state = robust.State(*(np.concatenate(a)[best] for a in zip(*(s for s, _ in walked), strict=True)))
    return robust.from_state(task, state, reached[best])


def _warm_descended(task: Task, warm: Solutions) -> Array:
    unknowns = task.law.nonlinear
    total = float((task.w * (task.Y - task.Y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1).mean())
    near = warm.objective <= warm.objective[0] + PLAUSIBLE * total
    usable = np.flatnonzero(near & ~np.isnan(warm.theta).any(axis=1))[:WARM_STARTS]
    t0 = np.stack([u.to_t(warm.theta[usable, j]) for j, u in enumerate(unknowns)], axis=-1)
    if not len(t0):
        t0 = starts(task.law, WARM_STARTS)
    if len(task.Y) <= FEW:  # a row left out may move the optimum far
        t0 = np.concatenate([t0, starts(task.law, 2 * WARM_STARTS)])
    fits = len(task.Y)
    rough = fits > FEW or t0.shape[1] > 3  # a break takes long to settle its last digits
    size = max(1, CHUNK // (task.u.size * 2))
    found = []
    for i in range(0, fits, size):
        part = task.rows(np.arange(i, min(i + size, fits)))
        runs = [descend(part, np.repeat(t[None], len(part.Y), axis=0), rough=rough) for t in t0]
        objective, draws = np.stack([run[1] for run in runs]), np.arange(len(part.Y))
        best = objective.argmin(axis=0)
        found.append(pushed(part, np.stack([run[0] for run in runs])[best, draws], objective[best, draws]))
    return np.concatenate(found)
