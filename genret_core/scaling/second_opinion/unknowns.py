"""All unknowns of a law at once, with the residuals of its points: what a plain least-squares solver walks.

The unknowns are the law's nonlinear ones on the solver's scale (exponents as logarithms), the logarithm of
the mean height of the falling term over the points (the height itself where it may be negative), and the
floor. y is divided by its span.
"""

from __future__ import annotations

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.points import Points
from genret_core.scaling.second_opinion.losses import Losses

STEP = 1e-6  # of the central differences, on the solver's scale
HEIGHT = 40.0  # largest |ln height|, in spans of y
MIDDLE = 0.2  # share of a search range that starts keep away from at either end
LEAST_HEIGHT = 0.05  # of the falling term at a start, in spans of y


class Unknowns:
    """The unknowns of one law at its points, [m].

    Attributes
    ----------
    law : Law
        As it is about the centre of these points.
    losses : Losses
    """

    def __init__(self, points: Points) -> None:
        self.law, self.losses = points.law.at(points.centres), Losses(points)
        self._u, self._v = points.centred(points.x, points.x2)
        self._scale = points.scale
        self._y = points.y / self._scale
        self._k = len(self.law.nonlinear)
        self._has_height = self.law.amplitude != "none"
        self._has_floor = self.law.floor != "none"

    def limits(self) -> tuple[Array, Array]:
        """Give the lower and upper bounds, [m] each."""
        low = [float(unknown.to_t(unknown.low)) for unknown in self.law.nonlinear]
        high = [float(unknown.to_t(unknown.high)) for unknown in self.law.nonlinear]
        if self._has_height:
            bound = HEIGHT if self.law.amplitude == "positive" else np.inf
            low, high = [*low, -bound], [*high, bound]
        if self._has_floor:
            low, high = [*low, 0.0 if self.law.floor == "positive" else -np.inf], [*high, np.inf]
        return np.array(low), np.array(high)

    def starts(self, n: int, seed: int) -> Array:
        """Spread `n` starts over the middle of the search ranges, heights suiting their floors; [n, m]."""
        rng = np.random.default_rng(seed)
        columns = []
        for unknown in self.law.nonlinear:
            if unknown.start is None:
                low, high = float(unknown.to_t(unknown.low)), float(unknown.to_t(unknown.high))
                low, high = low + MIDDLE * (high - low), high - MIDDLE * (high - low)
            else:
                low, high = (float(unknown.to_t(end)) for end in unknown.start)
            columns.append(rng.uniform(low, high, n))
        floor = np.zeros(n)
        if self._has_floor:
            lowest, in_y = float(self._y.min()), self.losses.name in ("ols", "relative")
            if self.law.floor == "positive" or not in_y:  # a curve below 0 has no logarithm
                floor = rng.uniform(0, max(lowest, 1e-3), n)
            else:
                floor = lowest + rng.uniform(-0.5, 0.5, n)
        if self.law.amplitude == "positive":
            tallest = self._basis(np.stack(columns, axis=1)).max(axis=1)
            room = np.maximum(float(self._y.max()) - floor, LEAST_HEIGHT)
            columns.append(np.log(room / tallest) - rng.uniform(0, 1, n))
        elif self._has_height:
            columns.append(rng.normal(0.0, 0.1, n))
        if self._has_floor:
            columns.append(floor)
        return np.column_stack(columns)

    def residuals(self, z: Array) -> Array:
        """Give the residuals over their natural size, [n]."""
        return self.losses.residuals(self._scale * self._curve(z)) / self.losses.unit

    def jacobian(self, z: Array) -> Array:
        """Give the derivative of `residuals` by each unknown, [n, m]."""
        k, columns = self._k, []
        if self._has_height:
            shifts = STEP * np.concatenate([np.zeros((1, k)), np.eye(k), -np.eye(k)])
            phi = self._basis(z[:k] + shifts)
            columns = list(self._height(z) * (phi[1 : k + 1] - phi[k + 1 :]) / (2 * STEP))
            columns.append(phi[0] * (self._height(z) if self.law.amplitude == "positive" else 1.0))
        if self._has_floor:
            columns.append(np.ones(self._y.size))
        factor = self.losses.root * self._scale / self.losses.unit
        if self.losses.name not in ("ols", "relative"):
            factor = factor * self.losses.steepness(self._scale * self._curve(z))
        return np.asarray(np.stack(columns, axis=1) * factor[:, None])

    def value(self, z: Array) -> float:
        """Give the objective, in the units of the fit's; inf where a residual is undefined."""
        return self.losses.total(self.residuals(z) * self.losses.unit)

    def _curve(self, z: Array) -> Array:
        curve = np.zeros(self._y.size)
        if self._has_height:
            curve = self._height(z) * self._basis(z[None, : self._k])[0]
        return curve + z[-1] if self._has_floor else curve

    def _height(self, z: Array) -> float:
        return float(np.exp(z[self._k]) if self.law.amplitude == "positive" else z[self._k])

    def _basis(self, t: Array) -> Array:
        """Evaluate the falling term over its mean, [rows, n]; as it is where its sign is free."""
        unknowns = self.law.nonlinear
        theta = np.stack([u.from_t(t[:, j]) for j, u in enumerate(unknowns)], axis=-1) if unknowns else t
        phi, log_scale = self.law.basis(self._u, self._v, theta)
        if self.law.amplitude == "positive":
            return np.asarray(phi / np.abs(phi).mean(axis=-1, keepdims=True))
        return np.asarray(phi * np.exp(log_scale)[:, None])
