"""How often a nominal 95 % interval of the exponent holds the truth: 400 simulated sets for each design."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from genret_core.scaling import fit, published
from genret_core.scaling.intervals import Interval

SETS, SEED = 400, 20
pytestmark = pytest.mark.benchmark


@dataclass(frozen=True)
class Design:
    """Points of a law, and the noise as a share of the amplitude at their centre."""

    name: str
    x: np.ndarray
    alpha: float
    noise: float

    def simulate(self, rng: np.random.Generator) -> np.ndarray:
        u = np.log(self.x) - np.log(self.x).mean()
        return 60.0 + np.exp(-self.alpha * u) + self.noise * rng.normal(size=u.size)


T5 = published.points(study="model_size", method="ngram", family="t5")["n_params"].to_numpy()
FRACTIONS = np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * 588_800
DESIGNS = (
    Design("n = 5, noise .05 (sizes and exponent of T5)", T5, 0.402, 0.05),
    Design("n = 5, noise .12 (data fractions, exponent 4)", FRACTIONS, 3.995, 0.12),
    Design("n = 8, noise .05", np.geomspace(1, 256, 8), 0.4, 0.05),
    Design("n = 8, noise .17", np.geomspace(1, 256, 8), 0.4, 0.17),
    Design("n = 15, noise .05", np.geomspace(1, 256, 15), 0.4, 0.05),
    Design("n = 25, noise .05", np.geomspace(1, 256, 25), 0.4, 0.05),
)


def profile(x: np.ndarray, y: np.ndarray, noise: float) -> Interval | None:
    """Take the profile with the F threshold, whatever the number of points."""
    from genret_core.scaling.fitting import _from_noise

    found = fit("model_size", x, y, intervals=False)
    return _from_noise(found.points, found.optima, 0.95, []).intervals().get("alpha")


def known(x: np.ndarray, y: np.ndarray, noise: float) -> Interval | None:
    return fit("model_size", x, y, sd=noise).interval("alpha")


def pairs(x: np.ndarray, y: np.ndarray, noise: float) -> Interval | None:
    return fit("model_size", x, y, bootstrap=400).interval("alpha")


def wald(x: np.ndarray, y: np.ndarray, noise: float) -> Interval | None:
    from scipy.special import stdtrit

    found = fit("model_size", x, y, intervals=False)
    variance = float(found.optima.objective[0]) / found.dof
    half = float(stdtrit(found.dof, 0.975) * found.plane.stderr(variance)["alpha"])
    at = found.params["alpha"]
    return Interval(at - half, at + half, 0.95) if np.isfinite(half) else None


WAYS: dict[str, Callable[[np.ndarray, np.ndarray, float], Interval | None]] = {
    "profile, F": profile,
    "profile, chi-square, noise known": known,
    "pairs bootstrap": pairs,
    "Wald, t": wald,
}


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_coverage(benchmark: Any, design: Design) -> None:
    def coverage() -> dict[str, tuple[float, float, float]]:
        told = {}
        for name, way in WAYS.items():
            rng = np.random.default_rng(SEED)
            held, opened, widths = 0, 0, []
            for _ in range(SETS):
                interval = way(design.x, design.simulate(rng), design.noise)
                held += interval is not None and design.alpha in interval
                opened += interval is None or bool(interval.open)
                if interval is not None and interval.width is not None:
                    widths.append(interval.width)
            told[name] = (held / SETS, opened / SETS, float(np.median(widths)) if widths else np.inf)
        return told

    told = benchmark.pedantic(coverage, rounds=1, warmup_rounds=0)
    print(f"\n{design.name}: share of {SETS} intervals that hold alpha = {design.alpha} (open; median width)")
    for name, (share, opened, width) in told.items():
        print(f"  {name:34s} {share:.3f}  ({opened:.1%} open or none; {width:.3g})")
        benchmark.extra_info[name] = share
    # 400 sets leave a standard error of 1.1 points
    assert told["profile, F"][0] > 0.9 and told["profile, chi-square, noise known"][0] > 0.9
