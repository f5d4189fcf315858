"""Correlations against scipy and against regression."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genret_core.errors import BadInput
from genret_core.scaling import correlation

RNG = np.random.default_rng(0)
SIZE = np.log(np.geomspace(1e4, 1e6, 9))
A = -0.1 * SIZE + 0.15 * RNG.normal(size=9)
B = 0.2 * SIZE + 0.30 * RNG.normal(size=9)


def test_pearson_and_spearman_equal_scipy() -> None:
    assert correlation(A, B).value == pytest.approx(stats.pearsonr(A, B).statistic)
    tied = np.round(B, 1)
    assert correlation(A, tied, kind="spearman").value == pytest.approx(stats.spearmanr(A, tied).statistic)


def test_partial_is_the_correlation_of_residuals() -> None:
    rest = [y - np.polyval(np.polyfit(SIZE, y, 1), SIZE) for y in (A, B)]
    found = correlation(A, B, given={"ln P": SIZE})
    assert found.value == pytest.approx(stats.pearsonr(*rest).statistic)
    assert abs(found.value) < abs(correlation(A, B).value)
    r_ab, r_as, r_bs = (stats.spearmanr(x, y).statistic for x, y in ((A, B), (A, SIZE), (B, SIZE)))
    ranked = (r_ab - r_as * r_bs) / np.sqrt((1 - r_as**2) * (1 - r_bs**2))
    assert correlation(A, B, kind="spearman", given={"ln P": SIZE}).value == pytest.approx(ranked)


def test_intervals_are_percentiles_of_paired_draws() -> None:
    noise = RNG.normal(size=(9, 300))
    draws_a, draws_b = A[:, None] + 0.05 * noise, B[:, None] - 0.05 * noise
    found = correlation(A, B, a_replicates=draws_a, b_replicates=draws_b)
    direct = [stats.pearsonr(draws_a[:, i], draws_b[:, i]).statistic for i in range(300)]
    assert found.interval is not None
    assert (found.interval.lo, found.interval.hi) == pytest.approx(tuple(np.quantile(direct, [0.025, 0.975])))
    assert "300 joint resamplings" in found.covers
    assert str(found).startswith("Pearson r = -0.")
    assert found.to_dict()["n"] == 9


def test_what_does_not_vary_is_undefined() -> None:
    found = correlation(A, np.full(9, 0.3))
    assert np.isnan(found.value) and found.to_dict()["value"] is None and "undefined" in str(found)
    assert np.isnan(correlation(A, 3 * SIZE + 1, given={"ln P": SIZE}).value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"b": B[:5]}, "b has 5 values and a has 9"),
        ({"a": A[:2], "b": B[:2]}, "2 cells are too few"),
        ({"kind": "kendall"}, "choose pearson or spearman"),
        ({"a_replicates": np.ones((9, 50))}, "for one metric only"),
        ({"a_replicates": np.ones((9, 50)), "b_replicates": np.ones((9, 40))}, "resample together"),
        (
            {"a_replicates": np.ones((8, 50)), "b_replicates": np.ones((9, 50))},
            "a row for each of the 9 cells",
        ),
        ({"a": np.where(np.arange(9) == 3, np.nan, A)}, "row 4 is not"),
        ({"given": {"ln P": SIZE[:4]}}, "ln P has 4 values"),
    ],
)
def test_refusals(arguments: dict, sentence: str) -> None:
    with pytest.raises(BadInput) as refusal:
        correlation(**{"a": A, "b": B, **arguments})
    assert sentence in str(refusal.value)
