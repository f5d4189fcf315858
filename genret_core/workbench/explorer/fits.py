"""The points and the fits of a state; computed when they are asked for, and once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.scaling import Fit
from genret_core.workbench.explorer.calls import Call, call, left_out, targets
from genret_core.workbench.explorer.memory import Memory
from genret_core.workbench.explorer.source import Source
from genret_core.workbench.explorer.state import State

T = TypeVar("T")


class Fits:
    """A state and its fits. Equal states of equal sources give equal digits.

    What can fail for reasons of the data is the result or, in its place, the reason in one sentence (`str`).

    Parameters
    ----------
    state : State
    source : Source
    previous : Fits, optional
        What it computed is not computed again.

    Raises
    ------
    BadInput
        If the state names series or rows that the source does not have.
    """

    def __init__(self, state: State, source: Source, previous: Fits | None = None) -> None:
        source.check(state)
        self.state, self.source = state, source
        self.memory: Memory = (
            previous.memory if previous is not None and previous.source is source else Memory()
        )

    def remember(self, key: Hashable, compute: Callable[[], T], weight: int = 1) -> T | str:
        """Give what was computed under `key`, or compute it; a refusal is kept as its sentence."""

        def found() -> T | str:
            try:
                return compute()
            except BadInput as error:
                return str(error)

        return self.memory.get(key, found, weight)

    # ---- points and fits ----

    @cached_property
    def calls(self) -> dict[str, Call]:
        """What `fit` is asked for every series that is shown."""
        return {series: call(self.state, self.source, series) for series in self.state.shown}

    @cached_property
    def fits(self) -> dict[str, Fit | str]:
        """The fit of every series that is shown, or why there is none."""
        return {series: self._fit(call) for series, call in self.calls.items()}

    def _fit(self, call: Call) -> Fit | str:
        level = self.state.level
        base = self.remember((call.key, "fit"), lambda: call.run(0.95), call.weight)
        if isinstance(base, str) or level == base.level:
            return base
        return self.remember((call.key, "fit", level), lambda: replace(base, level=level))

    @property
    def key(self) -> Hashable:
        """What the fit in focus depends on."""
        return self.calls[self.state.focus].key

    @property
    def fit(self) -> Fit | None:
        """The fit in focus; None where there is none (`why` says why)."""
        found = self.fits[self.state.focus]
        return None if isinstance(found, str) else found

    @property
    def why(self) -> str:
        """Why there is no fit in focus; empty where there is one."""
        found = self.fits[self.state.focus]
        return found if isinstance(found, str) else ""

    def points(self, series: str | None = None) -> pd.DataFrame:
        """Give the points of a series (default: the focus) with what became of them.

        Returns
        -------
        DataFrame
            `row`, `series`, `x`, `y`, `x2`, `sd`, `name`, `note`; `used` (whether the fit saw it), `reason`
            (why not), `target` (held out), `left_out` (by hand); `fitted` and `residual` (NaN without a fit).
        """
        series = self.state.focus if series is None else series
        if series not in self._points:
            self._points[series] = self._table(series)
        return self._points[series].copy()

    @cached_property
    def _points(self) -> dict[str, pd.DataFrame]:
        return {}

    def _table(self, series: str) -> pd.DataFrame:
        rows = self.source.rows(series)
        out, target = left_out(self.state, rows), targets(self.state, rows)
        reasons = dict.fromkeys(rows["row"], "")
        reasons |= {int(row): "held out as a target" for row in rows["row"][target]}
        found = self.fits.get(series, "")
        dropped = {} if isinstance(found, str) else dict(found.points.dropped)
        notes = dict(zip(rows["row"], rows["note"], strict=True))
        reasons |= {row: notes[row] or why for row, why in dropped.items()}
        reasons |= {row: self.state.reasons[row] or "left out by hand" for row in rows["row"][out]}
        fitted = np.full(len(rows), np.nan)
        if isinstance(found, Fit):
            arguments = rows[["x"] if found.x2 is None else ["x", "x2"]].to_numpy()
            good = (np.isfinite(arguments) & (arguments > 0)).all(axis=1)
            if good.any():
                fitted[good] = found.predict(*arguments[good].T, clip=False)
        return rows.assign(
            used=~(out | target) & ~rows["row"].isin(list(dropped)).to_numpy(),
            reason=[reasons[row] for row in rows["row"]],
            target=target,
            left_out=out,
            fitted=fitted,
            residual=rows["y"] - fitted,
        )
