"""A fit as JSON: every digit, null for what is undefined or open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from genret_core.scaling.intervals import AMPLITUDE, Interval

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit

RESTARTS = 8  # of the float32 check: enough to see a stall, and no second more for the reader to wait


def of_fit(fit: Fit) -> dict[str, Any]:
    """Give everything that a fit says; the command line adds predictions and provenance."""
    from genret_core.scaling.comparison.compare import compare_with
    from genret_core.scaling.influence.rows import influence

    return {
        "law": fit.law.name,
        "equation": fit.law.equation,
        "names": dict(fit.points.names),
        "n": fit.n,
        "n_distinct": fit.points.n_distinct,
        "dof": fit.dof,
        "objective": fit.objective,
        "r2": finite(fit.R2),
        "sse": fit.sse,
        "rmse": fit.rmse,
        "objective_value": fit.objective_value,
        "params": {name: _parameter(fit, name, value) for name, value in fit.params.items()},
        "amplitude": _amplitude(fit),
        "interval_method": fit.spread.method,
        "covers": fit.covers,
        "sentence": fit.sentence(),
        "verdicts": [verdict.to_dict() for verdict in fit.verdicts],
        "predictions": [],
        "comparison": compare_with(fit).to_dict(),
        "influence": influence(fit).to_dict(),
        "certificate": certificate(fit),
        "points": {
            "used": fit.n,
            "rows": fit.points.rows.tolist(),
            "dropped": [{"row": row, "reason": reason} for row, reason in fit.points.dropped],
            "fitted": fit.fitted.tolist(),
        },
    }


def finite(value: float | None) -> float | None:
    """Give None for a number that is undefined."""
    return None if value is None or not math.isfinite(value) else float(value)


def ends(interval: Interval | None) -> list[float | None]:
    """Give [low, high], null for an open end; [null, null] where there is no interval."""
    return [None, None] if interval is None else [interval.lo, interval.hi]


def _parameter(fit: Fit, name: str, value: float) -> dict[str, Any]:
    interval = fit.interval(name, 0.95)
    return {
        "value": finite(value),
        "stderr": finite(fit.stderr.get(name)),
        "ci68": ends(fit.interval(name, 0.68)),
        "ci95": ends(interval),
        "open": [] if interval is None else list(interval.open),
        "identified": fit.identified(name),
    }


def _amplitude(fit: Fit) -> dict[str, Any] | None:
    if AMPLITUDE not in fit.derived:
        return None
    centre = {key: value for key, value in fit.derived.items() if key != AMPLITUDE}
    return _parameter(fit, AMPLITUDE, fit.derived[AMPLITUDE]) | centre


def certificate(fit: Fit) -> dict[str, Any]:
    """Give what was searched and what other solvers found."""
    from genret_core.scaling.second_opinion import float32_check, second_solver

    found = fit.certificate
    return {
        "method": found.method,
        "searched": found.searched,
        "minima": list(found.minima[:20]),
        "n_minima": len(found.minima),
        "objective": found.objective,
        "runner_up": found.runner_up,
        "gradient": finite(found.gradient),
        "second_solver": second_solver(fit).to_dict(),
        "float32": float32_check(fit, starts=RESTARTS, starts_in_float64=RESTARTS).to_dict(),
    }
