"""What it takes to reach a target: prediction turned round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.scaling.beyond.extrapolation import factor_beyond
from genret_core.scaling.beyond.meeting import Limits, around, changes
from genret_core.scaling.intervals import Interval
from genret_core.scaling.laws.law import Array
from genret_core.scaling.layout import html_table, text_table, times
from genret_core.scaling.results import Fit
from genret_core.scaling.wording import interval_text, number, value_text

FARTHEST = 1e60  # so many times beyond the data is looked, in both directions
PLACES = 2000  # on ln x, for the curve
COARSER = 5  # for its band


@dataclass(frozen=True)
class Reach:
    """The argument at which a law comes to a target; prints as a table.

    Attributes
    ----------
    target : float
    at : float or None
        None where the curve never comes to the target.
    interval : Interval or None
        All arguments at which the target lies within the band of the curve; an end is open where that never
        stops. None where nothing tells, or where the band never holds the target.
    factor : float or None
        How far `at` lies beyond the data.
    limit : float
        What the curve goes to as the argument grows.
    names : dict
        What `x` and `y` are called.
    level : float
    """

    target: float
    at: float | None
    interval: Interval | None
    factor: float | None
    limit: float
    names: dict[str, str]
    level: float

    def sentence(self) -> str:
        """Say in one sentence what the target takes."""
        x, y = self.names["x"], self.names["y"]
        if self.at is not None:
            told = f"{y} = {number(self.target)} takes {x} = {value_text(self.at, self.interval)}"
            factor = self.factor or 1.0
            return told + (f", {times(factor)} beyond the data." if factor > 1 else ".")
        side = "below the floor" if self.target < self.limit else "above all that the curve comes to"
        told = f"{y} = {number(self.target)} lies {side} ({number(self.limit)}): no {x} reaches it"
        if self.interval is None or self.interval.lo is None:
            return told + "."
        return told + f", but the data allow that {x} above {number(self.interval.lo)} does."

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values: null for what is open, not known or never reached."""
        ends = [None, None] if self.interval is None else [self.interval.lo, self.interval.hi]
        return {
            "target": self.target,
            "x": self.at,
            f"ci{100 * self.level:g}": ends,
            "factor": self.factor,
            "limit": self.limit if np.isfinite(self.limit) else None,
            "names": dict(self.names),
            "sentence": self.sentence(),
        }

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        x, y = self.names["x"], self.names["y"]
        row = [
            number(self.target),
            "none" if self.at is None else number(self.at),
            "none" if self.interval is None else interval_text(self.interval, self.at or np.nan),
            "–" if self.factor is None else "no" if self.factor == 1 else times(self.factor),
        ]
        head = [y, x, f"{self.level:.0%} interval", "beyond the data"]
        return f"{x} for a target", head, [row], [self.sentence()]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def reach(fit: Fit, target: float, *, level: float = 0.95) -> Reach:
    """Find the argument at which a fitted law comes to a target.

    Parameters
    ----------
    fit : Fit
        Of a law of one argument.
    target : float
        Value of y.
    level : float
        Of the interval.

    Returns
    -------
    Reach
        Its interval is the band of the curve turned round: the arguments at which the target is within it.

    Raises
    ------
    BadInput
        For a law of two arguments (see `allocate`), or a target that y cannot have.
    """
    if fit.law.x2 is not None:
        raise BadInput(
            f"The law {fit.law.name} has two arguments; ask allocate(fit, budget) how to use both."
        )
    bounds = fit.law.bounds or (-np.inf, np.inf)
    if not np.isfinite(target) or not bounds[0] <= target <= bounds[1]:
        raise BadInput(f"The target {target} is not a value that {fit.points.names['y']} can have.")
    t = np.linspace(np.log(fit.x.min() / FARTHEST), np.log(fit.x.max() * FARTHEST), PLACES)

    def gap(t: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(fit.predict(np.exp(t), clip=False) - target)

    def limits(t: Array) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = fit.band(np.exp(t), level=level, clip=False)
        return low - target, high - target

    roots = [root for root, _ in changes(gap, t)]
    at = min((float(np.exp(root)) for root in roots), key=lambda x: factor_beyond(x, fit.x), default=None)
    start = np.log(at) if at is not None else _held(limits, t[::COARSER])
    return Reach(
        target=float(target),
        at=at,
        interval=None if start is None else around(limits, float(start), t, level),
        factor=None if at is None else float(factor_beyond(at, fit.x)),
        limit=float(gap(t[-1:])[0] + target),
        names=dict(fit.points.names),
        level=level,
    )


def _held(limits: Limits, t: Array) -> float | None:
    """Give the first place at which the band holds 0, where the curve itself never comes to it."""
    low, high = limits(t)
    holds = np.flatnonzero((low <= 0) & (high >= 0))
    return float(t[holds[0]]) if len(holds) else None
