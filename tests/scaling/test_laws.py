"""Equations, the register, and that a fit's parameters belong to the printed equation."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Law, Nonlinear, Parameter, fit, get_law, law_names, laws, register
from genret_core.scaling.laws.law import _REGISTER, scaled

X = np.geomspace(1e6, 1e9, 12)


def test_equations_by_hand() -> None:
    assert laws.model_size(4e6, 1e6, 0.5, 0.1) == pytest.approx(0.6)
    assert laws.data_size(8e3, 1e3, 1 / 3, 0.25) == pytest.approx(0.75)
    assert laws.inference(100.0, 1.0, 0.5, 0.2) == pytest.approx(0.3)
    # ((1e4/1e6)^(2/1) + 1e3/1e6)^1 + 0.5
    assert laws.joint(1e6, 1e6, 1e4, 2.0, 1.0, 1e3, 0.5) == pytest.approx(1e-4 + 1e-3 + 0.5)
    assert laws.log_linear(np.e**2, 1.0, 0.25) == pytest.approx(0.5)
    assert laws.constant([1, 2, 3], 0.5).tolist() == [0.5] * 3
    # ((1e3/1e6)^(1/2) + 1e5/1e7)^2: gamma goes with the second argument
    assert laws.joint_exchanged(1e7, 1e6, 1e3, 1.0, 2.0, 1e5, 0.5) == pytest.approx(
        (10**-1.5 + 0.01) ** 2 + 0.5
    )
    assert laws.surface(1e4, 1e6, 1.5, 3.0, 7.0, 0.5, 1 / 3) == pytest.approx(1.5 + 0.03 + 0.07)
    assert laws.exponential(2.0, 3.0, 4.0, 0.5) == pytest.approx(3 / np.sqrt(np.e) + 0.5)
    # 16^-0.5 (1 + (16/4)^(1/0.5))^(-2 * 0.5) = 1/4 / 17
    assert laws.broken(16.0, 2.0, 0.5, 2.0, 4.0, 0.5, 0.1) == pytest.approx(2 / 4 / 17 + 0.1)


def test_equations_of_terms_that_are_not_there_or_rise() -> None:
    assert laws.surface(1e4, 1e6, 1.5, 0.0, -7.0, 0.5, 1 / 3) == pytest.approx(1.5 - 0.07)
    assert laws.exponential([2.0, 1e9], -3.0, 4.0, 0.5) == pytest.approx([0.5 - 3 / np.sqrt(np.e), 0.5])
    assert laws.broken(16.0, 0.0, 0.5, 2.0, 4.0, 0.5, 0.1) == pytest.approx(0.1)
    assert laws.surface(1e10, 1e6, 0.0, 1e300, 0.0, 30.5, 1.0) == pytest.approx(1e-5)


def test_the_orientation_of_the_joint_laws() -> None:
    """The coefficients of Eqs 9-10 are near the measured 0.0033500 in one orientation only."""
    P, D, printed = 6_607_343_616, 588_800, (6.32e3, 3.27, 0.95, 3.37e5, 3.26e-3)
    assert laws.joint_exchanged(P, D, *printed) == pytest.approx(0.0033439, abs=5e-8)
    assert laws.joint(P, D, *printed) == pytest.approx(0.5918, abs=5e-5)


def test_a_miss_rate_is_clipped() -> None:
    law = get_law("inference")
    assert law(1e9, mu=2.71e9, sigma=0.3479, lambda_C=0.2779) == 1.0
    assert law(1e9, mu=2.71e9, sigma=0.3479, lambda_C=0.2779, clip=False) == pytest.approx(1.69, abs=0.005)


@pytest.mark.parametrize(
    "name",
    ["model_size", "data_size", "inference", "power", "log_linear", "constant", "exponential", "broken"],
)
def test_the_curve_is_the_equation(name: str) -> None:
    law = get_law(name)
    rng = np.random.default_rng(3)
    found = fit(law, X, 0.1 + 0.3 * (X / 1e6) ** -0.3 + 0.002 * rng.normal(size=X.size))
    assert found.predict(X) == pytest.approx(law(X, **found.params), rel=1e-9)


@pytest.mark.parametrize("name", ["joint", "joint_exchanged", "surface"])
def test_the_curve_of_two_arguments_is_the_equation(name: str) -> None:
    rng = np.random.default_rng(4)
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e8, 4), np.geomspace(1e4, 1e6, 4)))
    y = laws.joint(P, D, 3e4, 0.5, 0.8, 2e2, 0.1) + 1e-3 * rng.normal(size=P.size)
    found = fit(name, P, y, D)
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


def decay(x: np.ndarray, rate: float, height: float, floor: float) -> np.ndarray:
    return height * np.exp(-rate * np.asarray(x)) + floor


def declared() -> Law:
    """Height * exp(-rate x) + floor: on u = ln(x / centre) the unknown is k = rate * centre."""
    return Law(
        name="decay", title="Decay", equation="y(x) = h e^(−r x) + L", html="y", latex="y",
        citation="test", x="x", y="y",
        parameters=(
            Parameter("rate", "r", "r", "exponent", "rate", 0, np.inf),
            Parameter("height", "h", "h", "scale", "value at x = 0", 0, np.inf),
            Parameter("floor", "L", "L", "floor", "floor", 0, np.inf),
        ),
        function=decay,
        nonlinear=(Nonlinear("rate_at_centre", 1e-3, 1e3),),
        basis=lambda u, v, theta: scaled(-theta[..., :1] * np.expm1(u)),
        assemble=lambda sign, log_amplitude, floor, theta, centres: {
            "rate": theta[..., 0] / np.exp(centres[0]),
            "height": np.exp(log_amplitude + theta[..., 0]),
            "floor": floor,
        },
    )  # fmt: skip


def test_a_declared_law_is_fitted_like_the_others() -> None:
    law = declared()
    x = np.linspace(1, 20, 9)
    try:
        register(law)
        found = fit("decay", x, decay(x, 0.3, 2.0, 0.5))
        assert found.params == pytest.approx({"rate": 0.3, "height": 2.0, "floor": 0.5}, rel=1e-6)
        with pytest.raises(BadInput, match="already"):
            register(law)
        assert register(law, replace=True) is law
    finally:
        _REGISTER.pop("decay", None)


@pytest.mark.parametrize("name", [name for name in law_names() if get_law(name).gradient])
def test_gradients_are_derivatives(name: str) -> None:
    law = get_law(name).at((3.0, -2.0))
    assert law.gradient is not None
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-4, 4, (2, 7))
    theta = planted_theta(law, 6)
    phi, log_scale, slopes = law.gradient(u, v, theta)
    for one, other in zip((phi, log_scale), law.basis(u, v, theta), strict=True):
        assert np.array_equal(one, other)
    assert slopes.shape == (6, len(law.nonlinear), 7)
    for j in range(len(law.nonlinear)):
        step = np.zeros_like(theta)
        step[:, j] = 1e-6 * np.maximum(np.abs(theta[:, j]), 1e-3)
        (up, up_scale), (down, down_scale) = (law.basis(u, v, theta + side * step) for side in (1, -1))
        rise = up * np.exp(up_scale - log_scale)[:, None] - down * np.exp(down_scale - log_scale)[:, None]
        numeric = rise / (2 * step[:, j : j + 1])
        assert slopes[:, j] == pytest.approx(numeric, rel=1e-5, abs=1e-7 * np.abs(numeric).max())


def planted_theta(law: Law, n: int) -> np.ndarray:
    """Spread nonlinear parameters over where fits usually end."""
    rng = np.random.default_rng(2)
    columns = []
    for unknown in law.nonlinear:
        low, high = {"tau": (5.0, 500.0)}.get(unknown.name, unknown.start or (0.05, 20.0))
        columns.append(unknown.from_t(rng.uniform(unknown.to_t(low), unknown.to_t(high), n)))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", [name for name in law_names() if get_law(name).nonlinear])
def test_every_basis_is_1_at_the_centre_and_bears_any_exponent(name: str) -> None:
    law = get_law(name).at((3.0, -2.0))
    here = np.zeros(1)
    for corner in (0, 1):
        ends = [(unknown.low, unknown.high)[corner] for unknown in law.nonlinear]
        theta = np.concatenate([planted_theta(law, 5), [ends]])
        with np.errstate(all="raise", under="ignore"):
            phi, log_scale = law.basis(here, here, theta)
            assert phi[:, 0] * np.exp(log_scale) == pytest.approx(1.0, rel=1e-9)
            far = np.array([-15.0, 0.0, 15.0])  # thirteen decades
            phi, log_scale = law.basis(far, -far, theta)
            assert np.isfinite(phi).all() and np.isfinite(log_scale).all()
            assert phi.max(axis=1) == pytest.approx(1.0)


def test_laws_are_told_where_the_data_lie() -> None:
    law = get_law("exponential")
    placed = law.at((np.log(50.0),))
    assert placed == law and placed.nonlinear[0].high == pytest.approx(law.nonlinear[0].high * 50)
    again = placed.at((np.log(2.0),))
    assert again.nonlinear[0].low == pytest.approx(law.nonlinear[0].low * 2)
    assert get_law("model_size").at((1.0,)) is get_law("model_size")
