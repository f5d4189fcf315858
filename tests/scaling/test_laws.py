"""Equations, the register, and that a fit's parameters belong to the printed equation."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Law, Nonlinear, Parameter, fit, get_law, law_names, laws, register
from genret_core.scaling.laws.law import _REGISTER, scaled

X = np.geomspace(1e6, 1e9, 7)


def test_equations_by_hand() -> None:
    assert laws.model_size(4e6, 1e6, 0.5, 0.1) == pytest.approx(0.6)
    assert laws.data_size(8e3, 1e3, 1 / 3, 0.25) == pytest.approx(0.75)
    assert laws.inference(100.0, 1.0, 0.5, 0.2) == pytest.approx(0.3)
    # ((1e4/1e6)^(2/1) + 1e3/1e6)^1 + 0.5
    assert laws.joint(1e6, 1e6, 1e4, 2.0, 1.0, 1e3, 0.5) == pytest.approx(1e-4 + 1e-3 + 0.5)
    assert laws.log_linear(np.e**2, 1.0, 0.25) == pytest.approx(0.5)
    assert laws.constant([1, 2, 3], 0.5).tolist() == [0.5] * 3


def test_a_miss_rate_is_clipped() -> None:
    law = get_law("inference")
    assert law(1e9, mu=2.71e9, sigma=0.3479, lambda_C=0.2779) == 1.0
    assert law(1e9, mu=2.71e9, sigma=0.3479, lambda_C=0.2779, clip=False) == pytest.approx(1.69, abs=0.005)


@pytest.mark.parametrize("name", ["model_size", "data_size", "inference", "power", "log_linear", "constant"])
def test_the_curve_is_the_equation(name: str) -> None:
    law = get_law(name)
    rng = np.random.default_rng(3)
    found = fit(law, X, 0.1 + 0.3 * (X / 1e6) ** -0.3 + 0.002 * rng.normal(size=X.size))
    assert found.predict(X) == pytest.approx(law(X, **found.params), rel=1e-9)


def test_the_joint_curve_is_the_equation() -> None:
    rng = np.random.default_rng(4)
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e4, 1e6, 4)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1) + 1e-3 * rng.normal(size=P.size)
    found = fit("joint", P, y, D)
    assert found.predict(P, D) == pytest.approx(found.law(P, D, **found.params), rel=1e-9)


def test_every_law_says_how_it_is_written() -> None:
    for name in law_names():
        law = get_law(name)
        assert law.equation.startswith(f"{law.y}({law.x}") and "\\" not in law.equation
        assert law.latex and law.html and law.citation
        assert len(law.parameters) == len(law.names) == len(set(law.names))


def test_unknown_laws_are_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean model_size"):
        get_law("modelsize")
    with pytest.raises(BadInput, match="needs alpha"):
        get_law("model_size")(1e6, gamma=1.0, lambda_P=0.0)
    with pytest.raises(BadInput, match="function of P alone"):
        get_law("model_size")(1e6, 2e6, gamma=1.0, alpha=1.0, lambda_P=0.0)


def exponential(x: np.ndarray, rate: float, height: float, floor: float) -> np.ndarray:
    return height * np.exp(-rate * np.asarray(x)) + floor


def own_law() -> Law:
    """Height * exp(-rate x) + floor: on u = ln(x / centre) the unknown is k = rate * centre."""
    return Law(
        name="exponential", title="Exponential", equation="y(x) = h e^(−r x) + L", html="y", latex="y",
        citation="test", x="x", y="y",
        parameters=(
            Parameter("rate", "r", "r", "exponent", "rate", 0, np.inf),
            Parameter("height", "h", "h", "scale", "value at x = 0", 0, np.inf),
            Parameter("floor", "L", "L", "floor", "floor", 0, np.inf),
        ),
        function=exponential,
        nonlinear=(Nonlinear("rate_at_centre", 1e-3, 1e3),),
        basis=lambda u, v, theta: scaled(-theta[..., :1] * np.expm1(u)),
        assemble=lambda sign, log_amplitude, floor, theta, centres: {
            "rate": theta[..., 0] / np.exp(centres[0]),
            "height": np.exp(log_amplitude + theta[..., 0]),
            "floor": floor,
        },
    )  # fmt: skip


def test_an_own_law_is_fitted_like_the_others() -> None:
    law = own_law()
    x = np.linspace(1, 20, 9)
    try:
        register(law)
        found = fit("exponential", x, exponential(x, 0.3, 2.0, 0.5))
        assert found.params == pytest.approx({"rate": 0.3, "height": 2.0, "floor": 0.5}, rel=1e-6)
        with pytest.raises(BadInput, match="already"):
            register(law)
        assert register(law, replace=True) is law
    finally:
        _REGISTER.pop("exponential", None)
