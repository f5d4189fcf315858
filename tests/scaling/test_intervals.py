"""Intervals against brute force, simulation and direct refits; and that open ends stay open."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genret_core.scaling import Interval, fit, laws
from genret_core.scaling.intervals.draws import percentiles

from .second_opinion import power_with_floor

X = np.geomspace(4.4e7, 1.1e10, 5)  # the sizes of the T5 ladder


def noisy(seed: int, noise: float = 0.05, alpha: float = 0.4, floor: float = 0.6) -> np.ndarray:
    """A law of amplitude 1 at the smallest x and a floor, with noise in units of that amplitude."""
    rng = np.random.default_rng(seed)
    return (X / X[0]) ** -alpha + floor + noise * rng.normal(size=X.size)


def profile_by_brute_force(y: np.ndarray, ratio: float, of: str) -> tuple[float, float]:
    """Scan all (alpha, floor) pairs finely and take the extremes of those that are good enough."""
    u = np.log(X) - np.log(X).mean()
    alpha = np.geomspace(0.02, 5, 1500)[:, None, None]
    floor = np.linspace(0, 1.1 * y.min(), 1500)[None, :, None]
    phi = np.exp(-alpha * u)
    height = np.maximum(((y - floor) * phi).sum(-1) / (phi * phi).sum(-1), 0)
    sse = ((y - floor - height[..., None] * phi) ** 2).sum(-1)
    inside = sse <= sse.min() * ratio
    values = {"alpha": alpha, "lambda_P": floor}[of][..., 0]
    chosen = np.broadcast_to(values, inside.shape)[inside]
    return float(chosen.min()), float(chosen.max())


@pytest.mark.parametrize("name", ["alpha", "lambda_P"])
def test_profiles_are_the_extremes_of_all_good_fits(name: str) -> None:
    y = noisy(3, noise=0.01)
    ratio = 1 + stats.f.ppf(0.95, 1, 2) / 2
    low, high = profile_by_brute_force(y, ratio, name)
    interval = fit("model_size", X, y).intervals[name]
    assert interval.lo == pytest.approx(low, rel=0.01)
    assert interval.hi == pytest.approx(high, rel=0.01)


def test_known_noise_uses_the_normal_threshold() -> None:
    """At 0 degrees of freedom the curve passes through the points, and chi-square still gives an interval."""
    x, y = X[[0, 2, 4]], laws.model_size(X[[0, 2, 4]], 1e6, 0.4, 0.1)
    found = fit("model_size", x, y, sd=0.001)
    u = np.log(x) - np.log(x).mean()
    for end in (found.intervals["alpha"].lo, found.intervals["alpha"].hi):
        design = np.column_stack([np.exp(-end * u), np.ones(3)])
        residuals = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        assert (residuals**2).sum() / 0.001**2 == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-6)


def test_the_straight_line_has_its_textbook_interval() -> None:
    y = noisy(1)
    interval = fit("log_linear", X, y).intervals["b"]
    line = stats.linregress(-np.log(X), y)
    half = stats.t.ppf(0.975, 3) * line.stderr
    assert (interval.lo, interval.hi) == pytest.approx((line.slope - half, line.slope + half), rel=1e-5)
    level = fit("constant", X, y).intervals["level"]
    expected = stats.t.interval(0.95, 4, y.mean(), stats.sem(y))
    assert (level.lo, level.hi) == pytest.approx(expected, rel=1e-6)


def test_coverage_of_profiles_and_bands() -> None:
    """Nominal 95 % in the design of the T5 ladder; 400 recorded sets gave 94.8 % for the exponent."""
    where = 1.5 * X[2]
    truth = (where / X[0]) ** -0.4 + 0.6
    covered, inside = [], []
    for seed in range(200):
        found = fit("model_size", X, noisy(seed))
        low, high = found.band(where)
        covered.append(0.4 in found.intervals["alpha"])
        inside.append(low <= truth <= high)
    assert 0.905 <= np.mean(covered) <= 0.985
    assert 0.905 <= np.mean(inside) <= 0.99


def resampled(y: np.ndarray, draws: int, sd: float, seed: int) -> np.ndarray:
    """Draws that share most of their error, as cells that share queries do."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(1, draws)), rng.normal(size=(y.size, draws))
    return y[:, None] + sd * (0.9 * shared + 0.3 * own)


def test_replicates_equal_refits_by_another_solver() -> None:
    y = noisy(2, noise=0.01)
    Y = resampled(y, 40, 0.02, 4)
    found = fit("model_size", X, y, replicates=Y)
    direct = np.array([power_with_floor(X, Y[:, i], n_starts=5, seed=i) for i in range(40)])
    assert found.draws[:, 1] == pytest.approx(direct[:, 0], rel=1e-5)
    assert found.draws[:, 2] == pytest.approx(direct[:, 2], rel=1e-5, abs=1e-9)
    expected = np.quantile(direct[:, 0], [0.025, 0.975])
    assert (found.intervals["alpha"].lo, found.intervals["alpha"].hi) == pytest.approx(
        tuple(expected), rel=1e-5
    )
    curves = np.array(
        [a * np.exp(-alpha * np.log(X[3] / found.derived["centre"])) + c for alpha, a, c, _ in direct]
    )
    low, high = found.band(X[3])
    assert (low, high) == pytest.approx(tuple(np.quantile(curves, [0.025, 0.975])), rel=1e-6)


def test_shared_errors_cancel_in_the_exponent() -> None:
    """An error common to all points moves the floor, not the exponent: resampling jointly keeps that."""
    y = noisy(2, noise=0.0)
    rng = np.random.default_rng(0)
    shared = y[:, None] + 0.02 * rng.normal(size=(1, 400))
    own = y[:, None] + 0.02 * rng.normal(size=(5, 400))
    narrow, wide = (fit("model_size", X, y, replicates=r).intervals["alpha"] for r in (shared, own))
    assert narrow.width < 1e-6 < 0.1 < wide.width


def test_seed_noise_widens_and_is_told() -> None:
    y = noisy(2, noise=0.0)
    Y = resampled(y, 400, 0.01, 1)
    without = fit("model_size", X, y, replicates=Y, n_queries=400)
    with_noise = fit("model_size", X, y, replicates=Y, seed_sd=0.02, seed_source="three seeds", n_queries=400)
    assert with_noise.intervals["alpha"].width > 1.5 * without.intervals["alpha"].width
    assert "query sampling only (400 joint resamplings of 400 queries)" in without.covers
    assert "seed noise is not included" in without.covers
    assert "seed noise (SD 0.02, three seeds)" in with_noise.covers
    alone = fit("model_size", X, y, seed_sd=0.02)
    assert "query sampling is not included" in alone.covers and "source not stated" in alone.covers


def test_a_floor_pinned_at_zero_is_open_below() -> None:
    y = 0.5 * (X / X[0]) ** -0.1
    Y = resampled(y, 200, 0.01, 3)
    for found in (
        fit("model_size", X, y, replicates=Y),
        fit("model_size", X, y * (1 + 0.001 * np.arange(5))),
    ):
        floor = found.intervals["lambda_P"]
        assert floor.lo is None and floor.open[0] == "low"
        assert "floor_not_identified" in found.codes
        assert "the floor is not identified" in found.sentence()


def test_draws_at_the_edge_make_an_open_end() -> None:
    """One step between the first two points fits any steep exponent: no upper limit, and no large number."""
    y = np.array([1.0, 0.5, 0.5, 0.5, 0.5])
    rng = np.random.default_rng(1)
    Y = y[:, None] + 0.01 * rng.normal(size=(5, 300))
    for found in (fit("model_size", X, y, replicates=Y), fit("model_size", X, y, sd=0.01)):
        alpha = found.intervals["alpha"]
        assert alpha.hi is None and alpha.lo is not None and alpha.lo > 1
        assert found.intervals["gamma"].hi is None
        assert "exponent_open" in found.codes and "no upper limit" in found.sentence()
        floor = found.intervals["lambda_P"]
        assert floor.lo == pytest.approx(0.49, abs=0.005) and floor.hi == pytest.approx(0.51, abs=0.005)


def test_percentiles_of_undefined_draws_are_open() -> None:
    values = np.concatenate([np.linspace(0, 1, 90), np.full(10, np.nan)])
    assert percentiles(values, 0.9) == Interval(None, None, 0.9)
    assert percentiles(np.append(np.linspace(0, 1, 99), np.inf), 0.9).hi == pytest.approx(0.95, abs=0.02)
    middle = percentiles(np.arange(101.0), 0.9)
    assert (middle.lo, middle.hi) == pytest.approx((5.0, 95.0))


def test_an_interval_knows_what_it_contains() -> None:
    half = Interval(None, 2.0, 0.95)
    assert 1e-9 in half and 3.0 not in half and half.width is None and half.open == ("low",)
    assert str(half) == "(open, 2]"
    assert half.to_dict() == {"low": None, "high": 2.0, "level": 0.95, "open": ["low"]}


def test_joint_profiles_against_refits_with_one_number_held() -> None:
    from scipy.optimize import least_squares

    rng = np.random.default_rng(6)
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e4, 1e6, 4)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1) + 0.002 * rng.normal(size=P.size)
    found = fit("joint", P, y, D)
    threshold = found.sse * (1 + stats.f.ppf(0.95, 1, found.dof) / found.dof)
    start = np.log([found.params[name] for name in ("gamma", "alpha", "beta", "eta")])

    def excess(alpha: float) -> float:
        def residuals(p: np.ndarray) -> np.ndarray:
            return (laws.joint(P, D, np.exp(p[0]), alpha, np.exp(p[1]), np.exp(p[2]), p[3]) - y) * 100

        runs = [
            least_squares(
                residuals,
                [start[0], start[2] + shift, start[3], found.params["delta"]],
                x_scale="jac",
                xtol=1e-14,
                ftol=1e-14,
            )
            for shift in (-0.3, 0.0, 0.3)
        ]
        return 2 * min(run.cost for run in runs) / 1e4 / threshold

    interval = found.intervals["alpha"]
    assert excess(interval.lo) == pytest.approx(1, rel=1e-3)
    assert excess(interval.hi) == pytest.approx(1, rel=1e-3)
    low, high = found.band(P, D)
    inside = (low <= found.predict(P, D)) & (found.predict(P, D) <= high)
    assert inside.all()
    gamma, eta = found.intervals["gamma"], found.intervals["eta"]
    assert found.params["gamma"] in gamma and found.params["eta"] in eta
