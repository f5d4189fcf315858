"""The paper's laws of one argument: model size, data size and inference compute (Eqs 6, 7 and 12)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws import assembly, bases, roles
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


def power(x: npt.ArrayLike, gamma: float, alpha: float) -> Array:
    """Give y(x) = (gamma / x)^alpha: a straight line on double logarithmic axes."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(alpha * (np.log(gamma) - np.log(np.asarray(x, dtype=np.float64)))))


def falling(factor: npt.ArrayLike, log_fall: npt.ArrayLike) -> Array:
    """Give factor * exp(-log_fall), of either sign, where the two alone leave the range of floats."""
    with np.errstate(divide="ignore"):  # ln 0 of a term that is not there
        log_factor = np.log(np.abs(factor))
    return np.asarray(np.sign(factor) * np.exp(log_factor - np.asarray(log_fall)))


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
    """Describe a power law with a floor, (scale / x)^exponent + floor."""
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
        gradient=bases.power_gradient,
        assemble=partial(assembly.power_parameters, names=tuple(p.name for p in parameters)),
        bounds=bounds,
    )


MODEL_SIZE = _with_floor(
    "model_size",
    "Model size (Eq. 6)",
    model_size,
    x="P",
    y="CGL",
    parameters=(roles.scale("gamma"), roles.exponent("alpha"), roles.floor("lambda_P")),
)
DATA_SIZE = _with_floor(
    "data_size",
    "Data size (Eq. 7)",
    data_size,
    x="D",
    y="CGL",
    parameters=(roles.scale("eta"), roles.exponent("beta"), roles.floor("lambda_D")),
)
INFERENCE = _with_floor(
    "inference",
    "Inference compute (Eq. 12)",
    inference,
    x="C",
    y="MR",
    parameters=(roles.scale("mu"), roles.exponent("sigma"), roles.floor("lambda_C")),
    bounds=(0.0, 1.0),
)

for _law in (MODEL_SIZE, DATA_SIZE, INFERENCE):
    register(_law, replace=True)
