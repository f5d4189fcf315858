"""What fits say where nothing was measured: how far out that is, and how far laws disagree there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.beyond.predictions import Prediction, Predictions
from genret_core.scaling.fitting import fit
from genret_core.scaling.intervals import from_ends
from genret_core.scaling.laws.law import law_names
from genret_core.scaling.layout import times
from genret_core.scaling.results import Fit
from genret_core.scaling.verdicts import Verdict
from genret_core.scaling.wording import number

FLOORED = ("model_size", "data_size", "inference")  # one law, a power with a floor, under three names
RIVALS = {
    1: (FLOORED[0], "power", "log_linear", "exponential", "broken"),
    2: ("surface", "joint", "joint_exchanged"),
}


def predict(
    fits: Fit | Sequence[Fit],
    at: npt.ArrayLike,
    at2: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> Predictions:
    """Predict y where it was not measured, and say how far out that is.

    Parameters
    ----------
    fits : Fit or sequence of Fit
        The law to predict by; or several, fitted to the same points, the first of which gives the interval
        and the others the spread between laws. Which others are sensible is yours to choose; `rivals(fit)`
        gives the usual ones.
    at, at2 : array-like
        Arguments; `at2` for laws of two.
    level : float
        Of the intervals.

    Returns
    -------
    Predictions

    Raises
    ------
    BadInput
        For fits of different points, or two fits of one law.

    Examples
    --------
    >>> from genret_core.scaling import fit, predict
    >>> f = fit("model_size", [1e6, 1e7, 1e8, 1e9], [1.52, 0.698, 0.421, 0.332])
    >>> predict(f, [1e10, 1e11]).places[1].factor
    100.0
    """
    several = (fits,) if isinstance(fits, Fit) else tuple(fits)
    _check_same_points(several)
    first = several[0]
    arrays = [np.atleast_1d(np.asarray(a, dtype=np.float64)).ravel() for a in (at, at2) if a is not None]
    if not arrays[0].size:
        raise BadInput("There is no place to predict at; give at least one x.")
    arrays = list(np.broadcast_arrays(*arrays))
    free, y = first.predict(*arrays, clip=False), first.predict(*arrays)
    low, high = first.band(*arrays, level=level)
    bounds = first.law.bounds or (-np.inf, np.inf)  # of y, whatever law
    values = {one.law.name: np.clip(one.predict(*arrays), *bounds) for one in several}
    data = [column for column in (first.x, first.x2) if column is not None]
    factors = np.max([factor_beyond(a, column) for a, column in zip(arrays, data, strict=True)], axis=0)
    places = tuple(
        Prediction(
            x=float(arrays[0][i]),
            x2=float(arrays[1][i]) if len(arrays) > 1 else None,
            y=float(y[i]),
            clipped=bool(free[i] != y[i]),
            interval=None if np.isnan([low[i], high[i]]).all() else from_ends(low[i], high[i], level),
            factor=float(factors[i]),
            by_law={name: float(value[i]) for name, value in values.items()},
        )
        for i in range(arrays[0].size)
    )
    measured = tuple((float(column.min()), float(column.max())) for column in data)
    return Predictions(
        places,
        tuple(values),
        dict(first.points.names),
        measured,
        level,
        tuple(_verdicts(places, first.points.names, measured)),
    )


def factor_beyond(x: npt.ArrayLike, measured: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Give how far `x` lies beyond what was measured, as a factor of 1 or more; 1 inside."""
    return np.maximum(1.0, np.maximum(np.asarray(x) / np.max(measured), np.min(measured) / np.asarray(x)))


def rivals(of: Fit) -> tuple[Fit, ...]:
    """Fit the usual rivals of a fit's law to the same points, in the same way.

    Laws of one argument: a power law with and without a floor, a straight line in ln x, an exponential, and
    from 10 points on a broken power law. Of two: the surface and the joint law in both orders. Those that the
    points cannot hold are left out, and so is a constant: it is the absence of a law.
    """
    own = FLOORED if of.law.name in FLOORED else (of.law.name,)
    found = []
    for name in RIVALS[1 if of.law.x2 is None else 2]:
        if name not in own and name in law_names():
            try:
                found.append(fit(name, of.x, of.y, of.x2, **of.options, intervals=False))
            except BadInput:
                continue  # fewer points than it needs
    return tuple(found)


def _check_same_points(fits: Sequence[Fit]) -> None:
    if not fits:
        raise BadInput("There is no fit to predict by; give one or several.")
    laws = [one.law.name for one in fits]
    if len(set(laws)) < len(laws):
        raise BadInput(f"Two fits are of one law ({', '.join(laws)}); give each law once.")
    for one in fits[1:]:
        pairs = [(fits[0].x, one.x), (fits[0].y, one.y)]
        if (one.x2 is None) != (fits[0].x2 is None) or not all(np.array_equal(*pair) for pair in pairs):
            raise BadInput(
                f"The fits of {laws[0]} and {one.law.name} are of different points, so that their difference "
                "is not that between laws; fit both to the same points."
            )


def _verdicts(
    places: Sequence[Prediction], names: dict[str, str], measured: Sequence[tuple[float, float]]
) -> Iterator[Verdict]:
    farthest = max(places, key=lambda place: place.factor)
    if farthest.factor > 1:
        spans = " and ".join(
            f"{names[key]} from {number(low)} to {number(high)}"
            for key, (low, high) in zip(("x", "x2"), measured, strict=False)
        )
        yield Verdict(
            "extrapolation",
            f"The farthest prediction lies {times(farthest.factor)} beyond the data ({spans}): its "
            "interval holds only if the law does.",
            help="Compare it with what rival laws give there, or measure nearer to it.",
            factor=farthest.factor,
        )
    clipped = [place for place in places if place.clipped]
    if clipped:
        yield Verdict(
            "outside_bounds",
            f"The law leaves the range that {names['y']} can have at {len(clipped)} of {len(places)} "
            f"predictions, the first at {names['x']} = {number(clipped[0].x)}; these are clipped.",
            help="Predict nearer to the data, where the law describes them.",
        )
