"""Where two curves meet, which of them is lower beyond, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.beyond.extrapolation import factor_beyond
from genret_core.scaling.beyond.meeting import around, changes, limits_of_difference
from genret_core.scaling.intervals import Interval
from genret_core.scaling.laws.law import Array, get_law
from genret_core.scaling.layout import html_table, text_table, times
from genret_core.scaling.wording import interval_text, number

PLACES = 4000  # of the grid on ln x on which a change of sign is looked for
BEYOND = 100.0  # how far outside the data is looked
WITHOUT_DATA = (1e6, 1e24)  # what is looked at where neither curve has data

ROUNDING = 1e-15  # curves that differ by less than this share of their value are equal
REFIT_PLACES = 400  # of the grid on which refits are looked at


class Curve(Protocol):
    """What can be crossed: a `Fit`, a `published.PublishedLaw`, or anything that predicts from one argument.

    `x` (where it was measured), `band(x, level=)` and refits are used where they are there.
    """

    def predict(self, x: npt.ArrayLike, /) -> Array:
        """Give the value at `x`, kept to its bounds."""
        ...


@dataclass(frozen=True)
class Crossing:
    """A place where two curves meet.

    Attributes
    ----------
    at, y : float
        The argument, and the value of both there.
    lower_beyond : str
        Name of the curve that is lower above `at`.
    interval : Interval or None
        All arguments around `at` at which the data do not tell the curves apart; an end is open where that
        goes on to the end of what was looked at. None where nothing tells how sure a curve is.
    inside : bool or None
        Whether `at` lies where both were measured; None where that is not known of one.
    factor : float or None
        How far `at` lies outside of what was measured, of the curve for which that is farther; 1 inside.
    """

    at: float
    y: float
    lower_beyond: str
    interval: Interval | None
    inside: bool | None
    factor: float | None


@dataclass(frozen=True)
class Crossings:
    """All places where two curves meet; prints as a table.

    Attributes
    ----------
    places : tuple of Crossing
        In order of the argument.
    names : (str, str)
        What the curves are called.
    argument : str
        What `at` is.
    looked : (float, float)
        The range looked at.
    lower_first : str or None
        Name of the curve that is lower at the start of that range; None where they are equal throughout.
    share : float or None
        Share of the refits that meet anywhere in that range; None without refits.
    level : float
    method : str
        What the intervals stand on; empty where there are none.
    """

    places: tuple[Crossing, ...]
    names: tuple[str, str]
    argument: str
    looked: tuple[float, float]
    lower_first: str | None
    share: float | None
    level: float
    method: str

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Crossing]:
        return iter(self.places)

    def __getitem__(self, i: int) -> Crossing:
        return self.places[i]

    def sentence(self) -> str:
        """Say in one sentence where they meet and which is lower where."""
        a, b = self.names
        span = f"from {self.argument} = {number(self.looked[0])} to {number(self.looked[1])}"
        if self.lower_first is None:
            return f"{a} and {b} are equal {span}."
        if not self.places:
            return f"{a} and {b} do not meet {span}: {self.lower_first} is lower."
        told = f"{self.lower_first} is lower up to {self._place(self.places[0])}"
        for i, one in enumerate(self.places):
            last = i + 1 == len(self.places)
            told += f", then {one.lower_beyond}" + (
                "" if last else f", up to {self._place(self.places[i + 1])}"
            )
        return told + "."

    def _place(self, one: Crossing) -> str:
        told = f"{self.argument} = {number(one.at)}"
        if one.interval is not None:
            told += f" {interval_text(one.interval, one.at)}"
        if one.factor is not None and one.factor > 1:
            told += f" ({times(one.factor)} beyond the data)"
        return told

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values, null for what is open or not known."""
        return {
            "names": list(self.names),
            "argument": self.argument,
            "looked": list(self.looked),
            "lower_first": self.lower_first,
            "share": self.share,
            "level": self.level,
            "method": self.method or None,
            "crossings": [
                {
                    "x": one.at,
                    "y": one.y,
                    "lower_beyond": one.lower_beyond,
                    f"ci{100 * self.level:g}": one.interval and [one.interval.lo, one.interval.hi],
                    "inside": one.inside,
                    "factor": one.factor,
                }
                for one in self.places
            ],
            "sentence": self.sentence(),
        }

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        head = ["meet at", "value", "lower beyond", f"{self.level:.0%} interval", "measured there"]
        known = {True: "by both", None: "not known"}
        rows = [
            [
                number(one.at),
                number(one.y),
                one.lower_beyond,
                "none" if one.interval is None else interval_text(one.interval, one.at),
                known.get(one.inside) or f"no, {times(one.factor or 1.0)} beyond",
            ]
            for one in self.places
        ]
        told = [self.sentence(), f"The intervals stand on {self.method}." if self.method else ""]
        if self.share is not None:
            told.append(f"{self.share:.0%} of the refits meet in this range.")
        return f"{self.names[0]} and {self.names[1]}", head, rows, told

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def crossing(
    a: Curve,
    b: Curve,
    *,
    level: float = 0.95,
    low: float | None = None,
    high: float | None = None,
    names: tuple[str, str] | None = None,
) -> Crossings:
    """Find all places where two curves meet, on their values kept to their bounds.

    Parameters
    ----------
    a, b : Curve
        Fits or published laws of one argument.
    level : float
        Of the intervals.
    low, high : float, optional
        The range looked at; default the data of both and a hundred times beyond, and 1e6 to 1e24 where
        neither has data.
    names : (str, str), optional
        What they are called.

    Returns
    -------
    Crossings
        Each interval is a Fieller set: all arguments around the crossing at which 0 lies within the interval
        of the difference of the curves. That interval is taken from the refits where both fits have as many
        (replicates of the same resampled queries pair up), and else put together from the two bands by the
        method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27, 2008), which takes
        the curves as independent. No interval without a band, as for published coefficients.

    Raises
    ------
    BadInput
        For laws of two arguments, a range that is none, or a level that is none.

    Notes
    -----
    A stretch on which both curves are kept to the same bound is no crossing: they are equal there because
    neither can go further.

    Examples
    --------
    >>> from genret_core.scaling import crossing, published
    >>> t5, llama = published.laws(metric="MR@5")
    >>> [f"{place.at:.3g}" for place in crossing(llama, t5)]
    ['2.07e+11']
    """
    if not 0 < level < 1:
        raise BadInput(f"level is {level}, but a confidence level lies between 0 and 1, e.g. 0.95.")
    for one in (a, b):
        law = getattr(one, "law", None)
        if law is not None and get_law(law).x2 is not None:
            raise BadInput(
                f"The law {get_law(law).name} has two arguments, and curves cross in one; "
                "fit a law of one argument to points that share the other."
            )
    measured = [np.asarray(one.x) for one in (a, b) if hasattr(one, "x")]
    looked = _range(measured, low, high)
    t = np.linspace(np.log(looked[0]), np.log(looked[1]), PLACES)
    names = names or (_name(a, "the first curve"), _name(b, "the second curve"))

    def gap(t: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            first, second = a.predict(np.exp(t)), b.predict(np.exp(t))
            d = np.asarray(first - second)
            return np.where(np.abs(d) <= ROUNDING * np.abs(first), 0.0, d)

    signs = np.sign(gap(t))
    signs = signs[np.abs(signs) == 1]  # neither equal nor unknown
    limits, method, gaps = limits_of_difference(a, b, level)
    places = []
    for root, sign in changes(gap, t):
        at = float(np.exp(root))
        factors = [float(factor_beyond(at, x)) for x in measured]
        inside = None if len(measured) < 2 else True
        places.append(
            Crossing(
                at=at,
                y=float(a.predict(at)),
                lower_beyond=names[0] if sign < 0 else names[1],
                interval=None if limits is None else around(limits, root, t, level),
                inside=False if max(factors, default=1.0) > 1 else inside,
                factor=max(factors, default=None),
            )
        )
    first = None if not len(signs) else names[0] if signs[0] < 0 else names[1]
    argument = next((one.points.names["x"] for one in (a, b) if hasattr(one, "points")), "x")
    share = None
    if gaps is not None:
        refits = gaps(np.linspace(t[0], t[-1], REFIT_PLACES))
        share = float(((refits > 0).any(axis=1) & (refits < 0).any(axis=1)).mean())
    method = method if any(place.interval is not None for place in places) else ""
    return Crossings(tuple(places), names, argument, looked, first, share, level, method)


def _range(measured: list[Array], low: float | None, high: float | None) -> tuple[float, float]:
    start, end = WITHOUT_DATA
    if measured:
        start = min(float(x.min()) for x in measured) / BEYOND
        end = max(float(x.max()) for x in measured) * BEYOND
    start, end = (start if low is None else low), (end if high is None else high)
    if not (0 < start < end < np.inf):
        raise BadInput(f"Curves cannot be crossed from {start:g} to {end:g}; give 0 < low < high.")
    return float(start), float(end)


def _name(curve: Curve, otherwise: str) -> str:
    """Call a published law by its name."""
    return str(getattr(curve, "id", otherwise))
