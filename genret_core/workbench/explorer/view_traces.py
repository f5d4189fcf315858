"""What the main figure draws, as plain values: points with their marks, curves inside and beyond the data."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.figures import style

Values = dict[str, Any]
NOTHING: Values = {"x": [], "y": []}
SHAPES = ("triangle-up", "diamond", "pentagon", "hexagon", "star", "triangle-down")
CODEBOOK = {"circle": "hexagon", "square": "diamond"}
BAR = 1.959964  # standard deviations in a drawn error bar: 95 %
DEEP = 1e-6  # above the floor, on a logarithmic axis: so low is drawn what lies below it
LINE = 56  # characters of a line of a note
STRANDS = 200  # of the spaghetti
NODES = 60  # places on each strand


class Look:
    """Colour, marker, dash and name of every series of a source, the same in every view."""

    def __init__(self, source: Any) -> None:
        self.names = {series: escape(str(source.label(series))) for series in source.series}
        self.colours: dict[str, str] = {}
        self.symbols: dict[str, str] = {}
        self.dashes: dict[str, str] = {}
        unknown = 0
        for series in source.series:
            method, family = source.kin.get(series, ("ngram", series))
            known = family in style.FAMILY_COLOURS
            self.colours[series] = style.colour(family, unknown)
            # Filled for codebooks too: a hollow mark is a point that is left out.
            shape = style.FAMILY_SYMBOLS[family] if known else SHAPES[unknown % len(SHAPES)]
            self.symbols[series] = CODEBOOK.get(shape, shape) if method == "codebook" else shape
            self.dashes[series] = style.dash(method)
            unknown += not known


class Height:
    """Where a y is drawn: as it is, or above a floor on a logarithmic axis."""

    def __init__(self, shown: Any) -> None:
        self.above_floor = shown.state.axes == "log_log"
        self._shown = shown

    def floor(self, series: str) -> float:
        """Give what is taken off a series: the chosen one (in focus), else its own fitted one."""
        if not self.above_floor:
            return 0.0
        state = self._shown.state
        if series == state.focus and state.floor is not None:
            return float(state.floor)
        return fitted_floor(self._shown.fits.get(series))

    def __call__(self, y: Any, series: str) -> np.ndarray:
        """Place values of a series; NaN at or below its floor."""
        y = np.asarray(y, dtype=float)
        if not self.above_floor:
            return y
        left = y - self.floor(series)
        return np.where(left > 0, left, np.nan)


def fitted_floor(fit: Any) -> float:
    """Give the floor that a law was fitted with; 0 where there is none."""
    if fit is None or isinstance(fit, str):
        return 0.0
    return sum(fit.params[p.name] for p in fit.law.with_role("floor"))


def points(shown: Any, look: Look, height: Height) -> Values:
    """Give all points as one trace: `customdata` holds the rows of the source."""
    state, parts = shown.state, [(series, shown.points(series)) for series in shown.state.shown]
    x, y, rows, marks = [], [], [], []
    hover: list[str] = []
    for series, table in parts:
        x.append(table["x"].to_numpy(float))
        y.append(height(table["y"], series))
        rows.append(table["row"].to_numpy(int))
        hover += _hovers(shown, series, table, look)
        colour, shape, focus = look.colours[series], look.symbols[series], series == state.focus
        marks += [
            (colour, shape if used or target else f"{shape}-open", 11 if focus else 9)
            for used, target in zip(table["used"], table["target"], strict=True)
        ]
    colours, shapes, sizes = (list(column) for column in zip(*marks, strict=True)) if marks else ([], [], [])
    drawn: Values = {"x": _joined(x), "y": _joined(y), "customdata": _joined(rows), "hovertext": hover}
    drawn["marker"] = {"color": _one(colours), "symbol": shapes, "size": _one(sizes)}
    sd = _joined([table["sd"].to_numpy(float) for _, table in parts])
    drawn["error_y"] = {"array": BAR * np.nan_to_num(sd), "visible": bool(np.isfinite(sd).any())}
    return drawn


def _one(values: list[Any]) -> Any:
    """Say once what is the same for all."""
    return values[0] if len(set(values)) == 1 else values


def rings(shown: Any, height: Height) -> Values:
    """Give the rings about held-out targets."""
    x, y = [], []
    for series in shown.state.shown:
        table = shown.points(series)
        held = table[table["target"].astype(bool)]
        x.append(held["x"].to_numpy(float))
        y.append(height(held["y"], series))
    return {"x": _joined(x), "y": _joined(y)}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def _hovers(shown: Any, series: str, table: pd.DataFrame, look: Look) -> Iterator[str]:
    source, n = shown.source, shown.source.negatives(series)
    called = {key: escape(str(name)) for key, name in source.called(series).items()}
    columns = ("row", "x", "x2", "y", "residual", "name", "reason", "note", "left_out", "target", "used")
    for row, x, x2, y, residual, name, reason, note, left_out, target, used in zip(
        *(table[column].tolist() for column in columns), strict=True
    ):
        said = f"<b>{escape(str(name)) or f'row {row}'}</b> · {look.names[series]} · row {row}"
        said += f"<br>{called['x']} = {style.short(x)}"
        if "x2" in called and math.isfinite(x2):
            said += f", {called['x2']} = {style.short(x2)}"
        said += f": {called['y']} = {y:.6g}"
        if n:
            said += f", ρ = {n * math.expm1(min(y, 50.0)):.4f}"
        if math.isfinite(residual):
            said += f"<br>residual {readable(f'{residual:+.2g}')}"
        why = escape(str(reason))
        if left_out:
            said += f"<br><b>left out</b> ({why}); click to take it back"
        elif target:
            said += "<br><b>held out</b>: a target, not fitted"
        elif used:
            said += "<br>click to leave it out"
        else:
            said += f"<br><b>not fitted</b>: {why}"
        if note:
            lines = textwrap.wrap(str(note), LINE)[:2]
            said += f"<br><i>{'<br>'.join(map(escape, lines))}</i>"
        yield said


def curve(shown: Any, series: str, height: Height) -> dict[str, Values]:
    """Give a series' curve inside its data and beyond, and its band; all empty without a fit."""
    found = shown.curves().get(series)
    fit = shown.fits.get(series)
    if found is None or fit is None or isinstance(fit, str):
        return {"inside": NOTHING, "beyond": NOTHING, "band": NOTHING}
    x, y, low, high = (np.asarray(a, dtype=float) for a in found)
    drawn = height(y, series)
    first, last = np.searchsorted(x, [fit.x.min() * (1 - 1e-9), fit.x.max() * (1 + 1e-9)])
    first, last = max(int(first) - 1, 0), min(int(last) + 1, len(x))  # the parts meet
    gap = np.array([np.nan])
    beyond = [np.concatenate([a[: first + 1], gap, a[last - 1 :]]) for a in (x, drawn)]
    band = NOTHING
    if shown.state.band == "band":
        bottom, top = height(low, series), height(high, series)
        if height.above_floor:
            least = np.nanmin(drawn) * DEEP if np.isfinite(drawn).any() else np.nan
            bottom = np.where(np.isfinite(low), np.fmax(bottom, least), np.nan)
        known = np.isfinite(bottom) & np.isfinite(top)
        band = {
            "x": np.concatenate([x[known], x[known][::-1]]),
            "y": np.concatenate([top[known], bottom[known][::-1]]),
        }
    return {
        "inside": {"x": x[first:last], "y": drawn[first:last]},
        "beyond": {"x": beyond[0], "y": beyond[1]},
        "band": band,
    }


def strands(shown: Any, height: Height) -> Values:
    """Give many curves of the fit in focus as one line with gaps."""
    found = shown.spaghetti(STRANDS, NODES).get(shown.state.focus) if shown.state.band == "curves" else None
    if found is None or not found[1].size:
        return NOTHING
    x, many = found[0], height(found[1], shown.state.focus)
    gap = np.full((len(many), 1), np.nan)
    return {
        "x": np.hstack([np.broadcast_to(x, many.shape), gap]).ravel(),
        "y": np.hstack([many, gap]).ravel(),
    }


def overlay(shown: Any, height: Height) -> tuple[Values, str]:
    """Give the published curve that is laid over, and its name."""
    law, focus = shown.overlaid, shown.state.focus
    if law is None or (law.described.x2 is None) != ("x2" not in shown.source.called(focus)):
        return NOTHING, ""
    low, high = shown.span(focus)
    x, x2 = np.geomspace(low, high, NODES), shown.beside(focus)
    y = law.predict(x, None if law.described.x2 is None else np.full_like(x, x2), clip=shown.state.clip)
    family = style.FAMILY_NAMES.get(law.family, law.family)
    return {"x": x, "y": height(y, focus)}, f"published: {family}, {law.where}"


def picked(shown: Any, height: Height) -> Values:
    """Give the curve that was picked in the profile map."""
    found = shown.picked(NODES)
    return NOTHING if found is None else {"x": found[0], "y": height(found[1], shown.state.focus)}
