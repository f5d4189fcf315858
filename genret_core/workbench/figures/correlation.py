"""CGL against the ranking metrics, a panel each (Fig. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.baseline import NAME, baseline


def scatter_panels(
    points: pd.DataFrame,
    notes: dict[str, str] | None = None,
    *,
    bm25: Mapping[str, float] | None = None,
    columns: int = 2,
) -> style.Figure:
    """Draw a panel per metric, a point per cell.

    Parameters
    ----------
    points : DataFrame
        A row per cell and metric: `metric`, `method`, `family`, `name`, `CGL`, `CGL_stderr`, `value` and
        `stderr`.
    notes : dict, optional
        A line under each panel's title by metric: its correlation.
    bm25 : mapping of str to float, optional
        BM25's value of each metric, drawn as a line: it has no CGL.
    columns : int
        Panels side by side.
    """
    metrics = list(dict.fromkeys(points["metric"]))
    rows = math.ceil(len(metrics) / columns)
    titles = [_title(metric, (notes or {}).get(metric, "")) for metric in metrics]
    fig = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=titles,
        horizontal_spacing=0.1,
        vertical_spacing=0.32 / rows,
        figure=style.figure(f"{style.CGL} and what a search returns", height=100 + 330 * rows),
    )
    fig.update_annotations(font_size=13)
    fig.update_layout(legend_y=1.0 + 0.2 / rows, margin={"t": 130, "l": 60, "r": 20})
    seen: set[str] = set()
    for i, metric in enumerate(metrics):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        own = points[points["metric"] == metric]
        for method, family, part in style.by_series(own):
            name = style.series_name(method, family)
            fig.add_trace(_cells(part, method, family, name, show=name not in seen), **place)
            seen.add(name)
        fig.add_trace(_line(own), **place)
        if metric in (bm25 or {}):
            line = baseline(_ends(own), (bm25 or {})[metric], metric, legend=NAME not in seen)
            fig.add_trace(line, **place)
            seen.add(NAME)
        fig.update_yaxes(title_text=metric, **place)
        last = i + columns >= len(metrics)
        fig.update_xaxes(title_text=style.CGL if last else "", tickformat=".4f", nticks=4, **place)
    return fig


def _ends(own: pd.DataFrame) -> tuple[float, float]:
    """Find where a panel begins and ends."""
    low, high = float(own["CGL"].min()), float(own["CGL"].max())
    room = 0.04 * (high - low or abs(high) or 1.0)
    return low - room, high + room


def _title(metric: str, note: str) -> str:
    return f"<b>{metric}</b>" + (f"<br><span style='font-size:11px'>{note}</span>" if note else "")


def _cells(part: pd.DataFrame, method: str, family: str, name: str, *, show: bool) -> go.Scatter:
    colour = style.colour(family)
    bars = {"type": "data", "color": colour, "thickness": 1, "width": 0}
    return go.Scatter(
        x=part["CGL"],
        y=part["value"],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=show,
        error_x={**bars, "array": part["CGL_stderr"].fillna(0)},
        error_y={**bars, "array": part["stderr"].fillna(0)},
        marker={
            "color": colour,
            "symbol": style.symbol(family, method),
            "size": 9,
            "line": {"width": 1.5, "color": colour},
        },
        customdata=np.stack([part["name"]], axis=-1),
        hovertemplate="<b>%{customdata[0]}</b><br>CGL %{x:.5f}<br>%{y:.3f}<extra></extra>",
    )


def _line(own: pd.DataFrame) -> go.Scatter:
    """Draw the straight line of least squares: what "nearly linear" would look like."""
    kept = own.dropna(subset=["CGL", "value"])
    if len(kept) < 3 or kept["CGL"].nunique() < 2:
        return go.Scatter(x=[], y=[], showlegend=False)
    ends = np.array([kept["CGL"].min(), kept["CGL"].max()])
    slope, level = np.polyfit(kept["CGL"], kept["value"], 1)
    line = {"color": style.faded(style.GREY, 0.6), "width": 1.2}
    return go.Scatter(
        x=ends, y=slope * ends + level, mode="lines", line=line, showlegend=False, hoverinfo="skip"
    )
