"""Verdicts on planted worlds: where the truth is known, the judge must find it, or say that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.workbench import claims
from genret_core.workbench.claims import Outcome, decide
from genret_core.workbench.replicates.series import Series, interpolate, pearson

SIZES = np.array([1e4, 3e4, 1e5, 3e5, 1e6])


def planted(
    slope: float, *, level: float = 0.012, noise: float = 1e-4, x: np.ndarray = SIZES, seed: int = 0
) -> Series:
    """A straight line on ln x, measured with noise whose size the replicates know."""
    rng = np.random.default_rng(seed)
    truth = level + slope * np.log(x / 1e5)
    y = truth + rng.normal(0, noise, len(x))
    return Series(x, y, y[:, None] + rng.normal(0, noise, (len(x), 2000)))


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [
        (1.0, "holds here"),
        (0.95, "holds here"),
        (0.949, "cannot be told"),
        (0.051, "cannot be told"),
        (0.05, "does not hold here"),
        (0.0, "does not hold here"),
        (None, "cannot be told"),
        (float("nan"), "cannot be told"),
    ],
)
def test_decide_at_its_edges(probability: float | None, verdict: str) -> None:
    assert decide(probability) == verdict


@pytest.mark.parametrize(
    ("slope", "noise", "verdict"),
    [(-1e-3, 1e-4, "holds here"), (1e-3, 1e-4, "does not hold here"), (0.0, 1e-4, "cannot be told")],
)
def test_falls(slope: float, noise: float, verdict: str) -> None:
    # seed 4: the noise of the flat line happens to be balanced, as most draws are
    outcome = claims.falls({"LLaMA": planted(slope, noise=noise, seed=4)}, unit="CGL")
    assert decide(outcome.probability) == verdict
    assert "CGL" in outcome.evidence


def test_a_trend_needs_replicates_that_move() -> None:
    assert claims.trend(planted(-1e-3)) == "falls"
    assert claims.trend(planted(1e-3)) == "rises"
    assert claims.trend(planted(0.0, seed=4)) == "unclear"
    flat = Series(SIZES, np.full(5, 0.99), np.full((5, 2000), 0.99))  # a miss rate that no resampling moves
    assert claims.falls({"T5": flat}).probability == 0.0
    assert claims.trend(flat) == "unclear"


def test_falls_asks_it_of_every_series_at_once() -> None:
    both = {"LLaMA": planted(-1e-3), "T5": planted(1e-3, seed=1)}
    assert decide(claims.falls(both).probability) == "does not hold here"
    assert decide(claims.falls({"LLaMA": both["LLaMA"]}).probability) == "holds here"


def test_joint_probability_uses_the_shared_draws() -> None:
    """Two series that err together: the joint probability is that of one, not the product."""
    rng = np.random.default_rng(0)
    x = np.array([1.0, np.e, np.e**2])
    shift = rng.normal(0, 1, 4000)
    draws = np.outer([1.0, 0.0, -1.0], shift)  # slope -shift: falls in half of the replicates
    one = Series(x, np.zeros(3), draws)
    assert claims.falls({"a": one, "b": one}).probability == pytest.approx(np.mean(shift > 0))


def test_a_trend_needs_three_sizes() -> None:
    two = planted(-1e-3, x=SIZES[:2])
    outcome = claims.falls({"T5": two})
    assert outcome.probability is None
    assert "2 of the 3" in outcome.evidence
    both = claims.falls({"T5": two, "LLaMA": planted(-1e-3)})  # judged on the family that has enough
    assert decide(both.probability) == "holds here" and "T5 has 2 of the 3" in both.evidence


def test_no_improvement() -> None:
    falling, flat = planted(-1e-3), planted(0.0, seed=4, noise=1e-5)
    assert decide(claims.no_improvement({"T5": flat}, {"T5": falling}).probability) == "holds here"
    assert decide(claims.no_improvement({"T5": falling}, {"T5": falling}).probability) == "does not hold here"
    loud = planted(0.0, seed=4, noise=1e-3)
    assert decide(claims.no_improvement({"T5": loud}, {"T5": falling}).probability) == "cannot be told"


def test_falls_faster() -> None:
    steep, gentle = planted(-2e-3), planted(-5e-4, seed=1)
    assert decide(claims.falls_faster((("n-gram", steep), {"codebook": gentle})).probability) == "holds here"
    assert (
        decide(claims.falls_faster((("codebook", gentle), {"n-gram": steep})).probability)
        == "does not hold here"
    )
    twin = planted(-2e-3, noise=2e-3, seed=2)
    assert (
        decide(claims.falls_faster((("n-gram", steep), {"codebook": twin})).probability) == "cannot be told"
    )
    assert claims.falls_faster((("n-gram", steep), {})).probability is None


def test_below_looks_only_where_both_were_measured() -> None:
    small = planted(-1e-3, x=np.array([1e3, 1e4, 1e5]))
    large = planted(-1e-3, level=0.02, x=np.array([5e4, 5e5, 5e6]), seed=1)
    outcome = claims.below(("LLaMA", small), ("T5", large))
    assert decide(outcome.probability) == "holds here"
    assert "at 2 sizes" in outcome.evidence  # 5e4 and 1e5
    apart = planted(-1e-3, x=np.array([1e7, 1e8, 1e9]))
    assert claims.below(("LLaMA", small), ("T5", apart)).probability is None


def test_below_is_false_where_the_curves_cross() -> None:
    steep, gentle = planted(-2e-3), planted(-2e-4, seed=1)
    assert decide(claims.below(("LLaMA", steep), ("T5", gentle)).probability) == "does not hold here"


def test_all_above() -> None:
    high, low = planted(-1e-4, level=0.02), planted(-1e-4, level=0.01, seed=1)
    assert decide(claims.all_above({"codebook": high}, {"n-gram": low}).probability) == "holds here"
    assert decide(claims.all_above({"codebook": low}, {"n-gram": high}).probability) == "does not hold here"
    assert claims.all_above({}, {"n-gram": low}).probability is None


def test_pairwise_below() -> None:
    low, high = planted(0.0, level=0.01).columns(), planted(0.0, level=0.02, seed=1).columns()
    names = [str(i) for i in range(5)]
    assert decide(claims.pairwise_below(low, high, names, what="CGL").probability) == "holds here"
    assert "5 of 5" in claims.pairwise_below(low, high, names, what="CGL").evidence
    assert decide(claims.pairwise_below(high, low, names, what="CGL").probability) == "does not hold here"


def test_near_linear() -> None:
    rng = np.random.default_rng(0)
    cgl = planted(-1e-3).columns()
    line = 1.0 - 50 * cgl + rng.normal(0, 1e-4, cgl.shape)
    curve = np.exp(-3e4 * (cgl - cgl.min(axis=0)))  # one model alone stands out: monotone, far from linear
    assert decide(claims.near_linear(cgl, {"RR@10": line}).probability) == "holds here"
    assert (
        decide(claims.near_linear(cgl, {"RR@10": line, "R@100": curve}).probability) == "does not hold here"
    )
    assert claims.near_linear(cgl[:3], {"RR@10": line[:3]}).probability is None


def test_pearson_is_numpys() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 4))
    expected = [np.corrcoef(x[:, j], y[:, j])[0, 1] for j in range(4)]
    np.testing.assert_allclose(pearson(x, y), expected, rtol=1e-12)


def test_lower_parameter() -> None:
    rng = np.random.default_rng(0)
    llama, t5 = (np.concatenate([[v], v + rng.normal(0, 0.01, 1000)]) for v in (0.1, 0.3))
    told = {"symbol": "λ_C"}
    assert decide(claims.lower_parameter(("LLaMA", llama), ("T5", t5), **told).probability) == "holds here"
    assert (
        decide(claims.lower_parameter(("T5", t5), ("LLaMA", llama), **told).probability)
        == "does not hold here"
    )
    open_ = claims.lower_parameter(("LLaMA", llama), ("T5", t5), open_in=["T5"], **told)
    assert open_ == Outcome(None, "λ_C: LLaMA 0.1, T5 0.3; not identified in T5")
    broken = np.where(rng.random(1001) < 0.5, np.nan, llama)
    assert claims.lower_parameter(("LLaMA", broken), ("T5", t5), **told).probability is None


def test_interpolation_is_exact_on_a_line_in_ln_x_and_averages_seeds() -> None:
    x = np.array([1e3, 1e3, 1e5])
    columns = np.array([[1.0], [3.0], [6.0]])
    np.testing.assert_allclose(interpolate(x, columns, np.array([1e3, 1e4, 1e5])), [[2.0], [4.0], [6.0]])
