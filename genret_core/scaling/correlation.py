"""How two metrics move together over cells, and what is left once size is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.intervals import Interval
from genret_core.scaling.intervals.draws import percentiles
from genret_core.scaling.laws.law import Array

Kind = Literal["pearson", "spearman"]


@dataclass(frozen=True)
class Correlation:
    """A correlation over cells.

    Attributes
    ----------
    value : float
        NaN where one side does not vary.
    interval : Interval or None
        From the replicates; None without them.
    kind : {"pearson", "spearman"}
    given : tuple of str
        What was taken out (a partial correlation), empty if nothing.
    n : int
        Number of cells.
    covers : str
        What the interval covers.
    """

    value: float
    interval: Interval | None
    kind: Kind
    given: tuple[str, ...]
    n: int
    covers: str

    def __str__(self) -> str:
        name = {"pearson": "Pearson r", "spearman": "Spearman ρ"}[self.kind]
        partial = f" given {', '.join(self.given)}" if self.given else ""
        value = "undefined" if np.isnan(self.value) else f"{self.value:.3f}"
        if self.interval is not None:
            low, high = (
                ("open" if end is None else f"{end:.3f}") for end in (self.interval.lo, self.interval.hi)
            )
            value += f" [{low}, {high}]"
        return f"{name}{partial} = {value} over {self.n} cells"

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping."""
        return {
            "kind": self.kind,
            "value": None if np.isnan(self.value) else self.value,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "given": list(self.given),
            "n": self.n,
            "covers": self.covers,
        }


def correlation(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    kind: Kind = "pearson",
    given: dict[str, npt.ArrayLike] | None = None,
    a_replicates: npt.ArrayLike | None = None,
    b_replicates: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Correlation:
    """Correlate two metrics over cells, with an interval from resampled queries.

    Parameters
    ----------
    a, b : array [cells]
        The metrics, e.g. CGL and R@20.
    kind : {"pearson", "spearman"}
        Of the values, or of their ranks (ties share the mean rank).
    given : mapping of name to array [cells], optional
        Covariates, e.g. `{"ln P": np.log(P)}`: the correlation of what they leave unexplained. For `spearman`
        both sides and the covariates are ranked first.
    a_replicates, b_replicates : array [cells, draws], optional
        The metrics recomputed on resampled queries; column for column the same resampling.
    level : float

    Raises
    ------
    BadInput
        For lengths that differ, values that are not finite, or too few cells.
    """
    if kind not in ("pearson", "spearman"):
        raise BadInput(f"kind is {kind!r}; choose pearson or spearman.")
    given = given or {}
    first, second = _column(a, "a"), _column(b, "b")
    covariates = [_column(value, name) for name, value in given.items()]
    n = len(first)
    for name, column in zip(("b", *given), (second, *covariates), strict=True):
        if len(column) != n:
            raise BadInput(f"{name} has {len(column)} values and a has {n}; give one per cell.")
    if n < 3 + len(covariates):
        raise BadInput(f"{n} cells are too few for this correlation; give {3 + len(covariates)} or more.")
    take_out = np.stack(
        [np.ones(n), *(_ranks(c[:, None])[:, 0] if kind == "spearman" else c for c in covariates)]
    )
    value = float(_correlate(first[:, None], second[:, None], kind, take_out)[0])
    interval, covers = None, "No interval: no replicates were given."
    if (a_replicates is None) != (b_replicates is None):
        raise BadInput("Replicates are there for one metric only; give both, resampled together, or neither.")
    if a_replicates is not None and b_replicates is not None:
        A, B = _matrix(a_replicates, "a_replicates", n), _matrix(b_replicates, "b_replicates", n)
        if A.shape != B.shape:
            raise BadInput(
                f"a_replicates has {A.shape[1]} draws and b_replicates has {B.shape[1]}; resample together."
            )
        interval = percentiles(_correlate(A, B, kind, take_out), level)
        covers = (
            f"The interval covers query sampling only ({A.shape[1]:,} joint resamplings) over these cells: "
            "seed noise and the choice of cells are not included."
        )
    return Correlation(value, interval, kind, tuple(given), n, covers)


def _correlate(a: Array, b: Array, kind: Kind, take_out: Array) -> Array:
    """Correlate column by column; [draws] from [n, draws] each, `take_out` [covariates, n] projected out."""
    if kind == "spearman":
        a, b = _ranks(a), _ranks(b)
    basis = np.linalg.qr(take_out.T)[0]
    residual_a, residual_b = (c - basis @ (basis.T @ c) for c in (a, b))
    size_a, size_b = (np.sqrt((c * c).sum(axis=0)) for c in (residual_a, residual_b))
    # what is left of a column that the covariates explain wholly is rounding, not a value
    floor_a, floor_b = (1e-12 * np.sqrt((c * c).sum(axis=0)) for c in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (residual_a * residual_b).sum(axis=0) / (size_a * size_b)
    return np.where((size_a > floor_a) & (size_b > floor_b), np.clip(value, -1.0, 1.0), np.nan)


def _ranks(columns: Array) -> Array:
    """Rank within each column [n, draws], from 1; ties share their mean rank."""
    ranks = np.empty(columns.shape)
    for i, row in enumerate(columns):
        ranks[i] = ((columns < row).sum(axis=0) + (columns <= row).sum(axis=0) + 1) / 2
    return ranks


def _column(values: npt.ArrayLike, name: str) -> Array:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{name} holds something that is not a number; correct it.") from None
    if column.ndim != 1 or not np.isfinite(column).all():
        where = (
            "" if column.ndim != 1 else f" (row {int(np.flatnonzero(~np.isfinite(column))[0]) + 1} is not)"
        )
        raise BadInput(f"{name} must be one column of finite numbers{where}.")
    return column


def _matrix(values: npt.ArrayLike, name: str, n: int) -> Array:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != n or not np.isfinite(matrix).all():
        raise BadInput(
            f"{name} must be finite numbers with a row for each of the {n} cells and a column per draw."
        )
    return matrix
