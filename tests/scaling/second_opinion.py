"""Another way to the same optimum: trust-region least squares in log parameters, many starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares


def multistart(
    residuals: Callable[[np.ndarray], np.ndarray], starts: np.ndarray, lower: list[float], upper: list[float]
) -> tuple[np.ndarray, float]:
    """Minimise the sum of squared residuals from every start; the best parameters and their sum."""
    found = [
        least_squares(
            residuals,
            start,
            bounds=(lower, upper),
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=4000,
        )
        for start in starts
    ]
    best = min(found, key=lambda run: run.cost)
    return best.x, 2 * float(best.cost)


def power_with_floor(
    x: np.ndarray, y: np.ndarray, n_starts: int = 20, seed: int = 0
) -> tuple[float, float, float, float]:
    """Fit y = A exp(-alpha (ln x - mean ln x)) + L with A, L >= 0: (alpha, A, L, sum of squares)."""
    u, scale = np.log(x) - np.log(x).mean(), float(np.ptp(y))

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.exp(p[1] - np.exp(p[0]) * u) + p[2] - y / scale

    rng = np.random.default_rng(seed)
    starts = np.column_stack(
        [
            rng.uniform(np.log(0.02), np.log(8), n_starts),
            rng.uniform(-3, 1, n_starts),
            rng.uniform(0, y.min() / scale, n_starts),
        ]
    )
    p, cost = multistart(residuals, starts, [np.log(0.001), -200, 0], [np.log(60), 20, np.inf])
    return float(np.exp(p[0])), float(np.exp(p[1]) * scale), float(p[2] * scale), cost * scale**2
