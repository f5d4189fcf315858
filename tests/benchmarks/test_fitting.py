"""One fit and 4,000 refits of resampled points, against a loop over scipy's `curve_fit`."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.optimize import curve_fit

from genret_core.scaling import fit, laws

DRAWS, LOOPED = 4_000, 200
pytestmark = pytest.mark.benchmark


def points(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = np.geomspace(4.4e7, 1.1e10, n)
    y = 0.6 + (x / x[0]) ** -0.4
    return x, y, y[:, None] + 0.03 * rng.normal(size=(n, DRAWS))


@pytest.mark.parametrize("n", [5, 50])
def test_4000_refits(benchmark: Any, n: int) -> None:
    x, y, Y = points(n)
    u = np.log(x) - np.log(x).mean()

    def curve(_: np.ndarray, amplitude: float, alpha: float, floor: float) -> np.ndarray:
        return amplitude * np.exp(-alpha * u) + floor

    start, failed = time.perf_counter(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(LOOPED):  # from the true values: the best case for it
            try:
                curve_fit(curve, x, Y[:, i], p0=(0.4, 0.4, 0.6), bounds=(0, [np.inf, 60, np.inf]))
            except RuntimeError:
                failed += 1
    looped = (time.perf_counter() - start) * DRAWS / LOOPED
    found = benchmark.pedantic(lambda: fit("model_size", x, y, replicates=Y), rounds=3, warmup_rounds=1)
    ratio = looped / benchmark.stats.stats.median
    benchmark.extra_info.update(ratio=round(ratio, 1), curve_fit_seconds=round(looped, 2), failed=failed)
    print(f"\n{DRAWS} refits, n = {n}: {ratio:.0f} times faster than curve_fit in a loop ({looped:.1f} s)")
    assert len(found.draws) == DRAWS
    assert ratio > 3


def test_one_fit_with_its_profile(benchmark: Any) -> None:
    x, _, Y = points(5)
    fit("model_size", x, Y[:, 0])  # imports scipy's quantiles
    found = benchmark(fit, "model_size", x, Y[:, 0])
    assert found.intervals


def test_the_joint_law_from_forty_starts(benchmark: Any) -> None:
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e4, 1e6, 4)))
    y = laws.joint(P, D, 3e5, 0.35, 0.6, 2e3, 0.02)
    Y = y[:, None] * (1 + 0.01 * np.random.default_rng(0).normal(size=(20, 1000)))
    found = benchmark.pedantic(lambda: fit("joint", P, y, D, replicates=Y), rounds=2, warmup_rounds=0)
    assert len(found.draws) == 1000
