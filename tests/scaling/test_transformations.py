"""A fit does not depend on units: rescale x, rescale y or shift y, and the answer transforms with them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from genret_core.scaling import Fit, fit, laws

X = np.geomspace(4e7, 7e10, 9)
P, D = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 1e10, 5), np.geomspace(1e5, 1e8, 4)))
NOISE = np.random.default_rng(12).normal(size=40)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3, 0.7, 1.5, 3.0, 5.0, 8.0])
def test_exponents_under_floors_of_the_size_of_a_cgl(alpha: float) -> None:
    """Exact points that span 1e-5 about 3.5e-3."""
    reach = min(30.0, np.exp(5 / alpha))
    x = np.geomspace(1e9 / reach, 1e9 * reach, 7)
    term = (x / 1e9) ** -alpha
    amplitude = 1e-5 / np.ptp(term)
    found = fit("model_size", x, 0.0035 + amplitude * term)
    assert found.params["alpha"] == pytest.approx(alpha, rel=1e-6)
    assert found.params["lambda_P"] == pytest.approx(0.0035, rel=1e-8)
    assert found.derived["amplitude_at_centre"] == pytest.approx(amplitude, rel=1e-6)


def points(law: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Give noisy points that the law describes."""
    if law in ("joint", "joint_exchanged", "surface"):
        term = 2e-4 * (P / 1e9) ** -0.5 + 1e-4 * (D / 1e6) ** -0.3
        return P, 0.0034 + term + 2e-6 * NOISE[: P.size], D
    if law == "exponential":
        return X, 0.0035 + 3e-4 * np.exp(-X / 4e9) + 2e-6 * NOISE[:9], None
    if law == "broken":
        x = np.geomspace(4e7, 7e10, 14)
        return x, laws.broken(x, 0.01, 0.2, 0.5, 2e9, 0.3, 0.0034) + 1e-7 * NOISE[:14], None
    floor = 0.0 if law == "power" else 0.0034
    return X, floor + 2e-4 * (X / 1e9) ** -0.4 + 2e-6 * NOISE[:9], None


@lru_cache
def transformed(law: str, by_x: float = 1.0, by_y: float = 1.0, up: float = 0.0) -> Fit:
    x, y, x2 = points(law)
    return fit(law, x * by_x, y * by_y + up, x2)


EXPECTED = {
    # how each parameter scales: (power of the factor on x, power of the factor on y); a logarithm where text
    "model_size": {"alpha": (0, 0), "lambda_P": (0, 1)},
    "power": {"alpha": (0, 0)},
    "log_linear": {"b": (0, 1)},
    "constant": {"level": (0, 1)},
    "exponential": {"A": (0, 1), "tau": (1, 0), "L": (0, 1)},
    "broken": {"c0": (0, 0), "c1": (0, 0), "d1": (1, 0), "f1": (0, 0), "L": (0, 1)},
    "joint": {"alpha": (0, 0), "beta": (0, 0), "delta": (0, 1)},
    "joint_exchanged": {"alpha": (0, 0), "beta": (0, 0), "delta": (0, 1)},
    "surface": {"E": (0, 1), "B": (0, 1), "alpha": (0, 0), "beta": (0, 0)},
}


@pytest.mark.parametrize("law", list(EXPECTED))
@pytest.mark.parametrize(("by_x", "by_y"), [(1e12, 1.0), (1e-12, 1.0), (1.0, 1e8), (1.0, 1e-8)])
def test_units(law: str, by_x: float, by_y: float) -> None:
    one, other = transformed(law), transformed(law, by_x, by_y)
    for name, (of_x, of_y) in EXPECTED[law].items():
        factor = by_x**of_x * by_y**of_y
        assert other.params[name] == pytest.approx(one.params[name] * factor, rel=1e-6), name
    x, _, x2 = points(law)
    assert other.predict(x * by_x, x2) == pytest.approx(one.predict(x, x2) * by_y, rel=1e-8)
    assert other.sse == pytest.approx(one.sse * by_y**2, rel=1e-6)
    assert pytest.approx(one.R2, abs=1e-9) == other.R2


@pytest.mark.parametrize("law", ["model_size", "exponential", "broken", "joint", "surface"])
def test_a_shift_of_y_moves_the_floor_alone(law: str) -> None:
    one, other = transformed(law), transformed(law, up=0.01)
    (floor,) = one.law.with_role("floor")
    for name, value in one.params.items():
        moved = value + 0.01 if name == floor.name else value
        assert other.params[name] == pytest.approx(moved, rel=1e-5), name
    assert other.derived["amplitude_at_centre"] == pytest.approx(one.derived["amplitude_at_centre"], rel=1e-6)


@pytest.mark.parametrize("law", ["model_size", "exponential", "surface"])
def test_intervals_have_units_too(law: str) -> None:
    one, other = transformed(law).intervals, transformed(law, 1e6, 1e-3).intervals
    for name, (of_x, of_y) in EXPECTED[law].items():
        if name in one:
            factor = 1e6**of_x * 1e-3**of_y
            ends = [end for end in (one[name].lo, one[name].hi) if end is not None]
            others = [end for end in (other[name].lo, other[name].hi) if end is not None]
            assert others == pytest.approx([end * factor for end in ends], rel=1e-4), name
