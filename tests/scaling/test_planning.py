"""How to spend a budget and what a target takes: against closed forms and brute force."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import brentq

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, laws, published
from genret_core.scaling.planning import allocate, reach

# the replication of approach 3 of Hoffmann et al. (Besiroglu et al., 2024)
E, A, B, ALPHA, BETA = 1.8172, 482.01, 2085.43, 0.3478, 0.3658
P, D = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 1e10, 6), np.geomspace(1e9, 3e11, 6)))
BUDGETS = np.array([1e19, 5.76e23])


def best_of_surface(
    A: np.ndarray | float,
    B: np.ndarray | float,
    alpha: np.ndarray | float,
    beta: np.ndarray | float,
    product: float,
) -> tuple[np.ndarray, np.ndarray]:
    """P and D at which A / P^alpha + B / D^beta is least for a given P D (Hoffmann et al., Eq. 4)."""
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    return G * product ** (beta / (alpha + beta)), product ** (alpha / (alpha + beta)) / G


@pytest.fixture(scope="module")
def chinchilla() -> Fit:
    return fit("surface", P, E + A / P**ALPHA + B / D**BETA, D, intervals=False)


def test_a_surface_is_allocated_as_in_closed_form(chinchilla: Fit) -> None:
    found = allocate(chinchilla, BUDGETS)
    for one, budget in zip(found, BUDGETS, strict=True):
        expected = best_of_surface(A, B, ALPHA, BETA, budget / 6)
        np.testing.assert_allclose([one.P, one.D], expected, rtol=1e-6)
        assert one.exponent == pytest.approx(BETA / (ALPHA + BETA), abs=1e-6)
        assert one.exponent == pytest.approx(0.513, abs=5e-4)  # as published
        assert one.y == pytest.approx(E + A / one.P**ALPHA + B / one.D**BETA, rel=1e-12)
        np.testing.assert_allclose(6 * one.P * one.D, budget)
        assert not one.edge and not one.intervals
    (verdict,) = found.verdicts
    assert verdict.code == "extrapolation"
    assert verdict.factor == found[1].factor_P == pytest.approx(found[1].P / P.max())
    assert found[0].factor_P == 1.0


def test_longer_pairs_leave_fewer_of_them(chinchilla: Fit) -> None:
    (one,) = allocate(chinchilla, 1e22, tokens_per_pair=12)
    np.testing.assert_allclose([one.P, one.D], best_of_surface(A, B, ALPHA, BETA, 1e22 / 72), rtol=1e-6)


@pytest.mark.parametrize("law", ["joint", "joint_exchanged"])
def test_eq_8_is_allocated_as_in_closed_form(law: str) -> None:
    """Its least value is where that of its inner sum is: a surface with exponents alpha / beta and 1."""
    gamma, alpha, beta, eta, delta = 3e7, 0.5, 0.8, 2e8, 0.1
    y = getattr(laws, law)(P, D, gamma, alpha, beta, eta, delta)
    f = fit(law, P, y, D, intervals=False)
    (one,) = allocate(f, 1e21)
    steep = alpha / beta
    if law == "joint":
        expected = best_of_surface(gamma**steep, eta, steep, 1.0, 1e21 / 6)
        a = 1 / (1 + steep)
    else:
        expected = best_of_surface(eta, gamma**steep, 1.0, steep, 1e21 / 6)
        a = steep / (1 + steep)
    np.testing.assert_allclose([one.P, one.D], expected, rtol=1e-4)
    assert one.exponent == pytest.approx(a, abs=1e-4)


def test_printed_coefficients_are_allocated_the_way_they_belong() -> None:
    """Eqs 9-10 hold with P and D exchanged: gamma and alpha go with the data."""
    (law,) = published.laws(where="Eqs 9-10")
    (one,) = allocate(law, 1e16, tokens_per_pair=10)
    steep = 3.27 / 0.95
    expected = best_of_surface(3.37e5, 6.32e3**steep, 1.0, steep, 1e16 / 60)
    np.testing.assert_allclose([one.P, one.D], expected, rtol=1e-6)
    assert one.factor_P is None and not one.intervals


def test_inference_moves_the_optimum_to_smaller_models(chinchilla: Fit) -> None:
    """Against every model size of a fine grid, and the condition of Lagrange at the optimum."""
    n, budget = 1e12, 1e22
    (one,) = allocate(chinchilla, budget, inference=(n, lambda P: 2 * P))
    sizes = np.geomspace(1e6, budget / (2 * n) * 0.999, 100_000)
    value = E + A / sizes**ALPHA + B / ((budget - 2 * n * sizes) / (6 * sizes)) ** BETA
    np.testing.assert_allclose(one.P, sizes[value.argmin()], rtol=2e-4)
    assert one.y <= value.min() * (1 + 1e-12)
    gains = ALPHA * A / one.P ** (ALPHA + 1), BETA * B / one.D ** (BETA + 1)
    assert gains[0] / (6 * one.D + 2 * n) == pytest.approx(gains[1] / (6 * one.P), rel=1e-5)
    assert one.P < allocate(chinchilla, budget)[0].P
    assert one.serving == pytest.approx(2 * n * one.P / budget)


def test_any_cost_that_grows(chinchilla: Fit) -> None:
    same = allocate(chinchilla, 1e21, cost=lambda P, D: 6 * P * D)[0]
    plain = allocate(chinchilla, 1e21)[0]
    np.testing.assert_allclose([same.P, same.D], [plain.P, plain.D], rtol=1e-6)

    def odd_cost(P: float, D: float) -> float:
        return 6 * P * D + 1e8 * P + 1e9 * D**0.9

    (odd,) = allocate(chinchilla, 1e21, cost=odd_cost)
    assert odd_cost(odd.P, odd.D) == pytest.approx(1e21, rel=1e-9)
    for size in odd.P * np.array([0.98, 1.02]):  # elsewhere on the line of equal cost it is no better
        pairs = brentq(lambda D, size=size: odd_cost(size, D) - 1e21, 1, 1e16, rtol=1e-14)
        assert odd.y < E + A / size**ALPHA + B / pairs**BETA


def test_every_refit_has_its_own_optimum() -> None:
    """Percentiles of the closed form over the bootstrap's own parameters."""
    y = (E + A / P**ALPHA + B / D**BETA) * np.exp(np.random.default_rng(0).normal(0, 3e-3, P.size))
    f = fit("surface", P, y, D, bootstrap=400, objective="relative")
    (one,) = allocate(f, 1e22)
    draws = dict(zip(f.law.names, f.draws.T, strict=True))
    own_P, own_D = best_of_surface(draws["A"], draws["B"], draws["alpha"], draws["beta"], 1e22 / 6)
    a = draws["beta"] / (draws["alpha"] + draws["beta"])
    own_y = draws["E"] + draws["A"] / own_P ** draws["alpha"] + draws["B"] / own_D ** draws["beta"]
    for name, own in (("P", own_P), ("D", own_D), ("y", own_y), ("exponent", a)):
        interval = one.intervals[name]
        np.testing.assert_allclose([interval.lo, interval.hi], np.quantile(own, [0.025, 0.975]), rtol=1e-3)
    assert one.P in one.intervals["P"] and BETA / (ALPHA + BETA) in one.intervals["exponent"]
    told = json.loads(json.dumps(allocate(f, 1e22).to_dict(), allow_nan=False))
    assert told["allocations"][0]["P"] == {
        "value": one.P,
        "ci95": [one.intervals["P"].lo, one.intervals["P"].hi],
    }


def test_where_one_argument_does_not_matter_there_is_no_optimum_between() -> None:
    f = fit("surface", P, E + A / P**ALPHA + 0 * D, D, intervals=False)
    found = allocate(f, 1e20)
    assert found[0].edge == "D" and abs(found[0].D - 1) < 1e-6
    assert "at_edge" in [verdict.code for verdict in found.verdicts]
    assert found.to_dict()["allocations"][0]["exponent"]["value"] is None


def test_an_exponent_at_its_edge_divides_no_budget() -> None:
    """The paper's L of points under Eq. 8 as printed: beta has no limit."""
    sizes = published.points(study="model_size", method="ngram", family="llama2")
    data = published.points(study="data_size", method="ngram", family="llama2")
    P = np.concatenate([sizes["n_params"], np.repeat(sizes["n_params"].iloc[0], 5)])
    D = np.concatenate([np.repeat(588_800.0, 3), data["n_pairs"]])
    y = np.concatenate([sizes["cgl"], data["cgl"]])
    found = allocate(fit("joint", P, y, D, intervals=False), 1e16)
    assert ("at_edge", "beta") in [(verdict.code, verdict.param) for verdict in found.verdicts]


def test_what_cannot_be_allocated_is_refused(chinchilla: Fit) -> None:
    with pytest.raises(BadInput, match="has one argument"):
        allocate(fit("power", P[:6], 1 / P[:6]), 1e20)
    with pytest.raises(BadInput, match="does not pay for one parameter"):
        allocate(chinchilla, 5.0)
    with pytest.raises(BadInput, match="does not grow with D"):
        allocate(chinchilla, 1e20, cost=lambda P, D: P)
    with pytest.raises(BadInput, match="does not grow with P"):
        allocate(chinchilla, 1e20, cost=lambda P, D: D)
    with pytest.raises(BadInput, match="must be positive"):
        allocate(chinchilla, 1e20, tokens_per_pair=0)


def test_allocations_print(chinchilla: Fit) -> None:
    text = str(allocate(chinchilla, BUDGETS))
    assert "5.760e+23" in text and "0.5126" in text and "7.22 times" in text
    assert "for inference" in allocate(chinchilla, 1e22, inference=(1e12, lambda P: 2 * P))._repr_html_()


X = np.geomspace(1e6, 1e9, 7)
Y = 0.2 + (2e4 / X) ** 0.4 + 1e-3 * np.array([1, -2, 1.5, 0.3, -1, 0.4, 0.2])


def test_reach_is_the_law_turned_round() -> None:
    f = fit("model_size", X, Y)
    gamma, alpha, floor = (f.params[name] for name in ("gamma", "alpha", "lambda_P"))
    for target in (0.5, 0.25, 0.21):
        found = reach(f, target)
        assert found.at == pytest.approx(gamma * (target - floor) ** (-1 / alpha), rel=1e-9)
        assert found.interval is not None and found.at in found.interval
        for end, side in ((found.interval.lo, 0), (found.interval.hi, 1)):
            if end is not None:  # just there the band leaves the target
                assert float(f.band(end)[side]) == pytest.approx(target, abs=1e-8)
    assert reach(f, 0.4).factor == 1.0
    assert found.factor == pytest.approx((found.at or 0) / 1e9)


def test_below_the_floor_no_x_reaches_it() -> None:
    f = fit("model_size", X, Y)
    floor = f.intervals["lambda_P"]
    assert floor.lo is not None
    within = reach(f, (f.params["lambda_P"] + floor.lo) / 2)  # the floor itself may be there
    assert within.at is None and within.interval is not None and within.interval.hi is None
    assert "lies below the floor" in within.sentence() and "the data allow" in within.sentence()
    never = reach(f, floor.lo / 2)
    assert never.at is None and never.interval is None and never.to_dict()["x"] is None
    assert never.sentence().endswith("no P reaches it.")
    above = reach(f, f.params["lambda_P"] * 1.0001)
    assert above.at is not None and above.interval is not None and above.interval.open == ("high",)


def test_reach_without_a_floor_and_without_noise() -> None:
    f = fit("power", X[:2], (2e4 / X[:2]) ** 0.4)  # two points of two parameters
    found = reach(f, 1e-3)
    assert found.at == pytest.approx(2e4 * 1e-3**-2.5, rel=1e-9) and found.interval is None
    with pytest.raises(BadInput, match="not a value that MR can have"):
        reach(fit("inference", X, Y), 1.2)
    with pytest.raises(BadInput, match="has two arguments"):
        reach(fit("surface", P, E + A / P**ALPHA + B / D**BETA, D, intervals=False), 2.0)
