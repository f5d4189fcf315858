"""How to spend a budget: the model size and the amount of data at which a law of both is lowest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.beyond.extrapolation import factor_beyond
from genret_core.scaling.beyond.refits import refitted
from genret_core.scaling.intervals import Interval
from genret_core.scaling.intervals.draws import percentiles
from genret_core.scaling.laws.law import Array, get_law
from genret_core.scaling.layout import times
from genret_core.scaling.planning.budgets import Allocation, Allocations
from genret_core.scaling.planning.isocost import Cost, PerQuery, Spending
from genret_core.scaling.verdicts import Verdict
from genret_core.scaling.wording import number

PLACES = 400  # on a line of equal cost; refits are looked at on half as many, then again about their optima
STEP = 0.25  # the exponent is the slope of ln P* against ln budget, over this much to both sides


class Surface(Protocol):
    """What can be allocated by: a `Fit` or a published law of P and D."""

    @property
    def law(self) -> Any:
        """The law, or its name."""
        ...

    def predict(self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, clip: bool = True) -> Array:
        """Give the value at P and D."""
        ...


def allocate(
    surface: Surface,
    budget: npt.ArrayLike,
    *,
    cost: Spending | None = None,
    tokens_per_pair: float = 1.0,
    inference: tuple[float, PerQuery] | None = None,
    level: float = 0.95,
) -> Allocations:
    """Find the model size and the pairs that make a law of both lowest for what they cost together.

    Parameters
    ----------
    surface : Fit or PublishedLaw
        Of `surface`, `joint`, `joint_exchanged`, or a law of your own in P and D (in that order).
    budget : float or array
        In the unit of the cost: FLOPs by default.
    cost : callable, optional
        `cost(P, D)` of training, growing in both; default 6 P D t (Kaplan et al., 2020).
    tokens_per_pair : float
        t. D counts query-identifier pairs; the default 1 is right where D counts tokens, as in the
        literature. Mind that t moves the optimum: give the mean length of your pairs.
    inference : (n_queries, flops_per_query), optional
        Adds `n_queries * flops_per_query(P)`.
    level : float
        Of the intervals.

    Returns
    -------
    Allocations

    Raises
    ------
    BadInput
        For a law of one argument (see `reach`), a budget that buys nothing, or a cost without a limit.

    Notes
    -----
    The line of equal cost is searched on a grid in ln P, and the lowest place refined by bounded Brent. In
    closed form, at a cost that goes as P D, a surface has a = beta / (alpha + beta), and so has Eq. 8.
    """
    if get_law(surface.law).x2 is None:
        raise BadInput(
            f"The law {get_law(surface.law).name} has one argument, so there is nothing to divide a budget "
            "between; ask reach(fit, target) what a target takes."
        )
    n_queries, per_query = inference or (0.0, None)
    spending = Cost(cost, tokens_per_pair, n_queries, per_query)
    names = {"x": "P", "x2": "D", "y": get_law(surface.law).y}
    names |= surface.points.names if hasattr(surface, "points") else {}
    found = tuple(
        _best(surface, spending, float(one), level)
        for one in np.atleast_1d(np.asarray(budget, dtype=np.float64))
    )
    told = "training cost as given" if cost else f"FLOPs, 6 {names['x']} {names['x2']}"
    if cost is None and tokens_per_pair != 1:
        told += f" times {tokens_per_pair:g} tokens"
    told += f" and {n_queries:g} queries served" if inference else ""
    return Allocations(
        found, get_law(surface.law).name, names, told, level, tuple(_verdicts(surface, found, names))
    )


def _best(surface: Any, cost: Cost, budget: float, level: float) -> Allocation:
    s, edge = _optimum(surface, cost, budget)
    P = np.exp(s)
    D = float(cost.pairs(P, budget))
    near = [_optimum(surface, cost, budget * np.exp(side * STEP))[0] for side in (-1.0, 1.0)]
    measured = hasattr(surface, "points")
    return Allocation(
        budget=budget,
        P=float(P),
        D=D,
        y=float(surface.predict(P, D)),
        exponent=float("nan") if edge else (near[1] - near[0]) / (2 * STEP),
        intervals=_intervals(surface, cost, budget, level),
        factor_P=float(factor_beyond(P, surface.x)) if measured else None,
        factor_D=float(factor_beyond(D, surface.x2)) if measured else None,
        serving=float(cost.serving(P) / budget),
        edge=edge,
    )


def _line(cost: Cost, budget: float, places: int = PLACES) -> Array:
    """Give a grid of ln P, from one parameter to the model that is trained on one pair."""
    return np.linspace(0.0, np.log(cost.largest(budget)) - 1e-9, places)  # within rounding of the last pair


def _optimum(surface: Any, cost: Cost, budget: float) -> tuple[float, Literal["", "P", "D"]]:
    """Find ln P of the lowest place on the line of equal cost, and whether it is an end of it."""
    from scipy.optimize import minimize_scalar  # slow to import

    def value(s: Any) -> Any:
        return surface.predict(np.exp(s), cost.pairs(np.exp(s), budget), clip=False)

    line = _line(cost, budget)
    with np.errstate(over="ignore", invalid="ignore"):
        on_line = value(line)
        if not np.nanmax(on_line) > np.nanmin(on_line):
            raise BadInput(
                "The law is the same everywhere, so that no use of a budget is better than another."
            )
        i = int(np.nanargmin(on_line))
        if i in (0, PLACES - 1):
            return float(line[i]), "D" if i else "P"
        options = {"xatol": 1e-10}
        ends = (line[i - 1], line[i + 1])
        return float(minimize_scalar(value, bounds=ends, method="bounded", options=options).x), ""


def _intervals(surface: Any, cost: Cost, budget: float, level: float) -> dict[str, Interval]:
    """Let every refit have its own optimum."""
    if not len(getattr(surface, "draws", ())):
        return {}
    s, y = _refitted_optima(surface, cost, budget)
    below, above = (_refitted_optima(surface, cost, budget * np.exp(side * STEP))[0] for side in (-1.0, 1.0))
    inside, side = np.isfinite(s), np.where(np.isnan(s), np.nan, np.sign(s) * np.inf)
    P, D = side, -side  # where there is no optimum, the smallest model goes with the most data
    P[inside] = np.exp(s[inside])
    D[inside] = cost.pairs(P[inside], budget)
    with np.errstate(invalid="ignore"):
        exponent = (above - below) / (2 * STEP)
    values = {"P": P, "D": D, "y": y, "exponent": exponent}
    return {name: percentiles(value, level) for name, value in values.items()}


def _refitted_optima(surface: Any, cost: Cost, budget: float) -> tuple[Array, Array]:
    """Find ln P of the optimum of every refit, and its value; infinite at an end of the line, NaN if flat."""
    line = _line(cost, budget, PLACES // 2)
    curves = refitted(surface, np.exp(line), cost.pairs(np.exp(line), budget), clip=False)
    curves = np.where(np.isnan(curves), np.inf, curves)
    lowest, all_rows = curves.argmin(axis=1), np.arange(len(curves))
    y = curves[all_rows, lowest]
    s = np.where(lowest == 0, -np.inf, np.inf)
    s[curves.max(axis=1) == y] = np.nan
    inside = (lowest > 0) & (lowest < len(line) - 1)
    if inside.any():
        window = line[lowest[inside].min() - 1], line[lowest[inside].max() + 1]
        fine = np.linspace(*window, PLACES)
        curves = refitted(surface, np.exp(fine), cost.pairs(np.exp(fine), budget), clip=False)[inside]
        s[inside], y[inside] = _vertex(fine, curves)
    return s, y


def _vertex(s: Array, curves: Array) -> tuple[Array, Array]:
    """Give the lowest point of the parabola through the lowest place of each curve and its neighbours."""
    rows, i = np.arange(len(curves)), np.clip(curves.argmin(axis=1), 1, len(s) - 2)
    left, middle, right = (curves[rows, i + side] for side in (-1, 0, 1))
    bend, tilt = left - 2 * middle + right, left - right
    move = np.where(bend > 0, tilt / np.where(bend > 0, 2 * bend, 1.0), 0.0)
    move = np.clip(move, -1.0, 1.0)
    return s[i] + move * (s[1] - s[0]), middle - tilt * move / 4


def _verdicts(surface: Any, found: tuple[Allocation, ...], names: dict[str, str]) -> Iterator[Verdict]:
    if hasattr(surface, "best"):
        for unknown, edge in zip(surface.law.nonlinear, surface.best.edge[0], strict=True):
            if edge and unknown.name in surface.law.names:
                yield Verdict(
                    "at_edge",
                    f"{unknown.name} lies at the edge of its search: how a budget divides hangs on an "
                    "exponent that the data do not hold.",
                    help="Vary both arguments in the data, off their arms too.",
                    param=unknown.name,
                )
    farthest = max(found, key=lambda one: max(one.factor_P or 1.0, one.factor_D or 1.0))
    factor = max(farthest.factor_P or 1.0, farthest.factor_D or 1.0)
    if factor > 1:
        yield Verdict(
            "extrapolation",
            f"The best use of {number(farthest.budget)} lies {times(factor)} beyond the data: it holds only "
            "if the law does.",
            help="Train first at a budget between.",
            factor=factor,
        )
    for one in found:
        if one.edge:
            end = f"smallest {names['x']}" if one.edge == "P" else f"fewest {names['x2']}"
            yield Verdict(
                "at_edge",
                f"For {number(one.budget)} the {end} would be best: the law hardly falls with it, so that it "
                "divides no budget.",
                help="Vary both arguments in the data.",
            )
