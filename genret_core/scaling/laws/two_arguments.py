"""Laws of model size and data size together: Eq. 8 in both orientations, and the additive surface."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws import assembly, bases, roles
from genret_core.scaling.laws.law import EXPONENT, Array, Law, Nonlinear, register
from genret_core.scaling.laws.paper import PAPER, falling


def joint(
    P: npt.ArrayLike, D: npt.ArrayLike, gamma: float, alpha: float, beta: float, eta: float, delta: float
) -> Array:
    """CGL(P, D) = ((gamma / P)^(alpha / beta) + eta / D)^beta + delta (Eq. 8, as printed).

    Beware: the published coefficients (Eqs 9-10) are not of this law but of `joint_exchanged`.
    """
    first = (np.log(gamma) - np.log(np.asarray(P, dtype=np.float64))) * (alpha / beta)
    second = np.log(eta) - np.log(np.asarray(D, dtype=np.float64))
    return np.asarray(np.exp(beta * np.logaddexp(first, second)) + delta)


def joint_exchanged(
    P: npt.ArrayLike, D: npt.ArrayLike, gamma: float, alpha: float, beta: float, eta: float, delta: float
) -> Array:
    """CGL(P, D) = ((gamma / D)^(alpha / beta) + eta / P)^beta + delta (Eq. 8 as the published code has it).

    gamma and alpha belong to the data, eta to the model size: with the coefficients of Eqs 9-10 this gives
    0.0033439 at P = 6,607,343,616 and D = 588,800 (measured: 0.0033500), and Eq. 8 as printed gives 0.5918.
    """
    return joint(D, P, gamma, alpha, beta, eta, delta)


def surface(
    P: npt.ArrayLike, D: npt.ArrayLike, E: float, A: float, B: float, alpha: float, beta: float
) -> Array:
    """L(P, D) = E + A / P^alpha + B / D^beta (Hoffmann et al., 2022, Eq. 2)."""
    log_P, log_D = np.log(np.asarray(P, dtype=np.float64)), np.log(np.asarray(D, dtype=np.float64))
    return np.asarray(E + falling(A, alpha * log_P) + falling(B, beta * log_D))


_EXPONENTS_AND_BALANCE = (
    Nonlinear("alpha", *EXPONENT, start=(0.03, 20.0)),
    Nonlinear("beta", *EXPONENT, start=(0.03, 20.0)),
    Nonlinear("balance", -35.0, 35.0, scale="linear", start=(-9.0, 9.0)),
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
        roles.scale("gamma"),
        roles.exponent("alpha"),
        roles.exponent("beta"),
        roles.scale("eta", "x2"),
        roles.floor("delta"),
    ),
    function=joint,
    nonlinear=_EXPONENTS_AND_BALANCE,
    basis=bases.joint_basis,
    gradient=bases.joint_gradient,
    assemble=assembly.joint_parameters,
)
JOINT_EXCHANGED = replace(
    JOINT,
    name="joint_exchanged",
    title="Model size and data size (Eq. 8, arguments exchanged as in the published code)",
    equation="CGL(P, D) = ((γ/D)^(α/β) + η/P)^β + δ",
    html="CGL(P, D) = ((γ/D)<sup>α/β</sup> + η/P)<sup>β</sup> + δ",
    latex=r"\mathrm{CGL}(P, D) = \left(\left(\frac{\gamma}{D}\right)^{\frac{\alpha}{\beta}}"
    r" + \frac{\eta}{P}\right)^{\beta} + \delta",
    parameters=(
        roles.scale("gamma", "x2"),
        roles.exponent("alpha"),
        roles.exponent("beta"),
        roles.scale("eta"),
        roles.floor("delta"),
    ),
    function=joint_exchanged,
    basis=bases.exchanged_basis,
    gradient=bases.exchanged_gradient,
    assemble=assembly.exchanged_parameters,
)
SURFACE = Law(
    name="surface",
    title="Additive surface of model size and data size",
    equation="L(P, D) = E + A/P^α + B/D^β",
    html="L(P, D) = E + A/P<sup>α</sup> + B/D<sup>β</sup>",
    latex=r"L(P, D) = E + \frac{A}{P^{\alpha}} + \frac{B}{D^{\beta}}",
    citation="Hoffmann et al., Training Compute-Optimal Large Language Models, 2022",
    x="P",
    x2="D",
    y="L",
    parameters=(
        roles.floor("E"),
        roles.factor("A", "term of {x} at {x} = 1"),
        roles.factor("B", "term of {x2} at {x2} = 1"),
        roles.exponent("alpha", "exponent of {x}"),
        roles.exponent("beta", "exponent of {x2}"),
    ),
    function=surface,
    nonlinear=_EXPONENTS_AND_BALANCE,
    basis=bases.surface_basis,
    gradient=bases.surface_gradient,
    assemble=assembly.surface_parameters,
)

for _law in (JOINT, JOINT_EXCHANGED, SURFACE):
    register(_law, replace=True)
