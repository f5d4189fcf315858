"""What a small error in one value does to a fit: every point moved up and down, and refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.comparison.residual_tests import distinct
from genret_core.scaling.influence.rows import watched_parameters
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.wording import number

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit


@dataclass(frozen=True)
class Move:
    """One point moved.

    Attributes
    ----------
    row : int
    by : float
        In units of y.
    params : dict
        Exponents and floors of the refit; NaN where no exponent is left.
    at_edge : tuple of str
        Those of them that lie at an edge of the search, and are no estimates.
    """

    row: int
    by: float
    params: dict[str, float]
    at_edge: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping, all digits."""
        params = {name: value if np.isfinite(value) else None for name, value in self.params.items()}
        return {"row": self.row, "by": self.by, "params": params, "at_edge": list(self.at_edge)}


@dataclass(frozen=True, eq=False)
class Moved:
    """A fit with each point moved up and down. Prints as a table.

    Attributes
    ----------
    law : Law
    params : dict
        Exponents and floors of the points as they are.
    moves : tuple of Move
    """

    law: Law
    params: dict[str, float]
    moves: tuple[Move, ...]

    def range(self, name: str) -> tuple[float, float]:
        """Give the least and the largest value that a parameter is moved to; NaN if it is undefined once.

        Raises
        ------
        BadInput
            If the fit watches no parameter of that name.
        """
        if name not in self.params:
            raise BadInput(f"There is no {name!r} here; there are {', '.join(self.params)}.")
        values = [move.params[name] for move in self.moves]
        return float(np.min(values)), float(np.max(values))

    def sentence(self) -> str:
        """Say how far the first exponent goes."""
        name = next(iter(self.params))
        symbol = next(p.symbol for p in self.law.parameters if p.name == name)
        low, high = self.range(name)
        by = sorted({abs(move.by) for move in self.moves})
        told = number(by[0]) if len(by) == 1 else f"{number(by[0])} to {number(by[-1])}"
        if np.isnan(low):
            return f"Moving one point by {told} is enough to leave no trend."
        return f"Moving one point by {told} moves {symbol} between {number(low)} and {number(high)}."

    def to_dict(self) -> list[dict[str, Any]]:
        """Give a JSON-ready list, a mapping per move."""
        return [move.to_dict() for move in self.moves]

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]], list[str]]:
        symbols = tuple(p.symbol for p in self.law.parameters if p.name in self.params)
        rows = [
            (
                str(move.row),
                f"{'+' if move.by > 0 else '−'}{number(abs(move.by))}",
                *(number(value) + "*" * (name in move.at_edge) for name, value in move.params.items()),
            )
            for move in self.moves
        ]
        edges = "* at an edge of the search" if any(move.at_edge for move in self.moves) else ""
        head = ("row", "moved by", *symbols)
        return f"Each point moved: {self.law.title}", head, rows, [self.sentence(), edges]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def moved(f: Fit, by: npt.ArrayLike) -> Moved:
    """Move each point up and down in turn, and refit: all in one batch.

    Parameters
    ----------
    f : Fit
    by : float or array [n]
        How far, in units of y; the noise of one measurement, say. Exact repetitions of a point move with it.

    Raises
    ------
    BadInput
        For a `by` that is not positive, or one that moves a value out of the range of the objective (huber
        and lad take logarithms, logit takes rates within 0 and 1).
    """
    steps = _steps(f, by)
    number_of = distinct(f.points)
    first = np.sort(np.unique(number_of, return_index=True)[1])
    copies = number_of[first][:, None] == number_of
    shifts = np.where(copies, steps[first, None], 0.0)
    Y = f.y + np.concatenate([shifts, -shifts])
    if not f.points.objective.projects and np.isnan(f.points.objective.transform(Y)).any():
        row = int(f.points.rows[np.argwhere(np.isnan(f.points.objective.transform(Y)))[0][1]])
        raise BadInput(
            f"Row {row} moved by {steps[0]:g} leaves the range of the objective {f.points.objective.name}; "
            "move by less.",
            code="bad_option",
        )
    refits = f.refit(Y=Y)
    values, names = refits.parameters(f.points.centres), [p.name for p in watched_parameters(f.law)]
    unknowns = [unknown.name for unknown in f.law.nonlinear]
    moves = []
    for i, point in enumerate(first):
        for sign, j in ((1, i), (-1, i + len(first))):
            edges = tuple(name for k, name in enumerate(unknowns) if name in names and refits.edge[j, k])
            params = {name: float(values[name][j]) for name in names}
            moves.append(Move(int(f.points.rows[point]), float(sign * steps[point]), params, edges))
    return Moved(f.law, {name: f.params[name] for name in names}, tuple(moves))


def _steps(f: Fit, by: npt.ArrayLike) -> Array:
    given = np.asarray(by, dtype=np.float64)
    if given.ndim > 1 or given.size not in (1, f.n) or not (np.isfinite(given) & (given > 0)).all():
        raise BadInput(
            f"by must be one positive number, or one for each of the {f.n} points.", code="bad_option"
        )
    return np.broadcast_to(given, (f.n,))
