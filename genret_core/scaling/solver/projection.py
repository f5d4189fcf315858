"""The linear half of variable projection: amplitude and floor in closed form, with their signs respected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array, Law

Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Task:
    """Points to be fitted, one row of `Y` per fit (the points themselves, or resampled draws of them).

    Attributes
    ----------
    law : Law
    u, v : array [n]
        Centred log arguments (`v` None for a law of one argument).
    Y : array [fits, n]
        Values, scaled to a span of about 1.
    w : array [1, n] or [fits, n]
        Weights of the squared residuals: those of all fits, or a row per row of `Y` (resamples of the points,
        in which a row that was not drawn weighs 0).
    """

    law: Law
    u: Array
    v: Array | None
    Y: Array
    w: Array

    def rows(self, rows: Index) -> Task:
        """Give the task with these rows of `Y` only."""
        return replace(self, Y=self.Y[rows], w=self.w if len(self.w) == 1 else self.w[rows])

    def repeated(self, n: int) -> Task:
        """Give the task with its one row of `Y` (and of weights) `n` times."""
        return self.rows(np.zeros(n, dtype=np.intp))

    def theta(self, t: Array) -> Array:
        """Map the solver's coordinates [..., k] to the nonlinear parameters."""
        if not self.law.nonlinear:
            return t
        return np.stack([unknown.from_t(t[..., j]) for j, unknown in enumerate(self.law.nonlinear)], axis=-1)

    def limits(self) -> tuple[Array, Array]:
        """Give the search edges in the solver's coordinates, [k] each."""
        low = [float(unknown.to_t(unknown.low)) for unknown in self.law.nonlinear]
        high = [float(unknown.to_t(unknown.high)) for unknown in self.law.nonlinear]
        return np.array(low), np.array(high)


class Moments(NamedTuple):
    """Weighted sums that a linear fit needs; arrays that broadcast against each other."""

    weight: Array
    phi_mean: Array
    y_mean: Array
    phi_phi: Array  # centred, as the next two
    phi_y: Array
    y_y: Array


def weigh(a: Array, w: Array) -> Array:
    """Sum `a` [..., n] with weights that all rows share [1, n] or that each row has [fits, n]."""
    return a @ w[0] if len(w) == 1 else np.einsum("...n,...n->...", a, w)


def moments(phi: Array, Y: Array, w: Array) -> Moments:
    """Sum row by row: `phi` and `Y` are [fits, n] (or [1, n])."""
    weight = w.sum(axis=1)
    phi_mean, y_mean = weigh(phi, w) / weight, weigh(Y, w) / weight
    phi_centred, y_centred = phi - phi_mean[:, None], Y - y_mean[:, None]
    weighted = phi_centred * w
    return Moments(
        weight,
        phi_mean,
        y_mean,
        (weighted * phi_centred).sum(axis=1),
        (weighted * y_centred).sum(axis=1),
        weigh(y_centred * y_centred, w),
    )


def moments_outer(phi: Array, Y: Array, w: Array) -> Moments:
    """Sum every row of `phi` [grid, n] against every row of `Y` [fits, n], in matrix products."""
    weight = w.sum(axis=1)
    y_mean = weigh(Y, w) / weight
    y_centred = Y - y_mean[:, None]
    if len(w) == 1:
        phi_mean = phi @ w.T / weight
        phi_centred = phi - phi_mean
        weighted = phi_centred * w
        phi_phi, phi_y = (weighted * phi_centred).sum(axis=1)[:, None], weighted @ y_centred.T
    else:
        # about no centre: a row of weight 0 must not take digits from the others
        phi_mean = phi @ w.T / weight
        phi_phi = np.maximum((phi * phi) @ w.T - weight * phi_mean**2, 0.0)
        phi_y = phi @ (w * y_centred).T
    return Moments(weight, phi_mean, y_mean[None, :], phi_phi, phi_y, weigh(y_centred**2, w)[None, :])


def best_linear(law: Law, m: Moments) -> tuple[Array, Array, Array]:
    """Find the best amplitude and floor and their objective, under the signs that the law asks for.

    With both signs held this is non-negative least squares in two unknowns: where the free optimum has a
    negative part, the optimum lies on one of the two edges.
    """
    if law.amplitude == "none":
        return floor_only(law, m)
    if law.floor == "none":
        return amplitude_only(law, m)
    with np.errstate(divide="ignore", invalid="ignore"):
        amplitude = np.where(m.phi_phi > 0, m.phi_y / m.phi_phi, 0.0)
    floor = m.y_mean - amplitude * m.phi_mean
    objective = np.maximum(m.y_y - amplitude * m.phi_y, 0.0)
    wrong = np.zeros(objective.shape, dtype=bool)
    if law.amplitude == "positive":
        wrong |= amplitude < 0
    if law.floor == "positive":
        wrong |= floor < 0
    if wrong.any():
        part = Moments(*(np.broadcast_to(a, wrong.shape)[wrong] for a in m))
        without_floor, without_amplitude = amplitude_only(law, part), floor_only(law, part)
        better = without_floor[2] < without_amplitude[2]
        for whole, first, second in zip(
            (amplitude, floor, objective), without_floor, without_amplitude, strict=True
        ):
            whole[wrong] = np.where(better, first, second)
    return amplitude, floor, objective


def floor_only(law: Law, m: Moments) -> tuple[Array, Array, Array]:
    """Give the best fit with amplitude 0: amplitude, floor, objective."""
    floor = np.maximum(m.y_mean, 0.0) if law.floor == "positive" else m.y_mean + 0.0
    objective = m.y_y + m.weight * (m.y_mean - floor) ** 2
    shape = np.broadcast_shapes(np.shape(m.phi_y), np.shape(floor))
    return np.zeros(shape), np.broadcast_to(floor, shape), np.broadcast_to(objective, shape)


def amplitude_only(law: Law, m: Moments) -> tuple[Array, Array, Array]:
    """Give the best fit with floor 0: amplitude, floor, objective."""
    phi_phi = m.phi_phi + m.weight * m.phi_mean**2
    phi_y = m.phi_y + m.weight * m.phi_mean * m.y_mean
    with np.errstate(divide="ignore", invalid="ignore"):
        amplitude = np.where(phi_phi > 0, phi_y / phi_phi, 0.0)
    if law.amplitude == "positive":
        amplitude = np.maximum(amplitude, 0.0)
    # the sum of squares is taken about the means, so that a large common level does not eat digits
    objective = (
        m.y_y
        - 2 * amplitude * m.phi_y
        + amplitude * (amplitude * m.phi_phi)
        + m.weight * (m.y_mean - amplitude * m.phi_mean) ** 2
    )
    return amplitude, np.zeros(amplitude.shape), np.maximum(objective, 0.0)


def project(
    task: Task,
    phi: Array,
    *,
    fixed_floor: Array | None = None,
    fixed_amplitude: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Fit the linear parts row by row and give the residuals.

    Parameters
    ----------
    task : Task
    phi : array [fits, n]
        Basis, a row per row of `task.Y`.
    fixed_floor, fixed_amplitude : array [fits], optional
        Values that are held (for profiles); at most one of the two.

    Returns
    -------
    amplitude, floor : array [fits]
    residuals : array [fits, n]
        `Y - floor - amplitude * phi`, formed directly: a tiny sum of squares keeps its digits.
    """
    law, Y, w = task.law, task.Y, task.w
    if fixed_floor is not None:
        floor = fixed_floor
        shifted = Y - floor[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            amplitude = np.nan_to_num(weigh(phi * shifted, w) / weigh(phi * phi, w), posinf=0.0)
        amplitude = np.maximum(amplitude, 0.0) if law.amplitude == "positive" else amplitude
    elif fixed_amplitude is not None:
        amplitude = fixed_amplitude
        floor = weigh(Y - amplitude[:, None] * phi, w) / w.sum(axis=1)
        floor = np.maximum(floor, 0.0) if law.floor == "positive" else floor
    else:
        amplitude, floor, _ = best_linear(law, moments(phi, Y, w))
    return amplitude, floor, Y - floor[:, None] - amplitude[:, None] * phi
