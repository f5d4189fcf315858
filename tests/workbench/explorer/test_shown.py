from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, compare, crossing, fit, influence, predict, published, rivals
from genret_core.workbench.explorer.shown import Shown
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.sources import frame_source, opening, published_source

SOURCE = published_source()
START = opening(SOURCE)


def t5() -> tuple[np.ndarray, np.ndarray]:
    points = published.points(study="model_size", method="ngram", family="t5")
    return points["n_params"].to_numpy(float), points["cgl"].to_numpy(float)


def same(a: Fit, b: Fit) -> None:
    np.testing.assert_array_equal(list(a.params.values()), list(b.params.values()))
    assert a.intervals == b.intervals
    assert a.verdicts == b.verdicts


def many(n: int, seed: int = 0) -> Source:
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e7, 1e10, n)
    return frame_source(pd.DataFrame({"P": x, "CGL": (2e7 / x) ** 0.4 + 0.3 + rng.normal(0, 0.01, n)}))


def test_the_fit_is_that_of_the_points_that_are_left():
    x, y = t5()
    kept = [0, 2, 3, 4]
    fresh = fit("model_size", x[kept], y[kept], n_negatives=256, rows=[1, 3, 4, 5], level=0.9, bootstrap=0)
    same(Shown(START.but(excluded=((2, "why"),), level=0.9), SOURCE).fit, fresh)


def test_held_out_points_are_targets():
    x, y = t5()
    shown = Shown(START.but(hold_out=1), SOURCE)
    same(shown.fit, fit("model_size", x[:4], y[:4], n_negatives=256))
    points = shown.points()
    assert points["target"].tolist() == [False] * 4 + [True]
    assert points["used"].tolist() == [True] * 4 + [False]
    assert points["fitted"].iloc[4] == shown.fit.predict(x[4])
    assert isinstance(shown.fits["llama"], str) and "only 2 points" in shown.fits["llama"]


@pytest.mark.parametrize("hold_out", [5, 50])
def test_no_point_left_is_told(hold_out):
    shown = Shown(START.but(hold_out=hold_out), SOURCE)
    assert shown.fit is None and shown.why and shown.verdicts == ()
    assert shown.curves() == {} and shown.points()["target"].all()
    assert isinstance(shown.influence, str) and shown.predictions is None


def test_equal_states_give_equal_digits_along_any_way():
    fresh = Shown(START.but(law="power", level=0.8, ahead=1.0), SOURCE)
    way = Shown(START, SOURCE)
    for changes in ({"law": "power"}, {"ahead": 2.0}, {"level": 0.8}, {"ahead": 1.0}):
        _ = way.verdicts, way.curves(), way.predictions
        way = Shown(way.state.but(**changes), SOURCE, previous=way)
    same(fresh.fit, way.fit)
    assert fresh.verdicts == way.verdicts
    assert fresh.predictions.places == way.predictions.places
    for one, other in zip(fresh.curves()["t5"], way.curves()["t5"], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_drag_of_the_slider_refits_nothing(monkeypatch):
    from genret_core.scaling.solver import search
    from genret_core.workbench.explorer import answers, calls

    shown = Shown(START.but(ahead=0.5), SOURCE)
    _ = shown.predictions

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a fit was asked for")

    for module in (calls, answers):
        monkeypatch.setattr(module, "fit", refuse)
    monkeypatch.setattr(search, "solve", refuse)
    for ahead in (0.6, 0.7, 1.1):
        shown = Shown(shown.state.but(ahead=ahead, axes="linear"), SOURCE, previous=shown)
        assert shown.predictions is not None and shown.fit is not None


def test_predictions_are_those_of_the_law_and_its_rivals():
    x, y = t5()
    found = fit("model_size", x, y, n_negatives=256)
    shown = Shown(START.but(ahead=1.0), SOURCE)
    wanted = predict((found, *rivals(found)), x.max() * 10)
    assert shown.predictions.places == wanted.places
    assert "extrapolation" in {one.code for one in shown.verdicts}


def test_curves_keep_to_the_law():
    shown = Shown(START.but(ahead=1.0), SOURCE)
    x, y, low, high = shown.curves(50)["t5"]
    assert x[0] == t5()[0].min() and x[-1] == pytest.approx(t5()[0].max() * 10)
    np.testing.assert_array_equal(y, shown.fit.predict(x))
    np.testing.assert_array_equal((low, high), shown.fit.band(x))
    joint = Shown(START.but(focus="joint", shown=("joint",), law="joint_exchanged"), SOURCE)
    assert joint.beside("joint") == 588800
    x, y, *_ = joint.curves(9)["joint"]
    np.testing.assert_array_equal(y, joint.fit.predict(x, 588800))


def test_a_picked_curve_is_drawn():
    params = {"gamma": 2e-2, "alpha": 0.4, "lambda_P": 0.0035}
    shown = Shown(START.but(curve=params), SOURCE)
    x, y = shown.picked()
    np.testing.assert_allclose(y, (2e-2 / x) ** 0.4 + 0.0035, rtol=1e-12)


def test_spaghetti_is_of_refits():
    shown = Shown(START, SOURCE)
    x, curves = shown.spaghetti(50)["t5"]
    fresh = fit("model_size", *t5(), bootstrap=50)
    law = fresh.law
    np.testing.assert_allclose(
        curves[7], law(x, **dict(zip(law.names, fresh.draws[7], strict=True))), rtol=1e-12
    )


def test_the_answers_are_those_of_the_scaling_wing():
    x, y = t5()
    found = fit("model_size", x, y, n_negatives=256)
    shown = Shown(START.but(overlay="table1:t5"), SOURCE)
    assert shown.influence.to_dict() == influence(found).to_dict()
    assert shown.comparison().to_dict() == compare(x, y, n_negatives=256).to_dict()
    held = published.hold(found, published.find("table1:t5")[0])
    assert shown.held.to_dict() == held.to_dict()
    assert set(held.verdicts) <= set(shown.verdicts)
    other = published.points(study="model_size", method="ngram", family="llama2")
    second = fit("model_size", other["n_params"], other["cgl"], n_negatives=256)
    names = ("T5, n-grams", "LLaMA-2, n-grams")
    assert shown.crossings["llama"].places == crossing(found, second, names=names).places
    assert isinstance(Shown(START.but(overlay="table3:t5:k=5"), SOURCE).held, str)
    assert isinstance(shown.allocation(1e20), str)


def test_typed_noise_columns_replicates_and_resamples():
    x, y = t5()
    assert Shown(START.but(sd=1e-6), SOURCE).fit.intervals == fit("model_size", x, y, sd=1e-6).intervals
    boot = Shown(START.but(bootstrap=300), SOURCE).fit
    assert boot.intervals == fit("model_size", x, y, bootstrap=300).intervals
    own = frame_source(pd.DataFrame({"P": x, "CGL": y, "sd": 2e-6}))
    assert Shown(opening(own), own).fit.intervals == fit("model_size", x, y, sd=[2e-6] * 5).intervals
    draws = y[:, None] + np.random.default_rng(1).normal(0, 1e-6, (5, 400))
    with_draws = Source("study", own.table.drop(columns="sd"), "P", "CGL", replicates={"points": draws})
    state = opening(with_draws).but(excluded=((3, ""),))
    kept = [0, 1, 3, 4]
    fresh = fit("model_size", x[kept], y[kept], replicates=draws[kept])
    assert Shown(state, with_draws).fit.intervals == fresh.intervals


def test_many_points_keep_the_profile_and_judge_rows_in_their_tab():
    source = many(150)
    state = opening(source)
    shown = Shown(state, source)
    assert shown.fit.spread.method.startswith("profile")
    assert shown.verdicts == shown.fit.findings
    assert Shown(state.but(tab="residuals"), source).verdicts == shown.fit.verdicts


def test_rows_without_numbers_are_dropped_and_told():
    table = pd.DataFrame({"P": [1e6, 1e7, 1e8, 1e9, 1e10], "CGL": [1.0, 0.5, np.nan, 0.3, 0.28]})
    shown = Shown(opening(frame_source(table)), frame_source(table))
    points = shown.points()
    assert points["used"].tolist() == [True, True, False, True, True]
    assert "CGL is empty" in points["reason"].iloc[2]
    assert "rows_dropped" in {one.code for one in shown.verdicts}


def test_what_the_source_does_not_have_is_refused():
    with pytest.raises(BadInput):
        Shown(START.but(focus="x"), SOURCE)


def test_memory_is_bounded():
    shown = Shown(START, SOURCE)
    for i in range(120):
        shown = Shown(shown.state.but(ahead=i / 50, sd=1e-6 * (1 + i)), SOURCE, previous=shown)
        _ = shown.curves(), shown.verdicts
    assert len(shown.memory) <= 96
