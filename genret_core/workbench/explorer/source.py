"""A table of points, and what its columns mean."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.workbench.explorer.state import State

COLUMNS = ("row", "series", "x", "y", "x2", "sd", "name", "note")
NUMBERS = ("x", "y", "x2", "sd")
MOST_SHOWN = 6  # series that are shown at the beginning


@dataclass(frozen=True, eq=False)
class Source:
    """Series of points.

    Attributes
    ----------
    name : str
        "published points", a file, a study.
    table : DataFrame
        `row` (from 1), `series`, `x`, `y`, `x2` and `sd` (NaN where there is none), `name`, `note`.
    x, y, x2 : str
        What they are called in the first series.
    n_negatives : int or None
        N of the CGL, for chance and rho.
    labels : dict
        How a person calls a series.
    laws : dict
        The law that a series opens with.
    published : dict
        Identifier of the printed law that belongs to a series.
    replicates : dict
        Values of a series recomputed on resampled queries, [n, draws].
    names : dict
        `x`, `y`, `x2` of a series, where these differ between series.
    kin : dict
        (method, family) of a series, which give it its colour and shape.
    seed_sd : dict
        (standard deviation between seeds or None, where that is from) of a series with replicates.
    n_queries : dict
        Number of queries behind the replicates of a series.
    apart : tuple of (int, str)
        Rows that are left out at the beginning, and why.
    origin : mapping
        Where the points can be read again: `kind` (`published`, `file`, `study`, `frame`) and its needs.
    note : str
        What was taken for what.
    """

    name: str
    table: pd.DataFrame = field(repr=False)
    x: str
    y: str
    x2: str | None = None
    n_negatives: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    laws: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    replicates: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    kin: dict[str, tuple[str, str]] = field(default_factory=dict)
    seed_sd: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    n_queries: dict[str, int] = field(default_factory=dict)
    apart: tuple[tuple[int, str], ...] = ()
    origin: Mapping[str, Any] = field(default_factory=lambda: {"kind": "frame"})
    note: str = ""

    def __post_init__(self) -> None:
        table = self.table.reset_index(drop=True)
        for column in COLUMNS:
            if column not in table:
                table[column] = np.nan if column in NUMBERS else ""
        table = table[list(COLUMNS)].astype(
            {"row": int, "series": str, "name": str, "note": str, **dict.fromkeys(NUMBERS, float)}
        )
        if not len(table):
            raise BadInput(f"{self.name} holds no points; add a row per point.")
        object.__setattr__(self, "table", table)

    @cached_property
    def series(self) -> tuple[str, ...]:
        """All series, in the order in which they first stand in the table."""
        return tuple(dict.fromkeys(self.table["series"]))

    @cached_property
    def _parts(self) -> dict[str, pd.DataFrame]:
        groups = self.table.groupby("series", sort=False)
        return {str(name): part.reset_index(drop=True) for name, part in groups}

    def rows(self, series: str) -> pd.DataFrame:
        """Give the points of a series; do not write to it."""
        if series not in self._parts:
            raise BadInput(f"{self.name} has no series {series!r}; there are {', '.join(self.series)}.")
        return self._parts[series]

    def called(self, series: str) -> dict[str, str]:
        """Say what `x`, `y` (and `x2`, where there is one) of a series are called."""
        names = self.names.get(series)
        if names is None:
            names = {"x": self.x, "y": self.y} | ({} if self.x2 is None else {"x2": self.x2})
        return dict(names)

    def label(self, series: str) -> str:
        """Give what a person calls a series."""
        return self.labels.get(series, series)

    def law(self, series: str) -> str:
        """Give the law that a series opens with."""
        return self.laws.get(series, "model_size")

    def negatives(self, series: str) -> int | None:
        """Give N where y of the series is the CGL."""
        return self.n_negatives if "cgl" in self.called(series)["y"].lower() else None

    def alike(self, series: str) -> tuple[str, ...]:
        """Give the series that can be drawn on the same axes, this one among them."""
        names = self.called(series)
        return tuple(one for one in self.series if self.called(one) == names)

    def check(self, state: State) -> None:
        """Refuse a state of other points.

        Raises
        ------
        BadInput
            For series or rows that are not here, or series that have not the axes of the focus.
        """
        for one in (state.focus, *state.shown):
            self.rows(one)
        alike = self.alike(state.focus)
        for one in state.shown:
            if one not in alike:
                names = self.called(one)
                raise BadInput(
                    f"{self.label(one)} gives {names['y']} by {names['x']} and cannot be drawn beside "
                    f"{self.label(state.focus)}; put it in focus instead."
                )
        unknown = sorted(set(state.reasons) - self._numbers)
        if unknown:
            raise BadInput(f"{self.name} has no row {unknown[0]}; its rows are 1 to {max(self._numbers)}.")

    @cached_property
    def _numbers(self) -> frozenset[int]:
        return frozenset(int(row) for row in self.table["row"])

    @cached_property
    def sha256(self) -> str:
        """Hash of the points: row, series, x, y, x2 and sd with all digits."""
        columns = [self.table[name].tolist() for name in COLUMNS[:6]]
        lines = ["\t".join(repr(cell) for cell in cells) for cells in zip(*columns, strict=True)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def opening(source: Source) -> State:
    """Give the state that a source opens in: its first series in focus, and what can be drawn beside it."""
    focus = source.series[0]
    shown = source.alike(focus)
    if source.origin.get("kind") == "published":
        shown = tuple(one for one in shown if not one.startswith("codebook"))
    return State(focus=focus, shown=shown[:MOST_SHOWN], law=source.law(focus), excluded=source.apart)
