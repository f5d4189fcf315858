"""The page to share: Fig. 1 with our numbers, and ours beside the published points."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.baseline import baseline
from genret_core.workbench.figures.laws import traces

LOOKS = {  # whose points: strength of the colour, dash, form of the marker
    "ours": (1.0, "solid", ""),
    "published": (0.55, "dot", "-open"),
    "measured": (0.8, "dash", "-open-dot"),
}


def figure_1(
    training: tuple[pd.DataFrame, pd.DataFrame],
    inference: tuple[pd.DataFrame, pd.DataFrame],
    *,
    misses: str,
    bm25: float | None = None,
    subtitle: str = "",
) -> style.Figure:
    """Draw the training law beside the inference law.

    Parameters
    ----------
    training, inference : (points, curves)
        Frames as `laws.law_figure` takes them: CGL over P; misses over C. Either may be empty.
    misses : str
        The metric of the second panel, e.g. `MR@5`.
    bm25 : float, optional
        The same of BM25.
    """
    fig = make_subplots(
        rows=1,
        cols=2,
        horizontal_spacing=0.12,
        subplot_titles=["(1) Training: model size", "(2) Inference: compute"],
        figure=style.figure("Scaling of n-gram retrieval in training and inference", subtitle, height=440),
    )
    fig.update_annotations(font_size=13)
    named: set[str] = set()
    for column, (points, curves) in enumerate((training, inference), start=1):
        if points.empty:
            continue
        for trace, _ in traces(points.assign(panel=""), curves.assign(panel=""), [""]):
            trace.showlegend = bool(trace.name) and trace.mode == "markers" and trace.name not in named
            named.add(str(trace.name))
            fig.add_trace(trace, row=1, col=column)
        axis = style.log_axis(points["x"], style.LABELS["P" if column == 1 else "C"], crowd=2)
        fig.update_xaxes(axis, row=1, col=column)
        if column == 2 and bm25 is not None:
            low, high = axis["range"]
            fig.add_trace(baseline((10**low, 10**high), bm25, misses), row=1, col=2)
    fig.update_yaxes(title_text=style.CGL, tickformat=".4f", row=1, col=1)
    fig.update_yaxes(title_text=misses, row=1, col=2)
    fig.update_layout(margin_t=120, legend_y=1.08)
    return fig


def beside_published(points: pd.DataFrame, panels: Sequence[str]) -> style.Figure:
    """Draw rho over P: our cells and the published ones on one scale, which CGL is not, as N differs.

    Parameters
    ----------
    points : DataFrame
        `panel`, `whose` (ours, published, or the name of a measured study), `method`, `family`, `name`,
        `x`, `rho`.
    panels : sequence of str
        Panels in order.
    """
    fig = make_subplots(
        rows=1,
        cols=len(panels),
        shared_yaxes=True,
        horizontal_spacing=0.05,
        subplot_titles=list(panels),
        figure=style.figure(
            "Ours beside the published points, in ρ", "ρ = 1 is chance, whatever N is", height=440
        ),
    )
    fig.update_annotations(font_size=13)
    named: set[str] = set()
    for column, panel in enumerate(panels, start=1):
        own = points[points["panel"] == panel]
        for (whose, method, family), part in own.groupby(["whose", "method", "family"], sort=False):
            name = f"{style.FAMILY_NAMES.get(str(family), str(family))}, {whose}"
            trace = _rho(part.sort_values("x"), str(whose), str(method), str(family), name, name not in named)
            named.add(name)
            fig.add_trace(trace, row=1, col=column)
        fig.add_hline(y=1.0, line={"color": style.GREY, "width": 1.2, "dash": "dot"}, row=1, col=column)
        fig.update_xaxes(style.log_axis(points["x"], style.LABELS["P"], crowd=2), row=1, col=column)
    fig.update_yaxes(title_text=style.LABELS["rho"], row=1, col=1)
    fig.update_layout(margin_t=120, legend_y=1.08)
    return fig


def _rho(part: pd.DataFrame, whose: str, method: str, family: str, name: str, first: bool) -> go.Scatter:
    ours = whose == "ours"
    share, dash, form = LOOKS.get(whose, LOOKS["measured"])
    colour = style.faded(style.colour(family), share) if share < 1 else style.colour(family)
    return go.Scatter(
        x=part["x"],
        y=part["rho"],
        mode="markers+lines",
        name=name,
        legendgroup=name,
        showlegend=first,
        line={"color": colour, "width": 1.2, "dash": dash},
        marker={
            "color": colour,
            "size": 9 if ours else 8,
            "symbol": style.FAMILY_SYMBOLS.get(family, "circle") + form,
        },
        customdata=[[label, style.short(size)] for label, size in zip(part["name"], part["x"], strict=True)],
        hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>ρ %{y:.4f}<extra></extra>",
    )
