"""Several families under one law: whether one exponent, or one floor, does for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.comparison.criteria import squares
from genret_core.scaling.comparison.residual_tests import FTest, f_test, rounding
from genret_core.scaling.comparison.sharing import OneExponent, OneFloor, Sharing
from genret_core.scaling.comparison.telling import SUPPORTED
from genret_core.scaling.intervals import ROUNDING, Interval, Noise
from genret_core.scaling.laws.law import Array
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.results import Fit
from genret_core.scaling.wording import value_text

What = Literal["exponent", "floor"]
UNEVEN = 0.05  # p of a difference in scatter below which pooling it is said to be rough
CUTS, NARROWINGS = 16, 3  # of a bracket about the end of an interval; what is left is a straight line


@dataclass(frozen=True, eq=False)
class SharedTest:
    """One exponent or one floor for all families, held against one for each. Prints as a table.

    Attributes
    ----------
    what : {"exponent", "floor"}
    law : str
    symbol : str
        Of the parameter that is shared.
    value : float
        The one that does best for all families together.
    interval : Interval or None
        Of that; None where nothing tells how noisy the points are.
    own : dict of (float, Interval or None)
        By family, without sharing.
    params : dict of dict
        By family, all parameters when that one is shared: the curves to draw.
    test : FTest or None
        None without a degree of freedom in any family.
    scatter : (float, float) or None
        How many times the variance about the law of the noisiest family is that of the quietest, and p of so
        large a ratio; None where fewer than two families have a degree of freedom, or where it is known.
    """

    what: What
    law: str
    symbol: str
    value: float
    interval: Interval | None
    own: dict[str, tuple[float, Interval | None]]
    params: dict[str, dict[str, float]]
    test: FTest | None
    scatter: tuple[float, float] | None

    @property
    def F(self) -> float | None:
        """Rise of the sum of squares for each parameter fewer, over the pooled variance."""
        return None if self.test is None else self.test.F

    @property
    def dof(self) -> tuple[int, int | None] | None:
        """Parameters fewer, and degrees of freedom of the variance (None where it is known)."""
        return None if self.test is None else self.test.dof

    @property
    def p(self) -> float | None:
        """The chance of so large an F if all families have the same."""
        return None if self.test is None else self.test.p

    def sentence(self) -> str:
        """Say whether one does for all."""
        one = f"one {self.what} {self.symbol} = {value_text(self.value, self.interval)}"
        if self.test is None:
            return f"Nothing tells whether {one} does for all: no family has a degree of freedom."
        told = f"F = {self.test.F:.3g}, p = {self.test.p:.2g}"
        if self.test.p < SUPPORTED:
            text = f"The families do not share the {self.what}: {told} against {one}."
        else:
            text = f"The points do not tell the {self.what}s apart: {one} does for all ({told})."
        if self.scatter is not None and self.scatter[1] < UNEVEN:
            text += f" The families scatter unevenly (variances {self.scatter[0]:.3g} to 1): p is rough."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values."""
        return {
            "what": self.what,
            "law": self.law,
            "value": self.value,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "own": {
                name: {
                    "value": value if np.isfinite(value) else None,
                    "interval": None if interval is None else interval.to_dict(),
                }
                for name, (value, interval) in self.own.items()
            },
            "params": {
                name: {key: value if np.isfinite(value) else None for key, value in params.items()}
                for name, params in self.params.items()
            },
            "test": None if self.test is None else self.test.to_dict(),
            "scatter": None if self.scatter is None else {"ratio": self.scatter[0], "p": self.scatter[1]},
            "sentence": self.sentence(),
        }

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        rows = [[name, value_text(*self.own[name])] for name in self.own]
        rows.append(["one for all", value_text(self.value, self.interval)])
        return f"Families under {self.law}", ["family", self.symbol], rows, [self.sentence()]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def shared(fits: Mapping[str, Fit], what: What = "exponent", *, level: float = 0.95) -> SharedTest:
    """Test whether families of points share an exponent or a floor, all else their own.

    Parameters
    ----------
    fits : mapping of Fit
        By family, two or more: the same law by the same objective (`ols` or `relative`).
    what : {"exponent", "floor"}
    level : float
        Of the intervals.

    Returns
    -------
    SharedTest

    Raises
    ------
    BadInput
        For fits that cannot be pooled: other laws or objectives, noise known of some only, a law without a
        floor or with several exponents, or a family without a falling part.

    Notes
    -----
    F = (S_shared - S_own) / (families - 1) / (S_own / dof), with sums of squares and degrees of freedom over
    all families: it takes their scatter as equal, unless standard deviations are known, when the rise is
    chi-square. A floor on its bound makes p too large.

    Examples
    --------
    >>> from genret_core.scaling import fit
    >>> x = [1e6, 1e7, 1e8, 1e9, 1e10]
    >>> a = fit("model_size", x, [1.52, 0.701, 0.419, 0.331, 0.312])
    >>> b = fit("model_size", x, [2.53, 1.201, 0.721, 0.548, 0.498])
    >>> shared({"a": a, "b": b}).dof
    (1, 4)
    """
    _check(fits, what, level)
    own = list(fits.values())
    law, rich = own[0].law, sum(squares(f) for f in own)
    parameter = law.with_role(what)[0]
    ways: Sharing = OneExponent(own) if what == "exponent" else OneFloor(own)
    place, least = ways.best()
    noise_left = sum(f.n * rounding(f.points) ** 2 for f in own)
    simple = max(least, rich, noise_left)
    known = own[0].points.sd is not None
    dof, more = sum(max(f.dof, 0) for f in own), len(own) - 1
    solved = ways.solutions(place)
    return SharedTest(
        what,
        law.name,
        parameter.symbol,
        ways.told(place),
        _interval(ways, place, simple, dof + more, level, known=known),
        {name: (f.params[parameter.name], f.interval(parameter.name, level)) for name, f in fits.items()},
        {
            name: {key: float(value[0]) for key, value in s.parameters(f.points.centres).items()}
            for (name, f), s in zip(fits.items(), solved, strict=True)
        },
        f_test(f"one {what}", simple, rich, more, dof, known=known),
        None if known else _scatter(own),
    )


def _check(fits: Mapping[str, Fit], what: str, level: float) -> None:
    if what not in ("exponent", "floor"):
        raise BadInput(f"Families share an exponent or a floor, not {what!r}.", code="bad_option")
    if not 0 < level < 1:
        raise BadInput(f"level is {level}, but a confidence level lies between 0 and 1, e.g. 0.95.")
    if len(fits) < 2:
        raise BadInput("There is one family only; show another one beside it.")
    first = next(iter(fits.values()))
    law, points = first.law, first.points
    for name, f in fits.items():
        if f.law.name != law.name or f.objective != points.objective.name:
            raise BadInput(f"{name} is fitted by another law or objective; fit all families alike.")
        if (f.points.sd is None) != (points.sd is None):
            raise BadInput(f"The noise of some families is known and of others ({name}) it is not.")
        if f.best.sign[0] == 0:
            raise BadInput(f"{name} has no falling part, so it has no exponent and no floor to share.")
    if not points.objective.projects:
        raise BadInput(
            f"Families are tested by sums of squares; choose ols or relative, not {points.objective.name}."
        )
    if what == "exponent" and (len(law.nonlinear) != 1 or len(law.with_role("exponent")) != 1):
        raise BadInput(f"The law {law.name} does not have one exponent that families could share.")
    if what == "floor" and (law.floor == "none" or not law.with_role("floor")):
        raise BadInput(f"The law {law.name} has no floor that families could share.")


def _interval(
    ways: Sharing, place: float, least: float, dof: int, level: float, *, known: bool
) -> Interval | None:
    """Give all places at which the sum of squares is small enough; an end of the search is open."""
    if dof < 1 and not known:
        return None
    total = sum(
        float((f.points.weight * f.y**2).sum()) * f.points.unit / f.points.scale**2 for f in ways.fits
    )
    noise = Noise(least, 1.0 if known else least / dof, None if known else dof, ROUNDING * total)
    threshold = noise.threshold(level)

    def excess(at: Array) -> Array:
        return ways.objective(at) - threshold

    places = ways.places()
    inside = places[excess(places) <= 0]
    lowest, highest = float(inside.min(initial=place)), float(inside.max(initial=place))
    below, above = places[places < lowest], places[places > highest]
    low = ways.told(_cross(excess, lowest, float(below[-1]))) if len(below) else None
    high = ways.told(_cross(excess, highest, float(above[0]))) if len(above) else None
    return Interval(low, high, level)


def _cross(excess: Callable[[Array], Array], inside: float, outside: float) -> float:
    for _ in range(NARROWINGS):
        places = np.linspace(inside, outside, CUTS + 2)
        values = excess(places)
        first = max(int((values > 0).argmax()), 1) if (values > 0).any() else len(places) - 1
        inside, outside = float(places[first - 1]), float(places[first])
    low, high = float(values[first - 1]), float(values[first])
    return inside - low * (outside - inside) / (high - low) if low < 0 < high else inside


def _scatter(fits: list[Fit]) -> tuple[float, float] | None:
    """Compare the largest variance about the law with the least: the ratio, and its two-sided p."""
    from scipy import special

    free = [(squares(f) / f.dof, f.dof) for f in fits if f.dof > 0]
    if len(free) < 2:
        return None
    (low, of_low), (high, of_high) = min(free), max(free)
    ratio = high / low if low > 0 else np.inf
    pairs = len(free) * (len(free) - 1) / 2  # the extreme of so many
    tail = float(special.fdtrc(of_high, of_low, ratio)) if np.isfinite(ratio) else 0.0
    return float(ratio), min(1.0, 2 * pairs * tail)
