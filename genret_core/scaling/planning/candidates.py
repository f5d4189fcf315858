"""What every candidate run would tell, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from genret_core.scaling.layout import html_table, text_table, times
from genret_core.scaling.wording import number

SHOWN = 12  # rows of the printed table: the best


@dataclass(frozen=True)
class Candidate:
    """One run that could be added.

    Attributes
    ----------
    x, x2 : float
        Where (`x2` None for a law of one argument).
    half_width : float
        Of the target's interval with this run.
    drop : float
        By what share that is less than today.
    cost : float or None
    affordable : bool
        Whether it is within the budget; True without one.
    factor : float
        How far beyond the data.
    """

    x: float
    x2: float | None
    half_width: float
    drop: float
    cost: float | None
    affordable: bool
    factor: float

    @property
    def drop_per_cost(self) -> float | None:
        """Drop over cost; None without a cost."""
        return None if self.cost is None else self.drop / self.cost


@dataclass(frozen=True)
class NextRun:
    """What every candidate run would tell; prints as a table of the best.

    Attributes
    ----------
    candidates : tuple of Candidate
        In the order they were given.
    target : str
        What is to be narrowed.
    half_width : float
        Of its interval today, linearised.
    names : dict
        What `x` and `x2` are called.
    level : float
    noise : str
        What the noise is judged by.
    """

    candidates: tuple[Candidate, ...]
    target: str
    half_width: float
    names: dict[str, str]
    level: float
    noise: str

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @property
    def best(self) -> Candidate | None:
        """The affordable run that narrows the target most; None if none is affordable."""
        return max((one for one in self.candidates if one.affordable), key=lambda one: one.drop, default=None)

    @property
    def best_value(self) -> Candidate | None:
        """The affordable run that narrows the target most for what it costs; None without a cost."""
        priced = [one for one in self.candidates if one.affordable and one.cost is not None]
        return max(priced, key=lambda one: one.drop_per_cost or 0.0, default=None)

    def sentence(self) -> str:
        """Say in one sentence which run would help most."""
        if self.best is None:
            return "No candidate is within the budget."
        told = (
            f"A run at {self._at(self.best)} would narrow {self.target} most: its half-width goes from "
            f"{number(self.half_width)} to {number(self.best.half_width)} ({-self.best.drop:+.0%})"
        )
        value = self.best_value
        if value is not None and value is not self.best:
            told += f"; for what it costs, one at {self._at(value)} ({-value.drop:+.0%}) tells most"
        return told + "."

    def _at(self, one: Candidate) -> str:
        told = f"{self.names['x']} = {number(one.x)}"
        return told if one.x2 is None else f"{told}, {self.names['x2']} = {number(one.x2)}"

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-ready values."""
        return {
            "target": self.target,
            "half_width": self.half_width,
            "level": self.level,
            "noise": self.noise,
            "names": dict(self.names),
            "candidates": [_row(one) for one in self.candidates],
            "best": None if self.best is None else _row(self.best),
            "best_value": None if self.best_value is None else _row(self.best_value),
            "sentence": self.sentence(),
        }

    def _table(self) -> tuple[str, list[str], list[list[str]], list[str]]:
        priced = any(one.cost is not None for one in self.candidates)
        two = any(one.x2 is not None for one in self.candidates)
        head = [
            self.names["x"],
            *([self.names["x2"]] if two else []),
            "half-width",
            "change",
            "beyond the data",
        ]
        head += ["cost", "change per cost, of the best"] if priced else []
        most = max((one.drop_per_cost or 0.0 for one in self.candidates), default=0.0)
        rows = []
        for one in sorted(self.candidates, key=lambda one: (not one.affordable, -one.drop))[:SHOWN]:
            row = [number(one.x), *([] if one.x2 is None else [number(one.x2)]), number(one.half_width)]
            row += [f"{-one.drop:+.1%}", "no" if one.factor == 1 else times(one.factor)]
            if priced:
                cost, share = one.cost or np.nan, (one.drop_per_cost or 0.0) / (most or 1.0)
                row += [number(cost) + ("" if one.affordable else " (too dear)"), f"{share:.2%}"]
            rows.append(row)
        told = [self.sentence()]
        if len(self.candidates) > SHOWN:
            told.append(f"The best {SHOWN} of {len(self.candidates)} candidates are shown.")
        told.append(f"Linearised about the optimum; the noise is {self.noise}.")
        title = f"One run more: {self.level:.0%} half-width of {self.target}, today {number(self.half_width)}"
        return title, head, rows, told

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def _row(one: Candidate) -> dict[str, Any]:
    """Give a candidate JSON-ready."""
    row: dict[str, Any] = {"x": one.x} | ({} if one.x2 is None else {"x2": one.x2})
    row |= {"half_width": one.half_width, "drop": one.drop, "factor": one.factor}
    if one.cost is not None:
        row |= {"cost": one.cost, "drop_per_cost": one.drop_per_cost, "affordable": one.affordable}
    return row
