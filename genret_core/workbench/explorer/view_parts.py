"""The parts that the main figure is made of, empty: its layout, its traces, and those of each series."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from genret_core.workbench.figures import style

HOVER = "%{hovertext}<extra></extra>"
ORDER = {
    "band": 1,
    "strands": 2,
    "overlay": 3,
    "curve": 4,
    "picked": 5,
    "spread": 6,
    "prediction": 7,
    "points": 9,
}
INK = "#24292f"
CONFIG = style.CONFIG | {
    "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d"],
    "displayModeBar": True,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "toImageButtonOptions": {"format": "svg", "filename": "fit"},
}


def layout(height: int) -> dict[str, Any]:
    """Give the layout before anything is shown."""
    y2 = {
        "overlaying": "y",
        "matches": "y",
        "side": "right",
        "showgrid": False,
        "visible": False,
        "ticks": "outside",
    }
    return {
        "template": style.LIGHT,
        "height": height,
        "autosize": True,
        "margin": {"l": 72, "r": 16, "t": 44, "b": 50},
        "legend": {"x": 0, "y": 1.015, "itemclick": False, "itemdoubleclick": False, "font": {"size": 12.5}},
        "hovermode": "closest",
        "hoverdistance": 14,
        "dragmode": "zoom",
        "clickmode": "event",
        "yaxis2": y2,
        "modebar": {"orientation": "h", "bgcolor": "rgba(255,255,255,0)", "color": "#9aa3ab"},
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#c9d0d7", "font": {"color": INK}},
        "selections": [],
    }


def slot() -> dict[str, go.Scatter]:
    """Give the traces that every series has; `key` is its entry in the legend."""
    quiet: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False, "mode": "lines", "x": [], "y": []}
    key = quiet | {"mode": "lines+markers", "x": [None], "y": [None]}
    return {
        "band": go.Scatter(**quiet, fill="toself", line={"width": 0}, zorder=ORDER["band"]),
        "inside": go.Scatter(**quiet, line={"simplify": False}, zorder=ORDER["curve"]),
        "beyond": go.Scatter(**quiet, line={"simplify": False}, zorder=ORDER["curve"]),
        "key": go.Scatter(**key, line={"width": 2}),
    }


def singles() -> dict[str, go.Scatter]:
    """Give the traces that are there once; `rho` only makes plotly draw the second axis."""
    quiet: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False, "mode": "lines", "x": [], "y": []}
    told: dict[str, Any] = {"hovertemplate": HOVER, "showlegend": False, "x": [], "y": []}
    clear: dict[str, Any] = {part: {"marker": {"opacity": 1}} for part in ("selected", "unselected")}
    ring = {"symbol": "circle-open", "size": 19, "color": INK, "line": {"width": 1.5}}
    hollow = {"symbol": "circle-open", "size": 9, "color": style.GREY, "line": {"width": 1.6}}
    late: dict[str, Any] = {"legendrank": 2000}
    ghost = quiet | {"mode": "markers", "x": [None], "y": [None], "yaxis": "y2"}
    return {
        "rho": go.Scatter(**ghost),
        "strands": go.Scatter(**quiet, line={"width": 1}, zorder=ORDER["strands"]),
        "overlay": go.Scatter(
            **quiet,
            legendrank=1500,
            line={"color": INK, "width": 1.6, "dash": "dot"},
            zorder=ORDER["overlay"],
        ),
        "picked": go.Scatter(
            **quiet,
            name="picked in the profile",
            line={"color": style.PURPLE, "width": 2, "dash": "dashdot"},
            zorder=ORDER["picked"],
        ),
        "spread": go.Scatter(
            **told,
            mode="lines+markers",
            line={"color": "rgba(36,41,47,0.22)", "width": 9},
            marker={"symbol": "line-ew-open", "size": 13, "color": "#5c6670", "line": {"width": 1.6}},
            zorder=ORDER["spread"],
        ),
        "prediction": go.Scatter(
            **told,
            mode="markers",
            **clear,
            marker={"symbol": "diamond", "size": 13, "line": {"width": 1.5, "color": "#ffffff"}},
            error_y={"type": "data", "symmetric": False, "thickness": 2, "width": 7, "color": INK},
            zorder=ORDER["prediction"],
        ),
        "rings": go.Scatter(
            **(quiet | {"mode": "markers"}),
            name="held out",
            marker=ring,
            **clear,
            zorder=ORDER["points"],
            **late,
        ),
        "points": go.Scatter(
            **told,
            mode="markers",
            marker={"line": {"width": 1.8}, "opacity": 1},
            error_y={"type": "data", "thickness": 1.1, "width": 3, "color": "#8a939c"},
            **clear,
            zorder=ORDER["points"],
        ),
        "left out": go.Scatter(
            **(quiet | {"mode": "markers", "x": [None], "y": [None]}), name="left out", marker=hollow, **late
        ),
    }
