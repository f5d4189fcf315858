"""What the solver and the reader need to know about a law, and the register of laws.

Every law is `y = floor + amplitude * basis(x; theta)`: for fixed nonlinear parameters `theta` it is linear
in the other two, which is what the solver stands on (variable projection). The basis is written on centred
log arguments, `u = ln x - mean ln x`, and is 1 at the centre, so that the amplitude is the height of the
falling term in the middle of the data: unlike gamma it is hardly correlated with the exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput

Array = npt.NDArray[np.float64]
Sign = Literal["none", "positive", "free"]  # is a linear part there, and may it be negative
Role = Literal["scale", "exponent", "shape", "floor", "level", "slope"]  # shape: nonlinear, no exponent
# (u, v, theta[..., k]) -> (basis[..., n] / exp(log_scale), log_scale[...]): steep exponents do not overflow
Basis = Callable[[Array, "Array | None", Array], tuple[Array, Array]]
# the same, and the derivative of the basis by each entry of theta [..., k, n], over exp(log_scale) as well
Gradient = Callable[[Array, "Array | None", Array], tuple[Array, Array, Array]]

EXPONENT = (0.001, 60.0)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law: its name in code and on paper, what it is, and its bounds.

    `{x}` and `{x2}` in `meaning` stand for the names of the arguments.
    """

    name: str
    symbol: str
    latex: str
    role: Role
    meaning: str
    low: float
    high: float


@dataclass(frozen=True)
class Nonlinear:
    """One nonlinear unknown of the solver: its search range, its scale, and where starts are spread."""

    name: str
    low: float
    high: float
    scale: Literal["log", "linear"] = "log"
    start: tuple[float, float] | None = None

    def to_t(self, value: npt.ArrayLike) -> Array:
        """Map to the scale that the solver walks on."""
        value = np.asarray(value, dtype=np.float64)
        return np.asarray(np.log(value)) if self.scale == "log" else value

    def from_t(self, t: Array) -> Array:
        """Map back from the solver's scale."""
        return np.asarray(np.exp(t)) if self.scale == "log" else t


@dataclass(frozen=True)
class Law:
    """A law as the solver and the reader see it.

    Attributes
    ----------
    name, title, equation, html, latex, citation : str
        How it is called in code and in a heading; how it is written in Unicode, HTML and LaTeX; its source.
    x, y, x2 : str
        Symbols of its arguments and of what it predicts (`x2` None for a law of one argument).
    parameters : tuple of Parameter
        In the order of `function`'s arguments.
    function : callable
        The equation as printed: `function(x, [x2,] *parameters)`.
    nonlinear : tuple of Nonlinear
        What the solver searches; the rest is linear.
    basis : callable
        `(u, v, theta)` to `(basis / exp(log_scale), log_scale)`, on centred log arguments.
    assemble : callable
        `(sign, log_amplitude, floor, theta, centres)` to the parameters by name; all arrays over fits.
    amplitude, floor : {"none", "positive", "free"}
        Whether the linear parts are there and whether they may be negative.
    bounds : (low, high) or None
        Predictions are clipped to it (a miss rate lies in [0, 1]).
    min_points : int or None
        Fewest points it is fitted to; None: as many distinct ones as it has parameters.
    gradient : callable or None
        As `basis`, with the basis' derivative by each nonlinear parameter as a third part.
    place : callable or None
        How the law comes to know where the data lie: see `at`.
    check : callable or None
        `check(x, x2)` raises `BadInput` for points at which the law is not defined: see `own`.
    """

    name: str
    title: str
    equation: str
    html: str
    latex: str
    citation: str
    x: str
    y: str
    parameters: tuple[Parameter, ...]
    function: Callable[..., Array] = field(repr=False)
    nonlinear: tuple[Nonlinear, ...] = field(repr=False, compare=False)
    basis: Basis = field(repr=False, compare=False)
    assemble: Callable[..., dict[str, Array]] = field(repr=False, compare=False)
    x2: str | None = None
    amplitude: Sign = "positive"
    floor: Sign = "positive"
    bounds: tuple[float, float] | None = None
    min_points: int | None = None
    gradient: Gradient | None = field(default=None, repr=False, compare=False)
    place: Callable[[Law, tuple[float, ...]], Law] | None = field(default=None, repr=False, compare=False)
    check: Callable[[Array, Array | None], None] | None = field(default=None, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the equation."""
        return tuple(p.name for p in self.parameters)

    def with_role(self, role: Role) -> tuple[Parameter, ...]:
        """Give the parameters that play `role`, e.g. the exponents."""
        return tuple(p for p in self.parameters if p.role == role)

    def at(self, centres: tuple[float, ...]) -> Law:
        """Give the law for data about these mean logarithms of x (and x2); most laws are the same anywhere.

        A power law looks alike at every x. A decay length, the place of a break and a law that was written
        on the raw x do not: their search ranges, or their basis, depend on where the data are.
        """
        return self if self.place is None else self.place(self, centres)

    def __call__(
        self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, clip: bool = True, **params: float
    ) -> Array:
        """Evaluate the equation at the given parameters, clipped to `bounds` unless `clip` is False."""
        if missing := [name for name in self.names if name not in params]:
            raise BadInput(f"The law {self.name} needs {', '.join(missing)}; give a value for each.")
        if (x2 is None) != (self.x2 is None):
            raise BadInput(
                f"The law {self.name} is a function of {self.x}{f' and {self.x2}' if self.x2 else ' alone'}."
            )
        arguments = (x,) if x2 is None else (x, x2)
        value = self.function(*arguments, *(params[name] for name in self.names))
        return np.clip(value, *self.bounds) if clip and self.bounds else value


def scaled(log_basis: Array) -> tuple[Array, Array]:
    """Divide a positive basis, given by its logarithm, by its largest value."""
    log_scale = log_basis.max(axis=-1)
    return np.exp(log_basis - log_scale[..., None]), log_scale


_REGISTER: dict[str, Law] = {}


def register(law: Law, *, replace: bool = False) -> Law:
    """Make `law` known by its name, so that `fit("name", ...)` finds it.

    Raises
    ------
    BadInput
        If a law of that name is there and `replace` is False.
    """
    if law.name in _REGISTER and not replace:
        raise BadInput(f"A law named {law.name} is there already; choose another name or pass replace=True.")
    _REGISTER[law.name] = law
    return law


def get_law(law: str | Law) -> Law:
    """Give the law of that name, or the law itself.

    Raises
    ------
    BadInput
        If no law has that name; the nearest one is named.
    """
    if isinstance(law, Law):
        return law
    if law not in _REGISTER:
        near = get_close_matches(str(law), _REGISTER, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_REGISTER)}."
        raise BadInput(f"There is no law {law!r}; {hint}")
    return _REGISTER[law]


def law_names() -> tuple[str, ...]:
    """Give the names of all laws."""
    return tuple(_REGISTER)
