"""What constrained beams retrieve, and what they cost."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style


def quality_and_cost(
    rows: pd.DataFrame, metric: str, bm25: float | None = None, *, subtitle: str = ""
) -> style.Figure:
    """Draw a metric against FLOPs per query, and beside it seconds against FLOPs.

    Parameters
    ----------
    rows : DataFrame
        A row per cell and beam: `method`, `family`, `name`, `beam`, `C`, `value`, `stderr` and `ms`
        (milliseconds per query).
    metric : str
        Name of the value.
    bm25 : float, optional
        The same metric of BM25, drawn as a line.
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
    for method, family, part in style.by_series(rows):
        for column, y, tail in ((1, "value", "%{y:.3f}"), (2, "ms", "%{y:.1f} ms per query")):
            fig.add_trace(_searches(part, method, family, y, tail, legend=column == 1), row=1, col=column)
    if bm25 is not None:
        line = {"color": style.GREY, "width": 1.4, "dash": "dot"}
        fig.add_hline(y=bm25, line=line, row=1, col=1, annotation_text="BM25", annotation_font_size=11)
    fig.update_xaxes(style.log_axis(rows["C"], style.LABELS["C"], crowd=2))
    fig.update_yaxes(title_text=metric, rangemode="tozero", row=1, col=1)
    if rows["ms"].notna().any():
        low, high = style.log_range(list(rows["ms"].dropna()))
        ticks = style.log_ticks(10**low, 10**high)
        fig.update_yaxes(type="log", range=[low, high], title_text="ms per query", **ticks, row=1, col=2)
    fig.update_layout(margin_t=120, legend_y=1.08)
    return fig


def _searches(part: pd.DataFrame, method: str, family: str, y: str, tail: str, *, legend: bool) -> go.Scatter:
    colour, name = style.colour(family), style.series_name(method, family)
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
        marker={
            "color": colour,
            "symbol": style.symbol(family, method),
            "size": 9,
            "line": {"width": 1.5, "color": colour},
        },
        customdata=part[["name", "beam"]].to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b>, beam %{customdata[1]}<br>" + tail + "<extra></extra>",
        **(bars if y == "value" else {}),
    )
