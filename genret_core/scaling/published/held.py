"""Printed coefficients held against points: what they leave, what their rounding costs, and in which order.

Squared errors here are plain ones, in units of y, whatever a fit minimised: the printed coefficients were
found by least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.points import Points
from genret_core.scaling.published.digits import rounded, unit
from genret_core.scaling.published.judging import NOTHING, SWAPPED, judge, times
from genret_core.scaling.published.nearby import best_nearby
from genret_core.scaling.published.printed import PublishedLaw
from genret_core.scaling.verdicts import Verdict

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

HEAD = ("", "sse", "R²", "over the fit's")


@dataclass(frozen=True, eq=False)
class Held:
    """Printed coefficients held against points and against our optimum for them.

    Attributes
    ----------
    law : PublishedLaw
    fit : Fit
        Our optimum.
    points : Points
        What both are held against.
    sse_as_printed : float
        Squared error of the printed coefficients in the equation as printed.
    sse_exchanged : float or None
        The same with the two arguments exchanged; None for a law of one argument.
    sse_fit : float
        Squared error of the fit.
    sse_fit_rounded : float or None
        Squared error of the fit's own parameters, rounded as the printed ones are; None for another law.
    sse_nearby : float
        The least squared error within one unit in the last printed digit of every coefficient (digits may
        have been cut as well as rounded), with the arguments in the better order.
    nearby : dict
        The coefficients that reach it.
    total : float
        Squared error of the mean of y.
    """

    law: PublishedLaw
    fit: Fit = field(repr=False)
    points: Points = field(repr=False)
    sse_as_printed: float
    sse_exchanged: float | None
    sse_fit: float
    sse_fit_rounded: float | None
    sse_nearby: float
    nearby: dict[str, float]
    total: float

    @property
    def swapped(self) -> bool:
        """Whether the coefficients fit far better with the two arguments exchanged."""
        return self.sse_exchanged is not None and self.sse_exchanged * SWAPPED <= self.sse_as_printed

    @property
    def sse(self) -> float:
        """Squared error of the printed coefficients, with the arguments in the better order."""
        return self.sse_exchanged if self.swapped and self.sse_exchanged is not None else self.sse_as_printed

    @property
    def ratio(self) -> float:
        """Squared error of the printed coefficients over that of the fit; infinite where that leaves none."""
        return self.sse / self.sse_fit if self.sse_fit > self.nothing else math.inf

    @property
    def R2(self) -> float:
        """R² of the printed coefficients on these points; NaN for a constant y."""
        return self._R2(self.sse)

    @property
    def R2_rounded(self) -> float:
        """R² of the fit's own parameters, rounded as the printed ones are."""
        return math.nan if self.sse_fit_rounded is None else self._R2(self.sse_fit_rounded)

    @property
    def R2_nearby(self) -> float:
        """The best R² within one unit in the last printed digit of every coefficient."""
        return self._R2(self.sse_nearby)

    @property
    def rounding_share(self) -> float:
        """Share of the excess over the fit that rounding explains: 1 if some nearby digits fit as well."""
        excess = self.sse - self.sse_fit
        return float(np.clip((self.sse - self.sse_nearby) / excess, 0.0, 1.0)) if excess > 0 else math.nan

    @property
    def nothing(self) -> float:
        """A squared error that is rounding of the machine."""
        return NOTHING * self.total

    @property
    def arguments(self) -> str:
        """Name what the printed law is a function of: "P", or "P and D"."""
        described = self.law.described
        return described.x if described.x2 is None else f"{described.x} and {described.x2}"

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What a reader must be told, the gravest first."""
        return judge(self)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values: all digits, null for what is undefined or infinite."""
        numbers = {
            "sse_as_printed": self.sse_as_printed,
            "sse_exchanged": self.sse_exchanged,
            "sse": self.sse,
            "sse_fit": self.sse_fit,
            "sse_fit_rounded": self.sse_fit_rounded,
            "sse_nearby": self.sse_nearby,
            "ratio": self.ratio,
            "rounding_share": self.rounding_share,
            "r2": self.R2,
            "r2_fit_rounded": self.R2_rounded,
            "r2_nearby": self.R2_nearby,
            "r2_printed": self.law.R2,
        }
        return {
            "id": self.law.id,
            "where": self.law.where,
            "printed": dict(self.law.printed),
            "swapped": self.swapped,
            **{key: _plain(value) for key, value in numbers.items()},
            "nearby": dict(self.nearby),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
        }

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Give the table: whose coefficients, their squared error, R², and the error over the fit's."""
        entries: list[tuple[str, float | None]] = [
            ("the fit", self.sse_fit),
            ("the fit, rounded as printed", self.sse_fit_rounded),
            (f"{self.law.where}, as printed", self.sse_as_printed),
            (f"{self.law.where}, {self.arguments} exchanged", self.sse_exchanged),
            ("best within one unit of the last printed digits", self.sse_nearby),
        ]
        return [
            (name, f"{sse:.4g}", f"{self._R2(sse):.6g}", self._over(sse))
            for name, sse in entries
            if sse is not None
        ]

    def __str__(self) -> str:
        return text_table(self._title, HEAD, self.rows(), map(str, self.verdicts))

    def _repr_html_(self) -> str:
        return html_table(self._title, HEAD, self.rows(), map(str, self.verdicts))

    @property
    def _title(self) -> str:
        return f"{self.law.where} ({self.law.id}), R² as printed {self.law.printed_R2}"

    def _R2(self, sse: float) -> float:
        return 1 - sse / self.total if self.total > 0 else math.nan

    def _over(self, sse: float) -> str:
        return times(sse / self.sse_fit) if self.sse_fit > self.nothing else "–"


def hold(found: Fit | Points, law: PublishedLaw, points: Points | None = None) -> Held:
    """Hold printed coefficients against points.

    Parameters
    ----------
    found : Fit or Points
        Our fit of the points; of points alone the printed law is fitted, in the order of its arguments that
        suits the printed coefficients better.
    law : PublishedLaw
        One of `published.find(...)`.
    points : Points, optional
        Other points to hold both against than those that were fitted, e.g. with the excluded rows.

    Raises
    ------
    BadInput
        If the points have one argument and the printed law two, or the other way round, or if one is a law
        in P and the other in D or C.
    """
    held = points or (found if isinstance(found, Points) else found.points)
    _same_arguments(held, law)
    as_printed = _printed_errors(law, held, exchanged=False)
    exchanged = None if held.x2 is None else _printed_errors(law, held, exchanged=True)
    turned = exchanged is not None and exchanged * SWAPPED <= as_printed
    ours = _fitted(found, law, exchanged=turned) if isinstance(found, Points) else found
    nearby, sse_nearby = _nearby(law, held, ours, exchanged=turned)
    sse_rounded = None
    if set(ours.params) == set(law.printed):
        digits = {name: rounded(value, law.printed[name]) for name, value in ours.params.items()}
        sse_rounded = _squares(held.y - ours.law(held.x, held.x2, clip=False, **digits))
    return Held(
        law=law,
        fit=ours,
        points=held,
        sse_as_printed=as_printed,
        sse_exchanged=exchanged,
        sse_fit=_squares(held.y - ours.predict(held.x, held.x2, clip=False)),
        sse_fit_rounded=sse_rounded,
        sse_nearby=sse_nearby,
        nearby=nearby,
        total=_squares(held.y - held.y.mean()),
    )


def _fitted(points: Points, law: PublishedLaw, *, exchanged: bool) -> Fit:
    from genret_core.scaling.fitting import fit  # it may itself want to know what was published

    name = f"{law.law}_exchanged" if exchanged else law.law
    return fit(name, points.x, points.y, points.x2, names=points.names)


def _printed_errors(law: PublishedLaw, points: Points, *, exchanged: bool) -> float:
    return _squares(points.y - law.described(*_ordered(points, exchanged), clip=False, **law.params))


def _nearby(
    law: PublishedLaw, points: Points, ours: Fit, *, exchanged: bool
) -> tuple[dict[str, float], float]:
    """Find the best coefficients within one unit of the last printed digits; start from ours, too."""
    names = law.described.names
    arguments = tuple(a for a in _ordered(points, exchanged) if a is not None)
    coefficients = np.array([law.params[name] for name in names])
    reach = np.array([unit(law.printed[name]) for name in names])
    start = np.array([ours.params.get(name, math.nan) for name in names])
    aim = start if np.isfinite(start).all() else None
    best, sse = best_nearby(law.described.function, arguments, points.y, coefficients, reach, aim)
    return dict(zip(names, best.tolist(), strict=True)), sse


def _ordered(points: Points, exchanged: bool) -> tuple[Array, Array | None]:
    if exchanged and points.x2 is not None:
        return points.x2, points.x
    return points.x, points.x2


def _squares(residuals: Array) -> float:
    return float(residuals @ residuals)


def _same_arguments(points: Points, law: PublishedLaw) -> None:
    printed, ours = law.described, points.law
    if (points.x2 is None) != (printed.x2 is None):
        wanted = printed.x if printed.x2 is None else f"{printed.x} and {printed.x2}"
        raise BadInput(f"{law.where} prints a law in {wanted}, but these points have not the same arguments.")
    for theirs, own in ((printed.x, ours.x), (printed.y, ours.y)):
        if own not in ("x", "y", theirs):
            raise BadInput(
                f"{law.where} prints {printed.y} as a law in {printed.x}, but the law {ours.name} is one for "
                f"{ours.y} in {ours.x}; choose another of the published laws."
            )


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
