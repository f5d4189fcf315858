"""One law under several objectives, side by side: how much of an answer is the choice of what to minimise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.comparison.residual_tests import sizes
from genret_core.scaling.fitting import fit
from genret_core.scaling.laws.law import Array
from genret_core.scaling.layout import html_table, text_table
from genret_core.scaling.results import Fit
from genret_core.scaling.wording import number

NAMES = ("ols", "relative", "huber", "lad")
BEYOND = 10.0  # times the largest argument: where predictions are compared beyond the data


@dataclass(frozen=True, eq=False)
class Objectives:
    """Fits of one law to the same points under several objectives. Prints as a table.

    Attributes
    ----------
    fits : dict of Fit
        By objective, without intervals.
    x, x2 : array [m] and array [m] or None
        Where predictions are compared.
    left_out : dict
        Objectives that cannot be used with these points, and why.
    """

    fits: dict[str, Fit]
    x: Array
    x2: Array | None
    left_out: dict[str, str]

    @property
    def predictions(self) -> dict[str, Array]:
        """Predictions at `x`, [m], by objective."""
        return {name: f.predict(self.x, self.x2) for name, f in self.fits.items()}

    @property
    def spread(self) -> dict[str, float]:
        """Largest minus smallest value of every parameter between objectives; NaN if one is undefined."""
        names = next(iter(self.fits.values())).law.names
        with np.errstate(invalid="ignore"):  # a scale beyond the range of floats has no spread
            return {name: float(np.ptp([f.params[name] for f in self.fits.values()])) for name in names}

    @property
    def predicted_spread(self) -> Array:
        """Largest minus smallest prediction between objectives, [m]."""
        return np.asarray(np.ptp(np.stack(list(self.predictions.values())), axis=0))

    def sentence(self) -> str:
        """Say how far the objectives differ at the last place."""
        place = number(float(self.x[-1]))
        f = next(iter(self.fits.values()))
        spread, value = float(self.predicted_spread[-1]), float(f.predict(self.x, self.x2)[-1])
        share = f" ({100 * abs(spread / value):.2g} %)" if value else ""
        what = f"{f.points.names['y']} at {f.points.names['x']} = {place}"
        return f"Between objectives the predicted {what} differs by {number(spread)}{share}."

    def to_dict(self) -> list[dict[str, Any]]:
        """Give a JSON-ready list, a mapping per objective; all digits, null for what is undefined."""
        places = [{"x": float(x)} for x in self.x]
        if self.x2 is not None:
            places = [{**place, "x2": float(x2)} for place, x2 in zip(places, self.x2, strict=True)]
        return [
            {
                "objective": name,
                "value": f.objective_value,
                "params": {key: v if np.isfinite(v) else None for key, v in f.params.items()},
                "sse": f.sse,
                "predictions": [
                    {**place, "y": float(y)} for place, y in zip(places, self.predictions[name], strict=True)
                ],
            }
            for name, f in self.fits.items()
        ]

    def _table(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]], Sequence[str]]:
        first = next(iter(self.fits.values()))
        at = [f"at {number(float(x))}" for x in self.x]
        head = ("objective", *(p.symbol for p in first.law.parameters), "rmse", *at)
        widths = [*self.spread.values(), *self.predicted_spread.tolist()]
        k, rows = len(self.spread), []
        for name, f in self.fits.items():
            values = [*f.params.values(), *self.predictions[name].tolist()]
            told = [number(value, width) for value, width in zip(values, widths, strict=True)]
            rows.append((name, *told[:k], number(f.rmse), *told[k:]))
        rows.append(("spread", *map(number, widths[:k]), "", *map(number, widths[k:])))
        left = [f"Not fitted: {name}. {why}" for name, why in self.left_out.items()]
        if first.points.sd is not None and len(self.fits) > 1:
            left.append("Only ols is weighted by the stated standard deviations.")
        return f"Objectives side by side: {first.law.title}", head, rows, [self.sentence(), *left]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def objectives(
    f: Fit,
    x: npt.ArrayLike | None = None,
    x2: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] = NAMES,
) -> Objectives:
    """Fit the law of `f` to its points under each objective.

    Parameters
    ----------
    f : Fit
    x, x2 : array-like, optional
        Where to compare predictions; default the largest point and `BEYOND` times its arguments.
    names : sequence of str
        Objectives; those that these points do not allow (logarithms of values that are not positive) are
        left out, and it is told why. Known standard deviations weigh `ols` alone: the others have weights of
        their own.

    Raises
    ------
    BadInput
        If none can be used, or x does not fit the law.
    """
    if x is None:
        i = int(np.argmax(sizes(f.points)))
        factors = np.array([1.0, BEYOND])
        x, x2 = f.x[i] * factors, None if f.x2 is None else f.x2[i] * factors
    places = [np.atleast_1d(np.asarray(a, dtype=np.float64)).ravel() for a in (x, x2) if a is not None]
    places = list(np.broadcast_arrays(*places))
    fits, left_out = {}, {}
    for name in names:
        try:
            options = {**f.options, "objective": name, "intervals": False}
            options["sd"] = f.points.sd if name == "ols" else None
            fits[name] = fit(f.law, f.x, f.y, f.x2, **options)
        except BadInput as error:
            left_out[name] = str(error)
    if not fits:
        raise BadInput("None of the objectives can be used: " + " ".join(left_out.values()))
    found = Objectives(fits, places[0], places[1] if len(places) > 1 else None, left_out)
    _ = found.predictions  # complains of places that the law cannot take
    return found
