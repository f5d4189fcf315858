"""What common practice makes of the same points: raw parameters, random starts, float32, default tolerances.

The protocol is that of the published study: `scipy.optimize.least_squares` with its default tolerances on the
parameters as the equation has them, y in its own units, 50 random starts, the best one kept. Two things stall
it. Its tolerance on the gradient is absolute, so that residuals of 1e-5 end a walk early; and arrays of
float32, with which NumPy before 2 computes in float32 throughout, leave of a derivative little but rounding.

NumPy 2 computes float32 arrays with float64 parameters in float64, and scipy's `curve_fit` casts its data to
float64, so that the same script no longer shows what it did. Here float32 is therefore made explicit:
arguments, values, parameters and the law's value are rounded to float32 on their way in and out. What is
computed in between is float64, so this is the least that float32 costs. Residuals are float32, which scipy
notices: it widens the steps of its finite differences as it would for arithmetic in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws.law import Array
from genret_core.scaling.second_opinion.losses import Losses

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

Floats = npt.NDArray[np.floating[Any]]
STARTS = 16  # of the published 50: a walk takes 5 to 80 milliseconds
STARTS_IN_FLOAT64 = 12
GOOD_R2 = 0.97
NEAR = 1.01  # times the optimum's objective: that optimum
STALLED = 1.5  # times the optimum's objective: another place
SPARE = 1e-6  # of a constant's objective: an R² that is this close to the optimum's is as good


@dataclass(frozen=True)
class Restarts:
    """Least squares from random starts.

    Attributes
    ----------
    starts : int
    reached : float
        Share that ended within 1 % of the optimum's objective (or 1e-6 in R²).
    good : float
        Share that ended with R² above 0.97.
    best_R2 : float
        Highest R², that of the objective: 1 - objective / objective of a constant; NaN without any value.
    best_ratio : float
        Lowest objective over that of the optimum; inf where the optimum is 0.
    stalled : bool
        Whether the best start ended above 1.5 times the optimum's objective (and by more than 1e-6 in R²).
    """

    starts: int
    reached: float
    good: float
    best_R2: float
    best_ratio: float
    stalled: bool

    def __str__(self) -> str:
        best = "no start had a value" if np.isnan(self.best_R2) else f"best R² {self.best_R2:.6f}"
        return f"{best}, {self.reached:.0%} of {self.starts} starts at the optimum"


@dataclass(frozen=True)
class StallCheck:
    """Whether common practice would find the optimum of these points. Prints as a sentence.

    Attributes
    ----------
    optimum_R2 : float
        R² of the fit (of its objective, as `Restarts.best_R2`); NaN if not run.
    float32, float64 : Restarts or None
        None if not run.
    reason : str
        Why it was not run; empty if it was.
    """

    optimum_R2: float
    float32: Restarts | None
    float64: Restarts | None
    reason: str = ""

    @property
    def stalled(self) -> bool:
        """Whether float32 stops short of the optimum (see whether float64 does as well)."""
        return self.float32 is not None and self.float32.stalled

    def __str__(self) -> str:
        if self.float32 is None or self.float64 is None:
            return f"Check of float32: not run: {self.reason}"
        ends = [
            f"{'stops short of' if found.stalled else 'finds'} the optimum in {name} ({found})"
            for name, found in (("float32", self.float32), ("float64", self.float64))
        ]
        return (
            f"Least squares on raw parameters from random starts {' and '.join(ends)}; R² of the fit "
            f"{self.optimum_R2:.6f}."
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"

    def to_dict(self) -> dict[str, Any]:
        """Give JSON-ready values; null for what is undefined or was not run."""

        def plain(restarts: Restarts | None) -> dict[str, Any] | None:
            if restarts is None:
                return None
            values = asdict(restarts)
            return {name: value if np.isfinite(value) else None for name, value in values.items()}

        return {
            "optimum_r2": float(self.optimum_R2) if np.isfinite(self.optimum_R2) else None,
            "float32": plain(self.float32),
            "float64": plain(self.float64),
            "stalled": self.stalled,
            "reason": self.reason or None,
        }


def float32_check(
    f: Fit, *, starts: int = STARTS, starts_in_float64: int = STARTS_IN_FLOAT64, seed: int = 0
) -> StallCheck:
    """Fit the points of `f` as common practice does, in float32 and in float64.

    Parameters
    ----------
    f : Fit
    starts, starts_in_float64 : int
        The published protocol has 50.
    seed : int
        Of the starts, uniform in (0, 1) for every parameter.

    Returns
    -------
    StallCheck
        Not run, with the reason, where the fit is no least squares or y does not vary. Never raises for data.
    """
    losses = Losses(f.points)
    if losses.robust:
        return _not_run(f"the objective {losses.name} is not a sum of squares.")
    with np.errstate(all="ignore"):
        spread, optimum = losses.spread(), losses.of_curve(f.fitted)
    if not spread > 0:
        return _not_run(f"{f.points.names['y']} does not vary.")
    chosen = np.random.default_rng(seed).random((max(starts, starts_in_float64), len(f.law.parameters)))
    with np.errstate(all="ignore"):
        single, double = (
            _restarts(
                np.array([_objective(f, losses, start, dtype) for start in chosen[:n]]), optimum, spread
            )
            for dtype, n in ((np.float32, starts), (np.float64, starts_in_float64))
        )
    return StallCheck(1 - optimum / spread, single, double)


def _restarts(ends: Array, optimum: float, spread: float) -> Restarts:
    """Tell objectives that were reached, [starts], against the optimum's and a constant's."""
    best, spare = float(ends.min()), SPARE * spread
    return Restarts(
        len(ends),
        float((ends <= NEAR * optimum + spare).mean()),
        float((1 - ends / spread > GOOD_R2).mean()),
        1 - best / spread if np.isfinite(best) else np.nan,
        best / optimum if optimum > 0 else np.inf,
        bool(best > STALLED * optimum and best > optimum + spare),
    )


def _not_run(reason: str) -> StallCheck:
    return StallCheck(np.nan, None, None, reason)


def _objective(f: Fit, losses: Losses, start: Array, dtype: type[np.floating[Any]]) -> float:
    """Walk from one start and give the objective reached, in float64; inf where the law has no value."""
    from scipy.optimize import least_squares

    try:
        found = least_squares(_residuals(f, losses, dtype), start)
        curve = f.law.function(*_arguments(f), *found.x)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return np.inf
    value = losses.of_curve(np.asarray(curve))
    return value if np.isfinite(value) else np.inf


def _residuals(f: Fit, losses: Losses, dtype: type[np.floating[Any]]) -> Callable[[Array], Floats]:
    """Give the residuals as a script has them: curve minus y, weighted, all of `dtype`."""
    arguments = [a.astype(dtype).astype(np.float64) for a in _arguments(f)]
    y, root = losses.target.astype(dtype), losses.root.astype(dtype)

    def residuals(params: Array) -> Floats:
        curve = f.law.function(*arguments, *params.astype(dtype).astype(np.float64))
        return root * (losses.transformed(np.asarray(curve)).astype(dtype) - y)

    return residuals


def _arguments(f: Fit) -> tuple[Array, ...]:
    return (f.points.x,) if f.points.x2 is None else (f.points.x, f.points.x2)
