"""What a law says of points that it was not fitted to: each point left out in turn, the largest held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.comparison.residual_tests import distinct, sizes
from genret_core.scaling.laws.law import Array
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.points import Points
from genret_core.scaling.solver.projection import Index
from genret_core.scaling.wording import number

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of points by the law fitted to other points.

    Attributes
    ----------
    rows : int array [m]
        Rows that were held out.
    x, y : array [m]
    predictions : array [m]
        Clipped to the law's bounds. NaN where the points that are left cannot hold the law.
    """

    rows: Index
    x: Array
    y: Array
    predictions: Array

    @property
    def errors(self) -> Array:
        """Prediction minus value, [m]."""
        return self.predictions - self.y

    @property
    def rmse(self) -> float | None:
        """Root mean squared error; None (undefined) where a point has no prediction, or there is none."""
        return _defined(self.errors, lambda errors: float(np.sqrt(np.mean(errors**2))))

    @property
    def mape(self) -> float | None:
        """Mean absolute error in percent of the value; None (undefined) where there is none."""
        return _defined(self.errors, lambda errors: float(100 * np.mean(np.abs(errors / self.y))))

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping; null for what is undefined."""
        return {
            "rows": self.rows.tolist(),
            "x": self.x.tolist(),
            "predictions": [_finite(value) for value in self.predictions],
            "errors": [_finite(value) for value in self.errors],
            "rmse": self.rmse,
            "mape": self.mape,
        }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _defined(errors: Array, compute: Callable[[Array], float]) -> float | None:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(compute(errors)) if len(errors) else None


def leave_one_out(f: Fit) -> HeldOut:
    """Predict every point from the others, by refits in one batch.

    Exact repetitions of a point are left out together with it (and told once): with its copy among the
    others, it would not be held out.
    """
    number_of = distinct(f.points)
    first = np.unique(number_of, return_index=True)[1]
    first.sort()
    out = number_of[first][:, None] == number_of
    predictions = predictions_without(f, out)[np.arange(len(first)), first]
    return HeldOut(f.points.rows[first], f.x[first], f.y[first], predictions)


def largest_out(f: Fit, hold_out: int = 1) -> HeldOut:
    """Predict the largest points from the smaller ones.

    Parameters
    ----------
    f : Fit
    hold_out : int
        How many of the largest sizes are held out, each with all its points: the largest x, or, for a law of
        two arguments, the largest product of both (compute).

    Returns
    -------
    HeldOut
        Without a row if the points are all of one size.

    Raises
    ------
    BadInput
        If that leaves no point, or `hold_out` is no positive number.
    """
    if not np.ptp(sizes(f.points)):
        return _held_out(f, np.zeros(f.n, dtype=bool), np.empty(f.n))
    out = largest(f.points, hold_out)
    return _held_out(f, out, predictions_without(f, out[None])[0])


def _held_out(f: Fit, out: Mask, predictions: Array) -> HeldOut:
    """Take the points marked in `out` [n], in order of size."""
    order = np.flatnonzero(out)
    order = order[np.argsort(sizes(f.points)[order], kind="stable")]
    return HeldOut(f.points.rows[order], f.x[order], f.y[order], predictions[order])


def largest(points: Points, hold_out: int) -> Mask:
    """Mark the points of the largest sizes, [n].

    Raises
    ------
    BadInput
        If that is all points, or `hold_out` is no positive number.
    """
    places = np.unique(sizes(points))
    if hold_out != int(hold_out) or not 1 <= hold_out < len(places):
        raise BadInput(
            f"hold_out is {hold_out}, but the points are of {len(places)} sizes; hold out between 1 and "
            f"{max(1, len(places) - 1)} of the largest.",
            code="bad_option",
        )
    return np.asarray(sizes(points) >= places[-int(hold_out)])


def predictions_without(f: Fit, out: Mask) -> Array:
    """Predict all points by refits, each without the points marked in a row of `out` [fits, n]; [fits, n].

    NaN where the points that are left cannot hold the law. Clipped to the law's bounds.
    """
    predictions = np.full(out.shape, np.nan)
    held = holds(f.points, out)
    if held.any():
        u, v = f.points.centred(f.x, f.x2)
        predictions[held] = f.refit((~out[held]).astype(np.float64)).predict(u, v)
    return np.clip(predictions, *f.law.bounds) if f.law.bounds else predictions


def holds(points: Points, out: Mask) -> Mask:
    """Tell which refits have what the law asks for without the points marked in `out` [fits, n]; [fits].

    As many distinct arguments as parameters, and two values or more of each argument.
    """
    k = len(points.law.parameters)
    columns = [points.design] if k == 1 else [points.design, *points.design.T]
    held = ~out.all(axis=1)
    for column, wanted in zip(columns, (k, 2, 2), strict=False):
        place = np.unique(column, axis=0, return_inverse=True)[1].reshape(-1)
        kept = np.zeros((len(out), place.max() + 1), dtype=bool)
        for j in range(kept.shape[1]):
            kept[:, j] = (~out[:, place == j]).any(axis=1)
        held &= kept.sum(axis=1) >= (wanted if k > 1 else 1)
    return np.asarray(held)


@dataclass(frozen=True, eq=False)
class Held:
    """The largest `k` sizes held out.

    Attributes
    ----------
    k : int
    kept : int
        Points that the law was fitted to.
    reach : float
        How many times larger the largest point is than the largest one kept (in compute, for two arguments).
    out : HeldOut
    params : dict
        Parameters without the points held out; NaN where undefined.
    """

    k: int
    kept: int
    reach: float
    out: HeldOut
    params: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready mapping."""
        return {
            "held_out": self.k,
            "kept": self.kept,
            "reach": self.reach,
            **self.out.to_dict(),
            "params": {name: _finite(value) for name, value in self.params.items()},
        }


@dataclass(frozen=True, eq=False)
class Rollout:
    """How the error grows as more of the largest points are held out. Prints as a table.

    Attributes
    ----------
    law : str
    held : tuple of Held
        One more size each.
    """

    law: str
    held: tuple[Held, ...]

    def to_dict(self) -> list[dict[str, Any]]:
        """Give a JSON-ready list, all digits."""
        return [held.to_dict() for held in self.held]

    def _table(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        head = ("held out", "points kept", "beyond", "error at the largest", "rmse", "mape %")
        rows = [
            (
                str(h.k),
                str(h.kept),
                f"x {h.reach:.3g}",
                number(float(h.out.errors[-1])),
                "undefined" if h.out.rmse is None else number(h.out.rmse),
                "undefined" if h.out.mape is None else number(h.out.mape),
            )
            for h in self.held
        ]
        return f"The largest points held out: {self.law}", head, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def rollout(f: Fit, most: int | None = None) -> Rollout:
    """Hold out the largest 1, 2, … sizes in turn and predict them from the rest.

    Parameters
    ----------
    f : Fit
    most : int, optional
        Largest number of sizes held out; default as many as leave the law enough points.

    Raises
    ------
    BadInput
        If not even one can be held out.
    """
    size = sizes(f.points)
    count = len(np.unique(size)) - 1 if most is None else most
    out = np.empty((0, f.n), dtype=bool)
    if count:
        out = np.stack([largest(f.points, k) for k in range(1, count + 1)])
    out = out[: int(np.argmin(np.append(holds(f.points, out), False)))]  # those before the first that fails
    if not len(out):
        raise BadInput(
            f"{f.n} points are too few to hold one out of the law {f.law.name}; add points.",
            code="too_few_points",
        )
    predictions = predictions_without(f, out)
    refits = f.refit((~out).astype(np.float64)).parameters(f.points.centres)
    held = []
    for i, mask in enumerate(out):
        params = {name: float(refits[name][i]) for name in f.law.names}
        reach = float(np.exp(size.max() - size[~mask].max()))
        held.append(Held(i + 1, int((~mask).sum()), reach, _held_out(f, mask, predictions[i]), params))
    return Rollout(f.law.name, tuple(held))
