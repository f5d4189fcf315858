"""The second solver: against a third one, on every law and objective, on odd data, on a fit that is wrong."""

from __future__ import annotations

import dataclasses
import json
import warnings
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from genret_core.scaling import Fit, fit, get_law, law_names, published
from genret_core.scaling.second_opinion import second_solver
from genret_core.scaling.second_opinion.losses import Losses

from .second_opinion import power_with_floor

PACKAGE_LAWS = tuple(law_names())


def planted(law: str, objective: str = "ols", **options: object) -> Fit:
    """Noisy points with a trend that every law can follow in part."""
    rng = np.random.default_rng(3)
    if get_law(law).x2 is None:
        x = np.geomspace(1e6, 1e9, 14)
        y = 0.2 + 0.5 * (x / 1e6) ** -0.4 + 0.01 * rng.normal(size=14)
        return fit(law, x, y, objective=objective, intervals=False, **options)
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e4, 1e6, 4)))
    y = 0.3 + 0.2 * (P / 1e7) ** -0.35 + 0.1 * (D / 1e5) ** -0.28
    y = y * (1 + 0.005 * rng.normal(size=P.size))
    return fit(law, P, y, D, objective=objective, intervals=False, **options)


@pytest.mark.parametrize("law", PACKAGE_LAWS)
def test_every_law_is_confirmed(law: str) -> None:
    found = second_solver(planted(law))
    assert found.agrees, str(found)
    assert abs(found.excess) < 1e-8 and found.reached is not None and found.reached > 0


@pytest.mark.parametrize("law", ["model_size", "surface", "log_linear"])
@pytest.mark.parametrize("objective", ["relative", "huber", "lad", "logit"])
def test_every_objective_is_confirmed(law: str, objective: str) -> None:
    f = planted(law, objective)
    found = second_solver(f)
    assert found.agrees, str(found)
    assert found.ours == pytest.approx(f.objective_value, rel=1e-9)


def test_the_published_points_against_a_third_solver() -> None:
    rows = published.points(study="model_size", method="ngram", family="t5")
    f = fit("model_size", rows["n_params"], rows["cgl"])
    found = second_solver(f)
    _, _, _, sse = power_with_floor(rows["n_params"].to_numpy(float), rows["cgl"].to_numpy())
    assert found.agrees and found.objective == pytest.approx(sse, rel=1e-8)
    assert found.objective == pytest.approx(1.502e-11, rel=5e-4)


def test_the_published_joint_points() -> None:
    rows = published.points(method="ngram", family="llama2")
    exchanged = second_solver(fit("joint_exchanged", rows["n_params"], rows["cgl"], rows["n_pairs"]))
    assert exchanged.agrees and exchanged.objective == pytest.approx(3.84e-14, rel=5e-4)
    assert second_solver(fit("joint", rows["n_params"], rows["cgl"], rows["n_pairs"])).agrees  # at an edge


def test_weights_and_known_noise_are_those_of_the_fit() -> None:
    rng = np.random.default_rng(4)
    x = np.geomspace(1, 1e3, 9)
    y, uneven = 0.3 + 0.6 * x**-0.5 + 0.02 * rng.normal(size=9), rng.uniform(0.5, 2.0, 9)
    for options in ({"weights": uneven}, {"sd": 0.02 * uneven}, {"weights": uneven, "objective": "huber"}):
        found = second_solver(fit("model_size", x, y, intervals=False, **options))
        assert found.agrees, f"{options}: {found}"


@pytest.mark.parametrize("objective", ["ols", "relative", "huber", "lad", "logit"])
def test_losses_are_those_of_the_definition(objective: str) -> None:
    x, y = np.geomspace(1, 100, 6), np.array([0.9, 0.62, 0.5, 0.41, 0.39, 0.33])
    weights, curve = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 0.5]), np.array([0.8, 0.6, 0.5, 0.45, 0.38, 0.36])
    f = fit("model_size", x, y, weights=weights, objective=objective, delta=0.05, intervals=False)
    log = np.log(curve / y)
    per_point = {
        "ols": (curve - y) ** 2,
        "relative": (curve / y - 1) ** 2,
        "huber": [r * r / 2 if abs(r) <= 0.05 else 0.05 * (abs(r) - 0.025) for r in log],
        "lad": np.abs(log),
        "logit": (np.log(curve / (1 - curve)) - np.log(y / (1 - y))) ** 2,
    }[objective]
    losses = Losses(f.points)
    assert losses.of_curve(curve) == pytest.approx(float(weights @ per_point), rel=1e-12)
    assert losses.of_curve(f.fitted) == pytest.approx(f.objective_value, rel=1e-9)


def test_a_fit_that_is_no_optimum_is_found_out() -> None:
    f = planted("model_size")
    off = {**f.params, "alpha": f.params["alpha"] * 1.1}
    wrong = SimpleNamespace(law=f.law, points=f.points, params=off, fitted=f.fitted)
    found = second_solver(cast(Fit, wrong))
    assert not found.agrees and found.excess < -0.01
    assert "not the optimum" in str(found)
    assert found.objective == pytest.approx(f.objective_value, rel=1e-9)


@pytest.mark.parametrize(
    ("law", "y"),
    [
        ("model_size", [0.5, 0.5, 0.5, 0.5]),  # flat
        ("model_size", [0.1, 0.2, 0.3, 0.4]),  # rises
        ("model_size", [0.9, 0.5, 0.5, 0.5]),  # falls at once: exponent at its edge
        ("power", [0.9, 0.5, 0.3, 0.2]),
        ("exponential", [0.9, 0.3, 0.3, 0.3]),
    ],
)
def test_odd_data_are_answered_in_silence(law: str, y: list[float]) -> None:
    f = fit(law, [1.0, 10.0, 100.0, 1000.0], y, intervals=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = second_solver(f)
    assert found.agrees, str(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["agrees"]


def test_parameters_that_no_float_holds_are_no_objection() -> None:
    """With the exponent at its lower edge gamma is e^-3000: the equation is lost, the curve is not."""
    x = np.geomspace(1e6, 1e8, 9)
    f = fit("model_size", x, 0.05 * (1 - 0.0004 * np.log(x / 1e6)), intervals=False)
    assert f.params["gamma"] == 0
    found = second_solver(f)
    assert found.agrees and found.ours == pytest.approx(f.objective_value, rel=1e-8)


def test_no_degree_of_freedom() -> None:
    found = second_solver(fit("model_size", [1.0, 10.0, 100.0], [0.9, 0.5, 0.4]))
    assert found.agrees and found.objective < 1e-20 and abs(found.excess) < 1e-12


def test_the_same_points_give_the_same_digits() -> None:
    f = planted("joint")
    assert second_solver(f) == second_solver(f)
    assert second_solver(f, starts=3).starts == 3


def test_a_law_without_values_says_so() -> None:
    f = planted("model_size")

    def no_value(u: np.ndarray, v: np.ndarray | None, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((*theta.shape[:-1], u.size), np.nan), np.zeros(theta.shape[:-1])

    points = dataclasses.replace(f.points, law=dataclasses.replace(f.law, basis=no_value))
    nowhere = SimpleNamespace(law=points.law, points=points, params=f.params, fitted=f.fitted)
    found = second_solver(cast(Fit, nowhere))
    assert "not run" in str(found) and not found.agrees
    assert found.to_dict()["objective"] is None
    assert "<p>" in found._repr_html_()
