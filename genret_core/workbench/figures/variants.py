"""Searches with other switches beside the plain ones: misses against compute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.baseline import baseline
from genret_core.workbench.figures.laws import BARS

SHAPES = ("diamond", "triangle-up", "cross", "star", "x", "pentagon", "hexagon", "bowtie")
PLAIN = "default"


def symbols(variants: Sequence[str], family: str, method: str) -> dict[str, str]:
    """Give each variant a marker: the plain one the family's, the others shapes of their own."""
    others = [name for name in variants if name != PLAIN]
    own = {name: SHAPES[i % len(SHAPES)] for i, name in enumerate(others)}
    own = {name: shape if method == "ngram" else f"{shape}-open" for name, shape in own.items()}
    return {PLAIN: style.symbol(family, method), **own}


def series_name(method: str, family: str, variant: str) -> str:
    """Name a series: `LLaMA, n-grams`, or `LLaMA, n-grams, rescored`."""
    return style.series_name(method, family) + ("" if variant == PLAIN else f", {variant}")


def make_room(fig: style.Figure, n_series: int) -> None:
    """Put the legend between title and panels, as high as its lines are."""
    lines = math.ceil((n_series + 1) / 5)
    fig.update_layout(legend_y=1.08, margin_t=98 + 22 * lines, height=438 + 22 * lines)


def against_compute(
    points: pd.DataFrame, *, title: str, subtitle: str = "", bm25: Mapping[str, float] | None = None
) -> style.Figure:
    """Draw misses over C, a panel per metric, a line per method, family and variant.

    Parameters
    ----------
    points : DataFrame
        `metric`, `method`, `family`, `backbone`, `variant`, `beam`, `C`, `value`, `stderr`.
    title, subtitle : str
    bm25 : mapping of str to float, optional
        BM25's value by metric.
    """
    panels = list(dict.fromkeys(points["metric"]))
    fig = make_subplots(
        rows=1,
        cols=len(panels),
        horizontal_spacing=0.09,
        subplot_titles=panels,
        figure=style.figure(title, subtitle, height=460),
    )
    fig.update_annotations(font_size=13)
    variants = list(dict.fromkeys(points["variant"]))
    axis = style.log_axis(points["C"].astype(float), style.LABELS["C"], crowd=len(panels))
    low, high = axis["range"]
    for column, metric in enumerate(panels, start=1):
        own = points[points["metric"] == metric]
        for (method, family, variant), part in own.groupby(["method", "family", "variant"], sort=False):
            symbol = symbols(variants, str(family), str(method))[str(variant)]
            name = series_name(str(method), str(family), str(variant))
            trace = _line(part.sort_values("C"), str(method), str(family), name, symbol, legend=column == 1)
            fig.add_trace(trace, row=1, col=column)
        if metric in (bm25 or {}):
            line = baseline((10**low, 10**high), (bm25 or {})[metric], metric, legend=column == 1)
            fig.add_trace(line, row=1, col=column)
        fig.update_xaxes(axis, row=1, col=column)
        fig.update_yaxes(title_text="miss rate" if column == 1 else "", row=1, col=column)
    make_room(fig, len(points.groupby(["method", "family", "variant"])))
    return fig


def _line(
    part: pd.DataFrame, method: str, family: str, name: str, symbol: str, *, legend: bool
) -> go.Scatter:
    colour = style.colour(family)
    plain = part["variant"].iloc[0] == PLAIN
    shade = colour if plain else style.faded(colour, 0.6)
    return go.Scatter(
        x=part["C"],
        y=part["value"],
        mode="markers+lines",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": shade, "width": 1.4, "dash": style.dash(method) if plain else "dot"},
        error_y={
            "type": "data",
            "array": (BARS * part["stderr"]).fillna(0.0),
            "color": shade,
            "thickness": 1,
            "width": 0,
        },
        marker={"color": shade, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": shade}},
        customdata=part[["backbone", "beam"]].to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b>, beam %{customdata[1]}<br>%{y:.3f}<extra>" + name + "</extra>",
    )
