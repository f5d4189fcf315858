"""What a fit minimises: squares, or a loss of residuals on a transformed scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array

NAMES = ("ols", "relative", "huber", "lad", "logit")
DELTA = 1e-3  # of the Huber loss on log residuals, as Hoffmann et al. 2022 and its replications have it


@dataclass(frozen=True)
class Objective:
    """An objective.

    Attributes
    ----------
    name : str
        `ols`: sum of squared residuals. `relative`: of squared residuals over y. `huber`: sum of the Huber
        losses of ln y - ln y_hat (r²/2 within `delta`, delta |r| - delta²/2 beyond). `lad`: sum of
        |ln y - ln y_hat|. `logit`: sum of squared residuals of logit y, for rates within (0, 1).
    delta : float
        Of the Huber loss.
    """

    name: str = "ols"
    delta: float = DELTA

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise BadInput(
                f"There is no objective {self.name!r}; choose one of {', '.join(NAMES)}.", code="bad_option"
            )
        if not (np.isfinite(self.delta) and self.delta > 0):
            raise BadInput(
                f"delta is {self.delta}, but it must be positive, e.g. {DELTA}.", code="bad_option"
            )

    @property
    def projects(self) -> bool:
        """Whether it is weighted least squares in y, so that amplitude and floor follow in closed form."""
        return self.name in ("ols", "relative")

    @property
    def robust(self) -> bool:
        """Whether far points pull less than their square."""
        return self.name in ("huber", "lad")

    def smoothing(self, *, rough: bool = False) -> tuple[float, ...]:
        """Give the Huber deltas to descend through, in turn: absolute values are a limit of Huber losses."""
        if self.name == "lad":
            return (1e-2, 1e-3, 1e-4) if rough else (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
        return (self.delta,) if self.name == "huber" else (np.inf,)

    def transform(self, y: Array) -> Array:
        """Map values to the scale of the residuals; NaN where that is not defined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mapped = np.log(y) - np.log1p(-y) if self.name == "logit" else np.log(y)
        return np.where(np.isfinite(mapped), mapped, np.nan)

    def derivative(self, y: Array) -> Array:
        """Give the derivative of `transform`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 / (y * (1 - y)) if self.name == "logit" else 1 / y)

    def loss(self, residual: Array) -> Array:
        """Give the loss of each residual."""
        size = np.abs(residual)
        if self.name == "lad":
            return size
        if self.name == "huber":
            return np.where(size <= self.delta, size**2 / 2, self.delta * (size - self.delta / 2))
        return size**2
