"""What hangs on a single row: every row left out by a real refit, and what it does to exponent and floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.scaling.comparison.held_out import Mask, holds
from genret_core.scaling.comparison.residual_tests import distinct, judged, rounding, sizes
from genret_core.scaling.laws.law import Array, Law, Parameter
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.solver.projection import Index
from genret_core.scaling.wording import number

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

OUTLIER = 0.05  # Bonferroni p of a studentised deleted residual below which a row is an outlier
INFLUENTIAL = 1.0  # 95 % half-widths by which the exponent moves without a row that is influential
DIGITS = 0.01  # y is written to two digits of this share of its span
LEVEL = 0.95  # of these half-widths
MAD = 1.4826  # standard deviations in a median absolute deviation of normal errors
EFFICIENCY = 0.37  # of that estimate of the scale


@dataclass(frozen=True)
class RowInfluence:
    """One row, and the fit without it (and without its exact repetitions). NaN is undefined.

    Attributes
    ----------
    row : int
    x : float
    x2 : float or None
    y, fitted, residual : float
        In units of y; residual is y - fitted.
    leverage : float
        Linearised, of the row and its repetitions together: 1 is a row that the curve goes along with.
    t, p : float
        Studentised deleted residual and its Bonferroni p over all distinct rows.
    without : dict
        Exponents and floors of the fit without the row (`b` of a straight line).
    at_edge : tuple of str
        Those of them that lie at an edge of the search, and are no estimates.
    shift : float
        How far the first exponent moves without the row, in half-widths of its 95 % interval on the side that
        it moves to. Undefined where that end is open or there is no interval; infinite where no exponent is
        left, as the law no longer falls.
    prediction : float
        At the largest x (for two arguments: compute), without the row.
    """

    row: int
    x: float
    x2: float | None
    y: float
    fitted: float
    residual: float
    leverage: float
    t: float
    p: float
    without: dict[str, float]
    at_edge: tuple[str, ...]
    shift: float
    prediction: float

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping, all digits; null for what is undefined."""
        return {
            "row": self.row,
            "x": self.x,
            "x2": self.x2,
            "y": self.y,
            "fitted": self.fitted,
            "residual": self.residual,
            "leverage": _finite(self.leverage),
            "t": _finite(self.t),
            "p": _finite(self.p),
            "without": {name: _finite(value) for name, value in self.without.items()},
            "at_edge": list(self.at_edge),
            "shift": _finite(self.shift),
            "prediction": _finite(self.prediction),
            "outlier": bool(self.p < OUTLIER),
            "influential": bool(abs(self.shift) > INFLUENTIAL),
        }


@dataclass(frozen=True, eq=False)
class Influence:
    """What hangs on each row. Prints as a table.

    Attributes
    ----------
    law : Law
    names : dict
        What `x`, `x2` and `y` are called.
    rows : tuple of RowInfluence
    largest : float
        The x that `prediction` is at.
    """

    law: Law
    names: dict[str, str]
    rows: tuple[RowInfluence, ...]
    largest: float

    def to_dict(self) -> list[dict[str, Any]]:
        """Give a JSON-ready list, a mapping per row."""
        return [row.to_dict() for row in self.rows]

    def sentence(self) -> str:
        """Say which rows stand out, and which the exponent hangs on."""
        told = []
        for rows, verbs, what in (
            (outliers(self), ("lies", "lie"), "off the curve of the others"),
            (influential(self), ("moves", "move"), "the exponent by more than one half-width"),
        ):
            if rows:
                several = len(rows) > 1
                listed = ", ".join(map(str, rows))
                told.append(f"row{'s' if several else ''} {listed} {verbs[several]} {what}")
        if told:
            text = "; ".join(told)
            return f"{text[0].upper()}{text[1:]}."
        if not any(np.isfinite(row.t) for row in self.rows):
            return "Too few points to judge one by the others."
        if all(np.isnan(row.shift) for row in self.rows):
            return "No row stands out; the exponent has no closed interval to hold its moves against."
        return "No row stands out, and the exponent hangs on none."

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]], list[str]]:
        shown = [p for p in self.law.parameters if p.name in self.rows[0].without]
        head = (
            *("row", *(self.names[key] for key in ("x", "x2") if key in self.names)),
            *(self.names["y"], "residual", "leverage", "t", "p", *(p.symbol for p in shown), "shift"),
            f"at {number(self.largest)}",
        )
        rows, width = [], DIGITS * float(np.ptp([r.y for r in self.rows]))
        for r in self.rows:
            arguments = [r.x] if r.x2 is None else [r.x, r.x2]
            without = [
                number(r.without[p.name], width if p.role in ("floor", "level") else None)
                + "*" * (p.name in r.at_edge)
                for p in shown
            ]
            shift = "no trend left" if np.isinf(r.shift) else _short(r.shift)
            told = [*map(number, arguments), number(r.y, width), number(r.residual)]
            told += [_short(v) for v in (r.leverage, r.t, r.p)]
            rows.append((str(r.row), *told, *without, shift, number(r.prediction, width)))
        edges = "* at an edge of the search" if any(r.at_edge for r in self.rows) else ""
        return f"Without each row: {self.law.title}", head, rows, [self.sentence(), edges]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def _short(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "undefined"


def influence(f: Fit) -> Influence:
    """Refit without each row, in one batch, and say what that does.

    Returns
    -------
    Influence

    Notes
    -----
    t_i = e_i / (s_(i) sqrt(1 - h_i)), with e_i the weighted residual and h_i the leverage of the fit to all
    rows, and s_(i)² the weighted sum of squares of the real refit without the row over dof - 1 (Cook and
    Weisberg 1982, section 2.2); undefined with one degree of freedom or none. p is two-sided, from Student's
    t with dof - 1, times the number of distinct rows. `huber` and `lad` do not let a row pull the curve:
    there t is the log residual over 1.4826 median absolute deviations, the smallest residuals, one for each
    parameter, left out (Street, Carroll and Ruppert 1988), and p from Student's t with 0.37 dof: a median
    absolute deviation knows the scale as well as 37 % of the points would by their squares (with a normal p,
    15 % of clean sets of 12 points had an "outlier" at .05).
    """
    number_of = distinct(f.points)
    out = number_of[:, None] == number_of
    held = holds(f.points, out)
    refits = f.refit(np.where(held[:, None], ~out, True).astype(np.float64))
    fitted = refits.predict(*f.points.centred(f.x, f.x2))
    values = refits.parameters(f.points.centres)
    watched = watched_parameters(f.law)
    unknowns = [unknown.name for unknown in f.law.nonlinear]
    largest = int(np.argmax(sizes(f.points)))
    copies = out.sum(axis=1)
    leverage = np.minimum(f.leverage * copies, 1.0)
    t = _robust(f, number_of) if f.points.objective.robust else _deleted(f, fitted, out, held, leverage)
    p = _bonferroni(f, t, len(np.unique(number_of)))
    rows = []
    for i in range(f.n):
        without = {q.name: float(values[q.name][i]) if held[i] else np.nan for q in watched}
        edges = tuple(
            name for j, name in enumerate(unknowns) if held[i] and name in without and refits.edge[i, j]
        )
        rows.append(
            RowInfluence(
                row=int(f.points.rows[i]),
                x=float(f.x[i]),
                x2=None if f.x2 is None else float(f.x2[i]),
                y=float(f.y[i]),
                fitted=float(f.fitted[i]),
                residual=float(f.y[i] - f.fitted[i]),
                leverage=float(leverage[i]),
                t=float(t[i]),
                p=float(p[i]),
                without=without,
                at_edge=edges,
                shift=_shift(f, watched, without) if held[i] else np.nan,
                prediction=float(fitted[i, largest]) if held[i] else np.nan,
            )
        )
    return Influence(f.law, dict(f.points.names), tuple(rows), float(f.x[largest]))


def outliers(table: Influence) -> tuple[int, ...]:
    """Give the rows that lie off the curve of the others: Bonferroni p below `OUTLIER`."""
    return tuple(row.row for row in table.rows if row.p < OUTLIER)


def influential(table: Influence) -> tuple[int, ...]:
    """Give the rows without which the exponent moves by more than `INFLUENTIAL` half-widths."""
    return tuple(row.row for row in table.rows if abs(row.shift) > INFLUENTIAL)


def watched_parameters(law: Law) -> tuple[Parameter, ...]:
    """Give what a fit is judged by: its exponents and floors; else its slope, or its level."""
    for roles in (("exponent", "floor"), ("slope",), ("level",)):
        found = tuple(p for p in law.parameters if p.role in roles)
        if found:
            return found
    return law.parameters


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _deleted(f: Fit, fitted: Array, out: Mask, held: Mask, leverage: Array) -> Array:
    """Studentise the residuals by refits; `fitted` [n, n]: of the refit without each row."""
    t = np.full(f.n, np.nan)
    if f.dof <= 1:
        return t
    squares = np.where(out, 0.0, judged(f.points, fitted) ** 2).sum(axis=1)
    s = np.maximum(np.sqrt(squares / (f.dof - 1)), rounding(f.points))
    e = judged(f.points, f.fitted) * np.sqrt(out.sum(axis=1))
    room = held & (leverage < 1)
    t[room] = (e / s)[room] / np.sqrt(1 - leverage[room])
    return t


def _robust(f: Fit, number_of: Index) -> Array:
    """Give log residuals over their robust scale."""
    if f.dof <= 1:
        return np.full(f.n, np.nan)
    # unweighted: a weight says how much a row counts, and nothing here says how noisy it is
    e = judged(f.points, f.fitted) / np.sqrt(f.points.weight)
    first = np.unique(number_of, return_index=True)[1]
    size = np.sort(np.abs(e[first]))[min(len(f.law.parameters), len(first) - 1) :]
    s = MAD * float(np.median(size))
    return e / s if s > 0 else np.full(f.n, np.nan)


def _bonferroni(f: Fit, t: Array, tests: int) -> Array:
    from scipy import special  # slow to import

    freedom = EFFICIENCY * f.dof if f.points.objective.robust else f.dof - 1
    one_sided = special.stdtr(max(freedom, EFFICIENCY), -np.abs(t))
    return np.asarray(np.minimum(2 * tests * one_sided, 1.0))


def _shift(f: Fit, watched: tuple[Parameter, ...], without: dict[str, float]) -> float:
    """Measure the move of the first watched parameter in half-widths of its interval."""
    name = watched[0].name
    interval, value = f.interval(name, LEVEL), f.params[name]
    if interval is None or not np.isfinite(value) or len(interval.open) == 2:
        return np.nan
    moved = without[name] - value
    if np.isnan(moved):
        return np.inf
    if moved == 0:
        return 0.0
    end = interval.hi if moved > 0 else interval.lo
    if end is None or end == value:
        return np.nan
    return float(moved / abs(end - value))
