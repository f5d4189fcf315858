"""What is said beyond the data: a marker with its interval, and a bar from the lowest law to the highest."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np

from genret_core.scaling.beyond.predictions import Prediction
from genret_core.scaling.layout import times
from genret_core.scaling.wording import interval_text, number, value_text
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.view_traces import DEEP, NOTHING, Height, Values
from genret_core.workbench.figures import style

FAR = 1e3  # a whisker without an end is so many times y long: it runs out of the figure


def farthest(shown: Any) -> Prediction | None:
    """Give the prediction that is drawn; None where nothing lies ahead."""
    told = shown.predictions
    return None if told is None else told[len(told) - 1]


def prediction(shown: Any, height: Height) -> dict[str, Values]:
    """Give the marker and the bar."""
    one = farthest(shown)
    if one is None:
        return {"prediction": NOTHING | {"error_y": {"array": []}}, "spread": NOTHING}
    focus = shown.state.focus
    at = float(height(one.y, focus))
    lo, hi = (one.y, one.y) if one.interval is None else (one.interval.lo, one.interval.hi)
    bottom = math.nan if lo is None else float(height(lo, focus))
    out = at * (1 - DEEP) if height.above_floor else FAR * abs(at)
    down = out if math.isnan(bottom) else at - bottom
    up = FAR * abs(at) if hi is None else float(height(hi, focus)) - at
    spread: Values = dict(NOTHING)
    if one.spread is not None:
        ends = height(one.spread, focus)
        each = sorted(one.by_law.items(), key=lambda item: item[1])
        hover = "<b>the same place by law</b><br>"
        hover += "<br>".join(f"{escape(name)}: {number(value)}" for name, value in each)
        ends = np.where(np.isfinite(ends), ends, at * DEEP)
        spread = {"x": [one.x, one.x], "y": ends, "hovertext": [readable(hover)] * 2}
    error = {"array": [up], "arrayminus": [down]}
    return {
        "prediction": {
            "x": [one.x],
            "y": [at],
            "error_y": error,
            "hovertext": [readable(_hover(shown, one))],
        },
        "spread": spread,
    }


def _hover(shown: Any, one: Prediction) -> str:
    called = {key: escape(name) for key, name in shown.source.called(shown.state.focus).items()}
    said = f"<b>predicted {called['y']} = {number(one.y)}</b>"
    said += f"<br>at {called['x']} = {style.short(one.x)}, {times(one.factor)} beyond the data"
    if one.interval is None:
        said += "<br>no interval: nothing tells how sure this is"
    else:
        level = f"{100 * one.interval.level:g} %"
        said += f"<br>{level} interval {interval_text(one.interval, one.y)}, if the law holds"
    if one.spread is not None:
        said += f"<br>{_laws(one)}"
    return said


def words(shown: Any) -> str:
    """Say the same in a line; empty where nothing lies ahead."""
    one = farthest(shown)
    if one is None:
        return ""
    called = shown.source.called(shown.state.focus)
    said = f"At {called['x']} = {style.short(one.x)}: {called['y']} = {value_text(one.y, one.interval)}"
    said += " if the law holds" if one.interval is not None else ", without an interval"
    return said + (f"; {_laws(one)}" if one.spread is not None else "")


def _laws(one: Prediction) -> str:
    assert one.spread is not None
    low, high = (number(end, one.spread[1] - one.spread[0]) for end in one.spread)
    return f"{len(one.by_law)} laws say {low} to {high}"
