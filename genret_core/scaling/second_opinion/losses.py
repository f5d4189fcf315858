"""Residuals of a curve at the points and their sum, written anew from the definition of each objective."""

from __future__ import annotations

import numpy as np

from genret_core.scaling.laws.law import Array
from genret_core.scaling.points import Points


class Losses:
    """Residuals of curves at the points of a fit, and the objective that they sum to.

    Attributes
    ----------
    name : str
        Of the objective.
    robust : bool
        Whether losses other than squares are summed.
    delta : float
        Of the Huber loss.
    target : array [n]
        y on the scale of the residuals: as it is, or its logarithm or logit.
    root : array [n]
        By which residuals are multiplied before they are squared: 1 / sd, or the root of the weights, over y
        for relative residuals.
    weight : array [n]
        By which losses are multiplied that are no squares.
    unit : float
        Natural size of a residual: the span of y where residuals are in units of y, else 1.
    """

    def __init__(self, points: Points) -> None:
        self.name, self.delta = points.objective.name, points.objective.delta
        self.robust = self.name in ("huber", "lad")
        self.target = self.transformed(points.y)
        self.weight = np.ones(points.n) if points.weights is None else np.asarray(points.weights, dtype=float)
        self.root = np.ones(points.n) if self.robust else np.sqrt(self.weight)
        if points.sd is not None:
            self.root = self.root / points.sd
        if self.name == "relative":
            self.root = self.root / np.abs(points.y)
        self.unit = points.scale if self.name == "ols" and points.sd is None else 1.0

    def transformed(self, y: Array) -> Array:
        """Map values to the scale of the residuals; not finite where they have no place on it."""
        if self.name in ("ols", "relative"):
            return y
        with np.errstate(all="ignore"):
            return np.asarray(np.log(y) - np.log1p(-y) if self.name == "logit" else np.log(y))

    def steepness(self, y: Array) -> Array:
        """Give the derivative of `transformed`, [n]."""
        if self.name in ("ols", "relative"):
            return np.ones(y.shape)
        return np.asarray(1 / (y * (1 - y)) if self.name == "logit" else 1 / y)

    def residuals(self, curve: Array) -> Array:
        """Give curve minus y on their scale, weighted where squares are summed, [n]."""
        return np.asarray(self.root * (self.transformed(curve) - self.target))

    def total(self, residuals: Array) -> float:
        """Give the objective; inf where a residual is undefined."""
        size = np.abs(residuals)
        if self.name == "lad":
            value = self.weight @ size
        elif self.name == "huber":
            tail = self.delta * size - self.delta**2 / 2
            value = self.weight @ np.where(size <= self.delta, size**2 / 2, tail)
        else:
            value = size @ size
        return float(value) if np.isfinite(value) else np.inf

    def of_curve(self, curve: Array) -> float:
        """Give the objective of values at the points, in units of y."""
        return self.total(self.residuals(curve))

    def spread(self) -> float:
        """Give the objective of the points' own mean, on the scale of the residuals."""
        weight = self.weight if self.robust else self.root**2
        mean = float(weight @ self.target / weight.sum())
        return self.total(self.root * (mean - self.target))
