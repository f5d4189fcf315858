"""The published points and curves: refitted, held against each other, and taken apart."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.laws import law_figure

DASHES = ("solid", "dash", "dot")


def sizes_figure(
    points: pd.DataFrame,
    ours: pd.DataFrame,
    printed: pd.DataFrame,
    *,
    n_negatives: int,
    title: str = "",
    subtitle: str = "",
) -> style.Figure:
    """Draw points and refitted curves as `laws.law_figure` does, with the printed curves dotted over them.

    Parameters
    ----------
    points, ours : DataFrame
        As `laws.law_figure` takes them.
    printed : DataFrame
        `family`, `x`, `y`: curves of the first panel.
    """
    fig = law_figure(points, ours, title=title, subtitle=subtitle, n_negatives=n_negatives)
    for trace in fig.data:
        trace.error_y = None if trace.mode == "markers" and trace.customdata is not None else trace.error_y
        if trace.mode == "markers" and trace.customdata is not None:
            trace.hovertemplate = "<b>%{customdata[0]}</b><br>%{customdata[2]}: %{y:.8f}<extra></extra>"
    for i, (family, part) in enumerate(printed.groupby("family", sort=False)):
        line = {"color": style.colour(str(family)), "width": 2.4, "dash": "dot"}
        named = {"name": "printed", "legendgroup": "printed", "showlegend": i == 0}
        fig.add_trace(
            go.Scatter(x=part["x"], y=part["y"], mode="lines", line=line, hoverinfo="skip", **named),
            row=1,
            col=1,
        )
    return fig


def residuals_figure(
    points: pd.DataFrame, *, noise: float, title: str = "", subtitle: str = ""
) -> style.Figure:
    """Draw what several versions of the joint law leave, along the data arm and along the size arm.

    Parameters
    ----------
    points : DataFrame
        `whose`, `name`, `P`, `D`, `residual`.
    noise : float
        One standard deviation, shaded.
    """
    smallest, most = points["P"].min(), points["D"].max()
    arms = (
        ("D", "Data arm: the smallest model", points[points["P"] == smallest]),
        ("P", "Size arm: all data", points[points["D"] == most]),
    )
    fig = make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        subplot_titles=[arm[1] for arm in arms],
        figure=style.figure(title, subtitle, height=460),
    )
    fig.update_annotations(font_size=13)
    for column, (x, _, part) in enumerate(arms, start=1):
        for i, (whose, own) in enumerate(part.groupby("whose", sort=False)):
            own = own.drop_duplicates([x]).sort_values(x)
            fig.add_trace(_residuals(own, x, str(whose), i, column == 1), row=1, col=column)
        shade = {"fillcolor": style.GREY, "opacity": 0.18, "line_width": 0, "layer": "below"}
        fig.add_hrect(y0=-1e6 * noise, y1=1e6 * noise, **shade, row=1, col=column)
        fig.add_hline(y=0, line={"color": style.GREY, "width": 1.2, "dash": "dot"}, row=1, col=column)
        fig.update_xaxes(style.log_axis(part[x], style.LABELS[x], crowd=2), row=1, col=column)
    fig.update_yaxes(title_text="measured − law, in 10⁻⁶", row=1, col=1)
    fig.update_layout(margin_t=124, legend_y=1.08)
    return fig


def _residuals(own: pd.DataFrame, x: str, whose: str, i: int, first: bool) -> go.Scatter:
    colour = (style.VERMILLION, style.ORANGE, style.BLUE)[i % 3]
    symbol = ("circle-open", "diamond-open", "circle")[i % 3]
    return go.Scatter(
        x=own[x],
        y=1e6 * own["residual"],
        mode="markers+lines",
        name=whose,
        legendgroup=whose,
        showlegend=first,
        line={"color": colour, "width": 1.2, "dash": "dot"},
        marker={"color": colour, "size": 9, "symbol": symbol, "line": {"width": 1.8, "color": colour}},
        customdata=own[["name", "P", "D"]].to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[2]:,} pairs<br>%{y:+.3g} × 10⁻⁶<extra></extra>",
    )


def exponent_figure(
    points: pd.DataFrame,
    curves: pd.DataFrame,
    profiles: pd.DataFrame,
    moves: pd.DataFrame,
    *,
    beta: float,
    title: str = "",
    subtitle: str = "",
) -> style.Figure:
    """Draw a curve over data, how its misfit depends on the exponent, and what moving one point does to that.

    Parameters
    ----------
    points : DataFrame
        `x`, `value`, `D` (its name).
    curves : DataFrame
        `law`, `x`, `y`.
    profiles : DataFrame
        `exponent`, `as released`, and a column `name|+1` and `name|-1` of each point: root mean squared
        errors.
    moves : DataFrame
        `D`, `by`, `beta`, `edge` (the search ended there).
    """
    fig = make_subplots(
        rows=1,
        cols=3,
        column_widths=[0.36, 0.34, 0.30],
        horizontal_spacing=0.09,
        subplot_titles=["CGL over training pairs", "Misfit by exponent", "β with one point moved"],
        figure=style.figure(title, subtitle, height=470),
    )
    fig.update_annotations(font_size=13)
    colours = dict(zip(points["D"], style.SEQUENCE, strict=False))
    for i, (law, line) in enumerate(curves.groupby("law", sort=False)):
        shape = {"color": style.GREY if i else style.BLUE, "width": 1.8, "dash": DASHES[i % 3]}
        fig.add_trace(
            go.Scatter(x=line["x"], y=line["y"], mode="lines", name=str(law), line=shape, hoverinfo="skip"),
            1,
            1,
        )
    fig.add_trace(_points(points, colours), row=1, col=1)
    for name in [*profiles.columns[2:], profiles.columns[1]]:  # the points as released above the others
        fig.add_trace(_profile(profiles, str(name), colours), row=1, col=2)
    for trace in _moves(moves, colours, beta):
        fig.add_trace(trace, row=1, col=3)
    fig.add_vline(x=beta, line={"color": style.GREY, "width": 1.2, "dash": "dot"}, row=1, col=3)
    fig.update_xaxes(style.log_axis(points["x"], style.LABELS["D"], crowd=2), row=1, col=1)
    fig.update_xaxes(style.log_axis(profiles["exponent"], "β", crowd=1), row=1, col=2)
    fig.update_xaxes(style.log_axis([*moves["beta"], beta], "β", crowd=1), row=1, col=3)
    fig.update_yaxes(title_text=style.CGL, tickformat=".5f", row=1, col=1)
    fig.update_yaxes(title_text="root mean squared error", type="log", dtick=1, row=1, col=2)
    fig.update_yaxes(title_text="D of the point moved", autorange="reversed", type="category", row=1, col=3)
    fig.update_layout(margin_t=124, legend_y=1.08)
    return fig


def _points(points: pd.DataFrame, colours: dict[str, str]) -> go.Scatter:
    return go.Scatter(
        x=points["x"],
        y=points["value"],
        mode="markers",
        name="released points",
        marker={"color": [colours[name] for name in points["D"]], "size": 10},
        hovertemplate="%{x:,} pairs: %{y:.8f}<extra></extra>",
    )


def _profile(profiles: pd.DataFrame, name: str, colours: dict[str, str]) -> go.Scatter:
    who, _, sign = name.partition("|")
    how = {"": "as released", "+1": f"{who} up", "-1": f"{who} down"}[sign]
    ink = {"color": style.GREY, "width": 3.2, "dash": "solid"}
    if sign:
        ink = {"color": colours[who], "width": 1.3, "dash": "solid" if sign == "+1" else "dash"}
    return go.Scatter(
        x=profiles["exponent"],
        y=profiles[name],
        mode="lines",
        line=ink,
        showlegend=False,
        name=how,
        hovertemplate=f"{how}<br>β %{{x:.2f}}: %{{y:.2g}}<extra></extra>",
    )


def _moves(moves: pd.DataFrame, colours: dict[str, str], beta: float) -> list[go.Scatter]:
    traces = []
    for name, part in moves.groupby("D", sort=False):
        ends = part.sort_values("by", ascending=False)
        traces.append(
            go.Scatter(
                x=ends["beta"],
                y=ends["D"],
                mode="markers+lines",
                showlegend=False,
                line={"color": colours[str(name)], "width": 2},
                marker={
                    "color": colours[str(name)],
                    "size": 10,
                    "symbol": ["triangle-up" if by > 0 else "triangle-down" for by in ends["by"]],
                },
                customdata=[
                    [f"{by:+.1g}".replace("-", "−"), " (edge of the search)" if edge else ""]
                    for by, edge in zip(ends["by"], ends["edge"], strict=True)
                ],
                hovertemplate=f"{name}, %{{customdata[0]}}<br>β %{{x:.2f}}%{{customdata[1]}}<extra></extra>",
            )
        )
    return traces


def crossings_figure(
    curves: pd.DataFrame,
    meetings: pd.DataFrame,
    *,
    said: float,
    beam: float,
    title: str = "",
    subtitle: str = "",
) -> style.Figure:
    """Draw the printed inference curves, a panel per depth, with the places at which they meet.

    Parameters
    ----------
    curves : DataFrame
        `k`, `family`, `C`, `MR` (not clipped).
    meetings : DataFrame
        `k`, `C`, `MR`.
    said : float
        The compute that the text names.
    beam : float
        The compute of one beam of the larger model.
    """
    ks = list(dict.fromkeys(curves["k"]))
    ks.sort()
    fig = make_subplots(
        rows=1,
        cols=len(ks),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"MR@{k}" for k in ks],
        figure=style.figure(title, subtitle, height=450),
    )
    fig.update_annotations(font_size=13)
    for column, k in enumerate(ks, start=1):
        own = curves[curves["k"] == k]
        for family, line in own.groupby("family", sort=False):
            fig.add_trace(_printed_curve(str(family), line, column == 1), row=1, col=column)
        met = meetings[meetings["k"] == k]
        fig.add_trace(_meetings(met, column == 1), row=1, col=column)
        for place, dash, name in ((said, "dash", "10¹¹, as in the text"), (beam, "dot", "one beam of 7B")):
            fig.add_trace(_upright(place, dash, name, column == 1), row=1, col=column)
        fig.add_hrect(y0=1.0, y1=1.25, fillcolor=style.GREY, opacity=0.18, line_width=0, row=1, col=column)
        fig.update_xaxes(style.log_axis(curves["C"], style.LABELS["C"], crowd=len(ks)), row=1, col=column)
        fig.update_yaxes(range=[0.0, 1.2], row=1, col=column)
    fig.update_yaxes(title_text="miss rate", row=1, col=1)
    fig.update_layout(margin_t=124, legend_y=1.08)
    return fig


def _printed_curve(family: str, line: pd.DataFrame, first: bool) -> go.Scatter:
    name = "LLaMA-7B" if family == "llama2" else "T5-Base"
    return go.Scatter(
        x=line["C"],
        y=line["MR"],
        mode="lines",
        name=name,
        legendgroup=name,
        showlegend=first,
        line={"color": style.colour("llama" if family == "llama2" else family), "width": 2.2},
        hovertemplate=f"{name}<br>%{{x:.2g}} FLOPs: %{{y:.3f}}<extra></extra>",
    )


def _meetings(met: pd.DataFrame, first: bool) -> go.Scatter:
    return go.Scatter(
        x=met["C"],
        y=met["MR"],
        mode="markers+text",
        name="where they meet",
        legendgroup="meet",
        showlegend=first,
        text=[style.short(C) for C in met["C"]],
        textposition="top right",
        marker={"color": style.GREEN, "size": 11, "symbol": "x"},
        hovertemplate="%{x:.3g} FLOPs: %{y:.3f}<extra></extra>",
    )


def _upright(place: float, dash: str, name: str, first: bool) -> go.Scatter:
    return go.Scatter(
        x=[place, place],
        y=[0.0, 1.2],
        mode="lines",
        name=name,
        legendgroup=name,
        showlegend=first,
        line={"color": style.GREY, "width": 1.2, "dash": dash},
        hoverinfo="skip",
    )
