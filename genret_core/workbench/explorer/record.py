"""Everything about the shown fit as plain values: every digit, and where it came from."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

from genret_core.scaling import Fit, Interval
from genret_core.scaling.intervals import AMPLITUDE
from genret_core.workbench.explorer.shown import Shown

LEVELS = (0.68, 0.95)


def parameters(shown: Shown) -> dict[str, Any]:
    """Give the fit in focus with intervals, covariance, exclusions, the points' hash and versions.

    Returns
    -------
    dict
        Of JSON's and YAML's plain values; null for what is undefined or open.
    """
    state, source, found = shown.state, shown.source, shown.fit
    value: dict[str, Any] = {"series": source.label(state.focus), "law": state.law}
    if found is None:
        value["why_no_fit"] = shown.why
    else:
        value |= _fit(found, tuple(dict.fromkeys((*LEVELS, state.level))))
        value |= {
            "noise": shown.calls[state.focus].noise,
            "verdicts": [one.to_dict() for one in shown.verdicts],
            "covariance": covariance(found),
        }
    points = shown.points()
    value["points"] = {
        "used": [int(row) for row in points["row"][points["used"]]],
        "left_out": [
            {"row": int(row), "reason": why}
            for row, why, used in zip(points["row"], points["reason"], points["used"], strict=True)
            if not used
        ],
    }
    value["source"] = {
        "name": source.name,
        "note": source.note,
        **_plain(_origin(source.origin, state.focus)),
        "sha256_of_points": source.sha256,
    }
    value["versions"] = versions()
    value["state"] = state.to_dict()
    return value


def _origin(origin: Mapping[str, Any], focus: str) -> dict[str, Any]:
    """Say where the series in focus can be read again."""
    return {
        key: value[focus] if key in ("series", "columns") and focus in value else value
        for key, value in origin.items()
    }


def _fit(found: Fit, levels: tuple[float, ...]) -> dict[str, Any]:
    entries = dict(found.params)
    if AMPLITUDE in found.derived:
        entries[AMPLITUDE] = found.derived[AMPLITUDE]
    return {
        "equation": found.law.equation,
        "names": dict(found.points.names),
        "objective": found.objective,
        "sentence": found.sentence(),
        "params": {
            name: {
                "value": _number(number),
                "stderr": _number(found.stderr.get(name)),
                **{f"ci{100 * level:g}": _ends(found.interval(name, level)) for level in levels},
                "identified": found.identified(name),
            }
            for name, number in entries.items()
        },
        "centre": {name: value for name, value in found.derived.items() if name != AMPLITUDE},
        "covers": found.covers,
        "n": found.n,
        "dof": found.dof,
        "r2": _number(found.R2),
        "sse": _number(found.sse),
        "rmse": _number(found.rmse),
        "objective_value": _number(found.objective_value),
    }


def covariance(found: Fit) -> dict[str, Any] | None:
    """Give the covariance of the refits' parameters, or of the linearised unknowns; None without either.

    The linearised law is one in ln amplitude at the centre, in the logarithms of its exponents, and in the
    floor, so the covariance is of these.
    """
    draws = found.draws
    if len(draws) > 1:
        with np.errstate(invalid="ignore", over="ignore"):
            matrix = np.atleast_2d(np.cov(draws, rowvar=False))
        return {"of": list(found.law.names), "from": f"{len(draws)} refits", "matrix": _plain(matrix)}
    plane = found.plane
    known = found.points.sd is not None
    if plane.inverse is None or not (known or found.dof > 0):
        return None
    variance = 1.0 if known else float(found.optima.objective[0]) / found.dof
    names, scale = [], []
    for one in plane.moving:
        if isinstance(one, int):
            unknown = found.law.nonlinear[one]
            names.append(f"ln {unknown.name}" if unknown.scale == "log" else unknown.name)
            scale.append(1.0)
        else:
            names.append(f"ln {AMPLITUDE}" if one == "amplitude" else "floor")
            scale.append(1.0 if one == "amplitude" else found.points.scale)
    return {
        "of": names,
        "from": "linearised",
        "matrix": _plain(variance * plane.inverse * np.outer(scale, scale)),
    }


def draws_json(shown: Shown) -> str:
    """Give the parameters of every refit behind the intervals as JSON; no rows where there are none."""
    found = shown.fit
    names = [] if found is None else list(found.law.names)
    rows = [] if found is None else _plain(found.draws)
    return json.dumps({"parameters": names, "draws": rows}, ensure_ascii=False)


def parameters_yaml(shown: Shown) -> str:
    """Write `parameters` as YAML."""
    import yaml

    return str(yaml.safe_dump(parameters(shown), sort_keys=False, allow_unicode=True, width=100))


def versions() -> dict[str, str]:
    """Give the versions of what computed this."""
    found = {name: metadata.version(name) for name in ("genret", "numpy", "scipy", "pandas")}
    return {**found, "python": platform.python_version()}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _ends(interval: Interval | None) -> list[float | None]:
    return [None, None] if interval is None else [_number(interval.lo), _number(interval.hi)]


def _plain(value: Any) -> Any:
    """Give values that every format can write; what is not finite is null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (np.ndarray, list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return _number(float(value))
    if isinstance(value, np.integer):
        return int(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
