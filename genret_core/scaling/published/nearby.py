"""The best coefficients within the last printed digits of those that were printed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from genret_core.scaling.laws.law import Array

TOLERANCE = 1e-14
STARTS = 8  # the best of a coarse grid over the box


def best_nearby(
    function: Callable[..., Array],
    arguments: tuple[Array, ...],
    y: Array,
    coefficients: Array,
    reach: Array,
    aim: Array | None = None,
) -> tuple[Array, float]:
    """Minimise the squared error within `coefficients` plus or minus `reach`.

    Parameters
    ----------
    function : callable
        `function(*arguments, *coefficients)`.
    arguments : tuple of array [n]
    y : array [n]
    coefficients, reach : array [k]
        Middle of the box, and half its width.
    aim : array [k], optional
        Where the free optimum lies; the search also starts from the place in the box that is nearest to it.

    Returns
    -------
    coefficients : array [k]
    sse : float
        In squared units of `y`.
    """
    from scipy.optimize import least_squares  # slow to import; `genret fit` starts without it

    scale = float(np.ptp(y)) or 1.0

    def residuals(step: Array) -> Array:
        return np.asarray(y - function(*arguments, *(coefficients + step * reach))) / scale

    def error(step: Array) -> float:
        return float((residuals(step) ** 2).sum())

    starts = sorted(map(np.array, product((-0.9, 0.0, 0.9), repeat=len(reach))), key=error)[:STARTS]
    if aim is not None:
        starts.append(np.clip((aim - coefficients) / reach, -1.0, 1.0))
    runs = [
        least_squares(
            residuals,
            start,
            jac="3-point",
            bounds=(-1.0, 1.0),
            xtol=TOLERANCE,
            ftol=TOLERANCE,
            gtol=TOLERANCE,
        )
        for start in starts
    ]
    best = min(runs, key=lambda run: float(run.cost))
    found = coefficients + best.x * reach
    left = y - function(*arguments, *found)
    return found, float(left @ left)
