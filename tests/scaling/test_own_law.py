"""A law of one's own: planted truth, a law of the package written anew, and declarations that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import Law, fit, get_law, published
from genret_core.scaling.laws import is_own, law, own_law


@pytest.fixture(autouse=True)
def register_left_as_it_was() -> Iterator[None]:
    before = dict(law._REGISTER)
    yield
    law._REGISTER.clear()
    law._REGISTER.update(before)


def log_power(**more: Any) -> Law:
    return own_law(
        "log_power",
        lambda x, A, k, L: A / np.log(x) ** k + L,
        {"A": ..., "k": (0.1, 20), "L": ...},
        **{"amplitude": "A", "floor": "L", "exponents": ["k"], "x": "P", "y": "CGL", **more},
    )


def test_one_nonlinear_parameter() -> None:
    own = log_power(equation="A / (ln P)^k + L")
    assert get_law("log_power") is own and is_own(own)
    assert own.equation == "CGL(P) = A / (ln P)^k + L" and own.html == own.equation
    x = np.geomspace(1e6, 1e10, 7)
    found = fit("log_power", x, 2.0 / np.log(x) ** 1.3 + 0.1)
    assert found.params == pytest.approx({"A": 2.0, "k": 1.3, "L": 0.1}, rel=1e-6)
    assert found.derived["amplitude_at_centre"] == pytest.approx(2 / np.log(1e8) ** 1.3, rel=1e-6)
    assert found.predict([1e3, 1e12]) == pytest.approx(2 / np.log([1e3, 1e12]) ** 1.3 + 0.1, rel=1e-6)
    assert found.predict(x) == pytest.approx(own(x, **found.params), rel=1e-9)


def test_two_nonlinear_parameters_on_a_logarithmic_and_a_linear_scale() -> None:
    own = own_law(
        "stretched_above",
        lambda x, A, tau, x0, L: A * np.exp(-np.sqrt((x + x0) / tau)) + L,
        {"A": ..., "tau": (1, 1e5), "x0": (-0.5, 50), "L": "free"},
        amplitude="A",
        floor="L",
    )
    assert [u.scale for u in own.nonlinear] == ["log", "linear"]
    assert [p.role for p in own.parameters] == ["scale", "shape", "shape", "floor"]
    x = np.geomspace(1, 1000, 12)
    planted = {"A": 0.7, "tau": 40.0, "x0": 3.0, "L": -0.2}
    assert fit("stretched_above", x, own(x, **planted)).params == pytest.approx(planted, rel=1e-5)


def test_two_arguments() -> None:
    own = own_law(
        "product",
        lambda x, x2, k, a, b: k * x**-a * np.log(x2) ** -b,
        {"k": ..., "a": (0.01, 10), "b": (0.01, 10)},
        amplitude="k",
        exponents=("a", "b"),
        x="P",
        x2="D",
    )
    P, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e2, 1e6, 4), np.geomspace(1e3, 1e9, 3)))
    planted = {"k": 5.0, "a": 0.4, "b": 1.1}
    found = fit("product", P, own(P, D, **planted), D)
    assert found.params == pytest.approx(planted, rel=1e-6)
    assert own.floor == "none" and own.equation == "y(P, D) = product(P, D; k, a, b)"


def test_eq_6_written_anew() -> None:
    own = own_law(
        "mine",
        lambda x, A, alpha, L: A * x**-alpha + L,
        {"alpha": (0.001, 60), "A": ..., "L": ...},
        amplitude="A",
        floor="L",
        exponents=["alpha"],
    )
    rows = published.points(study="model_size", method="ngram", family="t5")
    x, y = rows["n_params"].to_numpy(float), rows["cgl"].to_numpy()
    ours, theirs = fit(own, x, y), fit("model_size", x, y)
    assert list(ours.params) == ["alpha", "A", "L"]
    assert ours.params["alpha"] == pytest.approx(theirs.params["alpha"], rel=1e-9)
    assert ours.params["L"] == pytest.approx(theirs.params["lambda_P"], rel=1e-9)
    assert ours.params["A"] == pytest.approx(theirs.params["gamma"] ** theirs.params["alpha"], rel=1e-9)
    assert ours.sse == pytest.approx(theirs.sse, rel=1e-9)
    for name, as_theirs in (("alpha", "alpha"), ("L", "lambda_P")):
        own_ends, their_ends = ours.intervals[name], theirs.intervals[as_theirs]
        assert (own_ends.lo, own_ends.hi) == pytest.approx((their_ends.lo, their_ends.hi), rel=1e-6)
    low, high = ours.band([1e8, 1e10])
    their_low, their_high = theirs.band([1e8, 1e10])
    assert low == pytest.approx(their_low, rel=1e-8) and high == pytest.approx(their_high, rel=1e-8)


def test_a_term_that_underflows_fits_as_a_constant() -> None:
    own = own_law(
        "steep", lambda x, A, k: A * x**-k, {"A": ..., "k": (1, 200)}, amplitude="A", registered=False
    ).at((np.log(1e10),))
    phi, log_scale = own.basis(np.array([-1.0, 0.0, 1.0]), None, np.array([[0.5], [150.0]]))
    assert phi[0] == pytest.approx(np.exp([0, -0.5, -1.0])) and log_scale[0] == pytest.approx(0.5)
    assert phi[1].tolist() == [1, 1, 1]


def test_a_growing_term_of_either_sign() -> None:
    own = own_law(
        "line_in_root",
        lambda x, b, L: b * np.sqrt(x) + L,
        {"b": "free", "L": "free"},
        amplitude="b",
        floor="L",
    )
    x = np.array([1.0, 4.0, 9.0, 16.0])
    for b in (2.0, -2.0):
        assert fit(own, x, b * np.sqrt(x) - 3).params == pytest.approx({"b": b, "L": -3.0})


def test_running_a_cell_again_replaces_the_law() -> None:
    first, second = log_power(), log_power(title="Again")
    assert first is not second and get_law("log_power").title == "Again"
    assert log_power(registered=False) is not get_law("log_power")


def test_texts_are_escaped() -> None:
    own = log_power(equation="A<b>/(ln P)^k & {x}_1 \\ L", registered=False)
    assert "<b>" not in own.html and "&lt;b&gt;" in own.html
    assert own.latex == (
        r"\text{CGL(P) = A<b>/(ln P)}{\wedge}\text{k }\&\text{ }\{\text{x}\}\_\text{1 }{\backslash}\text{ L}"
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "model_size"}, "in the package; choose another name"),
        ({"name": "log power"}, "one word"),
        ({"amplitude": None}, "no amplitude; name the parameter that multiplies"),
        ({"amplitude": "B"}, "amplitude names B, but the parameters of the law mine are A, k, L"),
        ({"floor": "A"}, "as its amplitude and as its floor"),
        ({"exponents": ["L"]}, "L of the law mine is linear"),
        ({"parameters": {"A": ..., "k": (1, 2)}}, "floor names L"),
        ({"parameters": {"A": ..., "k": (1, 2), "L": ..., "m": (1, 2)}}, r"does not take \(x, A, k, L, m\)"),
        ({"function": lambda x, A, k, L, m: A * x**-k + L + m}, "missing a required argument: 'm'"),
        ({"parameters": {"A": ..., "k": ..., "L": ...}}, "k is searched: give its range"),
        ({"parameters": {"A": ..., "k": (2, 1), "L": ...}}, r"range of k is \(2, 1\)"),
        ({"parameters": {"A": (0, 1), "k": (1, 2), "L": ...}}, "A is linear"),
        ({"function": lambda x, A, k, L: A * float(x) ** -k + L}, "cannot be called with arrays"),
        ({"function": lambda x, A, k, L: A * x**-k if x > 0 else L}, "cannot be called with arrays"),
        ({"function": lambda x, A, k, L: (A / x) ** k + L}, "not linear in A and L"),
        ({"function": lambda x, A, k, L: A * (x**-k + L)}, "not linear in A and L"),
        ({"function": lambda x, A, k, L: A * x**-k + L + 1e-3}, "not linear in A and L"),
        ({"function": lambda x, A, k, L: A * x**-k}, "not linear in A and L"),
        ({"function": lambda x, A, k, L: 0 * A * x**-k + L}, "no number other than 0"),
        ({"function": lambda x, R2, k, L: R2 * x**-k + L, "parameters": {"R2": ..., "k": (1, 2), "L": ...},
          "amplitude": "R2"}, "cannot be called 'R2'"),
    ],
)  # fmt: skip
def test_bad_declarations_are_refused(changed: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {
        "name": "mine",
        "function": lambda x, A, k, L: A * x**-k + L,
        "parameters": {"A": ..., "k": (1, 2), "L": ...},
        "amplitude": "A",
        "floor": "L",
    }
    own_law(**given, registered=False)
    with pytest.raises(BadInput, match=told) as refused:
        own_law(**{**given, **changed})
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


def test_points_at_which_the_law_is_not_defined_are_refused() -> None:
    own = own_law(
        "threshold",
        lambda x, A, x0, L: A / np.sqrt(x - x0) + L,
        {"A": ..., "x0": (0, 5), "L": ...},
        amplitude="A",
        floor="L",
        x="P",
        registered=False,
    )
    assert own.check is not None
    own.check(np.array([5.5, 8.0]), None)
    with pytest.raises(BadInput, match="not a finite number at P = 4 with x0 = 5; narrow the range"):
        own.check(np.array([8.0, 4.0]), None)
    with pytest.raises(BadInput, match="not a finite number at P = 4"):
        fit(own, [8.0, 4.0, 6.0, 9.0], [1.0, 2.0, 1.5, 0.9])
