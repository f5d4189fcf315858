"""What a fit is given: checked, in float64, on centred logarithms and a scaled y."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, Law
from genret_core.scaling.solver.projection import Index, Task

COLLINEAR = 0.99  # beyond this correlation of ln x and ln x2 the two arms of a joint law cannot be told apart


@dataclass(frozen=True, eq=False)
class Points:
    """The points of a fit.

    Attributes
    ----------
    law : Law
    names : dict
        What `x`, `y` and `x2` are called in sentences.
    x, y : array [n]
    x2, sd : array [n] or None
        Second argument; known standard deviations of y.
    rows : int array [n]
        Row numbers (from 1) in what was given; shorter than it when rows without a value were dropped.
    dropped : tuple of int
    dof : int
        Distinct points minus parameters: an exact repetition of a row adds nothing.
    """

    law: Law
    names: dict[str, str]
    x: Array
    y: Array
    x2: Array | None
    sd: Array | None
    rows: Index
    dropped: tuple[int, ...]
    dof: int

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.y)

    @property
    def centres(self) -> tuple[float, ...]:
        """Mean logarithms of x (and x2)."""
        logs = [self.x] if self.x2 is None else [self.x, self.x2]
        return tuple(float(np.log(a).mean()) for a in logs)

    @property
    def scale(self) -> float:
        """Give the span of y, the unit that the solver sees (its tolerances are absolute)."""
        return float(np.ptp(self.y)) or float(np.abs(self.y).max()) or 1.0

    @property
    def unit(self) -> float:
        """What an objective of the solver is multiplied by: squared y without `sd`, chi-square with it."""
        return self.scale**2 if self.sd is None else 1.0

    def task(self, Y: Array | None = None) -> Task:
        """Give the solver its task; `Y` [fits, n] in units of y, default the points themselves."""
        u, v = self.centred(self.x, self.x2)
        w = np.ones(self.n) if self.sd is None else (self.scale / self.sd) ** 2
        return Task(self.law, u, v, (self.y[None] if Y is None else Y) / self.scale, w[None])

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
    names: Mapping[str, str] | None = None,
    drop_missing: bool = False,
) -> Points:
    """Check what was given to a fit.

    Raises
    ------
    BadInput
        For values that are not numbers or not finite, arguments that are not positive, lengths that differ,
        fewer distinct points than parameters, or a joint law whose two arguments move together.
    """
    names = {"x": law.x, "y": law.y, **({"x2": law.x2} if law.x2 else {}), **(names or {})}
    if (x2 is None) != (law.x2 is None):
        wanted = "needs a second argument x2" if law.x2 else "has one argument; leave x2 out"
        raise BadInput(f"The law {law.name} {wanted}.")
    columns = {"y": _numbers(y, names["y"]), "x": _numbers(x, names["x"])}
    if x2 is not None:
        columns["x2"] = _numbers(x2, names["x2"])
    n = len(columns["y"])
    for key, column in columns.items():
        if len(column) != n:
            raise BadInput(
                f"{names[key]} has {len(column)} values and {names['y']} has {n}; give one per point."
            )
    spread = None if sd is None else _numbers([sd] * n if np.ndim(sd) == 0 else sd, "sd")
    if spread is not None and len(spread) != n:
        raise BadInput(
            f"sd has {len(spread)} values and {names['y']} has {n}; give one number or one per point."
        )
    missing = np.isnan(np.stack(list(columns.values()))).any(axis=0)
    if missing.any() and not drop_missing:
        key = next(key for key in columns if np.isnan(columns[key]).any())
        row = int(np.flatnonzero(np.isnan(columns[key]))[0]) + 1
        raise BadInput(f"Row {row}: {names[key]} has no value; remove the row or pass drop_missing=True.")
    kept = np.flatnonzero(~missing)
    columns = {key: column[kept] for key, column in columns.items()}
    spread = None if spread is None else spread[kept]
    _check_range(law, columns, names, spread, kept + 1)
    dof = _free(law, columns, names)
    dropped = tuple(int(row) for row in np.flatnonzero(missing) + 1)
    return Points(law, names, columns["x"], columns["y"], columns.get("x2"), spread, kept + 1, dropped, dof)


def _numbers(values: Any, name: str) -> Array:
    """Take a column as float64, naming the first row that is not a number."""
    if np.ndim(values) != 1:
        raise BadInput(f"{name} must be one column of numbers, one per point.")
    column = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            column[i] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            raise BadInput(f"Row {i + 1}: {name} is {value!r}, not a number; correct it.") from None
    return column


def _check_range(
    law: Law, columns: dict[str, Array], names: dict[str, str], sd: Array | None, rows: Index
) -> None:
    for key, column in columns.items():
        bad = ~np.isfinite(column) if key == "y" else ~((column > 0) & np.isfinite(column))
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            wanted = "finite" if key == "y" else "a positive number: laws are fitted on ln x"
            raise BadInput(f"Row {rows[i]}: {names[key]} is {column[i]:g}, but it must be {wanted}.")
    if law.bounds:
        outside = (columns["y"] < law.bounds[0]) | (columns["y"] > law.bounds[1])
        if outside.any():
            i = int(np.flatnonzero(outside)[0])
            low, high = law.bounds
            raise BadInput(
                f"Row {rows[i]}: {names['y']} is {columns['y'][i]:g}, outside [{low:g}, {high:g}]."
            )
    if sd is not None and not (np.isfinite(sd) & (sd > 0)).all():
        i = int(np.flatnonzero(~(np.isfinite(sd) & (sd > 0)))[0])
        raise BadInput(
            f"Row {rows[i]}: sd is {sd[i]:g}, but a standard deviation must be positive and finite."
        )


def _free(law: Law, columns: dict[str, Array], names: dict[str, str]) -> int:
    """Count free degrees of freedom, refusing points that cannot hold the law."""
    k, n = len(law.parameters), len(columns["y"])
    arguments = [key for key in ("x", "x2") if key in columns]
    if k > 1 and n:
        for key in arguments:
            if np.ptp(columns[key]) == 0:
                value = f"{columns[key][0]:g}"
                raise BadInput(
                    f"Rows 1 to {n} all have {names[key]} = {value}; a law in it needs it to vary."
                )
    design = np.stack([columns[key] for key in arguments], axis=1)
    places = len(np.unique(design, axis=0)) if k > 1 else n
    if places < k:
        of = " and ".join(names[key] for key in arguments)
        count = f"{n} points" if places == n else f"{n} points at {places} distinct {of}"
        raise BadInput(f"The law {law.name} has {k} parameters, but there are only {count}; add points.")
    if len(arguments) == 2 and abs(np.corrcoef(np.log(design.T))[0, 1]) > COLLINEAR:
        both = f"{names['x']} and {names['x2']}"
        raise BadInput(f"{both} move together, so their effects cannot be told apart; vary one alone.")
    return len(np.unique(np.column_stack([design, columns["y"]]), axis=0)) - k
