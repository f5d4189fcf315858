"""One fit, a surface, thousands of refits, and the command, against scipy's `curve_fit` with restarts."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path
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


def surface_points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """240 runs on the compute scale of Hoffmann et al. 2022, with heavy-tailed noise."""
    rng = np.random.default_rng(1)
    P = np.exp(rng.uniform(np.log(5e7), np.log(1.6e10), 240))
    D = np.exp(rng.uniform(np.log(1e18), np.log(1e22), 240)) / 6 / P
    y = laws.surface(P, D, 1.8172, 482.01, 2085.43, 0.3478, 0.3658)
    return P, D, y * np.exp(0.005 * rng.standard_t(3, 240))


def restarts(P: np.ndarray, D: np.ndarray, y: np.ndarray, count: int) -> tuple[float, list[float]]:
    """Fit by `curve_fit` in logarithms of E, A, B from random starts: seconds for each, sums of squares."""

    def curve(_: Any, *p: float) -> np.ndarray:
        e, a, b, alpha, beta = p
        return np.exp(e) + np.exp(a - alpha * np.log(P)) + np.exp(b - beta * np.log(D))

    rng, sums = np.random.default_rng(0), []
    start = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(count):
            p0 = rng.uniform([-1, 0, 0, 0, 0], [1, 25, 25, 2, 2])
            try:
                found = curve_fit(curve, P, y, p0=p0, maxfev=5_000)[0]
                sums.append(float(((curve(None, *found) - y) ** 2).sum()))
            except RuntimeError:
                sums.append(np.inf)
    return (time.perf_counter() - start) / count, sums


@pytest.mark.parametrize("objective", ["ols", "huber", "lad"])
def test_one_surface(benchmark: Any, objective: str) -> None:
    P, D, y = surface_points()
    found = benchmark(fit, "surface", P, y, D, objective=objective, intervals=False)
    if objective == "ols":
        each, sums = restarts(P, D, y, 40)
        reached = np.mean(np.array(sums) < found.sse * (1 + 1e-6))
        ratio = each * 40 / benchmark.stats.stats.median
        benchmark.extra_info.update(ratio=round(ratio, 1), reached=reached)
        print(
            f"\na surface of 240 points: {reached:.0%} of curve_fit's random starts reach the optimum; "
            f"40 of them take {ratio:.1f} times as long"
        )
        assert found.sse <= min(sums) * (1 + 1e-9)


@pytest.mark.parametrize("objective", ["ols", "huber"])
def test_4000_resamples_of_a_surface(benchmark: Any, objective: str) -> None:
    P, D, y = surface_points()
    whole = fit("surface", P, y, D, objective=objective, intervals=False)
    counts = np.random.default_rng(0).multinomial(240, np.full(240, 1 / 240), size=DRAWS).astype(float)
    found = benchmark.pedantic(lambda: whole.refit(counts), rounds=3, warmup_rounds=1)
    each, _ = restarts(P, D, y, 10)
    ratio = each * DRAWS / benchmark.stats.stats.median
    benchmark.extra_info.update(ratio=round(ratio, 1))
    print(
        f"\n{DRAWS} refits of a surface, {objective}: "
        f"one curve_fit start for each takes {ratio:.0f} times as long"
    )
    assert np.isfinite(found.objective).all() and ratio > 3


def test_the_command_on_a_file_of_five_lines(benchmark: Any, tmp_path: Any) -> None:
    x, _, Y = points(5)
    file = tmp_path / "points.csv"
    file.write_text("P,CGL\n" + "".join(f"{a},{b}\n" for a, b in zip(x, Y[:, 0], strict=True)))
    command = [str(Path(sys.executable).parent / "genret"), "fit", str(file), "--json"]
    told = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True), rounds=5)
    assert told.stdout.startswith(b"{")
