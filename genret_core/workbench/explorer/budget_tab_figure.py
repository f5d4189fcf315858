"""The figures of the planning tab: isoloss lines with a budget's line, or a target with the next run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.scaling.wording import number, value_text
from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.tab_stage import SHADE, heading, line_at
from genret_core.workbench.explorer.theme import symbol_html
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.intervals import Interval
    from genret_core.scaling.planning import Allocations, NextRun, Reach
    from genret_core.scaling.planning.isocost import Cost

PLACES = 60  # along each argument of the map
LINE = 300  # on the line of equal cost
LEVELS = 14  # isoloss lines
COLOURS = [[0.0, "#0b4f7d"], [0.5, "#8dbbd8"], [1.0, "#f7fbff"]]
FARTHEST = 2.0  # decades beyond the data and the optimum that the map shows at most

Drawing = tuple[list[dict[str, Any]], dict[str, Any]]


def of_target(f: Fit | None, reached: Reach | None, run: NextRun | None, no_run: str) -> Drawing:
    """Draw the curve with the target on it, and beside it what each possible run would tell."""
    on = {"type": "scatter", "xaxis": "x", "yaxis": "y"}
    layout: dict[str, Any] = {"shapes": [], "annotations": [], "margin": {"l": 58, "r": 10, "t": 24, "b": 42}}
    x, low, high, curve = (np.array([]) for _ in range(4))
    points: Any = {"x": [], "y": []}
    if f is not None:
        ends = [float(f.x.min()), float(f.x.max())]
        near = [ends[0] / 10**FARTHEST, ends[1] * 10**FARTHEST]
        interval = None if reached is None else reached.interval
        marks = [e for e in (reached and reached.at, interval and interval.lo, interval and interval.hi) if e]
        ends += [float(min(max(mark, near[0]), near[1])) for mark in marks]
        reach = style.log_range(ends)
        x = np.logspace(*reach, 160)
        curve, (low, high) = f.predict(x), f.band(x)
        points = {"x": f.x, "y": f.y}
        layout["xaxis"] = style.log_axis(ends, "")
        if reached is not None:
            layout["shapes"] += _target_shapes(reached, reach)
    banded = np.isfinite(low) & np.isfinite(high)
    around_x = np.concatenate([x[banded], x[banded][::-1]]) if len(x) else x
    around_y = np.concatenate([high[banded], low[banded][::-1]]) if len(x) else x
    at = [] if reached is None or reached.at is None else [reached.at]
    hover = "" if not at else f"{escape(reached.names['x'])} = {value_text(at[0], reached.interval)}"  # type: ignore[union-attr]
    traces = [
        {**on, "mode": "lines", "x": around_x, "y": around_y, "fill": "toself", "fillcolor": SHADE,
         "line": {"width": 0}, "hoverinfo": "skip"},
        {**on, "mode": "lines", "x": x, "y": curve, "line": {"color": style.BLUE, "width": 2},
         "hoverinfo": "skip"},
        {**on, "mode": "markers", **points, "marker": {"color": style.BLUE, "size": 8},
         "hovertemplate": "%{x:.4g}: %{y:.5g}<extra></extra>"},
        {**on, "mode": "markers", "x": at, "y": [] if not at else [reached.target],  # type: ignore[union-attr]
         "marker": {"color": style.VERMILLION, "size": 13, "symbol": "x"},
         "hovertemplate": f"the target takes<br>{hover}<extra></extra>"},
    ]  # fmt: skip
    seen = [
        *np.asarray(points["y"]).tolist(),
        *curve.tolist(),
        *([] if reached is None else [reached.target]),
    ]
    bottom, top = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = 0.08 * (top - bottom or 1.0)
    names = {"x": "", "y": ""} if f is None else f.points.names
    layout.setdefault("xaxis", {})
    layout["xaxis"] |= {"domain": [0.0, 1.0], "anchor": "y",
                        "title": {"text": escape(names["x"]), "font": {"size": 12}}}  # fmt: skip
    layout["yaxis"] = {"domain": [0.6, 1.0], "anchor": "x", "range": [bottom - room, top + room],
                       "exponentformat": "power",
                       "title": {"text": escape(names["y"]), "font": {"size": 12}}}  # fmt: skip
    layout["annotations"].append(heading("<b>What the target takes</b>"))
    traces.append(_bars(f, run, layout, no_run))
    return traces, layout


def _target_shapes(reached: Reach, ends: tuple[float, float]) -> list[dict[str, Any]]:
    shapes = [line_at("y", reached.target, dash="dash", colour=style.VERMILLION)]
    if reached.interval is not None:
        low = 10.0 ** ends[0] if reached.interval.lo is None else reached.interval.lo
        high = 10.0 ** ends[1] if reached.interval.hi is None else reached.interval.hi
        low, high = (float(np.clip(end, 10.0 ** ends[0], 10.0 ** ends[1])) for end in (low, high))
        box = {"type": "rect", "xref": "x", "yref": "y domain", "x0": low, "x1": high, "y0": 0, "y1": 1}
        shapes.append(
            {**box, "fillcolor": style.faded(style.VERMILLION, 0.10), "line": {"width": 0}, "layer": "below"}
        )
    return shapes


def _bars(f: Fit | None, run: NextRun | None, layout: dict[str, Any], no_run: str) -> dict[str, Any]:
    """Give a bar for each possible run: by how much it would narrow the interval of the target."""
    candidates = () if run is None else run.candidates
    symbols = {} if f is None else {p.name: p.symbol for p in f.law.parameters}
    x = [one.x for one in candidates]
    best = None if run is None else run.best
    scale = style.log_axis(x, "") if x else {}
    layout["xaxis2"] = {**scale, "domain": [0.0, 1.0], "anchor": "y2",
                        "title": {"text": "" if run is None else f"{escape(run.names['x'])} of one run more",
                                  "font": {"size": 12}}}  # fmt: skip
    layout["yaxis2"] = {
        "domain": [0.0, 0.42],
        "anchor": "x2",
        "tickformat": ".0%",
        "rangemode": "tozero",
        "zeroline": True,
    }
    what = "" if run is None or f is None else symbol_html(symbols.get(run.target, run.target))
    layout["annotations"].append(heading(f"<b>How much one run more narrows {what or 'the exponent'}</b>", 2))
    if run is None:
        import textwrap

        said = "<br>".join(escape(line) for line in textwrap.wrap(no_run or "Nothing to plan by.", 34))
        place = {"xref": "x2 domain", "yref": "y2 domain", "x": 0.5, "y": 0.5, "showarrow": False}
        layout["annotations"].append({"text": said, **place, "font": {"size": 12, "color": theme.SOFT}})
    ratio = (x[1] / x[0]) ** 0.8 if len(x) > 1 else 2.0
    return {
        "type": "bar",
        "x": x,
        "y": [one.drop for one in candidates],
        "width": [one * (ratio - 1) for one in x],
        "marker": {"color": [style.ORANGE if one is best else style.SKY for one in candidates]},
        "text": [
            f"half-width {number(one.half_width)} ({-one.drop:+.0%})"
            + ("" if one.factor == 1 else f"<br>{one.factor:.3g} times beyond the data")
            for one in candidates
        ],
        "textposition": "none",
        "hovertemplate": "a run at %{x:.3s}: %{text}<extra></extra>",
        "xaxis": "x2",
        "yaxis": "y2",
    }


def of_plan(f: Fit, plan: Allocations | None, cost: Cost) -> Drawing:
    """Draw isoloss lines over P and D, the line of equal cost, and the best place on it."""
    on = {"xaxis": "x", "yaxis": "y"}
    assert f.x2 is not None
    best = None if plan is None else plan[0]
    ranges = []
    for column, at in ((f.x, best and best.P), (f.x2, best and best.D)):
        ends = [float(column.min()), float(column.max())]
        if at:
            ends.append(float(np.clip(at, ends[0] / 10**FARTHEST, ends[1] * 10**FARTHEST)))
        ranges.append(style.log_range(ends, 0.25))
    P, D = (np.logspace(*ends, PLACES) for ends in ranges)
    grid = np.meshgrid(P, D)
    y = f.predict(grid[0].ravel(), grid[1].ravel()).reshape(grid[0].shape)
    finite = y[np.isfinite(y)]
    levels = np.quantile(finite, [0.0, 0.97]) if len(finite) else np.array([0.0, 1.0])
    size = float(np.ptp(levels)) / LEVELS or 1.0
    line_P = np.logspace(*ranges[0], LINE)
    line_D = np.array([])
    if best is not None:
        line_D = cost.pairs(line_P, best.budget)
    names = f.points.names
    traces: list[dict[str, Any]] = [
        {"type": "contour", "x": P, "y": D, "z": y, "colorscale": COLOURS, "zmin": float(levels[0]),
         "zmax": float(levels[1]), "autocontour": False,
         "contours": {"start": float(levels[0]), "end": float(levels[1]), "size": size,
                      "coloring": "heatmap"},
         "line": {"color": "rgba(255,255,255,0.75)", "width": 1},
         "colorbar": {"title": {"text": escape(names["y"])}, "thickness": 12, "len": 0.9,
                      "exponentformat": "power"},
         "hovertemplate": f"{escape(names['x'])} = %{{x:.3s}}, {escape(names['x2'])} = %{{y:.3s}}: "
                          f"{escape(names['y'])} = %{{z:.5g}}<extra></extra>", **on},
        {"type": "scatter", "mode": "lines", "x": line_P if len(line_D) else [], "y": line_D,
         "line": {"color": style.ORANGE, "width": 3}, "hovertemplate": "the budget buys %{x:.3s} and %{y:.3s}"
                                                                      "<extra></extra>", **on},
        {"type": "scatter", "mode": "markers", "x": f.x, "y": f.x2,
         "marker": {"color": theme.INK, "size": 8, "line": {"color": "#fff", "width": 1.5}},
         "hovertemplate": "measured at %{x:.3s}, %{y:.3s}<extra></extra>", **on},
        _optimum(best, names, on),
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "margin": {"l": 60, "r": 20, "t": 34, "b": 46},
        "shapes": [],
        "annotations": [heading("<b>Lines of equal loss</b>, the line of the budget, its best use")],
        "xaxis": {**style.log_axis(P, ""), "range": list(ranges[0]), "domain": [0.0, 1.0], "anchor": "y",
                  "showgrid": False, "title": {"text": escape(names["x"]), "font": {"size": 12}}},
        "yaxis": {**style.log_ticks(10.0 ** ranges[1][0], 10.0 ** ranges[1][1]), "type": "log",
                  "range": list(ranges[1]), "domain": [0.0, 1.0], "anchor": "x", "showgrid": False,
                  "title": {"text": escape(names["x2"]), "font": {"size": 12}}},
    }  # fmt: skip
    return traces, layout


def _optimum(best: Any, names: dict[str, str], on: dict[str, str]) -> dict[str, Any]:
    def bars(interval: Interval | None, at: float) -> dict[str, Any]:
        if interval is None:
            return {"type": "data", "array": [0.0], "arrayminus": [0.0], "visible": False}
        up = 0.0 if interval.hi is None else max(interval.hi - at, 0.0)
        down = 0.0 if interval.lo is None else max(at - interval.lo, 0.0)
        return {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "visible": True,
                "color": style.VERMILLION, "thickness": 2}  # fmt: skip

    there = best is not None and best.D == best.D
    text = ""
    if there:
        text = "<br>".join(
            f"{escape(names[key])} = {value_text(value, best.intervals.get(name))}"
            for key, name, value in (("x", "P", best.P), ("x2", "D", best.D), ("y", "y", best.y))
        )
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [best.P] if there else [],
        "y": [best.D] if there else [],
        "error_x": bars(best.intervals.get("P") if there else None, best.P if there else 0.0),
        "error_y": bars(best.intervals.get("D") if there else None, best.D if there else 0.0),
        "marker": {
            "color": style.VERMILLION,
            "size": 16,
            "symbol": "star",
            "line": {"color": "#fff", "width": 1},
        },
        "hovertemplate": f"best use of the budget<br>{text}<extra></extra>",
        **on,
    }
