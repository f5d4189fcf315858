"""A comparison of laws in words and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genret_core.scaling.comparison.criteria import FLOORED, Judged
from genret_core.scaling.comparison.residual_tests import FTest
from genret_core.scaling.wording import number

if TYPE_CHECKING:
    from genret_core.scaling.comparison.compare import Comparison

CLOSE = 1.25  # laws whose left-out errors differ by less than this factor are called alike
SUPPORTED = 0.05  # p of an F test below which a parameter is worth having


def sentence(comparison: Comparison) -> str:
    """Say which law predicts best, whether a floor is supported, and what is undefined."""
    parts = (_predictors(comparison), _floor(comparison), _untested(comparison), _undefined(comparison))
    return " ".join(part for part in parts if part)


def _predictors(comparison: Comparison) -> str:
    tested = [one for one in comparison.laws if one.loo.rmse is not None]
    if not tested:
        return "No law can be tested on a left-out point: there are too few points."
    first, rest = tested[0], tested[1:]
    least = first.loo.rmse or 0.0
    alike = [one.law for one in rest if (one.loo.rmse or 0.0) <= CLOSE * least]
    told = f"Left-out points are predicted best by {first.law} (rmse {number(least)})"
    if alike:
        told += f", about as well by {_listed(alike)}"
    elif rest:
        told += f", next by {rest[0].law} ({number(rest[0].loo.rmse or 0.0)})"
    farthest = [one for one in comparison.laws if one.law == comparison.best["largest"]]
    for one in farthest:
        several = len(one.largest.rows) > 1
        which, what = ("points", "rmse") if several else ("point", "error")
        error = one.largest.rmse if several else float(one.largest.errors[0])
        told += f"; the largest {which} by {one.law} ({what} {number(error or 0.0)})"
    return told + "."


def _floor(comparison: Comparison) -> str:
    """Judge the floor, once the law with one is better than a constant."""
    for one in comparison.laws:
        if one.law not in FLOORED:
            continue
        trend, floor = one.test_against("constant"), one.test_against("power")
        if trend is not None and not trend.p < SUPPORTED:
            return f"No fall stands out of the scatter: {_test(one, trend)}."
        if floor is not None and floor.p < SUPPORTED:
            return f"A floor is supported: {_test(one, floor)}."
        if floor is not None:
            return f"A floor is not supported, a power law without one does as well: {_test(one, floor)}."
    return ""


def _test(one: Judged, test: FTest) -> str:
    return f"{one.law} against {test.against}, F = {test.F:.3g}, p = {test.p:.2g}"


def _untested(comparison: Comparison) -> str:
    missing = [one.law for one in comparison.laws if one.loo.rmse is None]
    if not missing or len(missing) == len(comparison.laws):
        return ""
    return f"{_listed(missing)} cannot be tested so: without a point there are too few left."


def _undefined(comparison: Comparison) -> str:
    missing = [one for one in comparison.laws if one.AICc is None]
    if not missing:
        return ""
    if missing[0].fit.points.objective.robust:
        return f"AICc is undefined under {missing[0].fit.objective}, which is no Gaussian likelihood."
    points = missing[0].fit.dof + missing[0].k
    return (
        f"AICc is undefined for {_listed(one.law for one in missing)} ({points} points are too few for so "
        "many parameters) and ranks nothing here."
    )


def table(comparison: Comparison) -> tuple[str, Sequence[str], Sequence[Sequence[str]], Sequence[str]]:
    """Give title, head, rows and the lines below the table."""
    single = len(comparison.laws[0].largest.rows) == 1
    errors = ("largest residual", "left out, rmse", "largest out" + ("" if single else ", rmse"), "%")
    head = ("law", "k", "dof", "R²", *errors, "AICc", "BIC", "F against", "p", "runs p")
    rows = []
    for one in comparison.laws:
        out = float(one.largest.errors[0]) if single else _or_nan(one.largest.rmse)
        test = one.tests[-1] if one.tests else None
        rows.append(
            (
                *(one.law, str(one.k), str(one.fit.dof), _share(one.fit.R2)),
                *(number(v) for v in (one.max_residual, _or_nan(one.loo.rmse), out)),
                _rounded(one.largest.mape, ".3g"),
                *(_rounded(value, ".1f") for value in (one.AICc, one.BIC)),
                *(("", "") if test is None else (f"{test.against}: {test.F:.3g}", f"{test.p:.2g}")),
                _rounded(one.runs.p, ".2g"),
            )
        )
    left = [f"Not compared: {law}. {why}" for law, why in comparison.left_out.items()]
    return f"Laws on {comparison.laws[0].fit.n} points", head, rows, [sentence(comparison), *left]


def _share(R2: float) -> str:
    """Write R² with two digits of what is left, so that 0.99998 is not written as 1."""
    return number(R2, abs(1 - R2) or None) if np.isfinite(R2) else "undefined"


def _rounded(value: float | None, digits: str) -> str:
    return "undefined" if value is None else f"{value:{digits}}"


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _listed(names: Iterable[str]) -> str:
    *first, last = tuple(names)
    return f"{', '.join(first)} and {last}" if first else last
