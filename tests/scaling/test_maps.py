"""Profiles and maps against refits by another solver, and their ends against the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, laws, published
from genret_core.scaling.intervals.maps import profile_curve, profile_map


@pytest.fixture(scope="module")
def t5() -> Fit:
    points = published.points(study="model_size", method="ngram", family="t5")
    return fit("model_size", points["n_params"], points["cgl"])


def best_with(f: Fit, *, alpha: float | None = None, floor: float | None = None) -> float:
    """Refit with numbers held, by scipy: the sum of squares over the residual variance of the fit."""
    u, scale = np.log(f.x) - np.log(f.x).mean(), np.ptp(f.y)

    def residuals(p: np.ndarray) -> np.ndarray:
        rest = list(p[1:])
        a = np.log(alpha) if alpha is not None else rest.pop(0)
        c = floor if floor is not None else rest.pop(0) * scale
        return (np.exp(p[0] - np.exp(a) * u) * scale + c - f.y) / scale

    start = [np.log(f.derived["amplitude_at_centre"] / scale)]
    start += [] if alpha is not None else [np.log(f.params["alpha"])]
    start += [] if floor is not None else [f.params["lambda_P"] / scale]
    found = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
    return 2 * float(found.cost) * scale**2 / (f.sse / f.dof)


def test_profiles_are_refits_with_the_number_held(t5: Fit) -> None:
    for name, held in (("alpha", "alpha"), ("lambda_P", "floor")):
        curve = profile_curve(t5, name, 21)
        for value, excess in list(zip(curve.values, curve.excess, strict=True))[::5]:
            assert excess == pytest.approx(best_with(t5, **{held: value}) - t5.dof, rel=1e-3, abs=1e-6)
        assert curve.excess.min() == pytest.approx(0, abs=1e-9)


def test_profiles_pass_their_threshold_at_the_ends_of_the_interval(t5: Fit) -> None:
    for name in ("alpha", "lambda_P"):
        curve, interval = profile_curve(t5, name, 401), t5.interval(name)
        inside = curve.values[curve.excess <= curve.threshold95]
        step = float(np.diff(curve.values).max())
        assert interval is not None
        assert interval.lo == pytest.approx(inside.min(), abs=1.01 * step)
        assert interval.hi == pytest.approx(inside.max(), abs=1.01 * step)


def test_the_map_holds_two_numbers_and_gives_their_curve(t5: Fit) -> None:
    found = profile_map(t5, 15)
    for i, j in ((2, 3), (7, 7), (12, 9)):
        alpha, floor = float(found.exponents[i]), float(found.floors[j])
        assert found.excess[i, j] == pytest.approx(best_with(t5, alpha=alpha, floor=floor) - t5.dof, rel=1e-4)
        params = found.params(i, j)
        assert (params["alpha"], params["lambda_P"]) == (alpha, floor)
        sse = float(((laws.model_size(t5.x, **params) - t5.y) ** 2).sum())
        assert found.excess[i, j] == pytest.approx(sse / (t5.sse / t5.dof) - t5.dof, rel=1e-6)


def test_profiles_of_a_law_of_two_arguments() -> None:
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 4), np.geomspace(1e4, 1e6, 4)))
    y = laws.surface(P, D, 0.1, 50, 30, 0.4, 0.5) + 1e-3 * np.random.default_rng(0).normal(size=16)
    f = fit("surface", P, y, D)
    curve, interval = profile_curve(f, "alpha", 301), f.interval("alpha")
    inside = curve.values[curve.excess <= curve.threshold95]
    assert interval is not None and interval.lo == pytest.approx(inside.min(), rel=0.05)
    assert interval.hi == pytest.approx(inside.max(), rel=0.05)


def test_what_has_no_profile_says_so(t5: Fit) -> None:
    with pytest.raises(BadInput, match="no profile of 'gamma'"):
        profile_curve(t5, "gamma")
    with pytest.raises(BadInput, match="No degree of freedom"):
        profile_curve(fit("model_size", t5.x[:3], t5.y[:3]), "alpha")
    with pytest.raises(BadInput, match="one exponent and a floor"):
        profile_map(fit("power", t5.x, t5.y))
