"""The most informative next run: where one point more would narrow a target most."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.beyond.extrapolation import factor_beyond
from genret_core.scaling.laws.law import Array
from genret_core.scaling.planning.candidates import Candidate, NextRun
from genret_core.scaling.planning.information import Information, Target
from genret_core.scaling.results import Fit
from genret_core.scaling.wording import number

REACH = (0.5, 10.0)  # default candidates lie between these times the smallest and the largest argument
PLACES = {1: 25, 2: 9}  # of default candidates along each argument


def next_run(
    fit: Fit,
    *,
    candidates: npt.ArrayLike | None = None,
    target: Target | None = None,
    sd: float | None = None,
    cost: Callable[..., float] | npt.ArrayLike | None = None,
    budget: float | None = None,
    level: float = 0.95,
) -> NextRun:
    """Predict how much each candidate run would narrow a target, and so find the most informative one.

    Parameters
    ----------
    fit : Fit
    candidates : array [m] or [m, 2], optional
        Arguments of possible runs; default a logarithmic grid from half the smallest argument of the data to
        ten times the largest.
    target : str, float or (float, float), optional
        A parameter, `amplitude_at_centre`, or the argument(s) at which the curve is to be known; default the
        first exponent (the slope, where a law has none).
    sd : float, optional
        Standard deviation of y of the new run, where that is known; default as the points have it. For a fit
        that was given none it is taken as the noise of all points.
    cost : callable or array [m], optional
        `cost(x)` or `cost(P, D)` of a run.
    budget : float, optional
        Runs that cost more are not chosen.
    level : float
        Of the half-widths.

    Returns
    -------
    NextRun

    Raises
    ------
    BadInput
        If there is no degree of freedom and no known noise; if the target hangs on an exponent at the edge
        of its search; for candidates that are no positive numbers, or a budget without a cost.

    Notes
    -----
    The half-width is a quantile times the root of g' (J' W J + w j j')^-1 g: J the derivatives of the curve
    at the points, j at the candidate, g those of the target (D-optimality's one-target cousin, c-optimality:
    Atkinson, Donev and Tobias, Optimum Experimental Designs, 2007). The quantile is Student's t, with a
    degree of freedom more with the run than today; with few points that alone narrows the interval, wherever
    the run is. Known noise has the normal quantile.
    """
    if not 0 < level < 1:
        raise BadInput(f"level is {level}, but a confidence level lies between 0 and 1, e.g. 0.95.")
    if budget is not None and cost is None:
        raise BadInput("A budget needs a cost to be held against; give cost, too.")
    places = _candidates(fit, candidates)
    target = _default_target(fit) if target is None else target
    information = Information(fit, sd)
    arguments = [places[:, j] for j in range(places.shape[1])]
    dof = information.dof
    today = _quantile(level, dof) * information.deviation(target)
    later = _quantile(level, None if dof is None else dof + 1) * information.deviation_with(
        target, *arguments
    )
    prices = _prices(cost, arguments)
    data = [column for column in (fit.x, fit.x2) if column is not None]
    factors = np.max([factor_beyond(a, column) for a, column in zip(arguments, data, strict=True)], axis=0)
    found = tuple(
        Candidate(
            x=float(place[0]),
            x2=float(place[1]) if len(place) > 1 else None,
            half_width=float(later[i]),
            drop=float(1 - later[i] / today),
            cost=None if prices is None else float(prices[i]),
            affordable=prices is None or budget is None or bool(prices[i] <= budget),
            factor=float(factors[i]),
        )
        for i, place in enumerate(places)
    )
    return NextRun(found, _label(fit, target), today, dict(fit.points.names), level, _noise(information))


def _candidates(fit: Fit, given: npt.ArrayLike | None) -> Array:
    """Give candidate arguments, [m, 1] or [m, 2]."""
    data = [column for column in (fit.x, fit.x2) if column is not None]
    if given is None:
        axes = [
            np.geomspace(REACH[0] * column.min(), REACH[1] * column.max(), PLACES[len(data)])
            for column in data
        ]
        return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    places = np.asarray(given, dtype=np.float64)
    places = places[:, None] if places.ndim == 1 and len(data) == 1 else places
    if places.ndim != 2 or places.shape[1] != len(data) or not len(places):
        wanted = "a list of numbers" if len(data) == 1 else "a row of two numbers for each"
        raise BadInput(f"The candidates have shape {np.shape(given)}; give {wanted}.")
    if not (np.isfinite(places) & (places > 0)).all():
        raise BadInput(
            "A candidate must be a positive number in each argument: laws are fitted on logarithms."
        )
    return places


def _default_target(fit: Fit) -> str:
    found = [*fit.law.with_role("exponent"), *fit.law.with_role("slope"), *fit.law.parameters]
    return found[0].name


def _label(fit: Fit, target: Target) -> str:
    if isinstance(target, str):
        return target
    values = (target,) if isinstance(target, (int, float)) else tuple(target)
    at = ", ".join(
        f"{fit.points.names[key]} = {number(float(v))}" for key, v in zip(("x", "x2"), values, strict=False)
    )
    return f"{fit.points.names['y']} at {at}"


def _prices(cost: Callable[..., float] | npt.ArrayLike | None, arguments: list[Array]) -> Array | None:
    if cost is None:
        return None
    prices = (
        np.vectorize(cost, otypes=[float])(*arguments)
        if callable(cost)
        else np.asarray(cost, dtype=np.float64)
    )
    if prices.shape != arguments[0].shape or not (np.isfinite(prices) & (prices > 0)).all():
        raise BadInput("Every candidate needs a cost, a positive number.")
    return np.asarray(prices)


def _noise(information: Information) -> str:
    if information.known_sd is not None:
        return f"known (SD {number(information.known_sd)} of the new run)"
    free = information.dof or 0
    return f"judged by the residuals ({free} degree{'' if free == 1 else 's'} of freedom today)"


def _quantile(level: float, dof: int | None) -> float:
    """Give the two-sided quantile of Student's t, or of the normal distribution for known noise."""
    from scipy import special  # slow to import

    tail = (1 + level) / 2
    return float(special.ndtri(tail) if dof is None else special.stdtrit(dof, tail))
