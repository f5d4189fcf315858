"""The most informative next run: against fits that have it, and against simulated ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit
from genret_core.scaling.planning import next_run

X = np.geomspace(1e6, 1e9, 6)
CURVE = 0.2 + (2e5 / X) ** 0.5
SD = 2e-3
Z = 1.959963984540054


def truth(x: np.ndarray) -> np.ndarray:
    return 0.2 + (2e5 / x) ** 0.5


def stderr(f: Fit) -> dict[str, float]:
    return f.plane.stderr(1.0)  # known noise: residuals of weight 1 have variance 1


def with_run(x: float) -> Fit:
    """The fit that has the run, at the value the curve gives it: the optimum does not move."""
    both = np.append(X, x)
    return fit("model_size", both, truth(both), sd=SD, intervals=False)


def test_a_half_width_is_that_of_the_fit_with_the_run() -> None:
    f = fit("model_size", X, CURVE, sd=SD)
    for target in ("alpha", "lambda_P", "gamma", "amplitude_at_centre"):
        found = next_run(f, candidates=[3e5, 4e7, 6e9], target=target)
        assert found.half_width == pytest.approx(Z * stderr(f)[target], rel=1e-6)
        if target == "amplitude_at_centre":
            continue  # with another point the centre is another
        for one in found:
            assert one.half_width == pytest.approx(Z * stderr(with_run(one.x))[target], rel=1e-5)
            assert one.drop == pytest.approx(1 - one.half_width / found.half_width)
    assert next_run(f).target == "alpha" and len(next_run(f)) == 25


def test_a_prediction_is_narrowed_as_its_band_is() -> None:
    """For a straight line the band is exact: leverage of the place, in closed form."""
    t = np.log(X)
    f = fit("log_linear", X, 0.9 - 0.02 * t, sd=SD)
    found = next_run(f, candidates=X * 3, target=1e10)

    def half_width(x: np.ndarray) -> float:
        design = np.stack([np.ones_like(x), np.log(x)], axis=1)
        at = np.array([1.0, np.log(1e10)])
        return float(Z * SD * np.sqrt(at @ np.linalg.inv(design.T @ design) @ at))

    assert found.half_width == pytest.approx(half_width(X), rel=1e-9)
    for one in found:
        assert one.half_width == pytest.approx(half_width(np.append(X, one.x)), rel=1e-9)
    assert found.best is not None and found.best.x == X[-1] * 3 and found.target == "y at x = 1.000e+10"


def test_the_run_recommended_narrows_refits_most() -> None:
    """2,000 simulated sets with each candidate: how much less the refitted exponent scatters than without."""
    rng, sets = np.random.default_rng(4), 2000
    candidates = np.geomspace(2e5, 1e10, 10)
    found = next_run(fit("model_size", X, CURVE, sd=SD), candidates=candidates)

    def scatter(f: Fit) -> float:
        refits = f.refit(Y=f.y + rng.normal(0, SD, (sets, f.n)))
        return float(np.std(refits.parameters(f.points.centres)["alpha"]))

    today = scatter(fit("model_size", X, CURVE, sd=SD, intervals=False))
    simulated = np.array([1 - scatter(with_run(x)) / today for x in candidates])
    predicted = np.array([one.drop for one in found])
    assert np.corrcoef(predicted, simulated)[0, 1] > 0.98
    assert np.abs(predicted - simulated).max() < 0.05
    best = int(predicted.argmax())
    assert simulated[best] == simulated.max()
    assert found.best is not None and found.best.x == candidates[best]


def test_runs_of_two_arguments_are_weighed_with_what_they_cost() -> None:
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e8, 1e10, 4)))

    def surface(P: np.ndarray, D: np.ndarray) -> np.ndarray:
        return 1.8 + 480 / P**0.35 + 2000 / D**0.37

    f = fit("surface", P, surface(P, D), D, sd=5e-3, intervals=False)
    places = [[1e6, 1e10], [1e7, 1e9], [1e10, 1e11]]
    found = next_run(f, candidates=places, target="alpha", cost=lambda P, D: 6 * P * D, budget=1e20)
    for one, (a, b) in zip(found, places, strict=True):
        both = np.append(P, a), np.append(D, b)
        more = fit("surface", both[0], surface(*both), both[1], sd=5e-3, intervals=False)
        assert one.half_width == pytest.approx(Z * stderr(more)["alpha"], rel=1e-4)
        assert one.cost == 6 * a * b and one.affordable == (6 * a * b <= 1e20)
        assert one.drop_per_cost == pytest.approx(one.drop / (6 * a * b))
    assert found.best is not None and found.best.x2 == 1e10 and found.best_value in list(found)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["best"]["x"] == 1e6 and told["candidates"][2]["affordable"] is False
    assert "too dear" in str(found) and "P = " in found.sentence()
    assert len(next_run(f)) == 81
    poor = next_run(f, candidates=places, cost=[1.0, 2.0, 3.0], budget=0.5)
    assert poor.best is None and poor.sentence() == "No candidate is within the budget."


def test_unknown_noise_has_students_quantile_and_one_degree_more() -> None:
    noise = 1e-3 * np.array([1, -2, 1.5, 0.3, -1, 0.4])
    f = fit("model_size", X, CURVE + noise)
    found = next_run(f, candidates=[1e9 * 3])
    assert found.half_width == pytest.approx(3.182446305 * f.stderr["alpha"], rel=1e-6)  # t, 3 degrees
    known = next_run(f, candidates=[1e9 * 3], sd=SD)
    ratio = (found.candidates[0].half_width / found.half_width) / (
        known.candidates[0].half_width / known.half_width
    )
    assert ratio == pytest.approx(2.776445105 / 3.182446305, rel=1e-9)  # t, 4 degrees against 3
    assert "3 degrees of freedom" in found.noise and "known" in known.noise


def test_robust_objectives_are_weighed_on_their_own_scale() -> None:
    """On log residuals a run counts by how much the curve moves relative to itself."""
    x = np.geomspace(1e6, 1e9, 12)
    y = truth(x) * np.exp(np.random.default_rng(1).normal(0, 0.01, 12))
    huber = next_run(fit("model_size", x, y, objective="huber", delta=1.0, intervals=False), candidates=X * 2)
    relative = next_run(fit("model_size", x, y, objective="relative", intervals=False), candidates=X * 2)
    np.testing.assert_allclose(
        [one.half_width for one in huber], [one.half_width for one in relative], rtol=0.1
    )


def test_what_cannot_be_planned_says_what_is_needed() -> None:
    saturated = fit("model_size", X[:3], CURVE[:3])
    with pytest.raises(BadInput, match="give sd, the standard deviation") as error:
        next_run(saturated)
    assert error.value.code == "too_few_points"
    assert next_run(saturated, sd=SD, candidates=[1e9]).candidates[0].drop > 0
    f = fit("model_size", X, CURVE, sd=SD)
    with pytest.raises(BadInput, match="no parameter 'beta'; there are gamma, alpha, lambda_P"):
        next_run(f, target="beta")
    with pytest.raises(BadInput, match="no place to predict at; give one positive number"):
        next_run(f, target=(1e9, 1e9))
    with pytest.raises(BadInput, match="A budget needs a cost"):
        next_run(f, budget=1.0)
    with pytest.raises(BadInput, match="positive number in each argument"):
        next_run(f, candidates=[-1.0])
    with pytest.raises(BadInput, match="nothing to narrow"):
        next_run(fit("model_size", X, CURVE[::-1], intervals=False))
    step = fit("model_size", X, np.where(X > 2e6, 0.2, 1.0), sd=SD, intervals=False)
    with pytest.raises(BadInput, match="edge of its search"):
        next_run(step)
    assert next_run(step, target=1e9, candidates=[1e8]).candidates[0].drop > 0


def test_it_prints_the_best_candidates() -> None:
    found = next_run(fit("model_size", X, CURVE, sd=SD, names={"x": "<P>"}))
    assert "The best 12 of 25 candidates are shown." in str(found) and found.sentence() in str(found)
    assert "<P>" not in found._repr_html_() and found._repr_html_().count("<tr>") == 13
