"""What the documents and queries of a corpus are like."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style

TAIL = 20  # medians that the longest text may have on an even axis


def lengths(texts: pd.DataFrame) -> style.Figure:
    """Draw how long documents and queries are.

    Parameters
    ----------
    texts : DataFrame
        A row per text: `kind` (the panel: documents, queries) and `words`.
    """
    kinds = list(dict.fromkeys(texts["kind"]))
    fig = make_subplots(
        rows=1,
        cols=len(kinds),
        subplot_titles=kinds,
        horizontal_spacing=0.1,
        figure=style.figure("Lengths in words", height=340, showlegend=False, bargap=0.04),
    )
    fig.update_annotations(font_size=13)
    for column, kind in enumerate(kinds, start=1):
        words = texts.loc[texts["kind"] == kind, "words"]
        colour = style.SEQUENCE[column - 1]
        long_tail = float(words.max()) > TAIL * float(words.median())
        fig.add_trace((_steps if long_tail else _bars)(words, colour), row=1, col=column)
        middle = float(words.median())
        line = {"color": colour, "width": 1.5, "dash": "dot"}
        fig.add_vline(x=middle, line=line, row=1, col=column)
        fig.add_annotation(
            text=f"median {middle:g}",
            x=math.log10(max(middle, 1.0)) if long_tail else middle,  # as plotly wants it
            y=1,
            yref="y domain",
            xanchor="left",
            yanchor="top",
            showarrow=False,
            font_size=11,
            row=1,
            col=column,
        )
        fig.update_xaxes(title_text="words", tickformat=",d", row=1, col=column)
        if long_tail:
            fig.update_xaxes(type="log", dtick=1, title_text="words (logarithmic)", row=1, col=column)
        fig.update_yaxes(title_text="texts" if column == 1 else "", row=1, col=column)
    fig.update_layout(margin_t=80)
    return fig


def _bars(words: pd.Series[int], colour: str) -> go.Histogram:
    return go.Histogram(
        x=words,
        xbins=_bins(words),
        marker={"color": style.faded(colour, 0.75), "line": {"width": 0}},
        hovertemplate="%{x} words: %{y}<extra></extra>",
    )


def _steps(words: pd.Series[int], colour: str) -> go.Scatter:
    """Count in thirty bins that are equally wide on a logarithmic axis."""
    edges = np.unique(np.round(np.geomspace(max(1.0, float(words.min())), float(words.max()) + 1, 31)))
    counts, _ = np.histogram(words, edges)
    told = [f"{low:,.0f} to {high - 1:,.0f} words" for low, high in pairwise(edges.tolist())]
    return go.Scatter(
        x=edges,
        y=np.append(counts, 0),
        text=[*told, ""],
        mode="lines",
        line={"shape": "hv", "width": 1, "color": style.faded(colour, 0.75)},
        fill="tozeroy",
        fillcolor=style.faded(colour, 0.75),
        hovertemplate="%{text}: %{y}<extra></extra>",
    )


def _bins(words: pd.Series[int]) -> dict[str, float]:
    """Cut the range into at most forty bins of whole words."""
    low, high = float(words.min()), float(words.max())
    size = max(1.0, math.ceil((high - low + 1) / 40))
    return {"start": low - 0.5, "end": high + 0.5, "size": size}


def overlap(shares: pd.DataFrame) -> style.Figure:
    """Draw which share of a query's words its document holds, a curve per split.

    Parameters
    ----------
    shares : DataFrame
        A row per query: `split` and `share` (0 to 1).
    """
    fig = style.figure("Words of a query that its document holds", height=340)
    for i, (split, part) in enumerate(shares.groupby("split", sort=False)):
        values = part["share"].sort_values().to_numpy()
        fig.add_scatter(
            x=values,
            y=(pd.RangeIndex(1, len(values) + 1) / len(values)).to_numpy(),
            mode="lines",
            line={"shape": "hv", "width": 2, "color": style.SEQUENCE[i]},
            name=f"{split} ({len(values):,})",
            hovertemplate="%{y:.0%} of queries hold at most %{x:.0%}<extra></extra>",
        )
    fig.update_xaxes(
        title_text="share of the query's words found in the document", tickformat=".0%", range=[0, 1.01]
    )
    fig.update_yaxes(title_text="share of queries at or below", tickformat=".0%", range=[0, 1.02])
    fig.update_layout(margin_t=80)
    return fig
