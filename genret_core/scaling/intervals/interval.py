"""An interval whose ends may be open, and what every source of intervals can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from genret_core.scaling.laws.law import Array

AMPLITUDE = "amplitude_at_centre"
ROUNDING = 1e-12  # an R² smaller than this is 0


@dataclass(frozen=True)
class Interval:
    """An interval whose ends may be open.

    Attributes
    ----------
    lo, hi : float or None
        None is an open end: the data (or the search) set no limit on that side.
    level : float
        Confidence level, e.g. 0.95.
    """

    lo: float | None
    hi: float | None
    level: float

    @property
    def open(self) -> tuple[str, ...]:
        """Sides that have no limit: "low", "high"."""
        return tuple(side for side, end in (("low", self.lo), ("high", self.hi)) if end is None)

    @property
    def width(self) -> float | None:
        """Length, None if an end is open."""
        return None if self.lo is None or self.hi is None else self.hi - self.lo

    def __contains__(self, value: float) -> bool:
        return (self.lo is None or self.lo <= value) and (self.hi is None or value <= self.hi)

    def __str__(self) -> str:
        low = "(open" if self.lo is None else f"[{self.lo:.6g}"
        high = "open)" if self.hi is None else f"{self.hi:.6g}]"
        return f"{low}, {high}"

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping; an open end is null and named in `open`."""
        return {"low": self.lo, "high": self.hi, "level": self.level, "open": list(self.open)}


class Spread(Protocol):
    """Where intervals come from; what every source of them can tell."""

    @property
    def covers(self) -> str:
        """One sentence: what the intervals cover, and what they leave out."""
        ...

    @property
    def method(self) -> str:
        """How the intervals were found, in a word or two."""
        ...

    @property
    def flat(self) -> bool:
        """Whether no trend at all is within the intervals."""
        ...

    def at(self, level: float) -> Spread:
        """Give the same source at another confidence level."""
        ...

    def intervals(self) -> dict[str, Interval]:
        """Give the interval of every parameter by name, where there is one."""
        ...

    def band(self, u: Array, v: Array | None) -> tuple[Array, Array]:
        """Give the lower and upper limit of the curve at centred log arguments; NaN where there is none."""
        ...


@dataclass(frozen=True)
class NoSpread:
    """Nothing tells how sure the fit is."""

    covers: str
    flat: bool = False
    method: str = "none"

    def at(self, level: float) -> NoSpread:
        """Give itself."""
        return self

    def intervals(self) -> dict[str, Interval]:
        """Give none."""
        return {}

    def band(self, u: Array, v: Array | None) -> tuple[Array, Array]:
        """Give NaN."""
        return np.full(u.shape, np.nan), np.full(u.shape, np.nan)


@dataclass(frozen=True)
class Noise:
    """How far an objective may rise above its least within an interval.

    Attributes
    ----------
    least : float
        The objective at the optimum.
    variance : float
        Of a residual of weight 1.
    dof : int or None
        Degrees of freedom that the variance was estimated with, None where it is known.
    rounding : float
        The rise that rounding alone may cause: a perfect fit has intervals of that width, not none.
    """

    least: float
    variance: float
    dof: int | None
    rounding: float

    def quantile(self, level: float) -> float:
        """Give the two-sided quantile of Student's t, or of the normal distribution for known noise."""
        from scipy import special  # slow to import, and not needed with replicates

        tail = (1 + level) / 2
        return float(special.ndtri(tail) if self.dof is None else special.stdtrit(self.dof, tail))

    def threshold(self, level: float) -> float:
        """Give the largest objective within the interval: F with 1 and `dof`, or chi-square with 1."""
        return self.least + max(self.variance * self.quantile(level) ** 2, self.rounding)


def from_ends(low: float, high: float, level: float) -> Interval:
    """Make an interval; an infinite or undefined end is open."""
    lo, hi = (float(end) if np.isfinite(end) else None for end in (low, high))
    return Interval(lo, hi, level)
