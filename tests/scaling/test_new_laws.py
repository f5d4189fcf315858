"""The exchanged joint law, the surface, the exponential and the broken law: planted and measured truth."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import fit, laws, published

from .second_opinion import multistart

P, D = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 1e10, 7), np.geomspace(1e9, 1e12, 5)))


def test_the_exchanged_joint_law_on_the_published_points() -> None:
    rows = published.points(method="ngram", family="llama2")
    found = fit("joint_exchanged", rows["n_params"], rows["cgl"], rows["n_pairs"])
    expected = {"gamma": 2.9235e4, "alpha": 8.913, "beta": 2.4101, "eta": 1.2486e8, "delta": 0.00327980}
    assert list(found.params) == list(expected)
    assert found.params == pytest.approx(expected, rel=1e-4)
    assert pytest.approx(0.9999967, abs=5e-8) == found.R2
    assert found.sse == pytest.approx(3.84e-14, rel=5e-4)
    assert found.predict(rows["n_params"], rows["n_pairs"]) == pytest.approx(rows["cgl"], abs=3e-7)


def test_the_exchanged_law_is_the_joint_law_with_its_arguments_exchanged() -> None:
    y = laws.joint_exchanged(P, D, 4e8, 0.4, 0.7, 3e6, 0.1) + 1e-3 * np.random.default_rng(0).normal(
        size=P.size
    )
    one, other = fit("joint_exchanged", P, y, D), fit("joint", D, y, P)
    assert one.params == pytest.approx(other.params, rel=1e-6)
    assert one.sse == pytest.approx(other.sse, rel=1e-9)


@pytest.mark.parametrize(
    "planted",
    [
        {
            "E": 1.8172,
            "A": 482.01,
            "B": 2085.43,
            "alpha": 0.3478,
            "beta": 0.3658,
        },  # Hoffmann's points, as refitted
        {"E": 0.0034, "A": 3e-3 * 1e8**0.05, "B": 1e-4 * 1e10**4.0, "alpha": 0.05, "beta": 4.0},
        {"E": 0.0, "A": 1e-5 * 1e9**8.0, "B": 1e-5 * 3e10**0.5, "alpha": 8.0, "beta": 0.5},
    ],
)
def test_a_planted_surface_is_recovered(planted: dict[str, float]) -> None:
    found = fit("surface", P, laws.surface(P, D, **planted), D)
    assert list(found.params) == ["E", "A", "B", "alpha", "beta"]
    assert found.params == pytest.approx(planted, rel=1e-5, abs=1e-9)


def test_a_second_solver_agrees_on_a_noisy_surface() -> None:
    rng = np.random.default_rng(4)
    y = laws.surface(P, D, 1.8, 480.0, 2100.0, 0.35, 0.37) + 0.02 * rng.normal(size=P.size)
    ours = fit("surface", P, y, D)
    u, v = np.log(P) - np.log(P).mean(), np.log(D) - np.log(D).mean()

    def residuals(p: np.ndarray) -> np.ndarray:  # floor, two log amplitudes at the centre, two log exponents
        return p[0] + np.exp(p[1] - np.exp(p[3]) * u) + np.exp(p[2] - np.exp(p[4]) * v) - y

    starts = np.column_stack([rng.uniform(a, b, 12) for a, b in ((0, 3), (-4, 1), (-4, 1), (-3, 1), (-3, 1))])
    p, cost = multistart(residuals, starts, [0, -30, -30, -7, -7], [10, 5, 5, 4, 4])
    assert ours.sse == pytest.approx(cost, rel=1e-8)
    assert [ours.params["alpha"], ours.params["beta"]] == pytest.approx(np.exp(p[3:]), rel=1e-5)


@pytest.mark.parametrize(
    ("wanted", "x", "rmse", "largest_out"),
    [
        ({"study": "model_size", "family": "t5"}, "n_params", 4.2e-5, 2.6e-5),
        ({"study": "data_size"}, "n_pairs", 2.2e-5, 5.0e-7),
    ],
)
def test_the_exponential_left_one_out_of_the_published_points(
    wanted: dict[str, str], x: str, rmse: float, largest_out: float
) -> None:
    rows = published.points(method="ngram", **wanted)
    at, y = rows[x].to_numpy(float), rows["cgl"].to_numpy()
    errors = []
    for i in range(len(at)):
        rest = np.arange(len(at)) != i
        errors.append(float(fit("exponential", at[rest], y[rest]).predict(at[i]) - y[i]))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(rmse, rel=0.02)
    assert errors[int(at.argmax())] == pytest.approx(largest_out, rel=0.02)


@pytest.mark.parametrize("tau", [3e3, 1e6, 2e7, 5e8, 2e10])
def test_decays_faster_and_slower_than_the_data(tau: float) -> None:
    """From one that is over at the fourth of points over five decades to one of which they see 5 %."""
    x = np.concatenate([np.geomspace(1e4, 1e9, 8), [1.2e4, 2e4]])
    planted = {"A": 1e-3 * np.exp(1e4 / tau), "tau": tau, "L": 0.0035 if tau < 1e9 else 0.0}
    found = fit("exponential", x, laws.exponential(x, **planted))
    assert found.params == pytest.approx(planted, rel=1e-5, abs=1e-9)
    assert found.intervals["tau"].lo <= tau * (1 + 1e-6) and found.intervals["tau"].hi >= tau * (1 - 1e-6)


def test_the_interval_of_tau_is_its_profile() -> None:
    """Against brute force: every tau of a fine grid, amplitude and floor from numpy's least squares."""
    rows = published.points(study="data_size")
    x, y = rows["n_pairs"].to_numpy(float), rows["cgl"].to_numpy()
    found, sd = fit("exponential", x, y, sd=5e-7), 5e-7
    inside = []
    for tau in np.geomspace(2e4, 1e5, 4001):
        design = np.column_stack([np.exp(-x / tau), np.ones(5)])
        left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        if left @ left <= found.sse + 1.959964**2 * sd**2:
            inside.append(tau)
    interval = found.intervals["tau"]
    assert (interval.lo, interval.hi) == pytest.approx((inside[0], inside[-1]), rel=1e-3)


@pytest.mark.parametrize(
    "planted",
    [
        {"A": 3.0, "c0": 0.1, "c1": 0.5, "d1": 1e8, "f1": 0.3, "L": 0.1},
        {"A": 30.0, "c0": 0.4, "c1": -0.35, "d1": 3e7, "f1": 0.1, "L": 0.0},
        {"A": 1e-4, "c0": 0.02, "c1": 1.2, "d1": 2e8, "f1": 0.8, "L": 3.5e-3},
    ],
)
def test_a_planted_break_is_recovered(planted: dict[str, float]) -> None:
    x = np.geomspace(1e6, 1e10, 16)
    found = fit("broken", x, laws.broken(x, **planted))
    assert found.params == pytest.approx(planted, rel=1e-4, abs=1e-9)


def test_a_second_solver_agrees_on_a_noisy_break() -> None:
    rng = np.random.default_rng(6)
    x = np.geomspace(1e6, 1e10, 20)
    u = np.log(x) - np.log(x).mean()
    y = laws.broken(x, 3.0, 0.1, 0.5, 1e8, 0.3, 0.1) + 0.003 * rng.normal(size=20)
    ours = fit("broken", x, y)

    def residuals(p: np.ndarray) -> np.ndarray:  # log amplitude, log c0, c1, log d1 - centre, log f1, floor
        f1 = np.exp(p[4])
        return np.exp(p[0] - np.exp(p[1]) * u - p[2] * f1 * np.logaddexp(0, (u - p[3]) / f1)) + p[5] - y

    ranges = ((-2, 1), (-4, 0), (-1, 2), (-4, 4), (-3, 1), (0, 0.2))
    starts = np.column_stack([rng.uniform(a, b, 20) for a, b in ranges])
    _, cost = multistart(residuals, starts, [-20, -6.9, -60, -13, -4.6, 0], [20, 4.09, 60, 13, 2.99, 1])
    assert ours.sse <= cost * (1 + 1e-6)


def test_a_broken_law_needs_ten_points() -> None:
    x = np.geomspace(1e6, 1e10, 9)
    with pytest.raises(BadInput, match="10 points"):
        fit("broken", x, laws.broken(x, 3.0, 0.1, 0.5, 1e8, 0.3, 0.1))
