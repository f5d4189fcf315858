"""Size and data together: a curve per backbone, and what the law misses off the two arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style

SIZES = [[0.0, "#9ecae1"], [0.5, "#4292c6"], [1.0, "#08306b"]]  # light to dark blue: small to large


def joint_figure(
    points: pd.DataFrame, curves: pd.DataFrame, *, title: str = "", subtitle: str = ""
) -> style.Figure:
    """Draw CGL against D for each backbone, and beside it the residuals of the law fitted on the arms.

    Parameters
    ----------
    points : DataFrame
        `name`, `P`, `D`, `value`, `stderr`, `arm` (on one of the two arms), `residual`, `lo` and `hi` (its
        interval).
    curves : DataFrame
        `name`, `P`, `D`, `y`: the law's prediction; may be empty.
    """
    fig = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.6, 0.4],
        horizontal_spacing=0.12,
        subplot_titles=["A curve per backbone", "Residual of the law fitted on the arms"],
        figure=style.figure(title, subtitle, height=460),
    )
    fig.update_annotations(font_size=13)
    colours = _colours(points)
    for name, part in points.sort_values(["P", "D"]).groupby("name", sort=False):
        fig.add_trace(_backbone(str(name), part, colours[str(name)]), row=1, col=1)
        line = curves[curves["name"] == name]
        if len(line):
            shape = {"color": colours[str(name)], "width": 1.8}
            fig.add_trace(
                go.Scatter(
                    x=line["D"], y=line["y"], mode="lines", line=shape, showlegend=False, hoverinfo="skip"
                ),
                1,
                1,
            )
    for trace in _residuals(points):
        fig.add_trace(trace, row=1, col=2)
    fig.add_hline(y=0, line={"color": style.GREY, "width": 1.2, "dash": "dot"}, row=1, col=2)
    fig.update_xaxes(style.log_axis(points["D"], style.LABELS["D"]), row=1, col=1)
    fig.update_xaxes(style.log_axis(points["P"], style.LABELS["P"], crowd=2), row=1, col=2)
    fig.update_yaxes(title_text=style.CGL, tickformat=".4f", row=1, col=1)
    fig.update_yaxes(title_text="measured − predicted", row=1, col=2)
    fig.update_layout(margin_t=150, legend_y=1.08, height=500)
    return fig


def _colours(points: pd.DataFrame) -> dict[str, str]:
    ladder = points.drop_duplicates("name").sort_values("P")["name"].tolist()
    places = np.linspace(0.1, 1.0, len(ladder))
    return dict(zip(ladder, sample_colorscale(SIZES, places), strict=True))


def _backbone(name: str, part: pd.DataFrame, colour: str) -> go.Scatter:
    return go.Scatter(
        x=part["D"],
        y=part["value"],
        mode="markers",
        name=f"{name} ({style.short(part['P'].iloc[0])})",
        error_y={
            "type": "data",
            "array": (1.96 * part["stderr"]).fillna(0),
            "color": colour,
            "thickness": 1,
            "width": 2,
        },
        marker={
            "color": [colour if arm else "rgba(0,0,0,0)" for arm in part["arm"]],
            "size": 9,
            "line": {"width": 1.8, "color": colour},
        },
        customdata=[["on an arm" if arm else "off the arms"] for arm in part["arm"]],
        hovertemplate=f"<b>{name}</b>, %{{x:,}} pairs, %{{customdata[0]}}<br>CGL %{{y:.5f}}<extra></extra>",
    )


def _residuals(points: pd.DataFrame) -> list[go.Scatter]:
    traces = []
    for arm, label, colour in ((True, "on the arms", style.GREY), (False, "off the arms", style.VERMILLION)):
        part = points[(points["arm"] == arm) & points["residual"].notna()]
        if part.empty:
            continue
        bars = {"array": part["hi"] - part["residual"], "arrayminus": part["residual"] - part["lo"]}
        traces.append(
            go.Scatter(
                x=part["P"],
                y=part["residual"],
                mode="markers",
                name=label,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    **bars,
                    "color": colour,
                    "thickness": 1.2,
                    "width": 3,
                },
                marker={"color": colour, "size": 9, "symbol": "circle" if arm else "diamond"},
                customdata=part[["name", "D"]].to_numpy(),
                hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]:,} pairs<br>%{y:+.2g}<extra></extra>",
            )
        )
    return traces
