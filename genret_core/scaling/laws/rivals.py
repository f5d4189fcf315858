"""What a power law with a floor must beat: a constant, a straight line, no floor, an exponential, a break."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from genret_core.scaling.laws import assembly, bases, roles
from genret_core.scaling.laws.law import EXPONENT, Array, Law, Nonlinear, Parameter, register
from genret_core.scaling.laws.paper import falling, power

RIVAL = "a rival, not a law of the paper"
TAU = (1e-7, 1e6)  # of the centre: from all over at the second point to a straight line in x
BREAK = (1e-6, 1e6)  # of the centre as well
SHARPNESS = (0.01, 20.0)  # f1: from a corner to a bend wider than any data


def constant(x: npt.ArrayLike, level: float) -> Array:
    """Give y(x) = level: x does not matter."""
    return np.full(np.shape(x), float(level))


def log_linear(x: npt.ArrayLike, a: float, b: float) -> Array:
    """Give y(x) = a - b ln x: a straight line on a logarithmic x axis."""
    return np.asarray(a - b * np.log(np.asarray(x, dtype=np.float64)))


def exponential(x: npt.ArrayLike, A: float, tau: float, L: float) -> Array:
    """Give y(x) = A exp(-x / tau) + L, which reaches its floor far sooner than any power law."""
    return np.asarray(falling(A, np.asarray(x, dtype=np.float64) / tau) + L)


def broken(x: npt.ArrayLike, A: float, c0: float, c1: float, d1: float, f1: float, L: float) -> Array:
    """Give y(x) = L + A x^-c0 (1 + (x / d1)^(1 / f1))^(-c1 f1).

    The exponent is c0 well below d1 and c0 + c1 well above it; f1 is how gently it turns (Caballero et al.,
    Broken Neural Scaling Laws, ICLR 2023, Eq. 1 with one break).
    """
    log_x = np.log(np.asarray(x, dtype=np.float64))
    bend = np.logaddexp(0.0, (log_x - np.log(d1)) / f1)
    return np.asarray(L + falling(A, c0 * log_x + c1 * f1 * bend))


def _exponential_at(law: Law, centres: tuple[float, ...]) -> Law:
    """Put tau on the scale of x, so that it is a parameter of its own with an interval."""
    centre = float(np.exp(centres[0]))
    return replace(
        law,
        nonlinear=(Nonlinear("tau", TAU[0] * centre, TAU[1] * centre),),
        basis=partial(bases.exponential_basis, log_centre=centres[0]),
        gradient=partial(bases.exponential_gradient, log_centre=centres[0]),
        assemble=partial(assembly.exponential_parameters, placed=True),
    )


def _broken_at(law: Law, centres: tuple[float, ...]) -> Law:
    """Put d1 on the scale of x."""
    return replace(
        law,
        nonlinear=_broken_unknowns(float(np.exp(centres[0]))),
        basis=partial(bases.broken_basis, log_centre=centres[0]),
        gradient=partial(bases.broken_gradient, log_centre=centres[0]),
        assemble=partial(assembly.broken_parameters, placed=True),
    )


def _broken_unknowns(centre: float) -> tuple[Nonlinear, ...]:
    return (
        Nonlinear("c0", *EXPONENT, start=(0.01, 3.0)),
        Nonlinear("c1", -EXPONENT[1], EXPONENT[1], scale="linear", start=(-1.0, 2.0)),
        Nonlinear("d1", BREAK[0] * centre, BREAK[1] * centre, start=(0.03 * centre, 30.0 * centre)),
        Nonlinear("f1", *SHARPNESS, start=(0.05, 2.0)),
    )


CONSTANT = Law(
    name="constant",
    title="Constant",
    equation="y(x) = L",
    html="y(x) = L",
    latex="y(x) = L",
    citation=RIVAL,
    x="x",
    y="y",
    parameters=(Parameter("level", "L", "L", "level", "mean", -np.inf, np.inf),),
    function=constant,
    nonlinear=(),
    basis=bases.linear_basis,
    assemble=assembly.constant_parameters,
    amplitude="none",
    floor="free",
)
LOG_LINEAR = Law(
    name="log_linear",
    title="Straight line in ln x",
    equation="y(x) = a − b ln x",
    html="y(x) = a − b ln x",
    latex=r"y(x) = a - b \ln x",
    citation=RIVAL,
    x="x",
    y="y",
    parameters=(
        Parameter("a", "a", "a", "level", "value at x = 1", -np.inf, np.inf),
        Parameter("b", "b", "b", "slope", "fall for each factor e of x", -np.inf, np.inf),
    ),
    function=log_linear,
    nonlinear=(),
    basis=bases.linear_basis,
    assemble=assembly.linear_parameters,
    amplitude="free",
    floor="free",
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
    parameters=(roles.scale("gamma"), roles.exponent("alpha")),
    function=power,
    nonlinear=(Nonlinear("alpha", *EXPONENT),),
    basis=bases.power_basis,
    gradient=bases.power_gradient,
    assemble=partial(assembly.power_parameters, names=("gamma", "alpha")),
    floor="none",
)
EXPONENTIAL = Law(
    name="exponential",
    title="Exponential with a floor",
    equation="y(x) = A exp(−x/τ) + L",
    html="y(x) = A e<sup>−x/τ</sup> + L",
    latex=r"y(x) = A e^{-x/\tau} + L",
    citation=RIVAL,
    x="x",
    y="y",
    parameters=(
        roles.factor("A", "falling term at {x} = 0"),
        roles.shape("tau", "the {x} over which the falling term falls by a factor e"),
        roles.floor("L"),
    ),
    function=exponential,
    nonlinear=(Nonlinear("tau", *TAU),),
    basis=bases.exponential_basis,
    gradient=bases.exponential_gradient,
    assemble=partial(assembly.exponential_parameters, placed=False),
    place=_exponential_at,
)
BROKEN = Law(
    name="broken",
    title="Power law with a break and a floor",
    equation="y(x) = A x^(−c₀) (1 + (x/d₁)^(1/f₁))^(−c₁ f₁) + L",
    html="y(x) = A x<sup>−c₀</sup> (1 + (x/d₁)<sup>1/f₁</sup>)<sup>−c₁ f₁</sup> + L",
    latex=r"y(x) = A x^{-c_0} \left(1 + \left(\frac{x}{d_1}\right)^{1/f_1}\right)^{-c_1 f_1} + L",
    citation="Caballero et al., Broken Neural Scaling Laws, ICLR 2023",
    x="x",
    y="y",
    parameters=(
        roles.factor("A", "first branch, A x^(−c₀), at {x} = 1"),
        roles.exponent("c0", "exponent below the break"),
        roles.shape("c1", "what the break adds to the exponent", -np.inf),
        roles.shape("d1", "the {x} of the break"),
        roles.shape("f1", "how gently it turns: 0 is a corner"),
        roles.floor("L"),
    ),
    function=broken,
    nonlinear=_broken_unknowns(1.0),
    basis=bases.broken_basis,
    gradient=bases.broken_gradient,
    assemble=partial(assembly.broken_parameters, placed=False),
    min_points=10,
    place=_broken_at,
)

for _law in (CONSTANT, LOG_LINEAR, POWER, EXPONENTIAL, BROKEN):
    register(_law, replace=True)
