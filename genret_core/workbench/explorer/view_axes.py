"""The axes of the main figure: what they span, what they are called, and the second one in rho."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from genret_core.workbench.explorer.view_traces import Height, Values
from genret_core.workbench.figures import style

PAD = 0.07  # of an axis beyond what it must hold
CLOSE = 0.04  # of the axis: ticks in rho that are closer than this
STEPS = (1, 2, 5, 10)


def axes(shown: Any, height: Height, across: Iterable[Values], up: Iterable[Values]) -> dict[str, Any]:
    """Lay out both axes about the traces that they must hold, and the second axis.

    Parameters
    ----------
    shown : Shown
    height : Height
    across, up : iterable of dict
        Traces that have to be within the figure from left to right, and from bottom to top. Bands are not
        among them, as an open one would leave no room for the points.
    """
    x = _finite(value["x"] for value in across)
    y = _finite(value["y"] for value in up)
    chance = chance_at(shown, height)
    if chance is not None:
        y = np.append(y, chance)
    vertical = _up(shown, height, y)
    return {"xaxis": _across(shown, x), "yaxis": vertical, "yaxis2": _rho(shown, height, vertical)}


def chance_at(shown: Any, height: Height) -> float | None:
    """Give where the chance line is drawn; None where there is none."""
    n = shown.source.negatives(shown.state.focus)
    if not (shown.state.chance and n):
        return None
    at = float(height(math.log1p(1 / n), shown.state.focus))
    return at if math.isfinite(at) else None


def _finite(parts: Iterable[Any]) -> np.ndarray:
    every = np.concatenate([np.empty(0), *(np.asarray(part, dtype=float).ravel() for part in parts)])
    return every[np.isfinite(every)]


def _across(shown: Any, x: np.ndarray) -> dict[str, Any]:
    name = shown.source.called(shown.state.focus)["x"]
    title = {"text": style.LABELS.get(name, escape(name))}
    x = x[x > 0] if (x > 0).any() else np.array([1.0, 10.0])
    if shown.state.axes == "linear":
        room = PAD * (np.ptp(x) or x.max())
        lowest = float(max(0.0, x.min() - room))
        ticks = {"tickmode": "auto", "tickvals": None, "ticktext": None}
        return {"type": "linear", "range": [lowest, float(x.max() + room)], "title": title, **ticks}
    return style.log_axis(x.tolist(), str(title["text"])) | {"title": title}


def _up(shown: Any, height: Height, y: np.ndarray) -> dict[str, Any]:
    name = shown.source.called(shown.state.focus)["y"]
    title = style.LABELS.get(name, escape(name))
    if height.above_floor:
        y = y[y > 0] if (y > 0).any() else np.array([1e-3, 1.0])
        told = f"{title} − floor ({height.floor(shown.state.focus):.6g})"
        return style.log_axis(y.tolist(), told) | _powers(y) | {"tickformat": ""}
    if not y.size:
        y = np.array([0.0, 1.0])
    span = float(np.ptp(y) or abs(y.max()) or 1.0)
    bounds = shown.fit.law.bounds if shown.fit is not None and shown.state.clip else None
    low, high = float(y.min() - PAD * span), float(y.max() + PAD * span)
    if bounds:
        low, high = max(low, bounds[0] - 0.01), min(high, bounds[1] + 0.01)
    format_ = f".{min(9, max(1, math.ceil(-math.log10(span / 5))))}f" if 1e-4 < abs(high) < 1e4 else ""
    ticks = {"tickmode": "auto", "tickvals": None, "ticktext": None}
    return {
        "type": "linear",
        "range": [low, high],
        "title": {"text": title},
        "tickformat": format_,
        "exponentformat": "power",
        **ticks,
    }


def _powers(y: np.ndarray) -> dict[str, Any]:
    """Write ticks of small numbers as 2 × 10⁻⁵."""
    low, high = (math.log10(v) for v in (y.min(), y.max()))
    steps = (1, 2, 5) if high - low < 2.2 else (1,)
    every = [(s, p) for p in range(math.floor(low) - 2, math.ceil(high) + 3) for s in steps]
    text = [f"{s}×10<sup>{p}</sup>".replace("-", "−") if s > 1 else f"10<sup>{p}</sup>" for s, p in every]
    text = [told.replace("-", "−") for told in text]
    return {"tickmode": "array", "tickvals": [s * 10.0**p for s, p in every], "ticktext": text}


def _rho(shown: Any, height: Height, up: dict[str, Any]) -> dict[str, Any]:
    """Write rho on the right: the same scale, other ticks."""
    n = shown.source.negatives(shown.state.focus)
    if not (shown.state.rho and n):
        return {"visible": False}
    floor = height.floor(shown.state.focus)
    ends = [10**v if height.above_floor else v for v in up["range"]]
    low, high = (n * math.expm1(end + floor) for end in ends)
    marks = _nice(low, high)
    at = [math.log1p(mark / n) - floor for mark in marks]
    kept = _apart(list(zip(at, marks, strict=True)), up["range"], height)
    return {
        "visible": True,
        "type": up["type"],
        "range": up["range"],
        "tickmode": "array",
        "tickvals": [place for place, _ in kept],
        "ticktext": [f"{mark:.4g}" for _, mark in kept],
        "title": {"text": escape(style.LABELS["rho"])},
    }


def _apart(ticks: list[tuple[float, float]], span: list[float], height: Height) -> list[tuple[float, float]]:
    """Leave out ticks that would stand too close to the one before."""
    kept: list[tuple[float, float]] = []
    last = math.inf
    for place, mark in reversed(ticks):
        if place > 0 or not height.above_floor:
            where = ((math.log10(place) if height.above_floor else place) - span[0]) / (span[1] - span[0])
            if last - where > CLOSE:
                kept.append((place, mark))
                last = where
    return kept[::-1]


def _nice(low: float, high: float) -> list[float]:
    rough = max((high - low) / 6, 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((s * power for s in STEPS), key=lambda s: abs(s - rough))
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
