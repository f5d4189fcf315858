"""Printed coefficients held against points: the recorded R², brute force for the rounding, planted faults."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, published
from genret_core.scaling.published import PublishedLaw
from genret_core.scaling.published.held import Held, hold


def law_of(identifier: str) -> PublishedLaw:
    (law,) = published.find(identifier)
    return law


def our_fit(identifier: str, law: str | None = None) -> Fit:
    points = published.behind(law_of(identifier))
    assert points is not None
    return fit(law or law_of(identifier).law, points.x, points.y, points.x2)


@pytest.fixture(scope="module")
def joint() -> Held:
    return hold(our_fit("eq8", "joint_exchanged"), law_of("eq8"))


@pytest.mark.parametrize(
    ("identifier", "R2"), [("table1:t5", 0.9755), ("table1:llama", 0.9987), ("table2:ngram", 0.9993)]
)
def test_r2_of_the_printed_digits(identifier: str, R2: float) -> None:
    held = hold(our_fit(identifier), law_of(identifier))
    assert round(held.R2, 4) == R2
    assert held.sse_exchanged is None and not held.swapped
    assert held.rounding_share > 0.999, "the optimum itself lies within the last printed digits"
    (verdict,) = held.verdicts
    assert verdict.code == "better_than_published" and "rounding of the printed digits explains it" in str(
        verdict
    )


def test_the_joint_law_is_exchanged_and_far_from_its_optimum(joint: Held) -> None:
    assert joint.swapped and round(joint.R2, 4) == 0.9641
    assert joint.ratio == pytest.approx(11_000, rel=0.02)
    assert joint.sse == pytest.approx(4.1746e-10, rel=1e-4) and joint.sse_as_printed > 10
    assert [v.code for v in joint.verdicts] == ["swapped_arguments", "better_than_published"]
    assert 0.1 < joint.rounding_share < 0.5
    assert round(joint.R2_nearby, 3) == law_of("eq8").R2, "the printed R² is of digits that were not printed"


def test_points_alone_are_fitted_in_the_better_order(joint: Held) -> None:
    alone = hold(joint.points, law_of("eq8"))
    assert alone.sse_fit == pytest.approx(joint.sse_fit, rel=1e-6)
    assert alone.fit.law.name == "joint_exchanged" and alone.swapped


def test_exchanged_arguments_are_found_whichever_way_the_points_are_given() -> None:
    points = published.behind(law_of("eq8"))
    assert points is not None and points.x2 is not None
    mixed_up = fit("joint", points.x2, points.y, points.x)  # D where P belongs
    held = hold(mixed_up, law_of("eq8"))
    assert not held.swapped and round(held.R2, 4) == 0.9641


def test_rounding_our_own_optimum_costs_what_it_costs() -> None:
    found = our_fit("table1:t5")
    held = hold(found, law_of("table1:t5"))
    digits = {"gamma": 0.0225, "alpha": 0.40, "lambda_P": 0.00356}
    residuals = found.y - ((digits["gamma"] / found.x) ** digits["alpha"] + digits["lambda_P"])
    assert held.sse_fit_rounded == pytest.approx(float(residuals @ residuals), rel=1e-9)
    assert held.R2_rounded < 0.98, "2.4 points of R² for want of digits"


def test_the_best_nearby_digits_against_a_fine_grid() -> None:
    """Planted off the printed T5 curve, so that the optimum lies outside the box of last digits."""
    law, x = law_of("table1:t5"), np.geomspace(4e7, 1e10, 6)
    y = np.asarray(law.predict(x)) + np.array([6e-6, -3e-6, 2e-6, 4e-6, 7e-6, 9e-6])
    held = hold(fit("model_size", x, y), law)
    gamma = np.linspace(2.25e-2, 2.27e-2, 201)[:, None, None]
    alpha = np.linspace(0.39, 0.41, 201)[None, :, None]
    term = (gamma / x) ** alpha
    floor = np.clip((y - term).mean(axis=-1), 0.00355, 0.00357)[..., None]
    brute = float(((y - term - floor) ** 2).sum(axis=-1).min())
    assert held.sse_nearby <= brute * (1 + 1e-12)
    assert held.sse_nearby == pytest.approx(brute, rel=1e-3)
    assert held.sse_fit < held.sse_nearby < held.sse
    for name, middle, reach in (("gamma", 2.26e-2, 1e-4), ("alpha", 0.40, 0.01), ("lambda_P", 0.00356, 1e-5)):
        assert abs(held.nearby[name] - middle) <= reach * (1 + 1e-9)


def test_the_best_nearby_digits_of_the_joint_law_against_random_ones(joint: Held) -> None:
    law, rng = law_of("eq8"), np.random.default_rng(0)
    middle = np.array([6.32e3, 3.27, 0.95, 3.37e5, 3.26e-3])
    reach = np.array([10.0, 0.01, 0.01, 1e3, 1e-5])
    drawn = middle + reach * rng.uniform(-1, 1, (100_000, 5))
    D, P = joint.points.x2, joint.points.x
    curves = law.described.function(D, P, *(drawn[:, j, None] for j in range(5)))
    least = float(((joint.points.y - curves) ** 2).sum(axis=1).min())
    assert joint.sse_nearby <= least
    assert joint.sse_nearby > 0.8 * least


def test_worse_than_published_needs_a_fit_that_was_held_back() -> None:
    law, x = law_of("table1:t5"), np.geomspace(4e7, 1e10, 8)
    y = np.asarray(law.predict(x))
    assert not hold(fit("model_size", x, y), law).verdicts, "the printed curve itself: neither is better"
    no_floor = hold(fit("power", x, y), law)
    assert [v.code for v in no_floor.verdicts] == ["worse_than_published"]
    assert no_floor.sse_fit_rounded is None and no_floor.ratio < 1
    off = y.copy()
    off[:4] += np.array([3e-5, -3e-5, 3e-5, -3e-5])
    part, whole = fit("model_size", x[:4], off[:4]), fit("model_size", x, y)
    assert "worse_than_published" in {v.code for v in hold(part, law, whole.points).verdicts}


def test_a_perfect_fit_has_no_ratio() -> None:
    held = hold(our_fit("table1:llama"), law_of("table1:llama"))
    assert np.isinf(held.ratio) and held.to_dict()["ratio"] is None
    assert "passes through every point" in str(held.verdicts[0])


def test_what_cannot_be_held_against_each_other() -> None:
    with pytest.raises(BadInput, match="Eqs 9-10 prints a law in P and D"):
        hold(our_fit("table1:t5"), law_of("eq8"))
    with pytest.raises(BadInput, match="Table 2 prints CGL as a law in D, but the law model_size"):
        hold(our_fit("table1:t5"), law_of("table2:ngram"))


def test_it_reads_as_a_table_and_serialises(joint: Held) -> None:
    told = str(joint)
    assert "Eqs 9-10, P and D exchanged" in told and "better_than_published" in told
    assert "<table>" in joint._repr_html_() and "swapped_arguments" in joint._repr_html_()
    plain = joint.to_dict()
    assert plain["id"] == "eqs9-10" and plain["printed"]["beta"] == "0.95" and plain["swapped"] is True
