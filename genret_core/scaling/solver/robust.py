"""Descent on losses that are not squares of y: damped Newton in all unknowns, for a batch of fits.

The loss of residuals on a log or logit scale has no closed form in amplitude and floor, so these are walked
with the nonlinear unknowns. Inside `delta` a Huber loss is a parabola, outside it is a straight line without
curvature: Newton's step takes the curvature that is there, the damping takes that of reweighted squares, so
that the walk is safe far from the optimum and quadratic near it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.solver.descent import Mask, basis_and_derivative
from genret_core.scaling.solver.objective import Objective
from genret_core.scaling.solver.projection import Index, Task, project, weigh
from genret_core.scaling.solver.solutions import Solutions, solutions

ITERATIONS = 1000
DAMPING = (1e-2, 1e-10, 1e10)  # start, least, most
GAIN = 1e-14  # a smaller relative gain ends a walk
ROUGH_GAIN = 1e-9  # the same for resampled points, whose own scatter is a thousand times larger
REACH = 2.0  # longest step of a nonlinear unknown on its logarithmic scale
MEAGRE = 1e-10  # ridge, as a share of the curvature: two unknowns may be all but one
LOOK, HOPE = 20, 100.0  # iterations between looks at rivals; times its pace that a walk might still gain
SAME = 1e-7  # walks closer than this, on the solver's scale, are one


class State(NamedTuple):
    """A batch of fits: nonlinear unknowns [fits, k], amplitude of the largest basis value, floor [fits]."""

    t: Array
    amplitude: Array
    floor: Array


def start(task: Task, t: Array) -> State:
    """Take amplitude and floor from relative least squares at each `t`; a row of `task.Y` each."""
    with np.errstate(divide="ignore"):
        relative = Task(task.law, task.u, task.v, task.Y, task.w / np.maximum(task.Y**2, 1e-300))
    phi, _ = task.law.basis(task.u, task.v, task.theta(t))
    amplitude, floor, _ = project(relative, phi)
    if task.law.floor == "positive":
        floor = np.maximum(floor, 1e-12 * np.abs(task.Y).mean(axis=1))  # a value of 0 has no logarithm
    return State(t, amplitude, floor)


def walk(
    task: Task, objective: Objective, state: State, *, rough: bool = False, rivals: Index | None = None
) -> tuple[State, Array]:
    """Walk every fit downhill; the states reached and their objectives [fits].

    Parameters
    ----------
    task : Task
    objective : Objective
        Not one that `projects`.
    state : State
    rough : bool
        Stop at the precision that resampled points need.
    rivals : int array [fits], optional
        Walks of one number seek the same optimum. One that creeps over a plateau far above the best of them
        is given up, as is one at the place of another; its objective is infinite.
    """
    lost = np.zeros(len(state.t), dtype=bool)
    for delta in objective.smoothing(rough=rough):
        if rivals is not None:
            lost |= _followers(task, objective, delta, state, rivals, lost)
        state, _ = _descend(task, objective, delta, state, ROUGH_GAIN if rough else GAIN, rivals, lost)
    return state, np.where(lost, np.inf, value(task, objective, state))


def value(task: Task, objective: Objective, state: State) -> Array:
    """Give the weighted sum of losses [fits]; inf where a residual is not defined."""
    curve, _ = _curve(task, state)
    residual = objective.transform(task.Y) - objective.transform(curve)
    return _sum(objective.loss(residual), task.w)


def from_state(task: Task, state: State, objective: Array) -> Solutions:
    """Put together what a robust walk reached."""
    log_scale = task.law.basis(task.u, task.v, task.theta(state.t))[1]
    return solutions(task, state.t, state.amplitude, state.floor, log_scale, objective)


def _sum(losses: Array, w: Array) -> Array:
    total = weigh(np.where(w > 0, losses, 0.0), w)
    return np.where(np.isnan(total), np.inf, total)


def _curve(task: Task, state: State) -> tuple[Array, Array]:
    phi, _ = task.law.basis(task.u, task.v, task.theta(state.t))
    return state.floor[:, None] + state.amplitude[:, None] * phi, phi


def _smoothed(residual: Array, delta: float) -> tuple[Array, Array, Array]:
    """Give the Huber loss over delta (so that it stays near |r|), the weight psi / r and the curvature."""
    if np.isinf(delta):
        return residual**2, np.full(residual.shape, 2.0), np.full(residual.shape, 2.0)
    size = np.abs(residual)
    inside = size <= delta
    loss = np.where(inside, size**2 / (2 * delta), size - delta / 2)
    with np.errstate(divide="ignore"):
        return loss, 1 / np.maximum(size, delta), inside / delta


def _descend(
    task: Task,
    objective: Objective,
    delta: float,
    state: State,
    gain: float,
    rivals: Index | None,
    lost: Mask,
) -> tuple[State, Array]:
    k, law = state.t.shape[1], task.law
    low, high = task.limits()
    low = np.append(low, [0.0 if law.amplitude == "positive" else -np.inf] * 1)
    low = np.append(low, 0.0 if law.floor == "positive" else -np.inf)
    high = np.append(high, [np.inf, np.inf])
    movable = np.ones(k + 2, dtype=bool)
    movable[k] = law.amplitude != "none"
    movable[k + 1] = law.floor != "none"
    z = np.column_stack([state.t, state.amplitude, state.floor])
    target = objective.transform(task.Y)
    total, running = np.full(len(z), np.inf), np.flatnonzero(~lost)
    damping = np.full(len(z), DAMPING[0])
    slow = np.zeros(len(z), dtype=int)
    total[:] = _sum(_smoothed(target - objective.transform(_curve(task, _state(z, k))[0]), delta)[0], task.w)
    before = total.copy()
    for i in range(ITERATIONS):
        part = task.rows(running)
        goal = target if len(target) == 1 else target[running]
        gradient, newton, safe = _quadratic(part, objective, delta, z[running], goal, k)
        step = _step(gradient, newton, safe, damping[running], z[running], low, high, movable)
        step[:, :k] = np.clip(step[:, :k], -REACH, REACH)
        trial = np.clip(z[running] + step, low, high)
        curve, _ = _curve(part, _state(trial, k))
        with np.errstate(invalid="ignore"):
            reached = _sum(_smoothed(goal - objective.transform(curve), delta)[0], part.w)
        better = reached < total[running]
        with np.errstate(invalid="ignore"):  # a start at which the curve has no logarithm
            won = np.where(better, total[running] - reached, 0.0)
        small = (won <= gain * np.abs(reached)) & better
        slow[running] = np.where(small, slow[running] + 1, np.where(better, 0, slow[running]))
        done = (slow[running] >= 2) | (damping[running] >= DAMPING[2])
        damping[running] = np.clip(damping[running] * np.where(better, 0.1, 10.0), *DAMPING[1:])
        z[running[better]], total[running[better]] = trial[better], reached[better]
        running = running[~done]
        if rivals is not None and i % LOOK == LOOK - 1:
            hope = HOPE * (ITERATIONS - i) / LOOK * (before - total)
            gone = running[_hopeless(total, hope, rivals, lost)[running]]
            lost[gone] = True
            running = running[~lost[running]]
            before = total.copy()
        if not len(running):
            break
    return _state(z, k), total


def _followers(
    task: Task, objective: Objective, delta: float, state: State, rivals: Index, lost: Mask
) -> Mask:
    """Mark walks that stand where a rival stands: both would go the same way."""
    curve, _ = _curve(task, state)
    total = _sum(_smoothed(objective.transform(task.Y) - objective.transform(curve), delta)[0], task.w)
    total = np.where(lost, np.inf, total)
    order = np.lexsort((total, rivals))
    one, next_ = order[:-1], order[1:]
    with np.errstate(invalid="ignore"):
        level = np.abs(total[one] - total[next_]) <= SAME * np.abs(total[one])
    near = (np.abs(state.t[one] - state.t[next_]) <= SAME).all(axis=1)
    follows = np.zeros(len(total), dtype=bool)
    follows[next_] = level & near & (rivals[one] == rivals[next_])
    return follows


def _hopeless(total: Array, hope: Array, rivals: Index, lost: Mask) -> Mask:
    """Mark walks that would not come down to the best of their rivals at many times their pace."""
    best = np.full(int(rivals.max()) + 1, np.inf)
    np.minimum.at(best, rivals, np.where(lost, np.inf, total))
    with np.errstate(invalid="ignore"):  # infinite: not on its way yet
        return np.asarray(total - hope > best[rivals])


def _state(z: Array, k: int) -> State:
    return State(z[:, :k], z[:, k], z[:, k + 1])


def _quadratic(
    task: Task, objective: Objective, delta: float, z: Array, target: Array, k: int
) -> tuple[Array, Array, Array]:
    """Give the gradient [fits, k + 2], Newton's matrix and that of reweighted squares."""
    state = _state(z, k)
    phi, _, derivative = basis_and_derivative(task, state.t)
    curve = state.floor[:, None] + state.amplitude[:, None] * phi
    jacobian = np.empty((len(z), k + 2, task.u.size))
    if k:  # the largest basis value stays 1, so its place moves not at all
        largest = np.take_along_axis(derivative, phi.argmax(axis=1)[:, None, None], axis=2)
        jacobian[:, :k] = state.amplitude[:, None, None] * (derivative - phi[:, None] * largest)
    jacobian[:, k], jacobian[:, k + 1] = phi, 1.0
    residual = target - objective.transform(curve)
    _, weight, curvature = _smoothed(residual, delta)
    weight, curvature, residual = weight * task.w, curvature * task.w, np.nan_to_num(residual)
    with np.errstate(over="ignore", invalid="ignore"):  # a start at which the curve all but vanishes
        jacobian *= objective.derivative(curve)[:, None]
        gradient = np.einsum("bpn,bn->bp", jacobian, weight * residual)
        across = jacobian.swapaxes(1, 2)
        return gradient, (jacobian * curvature[:, None]) @ across, (jacobian * weight[:, None]) @ across


def _step(
    gradient: Array,
    newton: Array,
    safe: Array,
    damping: Array,
    z: Array,
    low: Array,
    high: Array,
    movable: Mask,
) -> Array:
    """Solve for the damped step, unknowns that would leave their bounds standing still."""
    diagonal = np.einsum("bpp->bp", safe)
    still = ((z <= low) & (gradient < 0)) | ((z >= high) & (gradient > 0)) | ~movable | ~(diagonal > 0)
    size = np.sqrt(np.where(still, 1.0, np.minimum(diagonal, 1e300)))
    matrix = (newton + damping[:, None, None] * safe) / (size[:, :, None] * size[:, None, :])
    if not np.isfinite(matrix).all():
        matrix = np.nan_to_num(matrix)
    matrix[still[:, :, None] | still[:, None, :]] = 0.0
    ridge = MEAGRE * (1 + damping[:, None]) + still
    matrix += ridge[:, :, None] * np.eye(z.shape[1])
    step = np.linalg.solve(matrix, np.where(still, 0.0, np.nan_to_num(gradient / size))[..., None])[..., 0]
    return np.asarray(step / size)
