"""The laws of the paper and their rivals: each a pure function, and how it is written, bounded and solved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws import bases
from genret_core.scaling.laws.law import EXPONENT, Array, Law, Nonlinear, Parameter, register

PAPER = "Cai et al., Exploring Training and Inference Scaling Laws in Generative Retrieval, SIGIR 2025"


def model_size(P: npt.ArrayLike, gamma: float, alpha: float, lambda_P: float) -> Array:
    """CGL(P) = (gamma / P)^alpha + lambda_P (Eq. 6); `P` in non-embedding parameters."""
    return power(P, gamma, alpha) + lambda_P


def data_size(D: npt.ArrayLike, eta: float, beta: float, lambda_D: float) -> Array:
    """CGL(D) = (eta / D)^beta + lambda_D (Eq. 7); `D` in query-identifier pairs."""
    return power(D, eta, beta) + lambda_D


def inference(C: npt.ArrayLike, mu: float, sigma: float, lambda_C: float) -> Array:
    """MR(C) = (mu / C)^sigma + lambda_C (Eq. 12); `C` in FLOPs per query. `Law` clips it to [0, 1]."""
    return power(C, mu, sigma) + lambda_C


def joint(
    P: npt.ArrayLike, D: npt.ArrayLike, gamma: float, alpha: float, beta: float, eta: float, delta: float
) -> Array:
    """CGL(P, D) = ((gamma / P)^(alpha / beta) + eta / D)^beta + delta (Eq. 8, as printed).

    Beware of the order: the published coefficients (Eqs 9-10) belong to `joint(D, P, ...)`, with the
    arguments exchanged (see `published.laws`).
    """
    of_size = (np.log(gamma) - np.log(np.asarray(P, dtype=np.float64))) * (alpha / beta)
    of_data = np.log(eta) - np.log(np.asarray(D, dtype=np.float64))
    return np.asarray(np.exp(beta * np.logaddexp(of_size, of_data)) + delta)


def power(x: npt.ArrayLike, gamma: float, alpha: float) -> Array:
    """Give y(x) = (gamma / x)^alpha: a straight line on double logarithmic axes."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(alpha * (np.log(gamma) - np.log(np.asarray(x, dtype=np.float64)))))


def log_linear(x: npt.ArrayLike, a: float, b: float) -> Array:
    """Give y(x) = a - b ln x: a straight line on a logarithmic x axis."""
    return np.asarray(a - b * np.log(np.asarray(x, dtype=np.float64)))


def constant(x: npt.ArrayLike, level: float) -> Array:
    """Give y(x) = level: x does not matter."""
    return np.full(np.shape(x), float(level))


def _scale(name: str, symbol: str, argument: str = "x") -> Parameter:
    meaning = f"the {{{argument}}} at which the falling term is 1"  # filled in by `wording`
    return Parameter(name, symbol, rf"\{name}", "scale", meaning, 0.0, np.inf)


def _exponent(name: str, symbol: str) -> Parameter:
    return Parameter(name, symbol, rf"\{name}", "exponent", "exponent", *EXPONENT)


def _floor(name: str, symbol: str) -> Parameter:
    return Parameter(name, symbol, rf"\{name}", "floor", "floor (irreducible)", 0.0, np.inf)


def _with_floor(
    name: str,
    title: str,
    function: Callable[..., Array],
    *,
    x: str,
    y: str,
    parameters: tuple[Parameter, Parameter, Parameter],
    bounds: tuple[float, float] | None = None,
) -> Law:
    """Describe a power law with a floor, (scale / x)^exponent + floor: Eqs 6, 7 and 12."""
    scale, exponent, floor = parameters
    letter, _, index = floor.symbol.partition("_")
    ratio = rf"\left(\frac{{{scale.latex}}}{{{x}}}\right)^{{{exponent.latex}}}"
    return Law(
        name=name,
        title=title,
        equation=f"{y}({x}) = ({scale.symbol}/{x})^{exponent.symbol} + {floor.symbol}",
        html=f"{y}({x}) = ({scale.symbol}/{x})<sup>{exponent.symbol}</sup> + {letter}<sub>{index}</sub>",
        latex=rf"\mathrm{{{y}}}({x}) = {ratio} + {floor.latex}",
        citation=PAPER,
        x=x,
        y=y,
        parameters=parameters,
        function=function,
        nonlinear=(Nonlinear(exponent.name, *EXPONENT),),
        basis=bases.power_basis,
        assemble=partial(bases.power_parameters, names=tuple(p.name for p in parameters)),
        bounds=bounds,
    )


MODEL_SIZE = _with_floor(
    "model_size",
    "Model size (Eq. 6)",
    model_size,
    x="P",
    y="CGL",
    parameters=(_scale("gamma", "γ"), _exponent("alpha", "α"), _floor("lambda_P", "λ_P")),
)
DATA_SIZE = _with_floor(
    "data_size",
    "Data size (Eq. 7)",
    data_size,
    x="D",
    y="CGL",
    parameters=(_scale("eta", "η"), _exponent("beta", "β"), _floor("lambda_D", "λ_D")),
)
INFERENCE = _with_floor(
    "inference",
    "Inference compute (Eq. 12)",
    inference,
    x="C",
    y="MR",
    parameters=(_scale("mu", "μ"), _exponent("sigma", "σ"), _floor("lambda_C", "λ_C")),
    bounds=(0.0, 1.0),
)
JOINT = Law(
    name="joint",
    title="Model size and data size (Eq. 8)",
    equation="CGL(P, D) = ((γ/P)^(α/β) + η/D)^β + δ",
    html="CGL(P, D) = ((γ/P)<sup>α/β</sup> + η/D)<sup>β</sup> + δ",
    latex=r"\mathrm{CGL}(P, D) = \left(\left(\frac{\gamma}{P}\right)^{\frac{\alpha}{\beta}}"
    r" + \frac{\eta}{D}\right)^{\beta} + \delta",
    citation=PAPER,
    x="P",
    x2="D",
    y="CGL",
    parameters=(
        _scale("gamma", "γ"),
        _exponent("alpha", "α"),
        _exponent("beta", "β"),
        _scale("eta", "η", "x2"),
        _floor("delta", "δ"),
    ),
    function=joint,
    nonlinear=(
        Nonlinear("alpha", *EXPONENT, start=(0.03, 20.0)),
        Nonlinear("beta", *EXPONENT, start=(0.03, 20.0)),
        Nonlinear("balance", -35.0, 35.0, scale="linear", start=(-9.0, 9.0)),
    ),
    basis=bases.joint_basis,
    assemble=bases.joint_parameters,
)
POWER = Law(
    name="power",
    title="Power law without a floor",
    equation="y(x) = (γ/x)^α",
    html="y(x) = (γ/x)<sup>α</sup>",
    latex=r"y(x) = \left(\frac{\gamma}{x}\right)^{\alpha}",
    citation="Kaplan et al., Scaling Laws for Neural Language Models, 2020",
    x="x",
    y="y",
    parameters=(_scale("gamma", "γ"), _exponent("alpha", "α")),
    function=power,
    nonlinear=(Nonlinear("alpha", *EXPONENT),),
    basis=bases.power_basis,
    assemble=partial(bases.power_parameters, names=("gamma", "alpha")),
    floor="none",
)
LOG_LINEAR = Law(
    name="log_linear",
    title="Straight line in ln x",
    equation="y(x) = a − b ln x",
    html="y(x) = a − b ln x",
    latex=r"y(x) = a - b \ln x",
    citation="a rival, not a law of the paper",
    x="x",
    y="y",
    parameters=(
        Parameter("a", "a", "a", "level", "value at x = 1", -np.inf, np.inf),
        Parameter("b", "b", "b", "slope", "fall for each factor e of x", -np.inf, np.inf),
    ),
    function=log_linear,
    nonlinear=(),
    basis=bases.linear_basis,
    assemble=bases.linear_parameters,
    amplitude="free",
    floor="free",
)
CONSTANT = Law(
    name="constant",
    title="Constant",
    equation="y(x) = L",
    html="y(x) = L",
    latex="y(x) = L",
    citation="a rival, not a law of the paper",
    x="x",
    y="y",
    parameters=(Parameter("level", "L", "L", "level", "mean", -np.inf, np.inf),),
    function=constant,
    nonlinear=(),
    basis=bases.linear_basis,
    assemble=bases.constant_parameters,
    amplitude="none",
    floor="free",
)

for _law in (MODEL_SIZE, DATA_SIZE, INFERENCE, JOINT, POWER, LOG_LINEAR, CONSTANT):
    register(_law, replace=True)
