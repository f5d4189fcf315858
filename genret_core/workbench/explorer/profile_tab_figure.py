"""The figure of the profile's tab: the misfit along one parameter, and over exponent and floor."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.profile_tab_words import spread
from genret_core.workbench.explorer.tab_stage import SHADE, heading, line_at
from genret_core.workbench.explorer.theme import symbol_html
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.intervals.maps import ProfileCurve, ProfileMap
    from genret_core.workbench.explorer.state import State

MAP = 3  # which trace is clicked
TALL = 3.0  # times the 95 % line that the profile is shown up to
WIDE = 8.0  # a parameter that spans so large a factor is drawn on a logarithmic axis
COLOURS = [[0.0, "#0b4f7d"], [0.35, "#5b9cc5"], [0.7, "#c4dcec"], [1.0, "#ffffff"]]

Drawing = tuple[list[dict[str, Any]], dict[str, Any]]


def drawing(
    f: Fit | None,
    curve: ProfileCurve | None,
    found: ProfileMap | None,
    state: State,
    of_floor: bool,
    no_map: str,
) -> Drawing:
    """Give traces and layout."""
    layout: dict[str, Any] = {"shapes": [], "annotations": [], "margin": {"l": 60, "r": 10, "t": 24, "b": 42}}
    traces = _along(f, curve, state, of_floor, layout)
    traces += _over(f, found, state, layout, no_map)
    return traces, layout


def _along(
    f: Fit | None, curve: ProfileCurve | None, state: State, of_floor: bool, layout: dict[str, Any]
) -> list[dict[str, Any]]:
    on = {"type": "scatter", "mode": "lines", "xaxis": "x", "yaxis": "y"}
    x: Any = [] if curve is None else curve.values
    y: Any = [] if curve is None else curve.excess
    top = 1.0 if curve is None else TALL * curve.threshold95
    inside_x: Any = []
    inside_y: Any = []
    if curve is not None:
        within = curve.excess <= curve.threshold95
        inside_x = curve.values[within]
        inside_y = np.full(int(within.sum()), curve.threshold95)
    best = [] if curve is None else [curve.best]
    p = None if f is None or curve is None else next(p for p in f.law.parameters if p.name == curve.name)
    symbol = "" if p is None else p.symbol
    traces: list[dict[str, Any]] = [
        {**on, "x": inside_x, "y": inside_y, "line": {"width": 0}, "fill": "tozeroy", "fillcolor": SHADE,
         "hoverinfo": "skip"},
        {**on, "x": x, "y": y, "line": {"color": style.BLUE, "width": 2.5},
         "hovertemplate": f"{symbol_html(symbol)} = %{{x:.4g}}: excess %{{y:.3g}}<extra></extra>"},
        {**on, "mode": "markers", "x": best, "y": [0.0] * len(best),
         "marker": {"color": style.VERMILLION, "size": 10, "symbol": "x"},
         "hovertemplate": "best fit: %{x:.6g}<extra></extra>"},
    ]  # fmt: skip
    wide = curve is not None and not of_floor and spread(curve.values) > WIDE
    axis: dict[str, Any] = {"type": "log" if wide else "linear", "exponentformat": "power", "nticks": 6}
    if curve is not None:
        ends = [float(curve.values.min()), float(curve.values.max())]
        axis["range"] = [float(np.log10(e)) for e in ends] if wide else ends
        if wide:
            axis |= style.log_ticks(*ends)
        else:
            axis |= {"tickmode": "auto", "tickvals": None, "ticktext": None}
        for level, name in ((curve.threshold68, "68 %"), (curve.threshold95, "95 %")):
            layout["shapes"].append(line_at("y", level, dash="dash"))
            layout["annotations"].append(
                {"text": name, "xref": "x domain", "x": 1, "xanchor": "right", "yref": "y", "y": level,
                 "yanchor": "bottom", "showarrow": False, "font": {"size": 11, "color": theme.SOFT}}
            )  # fmt: skip
        if of_floor and state.floor is not None:
            layout["shapes"].append(line_at("x", state.floor, dash="solid", colour=style.VERMILLION))
    layout["xaxis"] = {
        **axis,
        "domain": [0.0, 1.0],
        "anchor": "y",
        "title": {"text": symbol_html(symbol), "font": {"size": 12}, "standoff": 2},
    }
    layout["yaxis"] = {
        "domain": [0.62, 1.0],
        "anchor": "x",
        "range": [-0.04 * top, top],
        "title": {"text": "worse than the best fit by", "font": {"size": 12}},
    }
    layout["annotations"].append(
        heading(f"<b>Misfit along {symbol_html(symbol) or 'a parameter'}</b>, the rest refitted")
    )
    return traces


def _over(
    f: Fit | None, found: ProfileMap | None, state: State, layout: dict[str, Any], no_map: str
) -> list[dict[str, Any]]:
    on = {"xaxis": "x2", "yaxis": "y2"}
    x: Any = [] if found is None else found.exponents
    y: Any = [] if found is None else found.floors
    z: Any = [] if found is None else np.sqrt(found.excess.T)
    top = 1.0 if found is None else float(np.sqrt(TALL * found.threshold95))
    lines = [] if found is None else [found.threshold68, found.threshold95]
    exponent = floor = ""
    best: tuple[list[float], list[float]] = ([], [])
    picked: tuple[list[float], list[float]] = ([], [])
    if f is not None and found is not None:
        p = next(p for p in f.law.parameters if p.name == f.law.nonlinear[0].name)
        q = f.law.with_role("floor")[0]
        exponent, floor = p.symbol, q.symbol
        best = ([f.params[p.name]], [f.params[q.name]])
        if state.curve is not None:
            at = dict(state.curve)
            if p.name in at and q.name in at:
                picked = ([at[p.name]], [at[q.name]])
    excess: Any = [] if found is None else np.minimum(found.excess.T, 1e6)
    hover = (
        f"{symbol_html(exponent)} %{{x:.4g}}, {symbol_html(floor)} %{{y:.5g}}<br>excess %{{customdata:.3g}}"
    )
    contour = {
        "type": "contour",
        "x": x,
        "y": y,
        "z": excess,
        "showscale": False,
        "hoverinfo": "skip",
        "contours_coloring": "lines",
        "colorscale": [[0, theme.INK], [1, theme.INK]],
        "autocontour": False,
        **on,
    }
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "x": x,
            "y": y,
            "z": z if found is None else np.minimum(z, top),
            "customdata": excess,
            "zmin": 0.0,
            "zmax": top,
            "colorscale": COLOURS,
            "showscale": False,
            "zsmooth": "best",
            "hovertemplate": f"{hover}<br><i>click to draw this curve</i><extra></extra>",
            **on,
        }
    ]
    for k in range(2):
        level = float(lines[k]) if lines else 1.0
        style_ = {"start": level, "end": level, "size": 1.0, "coloring": "lines"}
        one = {key: value for key, value in contour.items() if key != "contours_coloring"}
        traces.append(
            {**one, "contours": style_, "line": {"width": 1.5 if k == 0 else 2.5, "smoothing": 0.6}}
        )
    mark = {"type": "scatter", "mode": "markers", **on}
    traces += [
        {**mark, "x": best[0], "y": best[1], "hovertemplate": "best fit<extra></extra>",
         "marker": {"color": style.VERMILLION, "size": 11, "symbol": "x"}},
        {**mark, "x": picked[0], "y": picked[1],
         "hovertemplate": "the curve drawn beside the fit<extra></extra>",
         "marker": {"color": style.PURPLE, "size": 13, "symbol": "circle-open", "line": {"width": 3}}},
    ]  # fmt: skip
    wide = found is not None and spread(found.exponents) > WIDE
    axis: dict[str, Any] = {"type": "log" if wide else "linear", "nticks": 6}
    y_axis: dict[str, Any] = {
        "domain": [0.0, 0.46],
        "anchor": "x2",
        "exponentformat": "power",
        "showgrid": False,
    }
    if found is not None:
        ends = [float(found.exponents.min()), float(found.exponents.max())]
        axis["range"] = [float(np.log10(e)) for e in ends] if wide else ends
        axis |= style.log_ticks(*ends) if wide else {"tickmode": "auto", "tickvals": None, "ticktext": None}
        y_axis["range"] = [float(found.floors.min()), float(found.floors.max())]
    layout["xaxis2"] = {
        **axis,
        "visible": found is not None,
        "domain": [0.0, 1.0],
        "anchor": "y2",
        "showgrid": False,
        "title": {"text": symbol_html(exponent), "font": {"size": 12}, "standoff": 2},
    }
    layout["yaxis2"] = {
        **y_axis,
        "visible": found is not None,
        "title": {"text": symbol_html(floor), "font": {"size": 12}},
    }
    text = "<b>Misfit over exponent and floor</b>: lines at 68 and 95 %"
    layout["annotations"].append(heading(text, 2))
    if found is None:
        import textwrap

        said = "<br>".join(escape(line) for line in textwrap.wrap(no_map or "No map without a fit.", 36))
        layout["annotations"].append(
            {"text": said, "xref": "x2 domain", "yref": "y2 domain", "x": 0.5, "y": 0.5, "showarrow": False,
             "font": {"size": 12, "color": theme.SOFT}}
        )  # fmt: skip
    return traces
