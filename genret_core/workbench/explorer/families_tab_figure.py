"""The figure of the families' tab: their curves and crossings, their exponents and floors with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.scaling.wording import value_text
from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.tab_stage import heading, line_at
from genret_core.workbench.explorer.theme import symbol_html
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.beyond.crossing import Crossings
    from genret_core.scaling.comparison.families import SharedTest

MOST = 8  # families that are drawn
PLACES = 120
ROOM = 0.12  # an open end is drawn as an arrow this far beyond all closed ones

Drawing = tuple[list[dict[str, Any]], dict[str, Any]]


def colours(series: Sequence[str], families: dict[str, str]) -> list[str]:
    """Give each series its family's colour; a second one of a family takes another of the palette."""
    found: list[str] = []
    for i, one in enumerate(series):
        own = style.colour(families.get(one, ""), i)
        left = [paint for paint in style.SEQUENCE if paint not in found]
        found.append(own if own not in found or not left else left[0])
    return found


def drawing(
    fits: dict[str, Fit],
    labels: dict[str, str],
    kin: dict[str, str],
    tests: dict[str, SharedTest | str],
    drawn: SharedTest | None,
    crossings: Sequence[Crossings],
) -> Drawing:
    """Give traces and layout; always for as many families, so that they are redrawn in place."""
    families = list(fits.items())[:MOST]
    paints = colours([series for series, _ in families], kin)
    one_argument = all(f.x2 is None for _, f in families)
    every = np.concatenate([f.x for _, f in families]) if families else np.array([])
    places = [one for found in crossings for one in found.places] if one_argument else []
    near = [one for one in places if len(every) and every.min() / 30 <= one.at <= every.max() * 30]
    x_ends = [*every.tolist(), *(one.at for one in near)]
    grid = np.logspace(*style.log_range(x_ends), PLACES) if x_ends else np.array([])
    traces = []
    values: list[float] = []
    for i, entry in zip_longest(range(MOST), families):
        series, f = entry or ("", None)
        paint = paints[i] if f is not None else style.GREY
        symbol = style.FAMILY_SYMBOLS.get(kin.get(series, ""), "triangle-up")
        traces += _family(f, labels.get(series, ""), paint, symbol, grid, drawn, one_argument)
        if f is not None:
            values += [float(f.y.min()), float(f.y.max())]
    traces.append(_met(near))
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.1 * (high - low or 1.0)
    layout: dict[str, Any] = {
        "margin": {"l": 58, "r": 10, "t": 24, "b": 30},
        "shapes": [],
        "annotations": [heading("<b>All families under one law</b>")],
        "xaxis": {
            **(style.log_axis(x_ends, "") if x_ends else {}),
            "domain": [0.0, 1.0],
            "anchor": "y",
            "title": {"text": _argument(families), "font": {"size": 12}, "standoff": 2},
        },
        "yaxis": {
            "domain": [0.46, 1.0],
            "anchor": "x",
            "range": [low - room, high + room],
            "title": {"text": _value(families), "font": {"size": 12}},
            "exponentformat": "power",
        },
    }
    for one in near:
        layout["shapes"] += _crossed(one, style.log_range(x_ends))
    for n, what, across in ((2, "exponent", [0.14, 0.52]), (3, "floor", [0.62, 1.0])):
        more, axes, shapes, title = _intervals(families, labels, paints, tests.get(what), what, n, across)
        traces += more
        layout |= axes
        layout["shapes"] += shapes
        layout["annotations"].append(heading(title, n))
    return traces, layout


def _argument(families: list[tuple[str, Fit]]) -> str:
    return escape(families[0][1].points.names["x"]) if families else ""


def _value(families: list[tuple[str, Fit]]) -> str:
    return escape(families[0][1].points.names["y"]) if families else ""


def _family(
    f: Fit | None,
    label: str,
    paint: str,
    symbol: str,
    grid: Any,
    drawn: SharedTest | None,
    one_argument: bool,
) -> list[dict[str, Any]]:
    on = {"type": "scatter", "xaxis": "x", "yaxis": "y"}
    nothing: Any = []
    x, y, own, common = nothing, nothing, nothing, nothing
    line_x = nothing
    if f is not None:
        x, y = f.x, f.y
        if one_argument:
            line_x, own = grid, f.predict(grid)
            params = drawn.params.get(label) if drawn is not None else None
            if params is not None:
                common = f.law(grid, clip=True, **params)
    return [
        {
            **on,
            "mode": "markers",
            "x": x,
            "y": y,
            "marker": {"color": paint, "size": 8, "symbol": symbol},
            "hovertemplate": f"<b>{escape(label)}</b><br>%{{x:.3s}}: %{{y:.5g}}<extra></extra>",
        },
        {
            **on,
            "mode": "lines",
            "x": line_x,
            "y": own,
            "line": {"color": paint, "width": 2},
            "opacity": 0.35 if len(common) else 1.0,
            "hoverinfo": "skip",
        },
        {
            **on,
            "mode": "lines",
            "x": line_x if len(common) else nothing,
            "y": common,
            "line": {"color": paint, "width": 2.2, "dash": "dash"},
            "hoverinfo": "skip",
        },
    ]


def _met(places: list[Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [one.at for one in places],
        "y": [one.y for one in places],
        "text": [
            f"they meet at {value_text(one.at, one.interval)}<br>beyond, {escape(one.lower_beyond)} is lower"
            + ("" if one.inside in (True, None) else f"<br>{one.factor:.3g} times beyond the data")
            for one in places
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": style.GREEN, "size": 12, "symbol": "x"},
        "xaxis": "x",
        "yaxis": "y",
    }


def _crossed(one: Any, ends: tuple[float, float]) -> list[dict[str, Any]]:
    shapes = [line_at("x", one.at, colour=style.GREEN)]
    if one.interval is not None:
        low = 10.0 ** ends[0] if one.interval.lo is None else max(one.interval.lo, 10.0 ** ends[0])
        high = 10.0 ** ends[1] if one.interval.hi is None else min(one.interval.hi, 10.0 ** ends[1])
        box = {"type": "rect", "xref": "x", "yref": "y domain", "x0": low, "x1": high, "y0": 0, "y1": 1}
        shapes.append(
            {**box, "fillcolor": style.faded(style.GREEN, 0.10), "line": {"width": 0}, "layer": "below"}
        )
    return shapes


def _intervals(
    families: list[tuple[str, Fit]],
    labels: dict[str, str],
    paints: list[str],
    test: SharedTest | str | None,
    what: str,
    n: int,
    across: list[float],
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]], str]:
    """Give a row per family: value, interval, open ends as arrows; shaded: the one that does for all."""
    on = {"type": "scatter", "xaxis": f"x{n}", "yaxis": f"y{n}"}
    law = families[0][1].law if families else None
    found = law.with_role(what) if law is not None else ()  # type: ignore[arg-type]
    p = found[0] if found else None
    values, intervals = [], []
    for _, f in families:
        values.append(np.nan if p is None else f.params[p.name])
        intervals.append(None if p is None else f.interval(p.name))
    common = None if test is None or isinstance(test, str) else test
    ends = [
        e
        for one in (*intervals, common and common.interval)
        if one
        for e in (one.lo, one.hi)
        if e is not None
    ]
    known = [*ends, *(v for v in values if np.isfinite(v)), *([common.value] if common else [])]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = ROOM * (high - low or abs(high) or 1.0)
    bars: dict[str, list[Any]] = {"x": [], "y": []}
    arrows: dict[str, list[Any]] = {"x": [], "y": [], "symbol": []}
    text = []
    for i, ((series, _), value, interval) in enumerate(zip(families, values, intervals, strict=True)):
        text.append(f"<b>{escape(labels[series])}</b><br>{value_text(value, interval)}")
        if interval is None:
            continue
        start, end = (
            (low - room if interval.lo is None else interval.lo),
            (high + room if interval.hi is None else interval.hi),
        )
        bars["x"] += [start, end, None]
        bars["y"] += [-i, -i, None]
        for side, at, symbol in (("low", start, "triangle-left"), ("high", end, "triangle-right")):
            if side in interval.open:
                arrows["x"].append(at)
                arrows["y"].append(-i)
                arrows["symbol"].append(symbol)
    traces = [
        {**on, "mode": "lines", **bars, "line": {"color": theme.FAINT, "width": 3}, "hoverinfo": "skip"},
        {**on, "mode": "markers", "x": arrows["x"], "y": arrows["y"],
         "hovertemplate": "no limit<extra></extra>",
         "marker": {"symbol": arrows["symbol"], "size": 10, "color": theme.FAINT}},
        {**on, "mode": "markers", "x": values, "y": [-i for i in range(len(values))], "text": text,
         "hovertemplate": "%{text}<extra></extra>", "marker": {"size": 10, "color": paints}},
    ]  # fmt: skip
    shapes = []
    if common is not None:
        shapes.append(line_at("x", common.value, x=n, dash="dash", colour=theme.INK))
    names = [escape(_short(labels[series])) for series, _ in families]
    axes = {
        f"xaxis{n}": {"domain": across, "anchor": f"y{n}",
                      "range": [low - 1.5 * room, high + 1.5 * room], "nticks": 3, "exponentformat": "power"},
        f"yaxis{n}": {"domain": [0.0, 0.20], "anchor": f"x{n}", "range": [-max(len(families), 1) + 0.4, 0.6],
                      "tickmode": "array", "tickvals": [-i for i in range(len(names))],
                      "ticktext": names if n == 2 else [""] * len(names),
                      "tickfont": {"size": 11}, "showgrid": False},
    }  # fmt: skip
    title = f"<b>{what} {symbol_html(p.symbol)}</b>" if p is not None else f"no {what} in this law"
    verdict = ""
    if common is not None and common.p is not None:
        verdict = (
            f"<br>differs, p = {common.p:.2g}" if common.p < 0.05 else f"<br>one does, p = {common.p:.2g}"
        )
    return traces, axes, shapes, title + verdict


def _short(name: str, length: int = 16) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
