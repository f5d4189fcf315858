"""The curves of all refits of a fit: what every replicate or resample would have predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genret_core.scaling.intervals.draws import Draws
from genret_core.scaling.laws.law import Array

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit


def refitted(fit: Fit, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, clip: bool = True) -> Array:
    """Evaluate every refit at arguments [n]; [refits, n], with no rows where the fit has no refits.

    From the solver's unknowns and not from the parameters: gamma leaves the range of floats where a refit's
    exponent is small, and says nothing where its amplitude is 0, but the curve is there.
    """
    if not isinstance(fit.spread, Draws):
        return np.empty((0, np.size(x)))
    u, v = fit.points.centred(np.ravel(x), None if x2 is None else np.ravel(x2))
    curves = fit.spread.solutions.predict(u, v)
    return np.clip(curves, *fit.law.bounds) if clip and fit.law.bounds else curves
