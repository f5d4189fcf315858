"""The best uses of budgets: model sizes and pairs, with what is known of them, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from genret_core.scaling.intervals import Interval
from genret_core.scaling.layout import html_table, text_table, times
from genret_core.scaling.verdicts import Verdict
from genret_core.scaling.wording import number, value_text


@dataclass(frozen=True)
class Allocation:
    """The best use of one budget.

    Attributes
    ----------
    budget : float
    P, D, y : float
        Model size and pairs at which the law is lowest, and its value there.
    exponent : float
        a of P* ~ budget^a, at this budget.
    intervals : dict of Interval
        Of `P`, `D`, `y` and `exponent`, from the refits, each with its own optimum; empty without refits.
    factor_P, factor_D : float or None
        How far beyond the data; None without data.
    serving : float
        Share of the budget that inference takes.
    edge : {"", "P", "D"}
        Whether there is no optimum between: the smallest model, or the fewest pairs, would be best.
    """

    budget: float
    P: float
    D: float
    y: float
    exponent: float
    intervals: dict[str, Interval]
    factor_P: float | None
    factor_D: float | None
    serving: float
    edge: Literal["", "P", "D"]


@dataclass(frozen=True)
class Allocations:
    """The best use of every budget; prints as a table.

    Attributes
    ----------
    budgets : tuple of Allocation
        In the order asked for.
    law : str
    names : dict
        What `x` (P), `x2` (D) and `y` are called.
    cost : str
        What is counted, in words.
    level : float
    verdicts : tuple of Verdict
        `extrapolation` with the largest factor, `at_edge`.
    """

    budgets: tuple[Allocation, ...]
    law: str
    names: dict[str, str]
    cost: str
    level: float
    verdicts: tuple[Verdict, ...]

    def __len__(self) -> int:
        return len(self.budgets)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(self.budgets)

    def __getitem__(self, i: int) -> Allocation:
        return self.budgets[i]

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values: all digits, null for what is open or not known."""
        return {
            "law": self.law,
            "names": dict(self.names),
            "cost": self.cost,
            "level": self.level,
            "allocations": [
                {
                    "budget": one.budget,
                    **{name: self._entry(one, name) for name in ("P", "D", "y", "exponent")},
                    "factor_P": one.factor_P,
                    "factor_D": one.factor_D,
                    "serving": one.serving,
                    "edge": one.edge or None,
                }
                for one in self.budgets
            ],
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "sentence": self.sentence(),
        }

    def _entry(self, one: Allocation, name: str) -> dict[str, Any]:
        interval, value = one.intervals.get(name), getattr(one, name)
        ends = [None, None] if interval is None else [interval.lo, interval.hi]
        return {"value": value if np.isfinite(value) else None, f"ci{100 * self.level:g}": ends}

    def sentence(self) -> str:
        """Say in one sentence how the largest budget is best spent."""
        one = max(self.budgets, key=lambda allocation: allocation.budget)
        told = f"A budget of {number(one.budget)} ({self.cost}) is best spent on "
        told += f"{self.names['x']} = {value_text(one.P, one.intervals.get('P'))} and "
        told += f"{self.names['x2']} = {value_text(one.D, one.intervals.get('D'))}"
        if one.edge:
            return told + ", the end of what it buys: the law has no optimum within it."
        exponent = value_text(one.exponent, one.intervals.get("exponent"))
        return told + f"; the best {self.names['x']} grows as the budget to the power {exponent}."

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        columns = {"P": self.names["x"], "D": self.names["x2"], "y": self.names["y"], "exponent": "exponent"}
        served = any(one.serving for one in self.budgets)
        head = ["budget", *columns.values(), "beyond the data", *(["for inference"] if served else [])]
        rows = []
        for one in self.budgets:
            cells = [value_text(getattr(one, name), one.intervals.get(name)) for name in columns]
            far = max(one.factor_P or 1.0, one.factor_D or 1.0)
            beyond = "not known" if one.factor_P is None else "no" if far == 1 else times(far)
            rows.append([number(one.budget), *cells, beyond, *([f"{one.serving:.0%}"] if served else [])])
        told = [self.sentence(), *map(str, self.verdicts)]
        return f"The best use of a budget under {self.law}", head, rows, told

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())
