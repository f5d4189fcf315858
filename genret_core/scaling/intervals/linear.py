"""The law about its optimum as a plane: standard errors, correlations, leverage, and a local band."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.points import Points
from genret_core.scaling.solver.descent import basis_and_derivative
from genret_core.scaling.solver.projection import Task
from genret_core.scaling.solver.solutions import Solutions

NUDGE = 1e-5  # of the central differences from unknowns to parameters
SINGULAR = 1e-13  # a direction with less than this share of the information is not held


@dataclass(frozen=True)
class Plane:
    """A linearised fit.

    The unknowns are ln amplitude at the centre, the nonlinear unknowns that are at no search edge (on the
    solver's scale), and the floor unless it lies on its bound.

    Attributes
    ----------
    points : Points
    best : Solutions
        The optimum, in the solver's units.
    """

    points: Points
    best: Solutions = field(repr=False)

    @cached_property
    def _task(self) -> Task:
        return self.points.task()

    @cached_property
    def _t(self) -> Array:
        unknowns = self.points.law_here.nonlinear
        theta = self.best.theta[:1]
        if not unknowns:
            return np.empty((1, 0))
        return np.stack([u.to_t(theta[:, j]) for j, u in enumerate(unknowns)], axis=-1)

    @cached_property
    def moving(self) -> list[int | str]:
        """The unknowns: "amplitude", indices of nonlinear ones, "floor"."""
        law, there = self.points.law_here, bool(self.best.sign[0] != 0)
        moving: list[int | str] = ["amplitude"] if there and law.amplitude != "none" else []
        moving += [j for j in range(len(law.nonlinear)) if there and self.best.edge[0, j] == 0]
        if law.floor == "free" or (law.floor == "positive" and self.best.floor[0] > 0):
            moving.append("floor")
        return moving

    def features(self, u: Array, v: Array | None) -> Array:
        """Give the derivative of the curve (in the solver's units) by every unknown, [unknowns, n]."""
        n, law = u.size, self._task.law
        if self.best.sign[0] == 0:
            return np.ones((len(self.moving), n))
        task = Task(law, u, v, np.zeros((1, n)), np.ones((1, n)))
        phi, log_scale, derivative = basis_and_derivative(task, self._t)
        height = self.best.sign[0] * np.exp(log_scale[0] + self.best.log_amplitude[0])
        rows = {"amplitude": height * phi[0], "floor": np.ones(n)}
        return np.array(
            [rows[one] if isinstance(one, str) else height * derivative[0, one] for one in self.moving]
        ).reshape(len(self.moving), n)

    @cached_property
    def inverse(self) -> Array | None:
        """Inverse information, [unknowns, unknowns], for residuals of variance 1; None where singular."""
        features = self.features(self._task.u, self._task.v)
        information = (features * self._task.w) @ features.T
        size = np.sqrt(np.diag(information))
        if not len(size) or not (size > 0).all():
            return None
        values, vectors = np.linalg.eigh(information / np.outer(size, size))
        if values[0] < SINGULAR * values[-1]:
            return None
        return np.asarray((vectors / values) @ vectors.T / np.outer(size, size))

    def leverage(self) -> Array:
        """Give how much each point holds its own fitted value, 0 to 1, [n]; NaN where that is not known."""
        if self.inverse is None:
            return np.full(self.points.n, np.nan)
        features = self.features(self._task.u, self._task.v)
        pull = np.einsum("in,ij,jn->n", features, self.inverse, features) * self._task.w[0]
        return np.clip(pull, 0.0, 1.0)

    def deviation(self, u: Array, v: Array | None, variance: float) -> Array:
        """Give the standard error of the curve at centred log arguments, in the solver's units; or NaN."""
        if self.inverse is None:
            return np.full(u.shape, np.nan)
        features = self.features(u, v)
        return np.sqrt(np.maximum(variance * np.einsum("in,ij,jn->n", features, self.inverse, features), 0.0))

    def stderr(self, variance: float) -> dict[str, float]:
        """Give the standard error of every parameter and of `amplitude_at_centre`, in units of y.

        NaN where the optimum has no curvature, or where a parameter hangs on an unknown at its edge.
        """
        law = self.points.law_here
        names = [*law.names, "amplitude_at_centre"]
        if self.inverse is None:
            return dict.fromkeys(names, float("nan"))
        jacobian = np.empty((len(names), len(self.moving)))
        for i, one in enumerate(self.moving):
            up, down = (self._nudged(one, side * NUDGE) for side in (1.0, -1.0))
            with np.errstate(invalid="ignore", over="ignore"):
                jacobian[:, i] = [(up[name] - down[name]) / (2 * NUDGE) for name in names]
        covariance = variance * self.inverse
        with np.errstate(invalid="ignore", over="ignore"):
            spread = np.sqrt(np.einsum("pi,ij,pj->p", jacobian, covariance, jacobian))
        held = {unknown.name for j, unknown in enumerate(law.nonlinear) if j not in self.moving}
        lost = {p.name for p in law.parameters if p.name in held or (held and p.role == "scale")}
        if "floor" not in self.moving:
            lost |= {p.name for p in law.with_role("floor")}
        return {
            name: float("nan") if name in lost else float(s) for name, s in zip(names, spread, strict=True)
        }

    def _nudged(self, one: int | str, by: float) -> dict[str, float]:
        """Give the parameters, in units of y, with one unknown moved."""
        b, t = self.best, self._t.copy()
        log_amplitude, floor = b.log_amplitude[:1].copy(), b.floor[:1].copy()
        if one == "amplitude":
            log_amplitude += by
        elif one == "floor":
            floor += by
        else:
            t[0, int(one)] += by
        theta = self._task.theta(t)
        moved = Solutions(b.law, theta, b.sign[:1], log_amplitude, floor, b.objective[:1], b.edge[:1])
        moved = moved.rescaled(self.points.scale)
        values = {name: float(value[0]) for name, value in moved.parameters(self.points.centres).items()}
        return {**values, "amplitude_at_centre": float(moved.amplitude[0])}
