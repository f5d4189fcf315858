"""Predictions of one or several laws: value, interval, spread between laws, how far beyond the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from genret_core.scaling.intervals import Interval
from genret_core.scaling.layout import html_table, text_table, times
from genret_core.scaling.verdicts import Verdict
from genret_core.scaling.wording import interval_text, number, value_text


@dataclass(frozen=True)
class Prediction:
    """What the laws say at one place.

    Attributes
    ----------
    x, x2 : float
        The arguments (`x2` None for laws of one).
    y : float
        By the first law, kept to the bounds of y.
    clipped : bool
        Whether the curve itself lies outside of them.
    interval : Interval or None
        Of the first law's curve, which it holds only if that law does; None where nothing tells.
    factor : float
        How far beyond the data: x over the largest x, or the smallest over x; 1 inside. With two arguments
        the larger of the two factors.
    by_law : dict
        The value by every law, the first included.
    """

    x: float
    x2: float | None
    y: float
    clipped: bool
    interval: Interval | None
    factor: float
    by_law: dict[str, float]

    @property
    def spread(self) -> tuple[float, float] | None:
        """Least and largest value among the laws; None with one law."""
        values = self.by_law.values()
        return (min(values), max(values)) if len(values) > 1 else None

    @property
    def relative_spread(self) -> float | None:
        """Width of the spread over the value."""
        return None if self.spread is None or self.y == 0 else float(np.diff(self.spread)[0] / abs(self.y))

    @property
    def band(self) -> Interval | None:
        """Interval and spread together, the honest band; None without an interval."""
        if self.spread is None or self.interval is None:
            return self.interval
        lo, hi = self.interval.lo, self.interval.hi
        return Interval(
            None if lo is None else min(lo, self.spread[0]),
            None if hi is None else max(hi, self.spread[1]),
            self.interval.level,
        )


@dataclass(frozen=True)
class Predictions:
    """Predictions of one or several laws; print as a table.

    Attributes
    ----------
    places : tuple of Prediction
        In the order asked for.
    laws : tuple of str
        The first is the one whose interval is given.
    names : dict
        What `x`, `y` and `x2` are called.
    measured : tuple of (float, float)
        Range of each argument in the data.
    level : float
    verdicts : tuple of Verdict
        `extrapolation` with the largest factor, `outside_bounds`.
    """

    places: tuple[Prediction, ...]
    laws: tuple[str, ...]
    names: dict[str, str]
    measured: tuple[tuple[float, float], ...]
    level: float
    verdicts: tuple[Verdict, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.places)

    def __getitem__(self, i: int) -> Prediction:
        return self.places[i]

    def rows(self) -> list[dict[str, Any]]:
        """Give a JSON-ready row per place: all digits, null for what is open or not known."""
        table = []
        for one in self.places:
            row: dict[str, Any] = {"x": one.x} | ({} if one.x2 is None else {"x2": one.x2})
            row["y"] = one.y if np.isfinite(one.y) else None
            row[f"ci{100 * self.level:g}"] = _ends(one.interval)
            row["factor"] = one.factor
            if one.clipped:
                row["clipped"] = True
            if one.spread is not None:
                row["by_law"] = one.by_law
                row["spread"] = {
                    "lo": one.spread[0],
                    "hi": one.spread[1],
                    "relative": one.relative_spread,
                    "band": _ends(one.band),
                }
            table.append(row)
        return table

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values."""
        return {
            "laws": list(self.laws),
            "names": dict(self.names),
            "measured": [list(span) for span in self.measured],
            "level": self.level,
            "predictions": self.rows(),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """Say in one sentence what is predicted at the farthest place."""
        one = max(self.places, key=lambda place: place.factor)
        told = f"At {self._at(one)} the law {self.laws[0]} gives {self.names['y']} = "
        told += value_text(one.y, one.interval)
        if one.factor > 1:
            told += f", {times(one.factor)} beyond the data"
        if one.spread is not None:
            low, high = (number(end, one.spread[1] - one.spread[0]) for end in one.spread)
            told += f"; {len(self.laws)} laws give {low} to {high}"
        return told + "."

    def _at(self, one: Prediction) -> str:
        told = f"{self.names['x']} = {number(one.x)}"
        return told if one.x2 is None else f"{told}, {self.names['x2']} = {number(one.x2)}"

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        several = len(self.laws) > 1
        head = [self.names["x"], *([self.names["x2"]] if "x2" in self.names else []), self.names["y"]]
        head += [f"{self.level:.0%} interval", "beyond the data"]
        head += [*self.laws[1:], "with the spread"] if several else []
        rows = []
        for one in self.places:
            row = [number(one.x), *([] if one.x2 is None else [number(one.x2)])]
            row.append(value_text(one.y, one.interval).split(" ")[0] + (" (clipped)" if one.clipped else ""))
            row.append("none" if one.interval is None else interval_text(one.interval, one.y))
            row.append("no" if one.factor == 1 else times(one.factor))
            if several:
                row += [number(one.by_law[law]) for law in self.laws[1:]]
                row.append(_band_text(one))
            rows.append(row)
        return f"Predictions of {self.laws[0]}", head, rows, [self.sentence(), *map(str, self.verdicts)]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def _band_text(one: Prediction) -> str:
    """Write the honest band; without an interval it is at least the spread."""
    if one.band is not None:
        return interval_text(one.band, one.y)
    if one.spread is None:
        return "none"
    low, high = (number(end, one.spread[1] - one.spread[0]) for end in one.spread)
    return f"at least {low} to {high}"


def _ends(interval: Interval | None) -> list[float | None]:
    return [None, None] if interval is None else [interval.lo, interval.hi]
