"""What a fit is given: checked, in float64, on centred logarithms and a scaled y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver.objective import Objective
from genret_core.scaling.solver.projection import Index, Task

NAMED_ROWS = 6  # so many bad rows are named one by one


@dataclass(frozen=True, eq=False)
class Points:
    """The points of a fit.

    Attributes
    ----------
    law : Law
    names : dict
        What `x`, `y` and `x2` are called in sentences.
    x, y : array [n]
    x2, sd, weights : array [n] or None
        Second argument; known standard deviations of y; relative weights of the squared residuals.
    objective : Objective
    rows : int array [n]
        Row numbers in what was given, from 1 unless they were given too.
    taken : int array [n]
        Positions of the points among the rows that were given.
    dropped : tuple of (int, str)
        Rows left out, and why.
    """

    law: Law
    names: dict[str, str]
    x: Array
    y: Array
    x2: Array | None
    sd: Array | None
    weights: Array | None
    objective: Objective
    rows: Index
    taken: Index
    dropped: tuple[tuple[int, str], ...]

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.y)

    @property
    def design(self) -> Array:
        """The arguments, a column each: [n, 1] or [n, 2]."""
        return np.stack([self.x] if self.x2 is None else [self.x, self.x2], axis=1)

    @property
    def n_distinct(self) -> int:
        """Number of distinct arguments."""
        return len(np.unique(self.design, axis=0))

    @property
    def dof(self) -> int:
        """Distinct rows minus parameters: an exact repetition of a row adds nothing."""
        return len(np.unique(np.column_stack([self.design, self.y]), axis=0)) - len(self.law.parameters)

    @property
    def centres(self) -> tuple[float, ...]:
        """Mean logarithms of x (and x2)."""
        return tuple(float(centre) for centre in np.log(self.design).mean(axis=0))

    @cached_property
    def law_here(self) -> Law:
        """The law as the solver takes it, with the search ranges that fit where these points lie."""
        return self.law.at(self.centres)

    @property
    def scale(self) -> float:
        """Give the unit of y that the solver sees, its span: tolerances of a solver are absolute."""
        if self.objective.name == "logit":
            return 1.0  # a rate has its own scale
        return float(np.ptp(self.y)) or float(np.abs(self.y).max()) or 1.0

    @property
    def unit(self) -> float:
        """What an objective of the solver is multiplied by: it is in squares of y, or free of units."""
        return self.scale**2 if self.objective.name == "ols" and self.sd is None else 1.0

    @property
    def weight(self) -> Array:
        """Weights of the squared residuals of y / scale (or of the losses), [n]."""
        w = np.ones(self.n) if self.weights is None else self.weights
        if self.sd is not None:
            return np.asarray((self.scale / self.sd) ** 2)
        return np.asarray(w * (self.scale / self.y) ** 2 if self.objective.name == "relative" else w)

    def task(self, Y: Array | None = None, W: Array | None = None) -> Task:
        """Give the solver its task.

        Parameters
        ----------
        Y : array [fits, n], optional
            Values, in units of y; default the points themselves.
        W : array [fits, n], optional
            Further weights, 0 for a row that is left out.
        """
        u, v = self.centred(self.x, self.x2)
        w = self.weight[None] if W is None else self.weight * W
        return Task(self.law_here, u, v, (self.y[None] if Y is None else Y) / self.scale, w)

    def centred(self, x: npt.ArrayLike, x2: npt.ArrayLike | None) -> tuple[Array, Array | None]:
        """Give the logarithms of arguments about the centre of these points."""
        second = None if x2 is None else np.log(np.asarray(x2, dtype=np.float64)) - self.centres[1]
        return np.log(np.asarray(x, dtype=np.float64)) - self.centres[0], second


def read_points(
    law: Law,
    x: Any,
    y: Any,
    x2: Any = None,
    *,
    sd: Any = None,
    weights: Any = None,
    trials: Any = None,
    objective: Objective | None = None,
    names: Mapping[str, str] | None = None,
    rows: Sequence[int] | None = None,
    drop_bad: bool = False,
) -> Points:
    """Check what was given to a fit.

    Parameters
    ----------
    trials : int or array [n], optional
        Number of queries behind each rate y: its standard deviation is sqrt(y (1 - y) / trials), a rate of 0
        or 1 counted as half a query away from it.
    rows : sequence of int, optional
        Row numbers to be told, default 1, 2, …

    Raises
    ------
    BadInput
        For values that are not finite numbers, arguments that are not positive (each with its row), lengths
        that differ, fewer distinct points than the law can use, or an argument that does not vary. Its `code`
        is `bad_rows`, `bad_columns`, `nothing_finite`, `constant_x`, `too_few_points` or `bad_option`.
    """
    objective = objective or Objective()
    names = {"x": law.x, "y": law.y, **({"x2": law.x2} if law.x2 else {}), **(names or {})}
    if (x2 is None) != (law.x2 is None):
        wanted = "needs a second argument x2" if law.x2 else "has one argument; leave x2 out"
        raise BadInput(f"The law {law.name} {wanted}.", code="bad_columns")
    given = {"y": y, "x": x, **({} if x2 is None else {"x2": x2})}
    columns = {key: _numbers(values, names[key]) for key, values in given.items()}
    n = len(columns["y"])
    extra = {"sd": sd, "weights": weights, "trials": trials}
    for key, values in extra.items():
        if values is not None:
            columns[key] = _numbers([values] * n if np.ndim(values) == 0 else values, key)
    for key, column in columns.items():
        if len(column) != n:
            raise BadInput(
                f"{names.get(key, key)} has {len(column)} values and {names['y']} has {n}; "
                "give one per point.",
                code="bad_columns",
            )
    numbers = np.arange(1, n + 1) if rows is None else np.asarray(rows, dtype=np.intp)
    bad = _bad_rows(law, columns, names, objective)
    if bad and len(bad) == n:
        raise BadInput(f"No row can be used; row {numbers[0]}: {bad[0]}.", code="nothing_finite")
    if bad and not drop_bad:
        raise BadInput(_told(bad, numbers), code="bad_rows")
    kept = np.array([i for i in range(n) if i not in bad], dtype=np.intp)
    columns = {key: column[kept] for key, column in columns.items()}
    spread = columns.get("sd")
    if "trials" in columns:
        rate = np.clip(columns["y"], 0.5 / columns["trials"], 1 - 0.5 / columns["trials"])
        binomial = np.sqrt(rate * (1 - rate) / columns["trials"])
        spread = binomial if spread is None else np.hypot(binomial, spread)
    if spread is not None and (objective.name != "ols" or weights is not None):
        other = "weights" if weights is not None else f"the objective {objective.name}"
        raise BadInput(
            f"A known standard deviation is the weight of ordinary least squares; leave out {other}.",
            code="bad_option",
        )
    points = Points(
        law,
        names,
        columns["x"],
        columns["y"],
        columns.get("x2"),
        spread,
        columns.get("weights"),
        objective,
        numbers[kept],
        kept,
        tuple((int(numbers[i]), reason) for i, reason in bad.items()),
    )
    _check_design(points)
    if law.check is not None:
        law.check(points.x, points.x2)
    return points


def _numbers(values: Any, name: str) -> Array:
    """Take a column as float64; what is no number is NaN."""
    if np.ndim(values) != 1:
        raise BadInput(f"{name} must be one column of numbers, one per point.", code="bad_columns")
    column = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        try:
            column[i] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            raise BadInput(
                f"Row {i + 1}: {name} is {value!r}, not a number; correct it.", code="bad_rows"
            ) from None
    return column


def _bad_rows(
    law: Law, columns: Mapping[str, Array], names: Mapping[str, str], objective: Objective
) -> dict[int, str]:
    """Say of each row that cannot be used why."""
    bounds = law.bounds or (-np.inf, np.inf)
    logs = objective.name in ("huber", "lad", "relative")
    bad: dict[int, str] = {}
    for i in range(len(columns["y"])):
        for key, column in columns.items():
            value, name = float(column[i]), names.get(key, key)
            if np.isnan(value):
                bad[i] = f"{name} has no value"
            elif not np.isfinite(value):
                bad[i] = f"{name} is {value:g}"
            elif key != "y" and value <= 0:
                bad[i] = f"{name} is {value:g}, but it must be positive"
            elif key == "y" and not bounds[0] <= value <= bounds[1]:
                bad[i] = f"{name} is {value:g}, outside [{bounds[0]:g}, {bounds[1]:g}]"
            elif key == "y" and logs and value <= 0:
                bad[i] = f"{name} is {value:g}, but the objective {objective.name} needs it positive"
            elif key == "y" and objective.name == "logit" and not 0 < value < 1:
                bad[i] = f"{name} is {value:g}, but the objective logit needs a rate within (0, 1)"
            if i in bad:
                break
    return bad


def _told(bad: Mapping[int, str], numbers: Index) -> str:
    """Name the bad rows in one sentence."""
    if len(bad) == 1:
        ((i, reason),) = bad.items()
        return f"Row {numbers[i]}: {reason}; correct it, or drop it (drop_bad=True)."
    reasons: dict[str, list[str]] = {}
    for i, reason in bad.items():
        reasons.setdefault(reason, []).append(str(numbers[i]))
    parts = []
    for reason, which in list(reasons.items())[:NAMED_ROWS]:
        shown = ", ".join(which[:NAMED_ROWS]) + (
            f" and {len(which) - NAMED_ROWS} more" if len(which) > NAMED_ROWS else ""
        )
        parts.append(f"{'rows' if len(which) > 1 else 'row'} {shown}: {reason}")
    if len(reasons) > NAMED_ROWS:
        parts.append(f"and {len(bad)} bad rows in all")
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}. Correct them, or drop such rows (drop_bad=True)."


def _check_design(points: Points) -> None:
    """Refuse points that cannot hold the law at all."""
    law, n = points.law, points.n
    fewest = max(len(law.parameters), law.min_points or 0)
    if len(law.parameters) > 1:
        for key, column in (("x", points.x), ("x2", points.x2)):
            if column is not None and n > 1 and np.ptp(column) == 0:
                which = f"Rows {points.rows[0]} to {points.rows[-1]} all have"
                raise BadInput(
                    f"{which} {points.names[key]} = {column[0]:g}; a law in it needs it to vary.",
                    code="constant_x",
                )
    places = points.n_distinct if len(law.parameters) > 1 else n
    if places < fewest:
        of = " and ".join(points.names[key] for key in ("x", "x2") if key in points.names)
        count = f"{n} points" if places == n else f"{n} points at {places} distinct {of}"
        needs = (
            f"has {len(law.parameters)} parameters"
            if fewest == len(law.parameters)
            else f"is fitted to {fewest} points or more"
        )
        raise BadInput(
            f"The law {law.name} {needs}, but there are only {count}; add points.", code="too_few_points"
        )
