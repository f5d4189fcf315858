"""A fit prints, serialises and speaks; and keeps its digits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit
from genret_core.scaling.wording import number, sentence

X = np.geomspace(1e6, 1e9, 6)
Y = 0.2 + 0.5 * (X / X[0]) ** -0.5 + 1e-3 * np.array([1, -2, 1.5, 0.3, -1, 0.4])


@pytest.fixture(scope="module")
def found() -> Fit:
    return fit("model_size", X, Y)


def test_json_keeps_every_digit_and_names_open_ends(found: Fit) -> None:
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {name: one["value"] for name, one in told["params"].items()} == found.params  # to the last bit
    assert told["points"]["fitted"] == found.fitted.tolist()
    alpha = told["params"]["alpha"]
    assert alpha["ci95"] == [found.intervals["alpha"].lo, found.intervals["alpha"].hi] and alpha["identified"]
    assert alpha["ci95"][0] < alpha["ci68"][0] < alpha["value"] < alpha["ci68"][1] < alpha["ci95"][1]
    assert told["amplitude"]["value"] == found.derived["amplitude_at_centre"]
    pinned = fit("model_size", X, 0.5 * (X / X[0]) ** -0.1 * (1 + 0.002 * np.arange(6))).to_dict()
    floor = pinned["params"]["lambda_P"]
    assert floor["ci95"][0] is None and floor["open"] == ["low"] and not floor["identified"]
    undefined = json.loads(json.dumps(fit("model_size", X, Y[::-1]).to_dict(), allow_nan=False))
    assert undefined["params"]["alpha"]["value"] is None
    assert {"saturated", "aicc_undefined"} & {v["code"] for v in undefined["verdicts"]} == set()


def test_it_prints_as_a_table(found: Fit) -> None:
    text = str(found)
    assert "Model size (Eq. 6): CGL(P) = (γ/P)^α + λ_P" in text
    assert "95% interval" in text and "of the falling term at P = 3.16e+07" in text
    assert found.sentence() in text and found.covers in text


def test_names_are_escaped_in_html() -> None:
    html = fit("model_size", X, Y, names={"x": "<b>P</b>", "y": "a & b"})._repr_html_()
    assert "<b>P" not in html and "&lt;b&gt;P&lt;/b&gt;" in html and "a &amp; b" in html
    assert html.count("<tr>") == 6


def test_sentences_follow_the_numbers(found: Fit) -> None:
    alpha, floor = found.intervals["alpha"], found.intervals["lambda_P"]
    assert found.sentence().startswith("CGL falls with P: exponent 0.50")
    assert f"{alpha.lo:.3f}" in found.sentence() and f"{floor.hi:.3f}" in found.sentence()
    other = fit("inference", X, Y, names={"x": "FLOPs", "y": "MR@5"}).sentence()
    assert other.startswith("MR@5 falls with FLOPs")
    assert sentence(fit("constant", X, Y)).startswith("y does not depend on x under this law")
    assert fit("log_linear", X, Y).sentence().startswith("y falls with x")


def test_the_joint_law_names_its_columns() -> None:
    from genret_core.scaling import laws

    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e8, 3), np.geomspace(1e4, 1e6, 3)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1)
    draws = y[:, None] * (1 + 1e-3 * np.random.default_rng(0).normal(size=(9, 40)))
    text = str(fit("joint", D, y, P, replicates=draws, names={"x": "pairs", "x2": "parameters"}))
    assert "where P is pairs, D is parameters" in text
    assert "the parameters at which the falling term is 1" in text  # eta belongs to the second argument


def test_prediction_keeps_the_shape_and_refuses_nonsense(found: Fit) -> None:
    assert np.shape(found.predict(1e7)) == ()
    grid = np.geomspace(1e6, 1e10, 6).reshape(2, 3)
    low, high = found.band(grid)
    assert found.predict(grid).shape == low.shape == high.shape == (2, 3)
    assert (low <= found.predict(grid)).all() and (found.predict(grid) <= high).all()
    with pytest.raises(BadInput, match="P must be positive to be predicted at; got -1"):
        found.predict([1e6, -1])
    with pytest.raises(BadInput, match="function of P alone"):
        found.predict(1e6, 1e6)


def test_numbers_have_the_digits_of_their_interval() -> None:
    assert number(0.0921437, 0.013) == "0.092"
    assert number(0.003555572, 5.1e-5) == "0.003556"
    assert number(0.40215) == "0.4022"
    assert number(2.2493e-5, 1e-6) == "2.25e-05"
    assert number(1.2412e8) == "1.241e+08"
    assert number(float("nan")) == "undefined" and number(0.0) == "0"
    assert number(-0.5, 0.1) == "-0.50"


def test_a_fit_can_be_pickled(found: Fit) -> None:
    import pickle

    again = pickle.loads(pickle.dumps(found))
    assert again.params == found.params and again.band(X)[0] == pytest.approx(found.band(X)[0])
