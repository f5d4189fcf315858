"""Predictions: values, intervals, how far out, and how far laws disagree."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, laws
from genret_core.scaling.beyond.extrapolation import factor_beyond, predict, rivals

X = np.geomspace(1e6, 1e9, 6)
Y = 0.2 + 0.5 * (X / X[0]) ** -0.5 + 1e-3 * np.array([1, -2, 1.5, 0.3, -1, 0.4])


@pytest.fixture(scope="module")
def found() -> Fit:
    return fit("model_size", X, Y)


def test_a_prediction_is_the_curve_with_its_band_and_its_distance(found: Fit) -> None:
    at = np.array([1e5, 3e7, 1e9, 5e10])
    told = predict(found, at)
    gamma, alpha, floor = (found.params[name] for name in ("gamma", "alpha", "lambda_P"))
    np.testing.assert_allclose([one.y for one in told], (gamma / at) ** alpha + floor, rtol=1e-12)
    np.testing.assert_allclose([one.factor for one in told], [10, 1, 1, 50])
    low, high = found.band(at)
    np.testing.assert_array_equal([one.interval.lo for one in told], low)  # type: ignore[union-attr]
    np.testing.assert_array_equal([one.interval.hi for one in told], high)  # type: ignore[union-attr]
    (verdict,) = told.verdicts
    assert verdict.code == "extrapolation" and verdict.factor == 50
    assert told[0].spread is None and told[0].band == told[0].interval
    assert not predict(found, [1e6, 1e9]).verdicts
    narrow = predict(found, 1e7, level=0.5)[0].interval
    wide = predict(found, 1e7)[0].interval
    assert narrow is not None and wide is not None and narrow.width < wide.width  # type: ignore[operator]


def test_rows_are_what_programs_read(found: Fit) -> None:
    told = json.loads(json.dumps(predict(found, [1e10]).to_dict(), allow_nan=False))
    (row,) = told["predictions"]
    assert list(row) == ["x", "y", "ci95", "factor"] and row["y"] == float(found.predict(1e10))
    assert told["verdicts"][0]["factor"] == row["factor"] == pytest.approx(10)
    bare = predict(fit("model_size", X[:3], Y[:3]), 1e8)  # three points of three parameters
    assert bare[0].interval is None and bare.rows()[0]["ci95"] == [None, None]
    assert list(predict(found, 1e7, level=0.9).rows()[0])[2] == "ci90"


def test_rates_are_kept_to_their_bounds_and_said_to_be() -> None:
    f = fit("inference", X, (4e5 / X) ** 0.4 + 0.2)
    told = predict(f, [1e4, 1e7])
    assert told[0].y == 1.0 and told[0].clipped and not told[1].clipped
    assert [verdict.code for verdict in told.verdicts] == ["extrapolation", "outside_bounds"]
    assert told.rows()[0]["clipped"] and "clipped" not in told.rows()[1]
    others = predict([f, fit("power", X, f.y)], 1e3)
    assert others[0].by_law["power"] == 1.0  # whatever the law, a rate is no more


def test_the_spread_is_that_of_laws_fitted_by_other_means(found: Fit) -> None:
    line = np.polyfit(np.log(X), Y, 1)
    at = np.array([1e10, 1e12])
    told = predict([found, fit("log_linear", X, Y)], at)
    for i, one in enumerate(told):
        other = float(np.polyval(line, np.log(at[i])))
        assert one.spread == pytest.approx((other, one.y), rel=1e-9)
        assert one.relative_spread == pytest.approx((one.y - other) / one.y, rel=1e-9)
        assert one.band is not None and one.interval is not None
        assert one.band.lo == pytest.approx(other) and one.band.hi == one.interval.hi
    row = told.rows()[1]
    assert (
        row["spread"]["lo"] == row["by_law"]["log_linear"] and row["spread"]["band"][0] == row["spread"]["lo"]
    )


def test_rivals_are_fitted_alike() -> None:
    sd = np.linspace(1e-3, 4e-3, 6)
    found = rivals(fit("data_size", X, Y, sd=sd))
    assert [one.law.name for one in found] == [
        "power",
        "log_linear",
        "exponential",
    ]  # the same law: not again
    same = fit("power", X, Y, sd=sd)
    assert found[0].params == same.params and not found[0].intervals
    rate = rivals(fit("inference", X, Y, objective="relative"))
    assert all(one.law.bounds == (0.0, 1.0) and one.objective == "relative" for one in rate)
    x = np.geomspace(1e6, 1e9, 12)
    many = rivals(fit("power", x, 0.2 + 0.5 * (x / x[0]) ** -0.5, intervals=False))
    assert {one.law.name for one in many} == {"model_size", "log_linear", "exponential", "broken"}


def test_the_honest_band_holds_what_the_interval_of_a_wrong_law_misses() -> None:
    """A power law with a floor, taken for an exponential: its interval is sure of the wrong thing."""
    rng = np.random.default_rng(0)
    x, missed, held = np.geomspace(1e6, 1e8, 6), 0, 0
    truth = 0.2 + 0.5 * 1e3**-0.3
    for _ in range(40):
        f = fit("exponential", x, 0.2 + 0.5 * (x / 1e6) ** -0.3 + rng.normal(0, 2e-3, 6))
        one = predict([f, *rivals(f)], 1e9)[0]
        assert one.band is not None and one.interval is not None
        missed += truth not in one.interval
        held += truth in one.band
    assert missed >= 20 and held == 40


def test_two_arguments_are_as_far_out_as_the_farther_one() -> None:
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e4, 1e6, 5)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1)
    f = fit("joint", P, y, D, intervals=False)
    told = predict([f, *rivals(f)], [1e9, 2e9, 1e7], [3e6, 3e6, 1e5])
    np.testing.assert_allclose([one.factor for one in told], [3, 3, 1])
    assert told.laws == ("joint", "surface", "joint_exchanged") and told.rows()[0]["x2"] == 3e6
    assert told[0].y == pytest.approx(laws.joint(1e9, 3e6, 3e4, 0.5, 0.8, 2e2, 0.1), rel=1e-5)
    np.testing.assert_allclose(factor_beyond([1.0, 5.0, 40.0], [2.0, 10.0]), [2, 1, 4])


def test_what_cannot_be_compared_is_refused(found: Fit) -> None:
    with pytest.raises(BadInput, match="of different points"):
        predict([found, fit("power", X[:-1], Y[:-1])], 1e10)
    with pytest.raises(BadInput, match="Two fits are of one law"):
        predict([found, fit("model_size", X, Y)], 1e10)
    with pytest.raises(BadInput, match="no place to predict at"):
        predict(found, [])
    with pytest.raises(BadInput, match="no fit to predict by"):
        predict([], 1e10)


def test_it_prints(found: Fit) -> None:
    told = predict([found, *rivals(found)], [1e7, 1e12])
    text = str(told)
    assert "1,000 times" in text and "log_linear" in text and told.sentence() in text
    assert "4 laws give" in told.sentence()
    html = predict(fit("model_size", X, Y, names={"x": "<i>P</i>"}), 1e10)._repr_html_()
    assert "<i>P" not in html and "&lt;i&gt;P&lt;/i&gt;" in html
