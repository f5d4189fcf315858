"""What points, and one point more, tell of a target: the information about the optimum, linearised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.intervals import AMPLITUDE
from genret_core.scaling.laws.law import Array
from genret_core.scaling.results import Fit

NUDGE = 1e-5  # of the central differences from the solver's unknowns to the parameters
SINGULAR = 1e-13  # a direction with less than this share of the information is not held at all

Target = str | float | tuple[float, float]  # a parameter, or the argument(s) of a prediction


@dataclass(frozen=True)
class Information:
    """The information matrix of a fit about its optimum, in the solver's well-conditioned unknowns.

    Those are ln amplitude at the centre, the exponents that are at no search edge, and the floor, which moves
    here even where it lies on its bound: what a run tells of it is part of what is planned for.

    Attributes
    ----------
    fit : Fit
    sd : float or None
        Known standard deviation of y, for fits that were given none; of the new run only, for those that were
        given theirs.

    Notes
    -----
    Robust objectives are taken as least squares on their own scale (log or logit residuals).
    """

    fit: Fit
    sd: float | None = None

    def __post_init__(self) -> None:
        points = self.fit.points
        if self.sd is not None and not (np.isfinite(self.sd) and self.sd > 0):
            raise BadInput(f"sd is {self.sd}, but a standard deviation must be positive.")
        if (
            self.sd is not None
            and points.sd is None
            and (self.fit.objective != "ols" or points.weights is not None)
        ):
            raise BadInput("sd is known noise of y, for unweighted least squares; leave it out for this fit.")
        if self.fit.best.sign[0] == 0:
            raise BadInput(
                f"{points.names['y']} does not fall under the law {self.fit.law.name}, so there is nothing "
                "to narrow; choose another law."
            )
        if self.dof is not None and self.dof <= 0:
            raise BadInput(
                f"{points.n} points leave no degree of freedom to judge the noise by, so that no run can be "
                "weighed; give sd, the standard deviation of y from run to run.",
                code="too_few_points",
            )

    @property
    def dof(self) -> int | None:
        """Degrees of freedom of the noise; None where it is known."""
        return None if self.sd is not None or self.fit.points.sd is not None else self.fit.dof

    @property
    def known_sd(self) -> float | None:
        """Standard deviation of a new run: as given, or the median of the points'."""
        if self.sd is not None or self.fit.points.sd is None:
            return self.sd
        return float(np.median(self.fit.points.sd))

    @cached_property
    def variance(self) -> float:
        """Variance of a residual of weight 1, in the solver's units."""
        if self.dof is None:
            return 1.0
        points = self.fit.points
        if points.objective.projects:
            return float(self.fit.optima.objective[0]) / self.dof
        mapped = [points.objective.transform(values) for values in (points.y, self.fit.fitted)]
        return float(points.weight @ (mapped[0] - mapped[1]) ** 2) / self.dof

    def features(self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None) -> Array:
        """Give the derivative of the curve by every unknown, [unknowns, n], in the solver's units."""
        plane = self.fit.plane
        u, v = self.fit.points.centred(np.ravel(x), None if x2 is None else np.ravel(x2))
        rows = plane.features(u, v)
        return np.vstack([rows, np.ones((1, u.size))]) if self._floor_on_bound else rows

    @property
    def _floor_on_bound(self) -> bool:
        return self.fit.law.floor == "positive" and "floor" not in self.fit.plane.moving

    def weight(self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None) -> Array:
        """Give the weight of a new point, [n]: by its noise, or as an unweighted point of the fit has it."""
        points = self.fit.points
        if self.known_sd is not None:
            return np.full(np.size(x), (points.scale / self.known_sd) ** 2)
        return self._by_objective(self.fit.predict(np.ravel(x), x2, clip=False))

    def _by_objective(self, curve: Array) -> Array:
        points = self.fit.points
        if points.objective.name == "relative":
            return np.asarray((points.scale / curve) ** 2)
        if points.objective.projects:
            return np.ones(curve.shape)
        return np.asarray((points.objective.derivative(curve) * points.scale) ** 2)

    @cached_property
    def inverse(self) -> Array:
        """Inverse information of the points, [unknowns, unknowns].

        Raises
        ------
        BadInput
            If the points leave a direction open.
        """
        points = self.fit.points
        if self.sd is not None and points.sd is None:
            weight = np.full(points.n, (points.scale / self.sd) ** 2)
        else:
            weight = (
                points.weight
                if points.objective.projects
                else points.weight * self._by_objective(self.fit.fitted)
            )
        features = self.features(points.x, points.x2)
        information = (features * weight) @ features.T
        size = np.sqrt(np.diag(information))
        if (size > 0).all():
            values, vectors = np.linalg.eigh(information / np.outer(size, size))
            if values[0] > SINGULAR * values[-1]:
                return np.asarray((vectors / values) @ vectors.T / np.outer(size, size))
        raise BadInput(
            f"The points leave a direction of the law {self.fit.law.name} open, so that no interval can be "
            "linearised; fit a law with fewer parameters, or add points by eye first."
        )

    def gradient(self, target: Target) -> Array:
        """Give the derivative of a target by every unknown, [unknowns], in units of the target.

        Raises
        ------
        BadInput
            If the law has no such parameter, or if it hangs on an exponent at the edge of the search.
        """
        law, plane = self.fit.law, self.fit.plane
        if not isinstance(target, str):
            arguments = np.atleast_1d(np.asarray(target, dtype=np.float64))
            wanted = 1 if law.x2 is None else 2
            if arguments.shape != (wanted,) or not (arguments > 0).all():
                raise BadInput(
                    f"The target {target!r} is no place to predict at; give "
                    + ("one positive number." if wanted == 1 else "two positive numbers.")
                )
            return np.asarray(self.features(*arguments)[:, 0] * self.fit.points.scale)
        roles = {p.name: p.role for p in law.parameters}
        if target not in (*law.names, AMPLITUDE):
            raise BadInput(
                f"The law {law.name} has no parameter {target!r}; there are {', '.join(law.names)}."
            )
        held = [u.name for j, u in enumerate(law.nonlinear) if j not in plane.moving]
        if target in held or (held and roles.get(target) == "scale"):
            raise BadInput(
                f"{held[0]} lies at the edge of its search, so that {target} has no linearised interval; "
                "plan for a prediction instead (target=x)."
            )
        unknowns = [*plane.moving, *(["floor"] if self._floor_on_bound else [])]
        return np.array([self._slope(one, target) for one in unknowns])

    def _slope(self, unknown: int | str, target: str) -> float:
        """Give the derivative of a parameter by one unknown, in units of y."""
        values = [self._nudged(unknown, side * NUDGE)[target] for side in (1.0, -1.0)]
        return (values[0] - values[1]) / (2 * NUDGE)

    def _nudged(self, unknown: int | str, by: float) -> dict[str, float]:
        best, law = self.fit.optima, self.fit.law
        moved = replace(
            best,
            theta=best.theta[:1].copy(),
            sign=best.sign[:1],
            log_amplitude=best.log_amplitude[:1] + (by if unknown == "amplitude" else 0.0),
            floor=best.floor[:1] + (by if unknown == "floor" else 0.0),
            objective=best.objective[:1],
            edge=best.edge[:1],
        )
        if not isinstance(unknown, str):
            own = law.nonlinear[unknown]
            moved.theta[:, unknown] = own.from_t(own.to_t(moved.theta[:, unknown]) + by)
        moved = moved.rescaled(self.fit.points.scale)
        values = {name: float(value[0]) for name, value in moved.parameters(self.fit.points.centres).items()}
        return {**values, AMPLITUDE: float(moved.amplitude[0])}

    def deviation(self, target: Target) -> float:
        """Give the standard error of a target today."""
        gradient = self.gradient(target)
        return float(np.sqrt(self.variance * gradient @ self.inverse @ gradient))

    def deviation_with(self, target: Target, x: npt.ArrayLike, x2: npt.ArrayLike | None = None) -> Array:
        """Give the standard error of a target with one point more at each of [n] places.

        By the Sherman-Morrison formula: one point adds w j j' to the information.
        """
        gradient, new, w = self.gradient(target), self.features(x, x2), self.weight(x, x2)
        along, own = self.inverse @ new, gradient @ self.inverse @ gradient
        told = w * (gradient @ along) ** 2 / (1 + w * np.einsum("kn,kn->n", new, along))
        return np.sqrt(self.variance * np.maximum(own - told, 0.0))
