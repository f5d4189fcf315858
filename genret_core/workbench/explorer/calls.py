"""What `scaling.fit` is asked for one series of points: the one place that says so."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genret_core.scaling import Fit, fit, get_law
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.state import State

HARD = (
    4  # nonlinear unknowns from which a profile takes seconds: such a law has intervals from resamples only
)
HEAVIEST = 24  # weight of the resamples of a fit, to keep
Mask = np.ndarray


@dataclass(frozen=True, eq=False)
class Call:
    """One fit, as it is asked for.

    Attributes
    ----------
    law : str
    rows : DataFrame
        The points that it is given.
    options : dict
        Everything else but the level.
    places : int array
        Where these rows stand in the series.
    noise : str
        Where the noise is from: `typed`, `column`, `replicates` or `residuals`.
    key : tuple
        Same key, same digits.
    """

    law: str
    rows: pd.DataFrame
    options: dict[str, Any]
    places: np.ndarray
    noise: str
    key: Hashable

    def run(self, level: float) -> Fit:
        """Fit.

        Raises
        ------
        BadInput
            As `scaling.fit` does.
        """
        x, y = (self.rows[name].to_numpy() for name in ("x", "y"))
        x2 = self.rows["x2"].to_numpy() if get_law(self.law).x2 else None
        return fit(self.law, x, y, x2, **self.options, level=level)

    @property
    def weight(self) -> int:
        """How much the result is to keep: resamples are large."""
        many = self.options["bootstrap"] or (1000 if self.noise == "replicates" else 0)
        return 1 + min(HEAVIEST, many * len(self.rows) // 10_000)


def call(state: State, source: Source, series: str) -> Call:
    """Say what is asked of `fit`.

    Rows left out by hand and targets are not given to it; rows that hold no numbers are, so that it says so.
    """
    rows, law = source.rows(series), get_law(state.law)
    used = ~left_out(state, rows) & ~targets(state, rows)
    kept, places = rows[used], np.flatnonzero(used)
    options: dict[str, Any] = {"objective": state.objective}
    if state.objective == "huber":
        options["delta"] = state.delta
    noise, more = _noise(state, source, series, kept, places)
    options |= more
    options |= {
        "bootstrap": state.bootstrap,
        "names": {part: name for part, name in source.called(series).items() if part != "x2" or law.x2},
        "rows": [int(row) for row in kept["row"]],
        "drop_bad": True,
    }
    if (n := source.negatives(series)) is not None:
        options["n_negatives"] = n
    if not state.bootstrap and noise != "replicates" and len(law.nonlinear) >= HARD:
        options["intervals"] = False
    key = (
        series,
        state.law,
        state.objective,
        options.get("delta"),
        noise,
        state.sd,
        state.bootstrap,
        tuple(options["rows"]),
    )
    return Call(state.law, kept, options, places, noise, key)


def _noise(
    state: State, source: Source, series: str, kept: pd.DataFrame, places: np.ndarray
) -> tuple[str, dict[str, Any]]:
    """Choose where the noise is from: what was typed, replicates, a column, or the residuals."""
    if state.sd is not None:
        return "typed", {"sd": state.sd}
    if state.bootstrap:
        return "residuals", {}
    if series in source.replicates:
        sd, where = source.seed_sd.get(series, (None, ""))
        more: dict[str, Any] = {"replicates": source.replicates[series][places]}
        if series in source.n_queries:
            more["n_queries"] = source.n_queries[series]
        if sd:
            more |= {"seed_sd": sd, "seed_source": where}
        return "replicates", more
    if state.objective == "ols" and len(kept) and np.isfinite(kept["sd"]).all() and (kept["sd"] > 0).all():
        return "column", {"sd": kept["sd"].to_numpy()}
    return "residuals", {}


def left_out(state: State, rows: pd.DataFrame) -> Mask:
    """Mark the rows that were left out by hand."""
    return np.asarray(rows["row"].isin(list(state.reasons)), dtype=bool)


def targets(state: State, rows: pd.DataFrame) -> Mask:
    """Mark the rows of the largest sizes that are held out; a size is x, or the product of both arguments."""
    size = rows["x"].to_numpy() * np.nan_to_num(rows["x2"].to_numpy(), nan=1.0)
    there = ~left_out(state, rows) & np.isfinite(size)
    if not state.hold_out or not there.any():
        return np.zeros(len(rows), dtype=bool)
    places = np.unique(size[there])
    return np.asarray(there & (size >= places[-min(state.hold_out, len(places))]))
