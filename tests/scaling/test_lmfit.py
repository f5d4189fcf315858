"""The fit as lmfit has it: it stays at our optimum, and its profiles are ours."""

from __future__ import annotations

import warnings

import lmfit
import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit, get_law, law_names, laws, published
from genret_core.scaling.lmfit_face import lmfit_intervals, to_lmfit

PACKAGE_LAWS = tuple(law_names())


@pytest.fixture(scope="module")
def t5() -> Fit:
    rows = published.points(study="model_size", method="ngram", family="t5")
    return fit("model_size", rows["n_params"], rows["cgl"])


def planted(law: str, scale: float = 1.0, **options: object) -> Fit:
    """Noisy points of a law that has an optimum within its search range."""
    rng = np.random.default_rng(5)
    if get_law(law).x2 is not None:
        P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e4, 1e6, 4)))
        y = {
            "joint": lambda: laws.joint(P, D, 3e5, 0.35, 0.6, 2e3, 0.2),
            "joint_exchanged": lambda: laws.joint(D, P, 2e3, 0.35, 0.6, 3e5, 0.2),
            "surface": lambda: 0.2 + 0.3 * (P / 1e7) ** -0.35 + 0.2 * (D / 1e5) ** -0.28,
        }[law]()
        y = y * (1 + 0.003 * rng.normal(size=y.size))
        return fit(law, P, scale * y, D, intervals=False, **options)
    x = np.geomspace(1e6, 1e9, 24)
    log = np.log10(x)
    y = {
        "constant": 0.4 + 0 * x,
        "log_linear": 1.5 - 0.1 * log,
        "exponential": 0.3 + 0.5 * np.exp(-x / 1e8),
        "broken": 0.1 + 0.8 * (x / 1e6) ** -0.1 * (1 + (x / 3e7) ** 2) ** -0.2,
        "power": 0.8 * (x / 1e6) ** -0.2,
    }.get(law, 0.3 + 0.5 * (x / 1e6) ** -0.4)
    return fit(law, x, scale * (y + 0.003 * rng.normal(size=x.size)), intervals=False, **options)


@pytest.mark.parametrize("law", PACKAGE_LAWS)
@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_lmfit_does_not_leave_our_optimum(law: str, scale: float) -> None:
    f = planted(law, scale)
    result = to_lmfit(f)
    assert result.success and result.chisqr * f.points.scale**2 == pytest.approx(f.sse, rel=1e-8)
    assert result.best_fit == pytest.approx(f.fitted, rel=1e-5)
    assert any(abs(p.init_value / p.value - 1) > 1e-5 for p in result.params.values() if p.vary), "it moved"
    for name in f.law.names:  # those that lmfit varies, and those that follow as expressions
        assert result.params[name].value == pytest.approx(f.params[name], rel=2e-4), name


@pytest.mark.parametrize(
    "options",
    [{"objective": "relative"}, {"weights": np.linspace(0.5, 2, 24)}, {"sd": np.linspace(0.002, 0.004, 24)}],
)
def test_weights_are_those_of_the_fit(options: dict[str, object]) -> None:
    f = planted("model_size", **options)
    result = to_lmfit(f)
    assert result.chisqr * f.points.unit == pytest.approx(f.objective_value, rel=1e-8)
    assert result.params["alpha"].value == pytest.approx(f.params["alpha"], rel=1e-5)


def test_the_profile_of_lmfit_is_ours(t5: Fit) -> None:
    theirs = lmfit_intervals(t5)
    for name in ("alpha", "lambda_P"):
        ours = t5.intervals[name]
        assert (theirs[name].lo, theirs[name].hi) == pytest.approx((ours.lo, ours.hi), rel=1e-4)
    assert (theirs["alpha"].lo, theirs["alpha"].hi) == pytest.approx((0.276, 0.546), rel=0.02)


def test_known_noise_sets_the_errors_and_the_threshold() -> None:
    rows = published.points(study="model_size", method="ngram", family="llama2")
    f = fit("model_size", rows["n_params"], rows["cgl"], sd=1.8e-6)
    result, theirs = to_lmfit(f), lmfit_intervals(f)
    assert not result.scale_covar and result.params["alpha"].stderr == pytest.approx(0.25, abs=0.05)
    assert (theirs["alpha"].lo, theirs["alpha"].hi) == pytest.approx((1.97, 3.04), abs=0.01)


def test_reports_maps_and_bands_work(t5: Fit) -> None:
    result = to_lmfit(t5)
    report = result.fit_report()
    assert "alpha" in report and "C(log_amplitude, alpha)" in report and "exp(" in report
    alphas, floors, grid = lmfit.conf_interval2d(result, result, "alpha", "lambda_P", 5, 5, nsigma=2)
    assert grid.shape == (5, 5) and np.isfinite(grid).all() and np.isfinite([alphas, floors]).all()
    x = np.array([1e8, 1e9, 1e10])
    assert result.eval(x=x) == pytest.approx(t5.predict(x), rel=1e-6)
    assert float(result.eval(x=1e9)) == pytest.approx(float(t5.predict(1e9)), rel=1e-6)
    low, high = t5.band(x)
    ratio = 2 * result.eval_uncertainty(x=x, sigma=0.95) / (high - low)  # linearised, against the profile's
    assert ((ratio > 0.5) & (ratio < 2)).all()
    gamma = result.params["gamma"]
    assert gamma.expr and gamma.stderr > 0


def test_nothing_is_made_up_without_a_degree_of_freedom() -> None:
    rows = published.points(study="model_size", method="ngram", family="llama2")
    f = fit("model_size", rows["n_params"], rows["cgl"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = to_lmfit(f)
    assert not result.errorbars and result.covar is None
    assert all(p.stderr is None for p in result.params.values())
    assert result.params["alpha"].value == pytest.approx(2.4063, abs=5e-5)
    with pytest.raises(lmfit.MinimizerException):
        result.conf_interval()
    with pytest.raises(BadInput, match="0 degrees of freedom"):
        lmfit_intervals(f)


def test_repeated_rows_add_no_degree_of_freedom() -> None:
    rows = published.points(method="ngram", family="llama2")
    f = fit("joint_exchanged", rows["n_params"], rows["cgl"], rows["n_pairs"], intervals=False)
    result = to_lmfit(f)
    assert (f.n, result.ndata, result.nfree) == (8, 7, f.dof)
    assert result.chisqr * f.points.scale**2 == pytest.approx(3.84e-14, rel=5e-4)


def test_what_rests_on_its_bound_does_not_vary() -> None:
    x = np.geomspace(1, 1e3, 8)
    at_floor = to_lmfit(fit("model_size", x, 0.6 * x**-0.3 - 0.01, intervals=False))
    assert not at_floor.params["lambda_P"].vary and at_floor.params["lambda_P"].value == 0
    y = np.where(x == 1, 0.9, 0.5) + 0.001 * np.arange(8)
    at_edge = to_lmfit(fit("model_size", x, y, intervals=False))
    assert not at_edge.params["alpha"].vary and at_edge.params["alpha"].value == pytest.approx(60)


def test_an_own_law_has_its_parameters_too() -> None:
    law = laws.own_law(
        "stretched",
        lambda x, A, k, L: A * np.exp(-((x / 1e7) ** k)) + L,
        {"A": ..., "k": (0.05, 3.0), "L": ...},
        amplitude="A",
        floor="L",
        registered=False,
    )
    x = np.geomspace(1e6, 1e9, 12)
    f = fit(law, x, 0.6 * np.exp(-((x / 1e7) ** 0.4)) + 0.3 + 0.001 * np.cos(np.arange(12)), intervals=False)
    result = to_lmfit(f)
    for name in ("A", "k", "L"):
        assert result.params[name].value == pytest.approx(f.params[name], rel=1e-4)
    assert result.params["A"].stderr > 0


def test_what_lmfit_cannot_do_is_refused() -> None:
    x, y = np.geomspace(1, 1e3, 6), np.array([0.9, 0.62, 0.5, 0.41, 0.39, 0.33])
    for objective in ("huber", "lad", "logit"):
        with pytest.raises(BadInput, match=objective):
            to_lmfit(fit("model_size", x, y, objective=objective, intervals=False))
    with pytest.raises(BadInput, match="amplitude 0"):
        to_lmfit(fit("model_size", x, y[::-1], intervals=False))
    with pytest.raises(BadInput, match="no intervals"):
        lmfit_intervals(fit("constant", x, y, intervals=False))
