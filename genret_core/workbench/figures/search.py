"""What constrained beams retrieve, and what they cost."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.baseline import baseline
from genret_core.workbench.figures.variants import make_room, series_name, symbols


def quality_and_cost(
    rows: pd.DataFrame, metric: str, bm25: tuple[float, float] | None = None, *, subtitle: str = ""
) -> style.Figure:
    """Draw a metric against FLOPs per query, and beside it seconds against FLOPs.

    Parameters
    ----------
    rows : DataFrame
        A row per cell, beam and variant: `method`, `family`, `variant`, `name`, `beam`, `C`, `value`,
        `stderr` and `ms` (milliseconds per query).
    metric : str
        Name of the value.
    bm25 : (float, float), optional
        The same metric of BM25, and its milliseconds per query, drawn as lines.
    """
    fig = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.6, 0.4],
        horizontal_spacing=0.12,
        subplot_titles=[f"{metric} per search", "Time per search"],
        figure=style.figure("What constrained beams retrieve, at what cost", subtitle, height=460),
    )
    fig.update_annotations(font_size=13)
    axis = style.log_axis(rows["C"], style.LABELS["C"], crowd=2)
    ends = (10 ** axis["range"][0], 10 ** axis["range"][1])
    variants = list(dict.fromkeys(rows["variant"]))
    for (method, family, variant), part in rows.groupby(["method", "family", "variant"], sort=False):
        name = series_name(str(method), str(family), str(variant))
        symbol = symbols(variants, str(family), str(method))[str(variant)]
        for column, y, tail in ((1, "value", "%{y:.3f}"), (2, "ms", "%{y:.1f} ms per query")):
            trace = _searches(part, str(family), name, symbol, y, tail, legend=column == 1)
            fig.add_trace(trace, row=1, col=column)
    if bm25 is not None:
        fig.add_trace(baseline(ends, bm25[0], metric), row=1, col=1)
        fig.add_trace(baseline(ends, bm25[1], "ms per query", legend=False), row=1, col=2)
    fig.update_xaxes(axis)
    fig.update_yaxes(title_text=metric, rangemode="tozero", row=1, col=1)
    times = [*rows["ms"].dropna(), *([bm25[1]] if bm25 is not None else [])]
    if rows["ms"].notna().any():
        low, high = style.log_range(times)
        ticks = style.log_ticks(10**low, 10**high)
        fig.update_yaxes(type="log", range=[low, high], title_text="ms per query", **ticks, row=1, col=2)
    make_room(fig, len(rows.groupby(["method", "family", "variant"])))
    return fig


def _searches(
    part: pd.DataFrame, family: str, name: str, symbol: str, y: str, tail: str, *, legend: bool
) -> go.Scatter:
    colour = style.colour(family)
    bars = {
        "error_y": {
            "type": "data",
            "array": part["stderr"].fillna(0),
            "color": colour,
            "thickness": 1,
            "width": 0,
        }
    }
    return go.Scatter(
        x=part["C"],
        y=part[y],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": colour}},
        customdata=part[["name", "beam"]].to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b>, beam %{customdata[1]}<br>" + tail + "<extra></extra>",
        **(bars if y == "value" else {}),
    )
