"""A law of one's own in a few lines: a function of raw x, which of its parameters are linear, and ranges."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from types import EllipsisType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws import own_check, roles
from genret_core.scaling.laws.law import Array, Law, Nonlinear, Parameter, get_law, law_names, register

Range = tuple[float, float] | Literal["positive", "free"] | EllipsisType | None


def own_law(
    name: str,
    function: Callable[..., npt.ArrayLike],
    parameters: Mapping[str, Range],
    *,
    amplitude: str | None,
    floor: str | None = None,
    exponents: Sequence[str] = (),
    x: str = "x",
    y: str = "y",
    x2: str | None = None,
    equation: str | None = None,
    html: str | None = None,
    latex: str | None = None,
    title: str | None = None,
    citation: str = "own law",
    meanings: Mapping[str, str] | None = None,
    bounds: tuple[float, float] | None = None,
    min_points: int | None = None,
    registered: bool = True,
) -> Law:
    """Make a law of a function, which is then fitted like the others.

    Parameters
    ----------
    name : str
        How `fit`, `compare` and the explorer call it.
    function : callable
        `function(x, [x2,] A, k, ..., L)` with numpy operations, the parameters under the names of
        `parameters`. It must be linear in the amplitude and in the floor: y = L + A g(x; the others).
    parameters : mapping
        In the order of a table. For each nonlinear parameter the range (low, high) of the search, walked on a
        logarithmic scale where both ends are positive. For the amplitude and the floor `...` or "positive"
        (they are not negative), or "free".
    amplitude, floor : str
        Which parameters these are; a law may do without a floor.
    exponents : sequence of str
        Nonlinear parameters that are exponents, called so in sentences and verdicts.
    x, y, x2 : str
        Symbols of the arguments and of the value; `x2` for a law of two arguments.
    equation, html, latex : str, optional
        How it is written; `html` and `latex` default to the equation, escaped.
    title, citation : str, optional
    meanings : mapping, optional
        What parameters mean, for the table of a fit.
    bounds : (low, high), optional
        To which predictions are clipped.
    min_points : int, optional
        Fewest points it is fitted to.
    registered : bool
        Make it known by its name, in the place of an earlier own law of that name.

    Raises
    ------
    BadInput
        For a name that a law of the package has, a declaration that does not match the function, or a
        function that does not broadcast or is not linear in amplitude and floor (tried at a few values).

    Notes
    -----
    Values under 1e-308 are 0: a steep power of a large x is better written as (x / 1e9)**-alpha.

    Examples
    --------
    >>> import numpy as np
    >>> law = own_law(
    ...     "log_power", lambda x, A, k, L: A / np.log(x) ** k + L,
    ...     {"A": ..., "k": (0.1, 20), "L": ...}, amplitude="A", floor="L", exponents=["k"],
    ...     equation="A / (ln P)^k + L", x="P", y="CGL",
    ... )  # fmt: skip
    >>> law.equation
    'CGL(P) = A / (ln P)^k + L'
    """
    own_check.declaration(name, function, parameters, amplitude, floor, exponents, x2, meanings or {})
    assert amplitude is not None
    if name in law_names() and not is_own(get_law(name)):
        raise BadInput(f"There is a law {name} in the package; choose another name.", code="bad_law")
    arguments = (x,) if x2 is None else (x, x2)
    if equation is None:
        equation = f"{name}({', '.join(arguments)}; {', '.join(parameters)})"
    if "=" not in equation:
        equation = f"{y}({', '.join(arguments)}) = {equation}"
    unknowns = tuple(
        Nonlinear(key, *range_, scale="log" if range_[0] > 0 else "linear")
        for key, range_ in own_check.ranges(parameters, amplitude, floor).items()
    )
    basis = RawBasis(function, tuple(u.name for u in unknowns), amplitude, floor)
    own_check.behaviour(name, basis, unknowns, len(arguments))
    law = Law(
        name=name,
        title=title or name.replace("_", " ").capitalize(),
        equation=equation,
        html=html or escape(equation),
        latex=latex or _escaped_latex(equation),
        citation=citation,
        x=x,
        x2=x2,
        y=y,
        parameters=tuple(
            _parameter(key, value, amplitude, floor, exponents, meanings or {})
            for key, value in parameters.items()
        ),
        function=partial(_evaluate, function, tuple(parameters), len(arguments)),
        nonlinear=unknowns,
        basis=basis,
        assemble=partial(_parameters, basis),
        amplitude="free" if parameters[amplitude] == "free" else "positive",
        floor="none" if floor is None else "free" if parameters[floor] == "free" else "positive",
        bounds=bounds,
        min_points=min_points,
        place=_placed,
        check=partial(own_check.points, name, basis, unknowns, arguments),
    )
    return register(law, replace=True) if registered else law


def is_own(law: Law) -> bool:
    """Whether a law was made by `own_law`."""
    return isinstance(law.basis, RawBasis)


@dataclass(frozen=True)
class RawBasis:
    """The basis of an own law: its function with amplitude 1 and floor 0, over its value at the centre.

    Attributes
    ----------
    function : callable
        Of raw x (and x2) and of parameters by name.
    nonlinear : tuple of str
    amplitude, floor : str
    centres : tuple of float or None
        Mean logarithms of x (and x2), without which raw x is not known: see `Law.at`.
    """

    function: Callable[..., npt.ArrayLike]
    nonlinear: tuple[str, ...]
    amplitude: str
    floor: str | None
    centres: tuple[float, ...] | None = None

    def term(self, arguments: Sequence[Array], theta: Array) -> Array:
        """Give g(x; theta) at arguments [n] and theta [..., k]: [..., n]."""
        values: dict[str, Any] = {name: theta[..., j : j + 1] for j, name in enumerate(self.nonlinear)}
        values[self.amplitude] = 1.0
        if self.floor is not None:
            values[self.floor] = 0.0
        with np.errstate(all="ignore"):
            term = np.asarray(self.function(*arguments, **values), dtype=np.float64)
        return np.broadcast_to(term, (*theta.shape[:-1], len(arguments[0])))

    def log_height(self, theta: Array, centres: tuple[float, ...]) -> Array:
        """Give ln |g| at the centre, [...]; 0 where that is no number."""
        height = np.abs(self.term([np.exp([centre]) for centre in centres], theta)[..., 0])
        usable = np.isfinite(height) & (height > 0)
        return np.log(np.where(usable, height, 1.0))

    def __call__(self, u: Array, v: Array | None, theta: Array) -> tuple[Array, Array]:
        """Give the basis over its largest value, as `Law.basis` does.

        A basis that vanishes at every argument can follow nothing: it is level, and fits as a constant does.
        """
        if self.centres is None:
            raise RuntimeError("An own law must be told where the data lie: law.at(centres).")
        logs = [u] if v is None else [u, v]
        arguments = [np.exp(log + centre) for log, centre in zip(logs, self.centres, strict=True)]
        term = self.term(arguments, theta)
        largest = np.max(np.abs(term), axis=-1, initial=0.0, where=np.isfinite(term))
        there = largest > 0
        size = np.where(there, largest, 1.0)
        level = 1.0 if self.floor is None else 0.0
        phi = np.where(there[..., None], term / size[..., None], level)
        return phi, np.where(there, np.log(size) - self.log_height(theta, self.centres), 0.0)


def _placed(law: Law, centres: tuple[float, ...]) -> Law:
    assert isinstance(law.basis, RawBasis)
    return replace(law, basis=replace(law.basis, centres=centres))


def _parameters(
    basis: RawBasis, sign: Array, log_amplitude: Array, floor: Array, theta: Array, centres: tuple[float, ...]
) -> dict[str, Array]:
    """Give the parameters as `Law.assemble` does: A is the amplitude at the centre over g there."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = {basis.amplitude: sign * np.exp(log_amplitude - basis.log_height(theta, centres))}
    values |= {name: theta[..., j] for j, name in enumerate(basis.nonlinear)}
    return values if basis.floor is None else {**values, basis.floor: floor}


def _evaluate(
    function: Callable[..., npt.ArrayLike], names: tuple[str, ...], n_arguments: int, *values: npt.ArrayLike
) -> Array:
    """Call the user's function with parameters by name."""
    arguments = [np.asarray(value, dtype=np.float64) for value in values[:n_arguments]]
    return np.asarray(function(*arguments, **dict(zip(names, values[n_arguments:], strict=True))))


def _parameter(
    name: str,
    value: Range,
    amplitude: str,
    floor: str | None,
    exponents: Sequence[str],
    meanings: Mapping[str, str],
) -> Parameter:
    if name == amplitude:
        found = roles.factor(name, "factor of the term that moves")
    elif name == floor:
        found = roles.floor(name)
    else:
        assert isinstance(value, tuple)
        found = roles.shape(name, "shape of the curve", *value)
        if name in exponents:
            found = replace(found, role="exponent", meaning="exponent")
    low = -np.inf if value == "free" else found.low
    return replace(found, low=low, meaning=meanings.get(name, found.meaning))


def _escaped_latex(text: str) -> str:
    """Write plain text in LaTeX's math mode, no character of it a command."""
    signs = {"^": r"{\wedge}", "\\": r"{\backslash}", "~": r"{\sim}"}
    parts = re.split(r"([\\^~{}$&#_%])", text)
    return "".join(
        signs.get(part, rf"\{part}") if i % 2 else rf"\text{{{part}}}" for i, part in enumerate(parts) if part
    )
