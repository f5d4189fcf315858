"""Whether two runs say the same: which rows both have, and how their numbers compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from genret_core.readable import readable
from genret_core.workbench.history.diff import CELL, EVALUATION, matched
from genret_core.workbench.history.numbers import ShownNumbers
from genret_core.workbench.study.changes import Change

COSTS = ("C", "C_no_head")  # of a search: counted, so that they come out again too
COLUMNS = ["what", "numbers", "equal", "within", "different", "largest"]


@dataclass(frozen=True)
class Verdict:
    """What came out when a run was repeated.

    Attributes
    ----------
    title, folder : str
        What was repeated, and where.
    table : DataFrame
        A row for each metric, or for the answer, each table and each figure of a notebook: how many numbers,
        how many of them equal to the last bit, within the tolerance, and different; the largest relative
        difference.
    missing, extra : list of str
        Rows that only the first, or only the second, has.
    origin : list of Change
        What differs in code, versions and machine.
    failures : list of str
        What did not run again.
    tolerance : float
        Relative.
    """

    title: str
    folder: str
    table: pd.DataFrame
    missing: list[str]
    extra: list[str]
    origin: list[Change]
    failures: list[str]
    tolerance: float

    @property
    def reproduced(self) -> bool:
        """Whether everything ran, both have the same rows, and no number differs too much."""
        alike = len(self.table) > 0 and not self.table["different"].sum()
        return bool(alike and not self.missing and not self.extra and not self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "table"}
        table = json.loads(self.table.to_json(orient="records", double_precision=15))
        origin = [asdict(change) for change in self.origin]
        return {"reproduced": self.reproduced, **plain, "origin": origin, "table": table}

    def __str__(self) -> str:
        """Write it for people."""
        lines = [f"{self.title}, again in {self.folder}"]
        if len(self.table):
            shown = self.table.rename(columns={"within": f"within {self.tolerance:g}"})
            lines.append(shown.to_string(index=False, na_rep="", float_format=lambda x: f"{x:.2g}"))
        for name, rows in (("only before", self.missing), ("only now", self.extra)):
            if rows:
                more = ", …" if len(rows) > 4 else ""
                lines.append(f"{name} ({len(rows)}): {', '.join(rows[:4])}{more}")
        lines += [f"did not run again: {readable(failure)}" for failure in self.failures]
        for change in self.origin:
            before, now = readable(change.before, 60), readable(change.now, 60)
            lines.append(f"not as before: {change.key}: {before} then, {now} now")
        return "\n".join([*lines, self.sentence])

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if not self.reproduced:
            return "not reproduced"
        if self.table["within"].sum():
            return f"reproduced: no number differs by more than {self.tolerance:g} of it"
        return "reproduced: every number is equal to the last bit"


def of_results(
    before: pd.DataFrame, now: pd.DataFrame, tolerance: float
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Compare two tidy tables of results, metric by metric, and what their searches cost.

    Returns
    -------
    table : DataFrame
    missing, extra : list of str
        See `Verdict`.
    """
    rows, missing, extra = matched(before, now, CELL + EVALUATION)
    found = [
        _counted(str(metric), part["a"].to_numpy(), part["b"].to_numpy(), tolerance)
        for metric, part in rows.groupby("metric", sort=True)
    ]
    for cost in COSTS:
        by = [*CELL, "split", "variant", "beam"]
        both = _searches(before, by, cost).merge(_searches(now, by, cost), on=by, suffixes=("_a", "_b"))
        if len(both):
            found.append(
                _counted(cost, both[f"{cost}_a"].to_numpy(), both[f"{cost}_b"].to_numpy(), tolerance)
            )
    return pd.DataFrame(found, columns=COLUMNS), missing, extra


def of_notebooks(
    before: Sequence[ShownNumbers], now: Sequence[ShownNumbers], tolerance: float
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Compare the numbers that two executed notebooks show, place by place; other words are other rows."""
    second = {place.what: place for place in now}
    found, missing = [], []
    for place in before:
        other = second.pop(place.what, None)
        if other is None or len(other.numbers) != len(place.numbers):
            missing.append(place.what)
            if other is not None:
                second[place.what] = other
            continue
        a, b = np.array(place.numbers), np.array(other.numbers)
        counted = _counted(place.what, a, b, tolerance)
        if other.words != place.words:
            counted["different"] = max(1, counted["different"])
        found.append(counted)
    return pd.DataFrame(found, columns=COLUMNS), missing, list(second)


def _searches(rows: pd.DataFrame, by: Iterable[str], cost: str) -> pd.DataFrame:
    found = rows.loc[rows[cost].notna(), [*by, cost]]
    return found.drop_duplicates(subset=list(by))


def _counted(what: str, a: Any, b: Any, tolerance: float) -> dict[str, Any]:
    a, b = a.astype(np.float64), b.astype(np.float64)
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(equal, 0.0, np.abs(b - a) / np.maximum(np.abs(a), np.abs(b)))
    off = np.where(np.isnan(off), np.inf, off)
    within = ~equal & (off <= tolerance)
    counts = {"equal": int(equal.sum()), "within": int(within.sum())}
    different = int((~equal & ~within).sum())
    largest = float(off.max(initial=0.0))
    return {"what": what, "numbers": len(a), **counts, "different": different, "largest": largest}
