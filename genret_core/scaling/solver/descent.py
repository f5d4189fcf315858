"""Descent in several nonlinear unknowns, for a batch of fits: damped Gauss-Newton on projected residuals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver.projection import Index, Task, project, weigh

Mask = npt.NDArray[np.bool_]
Held = tuple[Array | None, Array | None]  # floors and amplitudes that do not move

STEP = 1e-6  # of the central differences, on the solver's logarithmic scale
ITERATIONS = 300
TOLERANCE = 1e-11  # a smaller step ends a descent
GAIN = 1e-13  # so does a smaller relative gain
ROUGH = (1e-6, 1e-9)  # step and gain for resamples of the points, whose scatter is a thousand times larger
REACH = 3.0  # the longest step: a factor 20 in an exponent
DAMPING = (1e-3, 1e-12, 1e12)  # start, least, most


def starts(law: Law, n: int) -> Array:
    """Spread `n` starts evenly over the unknowns' start ranges, [n, k] (additive recurrence)."""
    k = len(law.nonlinear)
    ratio = 1.5
    for _ in range(50):  # the root of ratio^(k+1) = ratio + 1 spreads best in k dimensions
        ratio = (1 + ratio) ** (1 / (k + 1))
    unit = (0.5 + np.arange(1, n + 1)[:, None] * ratio ** -np.arange(1, k + 1)) % 1
    low, high = [], []
    for unknown in law.nonlinear:
        a, b = unknown.start or (unknown.low, unknown.high)
        low.append(float(unknown.to_t(a)))
        high.append(float(unknown.to_t(b)))
    return np.array(low) + unit * (np.array(high) - np.array(low))


def slope(task: Task, t: Array) -> Array:
    """Give the derivative of the profile objective by each unknown, [fits, k].

    The linear parts are optimal, so that only the basis moves: -2 amplitude sum(w r dphi/dt). What they could
    follow of it adds nothing but rounding, and is projected out.
    """
    phi, _, derivative = basis_and_derivative(task, t)
    amplitude, floor, residuals = project(task, phi)
    derivative = _projected(task, phi, derivative, amplitude, floor, (None, None))
    return -2 * amplitude[:, None] * np.einsum("bn,bkn->bk", residuals * task.w, derivative)


def descend(
    task: Task,
    t: Array,
    *,
    free: Mask | None = None,
    fixed_floor: Array | None = None,
    fixed_amplitude: Array | None = None,
    rough: bool = False,
) -> tuple[Array, Array]:
    """Walk every fit downhill within the search edges.

    Parameters
    ----------
    task : Task
        A row of Y per start.
    t : array [fits, k]
        Starts, in the solver's coordinates.
    free : bool array [k], optional
        Unknowns that may move (default all).
    fixed_floor, fixed_amplitude : array [fits], optional
        A linear part that is held (`fixed_amplitude` is the height at the centre).
    rough : bool
        Stop at the precision that resamples need.

    Returns
    -------
    t : array [fits, k]
    objective : array [fits]
    """
    low, high = task.limits()
    movable = np.ones(t.shape[1], dtype=bool) if free is None else free
    t, held = np.clip(t, low, high), (fixed_floor, fixed_amplitude)
    damping, objective = np.full(len(t), DAMPING[0]), _objective(task, t, held)
    running = np.arange(len(t))
    tolerance, least_gain = ROUGH if rough else (TOLERANCE, GAIN)
    for _ in range(ITERATIONS):
        part, held_now = task.rows(running), _rows(held, running)
        step = _step(part, t[running], damping[running], movable, held_now)
        trial = np.clip(t[running] + step, low, high)
        reached = _objective(part, trial, held_now)
        better, gain = reached < objective[running], objective[running] - reached
        damping[running] = np.clip(damping[running] * np.where(better, 0.2, 4.0), *DAMPING[1:])
        stalled = np.abs(trial - t[running]).max(axis=1) < tolerance
        stalled |= (better & (gain <= least_gain * reached)) | (damping[running] >= DAMPING[2])
        t[running[better]], objective[running[better]] = trial[better], reached[better]
        running = running[~stalled]
        if not len(running):
            break
    return t, objective


def _rows(held: Held, rows: Index) -> Held:
    floor, amplitude = held
    return None if floor is None else floor[rows], None if amplitude is None else amplitude[rows]


def _linear(task: Task, phi: Array, log_scale: Array, held: Held) -> tuple[Array, Array, Array]:
    floor, amplitude = held
    at_scale = None if amplitude is None else amplitude * np.exp(log_scale)
    return project(task, phi, fixed_floor=floor, fixed_amplitude=at_scale)


def _objective(task: Task, t: Array, held: Held) -> Array:
    phi, log_scale = task.law.basis(task.u, task.v, task.theta(t))
    with np.errstate(over="ignore"):  # a held amplitude under a steep term
        return weigh(_linear(task, phi, log_scale, held)[2] ** 2, task.w)


def basis_and_derivative(task: Task, t: Array) -> tuple[Array, Array, Array]:
    """Give the basis [fits, n], its log scale and its derivative by each unknown [fits, k, n].

    By central differences where a law does not know its own.
    """
    if task.law.gradient is not None:
        theta = task.theta(t)
        phi, log_scale, derivative = task.law.gradient(task.u, task.v, theta)
        steps = [
            theta[:, j] if u.scale == "log" else np.ones(len(t)) for j, u in enumerate(task.law.nonlinear)
        ]
        return phi, log_scale, derivative * np.stack(steps, axis=-1)[..., None]
    phi, log_scale = task.law.basis(task.u, task.v, task.theta(t))
    derivative = np.empty((len(t), t.shape[1], task.u.size))
    for j in range(t.shape[1]):
        shift = np.zeros(t.shape[1])
        shift[j] = STEP
        up, up_scale = task.law.basis(task.u, task.v, task.theta(t + shift))
        down, down_scale = task.law.basis(task.u, task.v, task.theta(t - shift))
        up, down = up * np.exp(up_scale - log_scale)[:, None], down * np.exp(down_scale - log_scale)[:, None]
        derivative[:, j] = (up - down) / (2 * STEP)
    return phi, log_scale, derivative


def _step(task: Task, t: Array, damping: Array, movable: Mask, held: Held) -> Array:
    """Give the damped Gauss-Newton step, with the free linear parts projected out; [fits, k]."""
    phi, log_scale, derivative = basis_and_derivative(task, t)
    amplitude, floor, residuals = _linear(task, phi, log_scale, held)
    jacobian = amplitude[:, None, None] * _projected(task, phi, derivative, amplitude, floor, held)
    gradient = np.einsum("bn,bkn->bk", residuals * task.w, jacobian)
    hessian = (jacobian * task.w[:, None]) @ jacobian.swapaxes(1, 2)
    low, high = task.limits()
    outward = ((t <= low) & (gradient < 0)) | ((t >= high) & (gradient > 0))
    still = outward | ~movable | (np.einsum("bkk->bk", hessian) <= 0)
    size = np.sqrt(np.where(still, 1.0, np.einsum("bkk->bk", hessian)))
    hessian = hessian / (size[:, :, None] * size[:, None, :])
    hessian[still[:, :, None] | still[:, None, :]] = 0.0
    hessian = hessian + (damping[:, None, None] + still[:, :, None]) * np.eye(t.shape[1])
    step = np.linalg.solve(hessian, np.where(still, 0.0, gradient / size)[..., None])[..., 0]
    # an unknown at rest has a unit row and a zero gradient: it stays; the others' diagonal is 1 + damping
    return np.clip(step / size, -REACH, REACH)


def _projected(
    task: Task, phi: Array, derivative: Array, amplitude: Array, floor: Array, held: Held
) -> Array:
    """Take out of the derivative what the free linear parts (the level, then the basis) can follow."""
    share = task.w / task.w.sum(axis=1, keepdims=True)
    law, (fixed_floor, fixed_amplitude) = task.law, held
    level = np.zeros(len(phi), dtype=bool)
    if fixed_floor is None and law.floor != "none":
        level = (floor > 0) | (law.floor == "free")
    phi = phi - np.where(level, weigh(phi, share), 0.0)[:, None]
    level_of = (derivative * share[:, None]).sum(axis=-1)
    derivative = derivative - np.where(level[:, None], level_of, 0.0)[..., None]
    if fixed_amplitude is not None:
        return derivative
    along = np.einsum("bkn,bn->bk", derivative, phi * task.w)
    along = along / np.maximum(weigh(phi * phi, task.w), 1e-300)[:, None]
    return derivative - along[..., None] * phi[:, None]
