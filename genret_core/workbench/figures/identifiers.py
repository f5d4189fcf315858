"""How documents get identifiers, and whether these tell them apart."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style


def start_probabilities(starts: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw how likely each place of a document is to start an n-gram for a query, and which were drawn.

    Parameters
    ----------
    starts : DataFrame
        A row per eligible start: `position` (word), `word`, `score` (summed overlap), `probability`, `drawn`
        (how often), `text` (the n-gram).
    subtitle : str
        Temperature and effective number of starts.
    """
    fig = style.figure("Where n-grams start in this document, for this query", subtitle, height=400)
    for drawn, name, colour in ((False, "possible start", style.SKY), (True, "drawn", style.VERMILLION)):
        part = starts[(starts["drawn"] > 0) == drawn]
        fig.add_bar(
            x=part["position"],
            y=part["probability"],
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=part[["word", "score", "drawn", "text"]].to_numpy(),
            hovertemplate="<b>%{customdata[0]}</b>: probability %{y:.3f}, overlap %{customdata[1]:.2f}, "
            "drawn %{customdata[2]} times<br>%{customdata[3]}<extra></extra>",
        )
    even = 1 / len(starts)
    line = {"color": style.GREY, "width": 1.2, "dash": "dot"}
    fig.add_hline(y=even, line=line, annotation_text="drawn evenly", annotation_font_size=11)
    fig.update_layout(barmode="overlay", bargap=0.1)
    fig.update_xaxes(title_text="word of the document")
    fig.update_yaxes(title_text="probability", rangemode="tozero")
    return fig


def codebook_quality(explained: pd.DataFrame, usage: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw what each code of the sequence adds, and how evenly codes are used.

    Parameters
    ----------
    explained : DataFrame
        `depth` (1-based) and `explained` (share of the embedding's variance, up to and including that depth).
    usage : DataFrame
        `depth`, `rank` (codes by falling use, 1-based) and `documents`.
    """
    fig = make_subplots(
        rows=1,
        cols=2,
        horizontal_spacing=0.12,
        subplot_titles=["Variance explained up to each code", "Documents per code, by depth"],
        figure=style.figure("The codebook", subtitle, height=400),
    )
    fig.update_annotations(font_size=13)
    fig.add_scatter(
        x=explained["depth"],
        y=explained["explained"],
        mode="lines+markers",
        line={"color": style.BLUE, "width": 2},
        marker={"size": 8},
        showlegend=False,
        hovertemplate="depth %{x}: %{y:.1%}<extra></extra>",
        row=1,
        col=1,
    )
    for i, (depth, part) in enumerate(usage.groupby("depth")):
        fig.add_scatter(
            x=part["rank"],
            y=part["documents"],
            mode="lines",
            line={"shape": "hv", "width": 1.8, "color": style.SEQUENCE[i % len(style.SEQUENCE)]},
            name=f"depth {depth}",
            hovertemplate=f"depth {depth}, code of rank %{{x}}: %{{y}} documents<extra></extra>",
            row=1,
            col=2,
        )
    depths = list(explained["depth"])
    few = {"tickmode": "array", "tickvals": depths} if len(depths) <= 10 else {}
    fig.update_xaxes(title_text="code of the sequence", **few, row=1, col=1)
    fig.update_yaxes(title_text="share of the variance", tickformat=".0%", rangemode="tozero", row=1, col=1)
    fig.update_xaxes(title_text="codes, most used first", row=1, col=2)
    fig.update_yaxes(title_text="documents", rangemode="tozero", row=1, col=2)
    fig.update_layout(
        margin_t=104, legend={"x": 0.98, "xanchor": "right", "y": 0.98, "yanchor": "top", "orientation": "v"}
    )
    return fig


def prefix_ambiguity(sharing: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw how many documents still share a prefix, as an identifier is written token by token.

    Parameters
    ----------
    sharing : DataFrame
        `method`, `depth` (tokens written), `documents` (mean number that share the prefix), `lo` and `hi`
        (quantiles), `alone` (share of identifiers whose prefix already names one document).
    """
    fig = make_subplots(
        rows=1,
        cols=2,
        horizontal_spacing=0.12,
        subplot_titles=["Documents that share the prefix", "Prefixes that name one document"],
        figure=style.figure("How soon an identifier tells its document apart", subtitle, height=400),
    )
    fig.update_annotations(font_size=13)
    for i, (method, part) in enumerate(sharing.groupby("method", sort=False)):
        colour, name = (style.GREEN, style.PURPLE)[i % 2], style.METHOD_NAMES.get(str(method), str(method))
        line = {"color": colour, "width": 2, "dash": style.dash(str(method))}
        shape = {
            "mode": "lines+markers",
            "line": line,
            "marker": {"size": 7},
            "name": name,
            "legendgroup": name,
        }
        around = {"x": [*part["depth"], *part["depth"][::-1]], "y": [*part["hi"], *part["lo"][::-1]]}
        fill = {
            "fill": "toself",
            "fillcolor": style.faded(colour, 0.12),
            "line": {"width": 0},
            "mode": "lines",
        }
        fig.add_trace(
            go.Scatter(**around, **fill, hoverinfo="skip", showlegend=False, legendgroup=name), 1, 1
        )
        count = "depth %{x}: %{y:.3g} documents<extra></extra>"
        fig.add_trace(go.Scatter(x=part["depth"], y=part["documents"], hovertemplate=count, **shape), 1, 1)
        alone = {"x": part["depth"], "y": part["alone"], "showlegend": False}
        fig.add_trace(go.Scatter(**alone, hovertemplate="depth %{x}: %{y:.0%}<extra></extra>", **shape), 1, 2)
    fig.update_xaxes(title_text="tokens written")
    top = float(sharing["hi"].max())
    low, high = style.log_range([1.0, top])
    fig.update_yaxes(type="log", range=[low, high], **style.log_ticks(10**low, 10**high), row=1, col=1)
    fig.update_yaxes(tickformat=".0%", range=[0, 1.03], row=1, col=2)
    fig.update_layout(margin_t=116, legend_y=1.08)
    return fig
