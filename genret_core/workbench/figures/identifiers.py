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


def codebook_quality(depths: pd.DataFrame, usage: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw what each code of the sequence adds, and how evenly codes are used.

    Parameters
    ----------
    depths : DataFrame
        `depth` (1-based), `error` (share of the embedding's variance left over after that many codes),
        `codes_used` and `effective_codes` (at that position).
    usage : DataFrame
        `depth`, `rank` (codes by falling use, 1-based) and `documents`.
    """
    fig = make_subplots(
        rows=1,
        cols=3,
        horizontal_spacing=0.09,
        subplot_titles=["Left over after each code", "Codes in use", "Documents per code"],
        figure=style.figure("The codebook", subtitle, height=400),
    )
    fig.update_annotations(font_size=13)
    shape = {"mode": "lines+markers", "marker": {"size": 7}, "x": depths["depth"], "showlegend": False}
    fig.add_scatter(
        **shape,
        y=depths["error"],
        line={"color": style.BLUE, "width": 2},
        hovertemplate="after %{x} codes: %{y:.1%}<extra></extra>",
        row=1,
        col=1,
    )
    for column, name, colour in (
        ("codes_used", "occur", style.SKY),
        ("effective_codes", "effective", style.VERMILLION),
    ):
        fig.add_scatter(
            **{**shape, "showlegend": True},
            y=depths[column],
            name=name,
            line={"color": colour, "width": 2},
            hovertemplate=f"position %{{x}}: %{{y:.3g}} {name}<extra></extra>",
            legend="legend2",
            row=1,
            col=2,
        )
    for i, (depth, part) in enumerate(usage.groupby("depth")):
        fig.add_scatter(
            x=part["rank"],
            y=part["documents"],
            mode="lines",
            line={"shape": "hv", "width": 1.8, "color": style.SEQUENCE[i % len(style.SEQUENCE)]},
            name=f"position {depth}",
            hovertemplate=f"position {depth}, code of rank %{{x}}: %{{y}} documents<extra></extra>",
            row=1,
            col=3,
        )
    fig.update_xaxes(title_text="codes", **_whole(depths["depth"]), row=1, col=1)
    fig.update_yaxes(title_text="share of the variance", tickformat=".0%", rangemode="tozero", row=1, col=1)
    fig.update_xaxes(title_text="position", **_whole(depths["depth"]), row=1, col=2)
    top = 1.25 * float(depths["codes_used"].max())  # room for the legend
    fig.update_yaxes(title_text="codes", range=[0, top], row=1, col=2)
    fig.update_xaxes(title_text="codes, most used first", row=1, col=3)
    fig.update_yaxes(title_text="documents", rangemode="tozero", row=1, col=3)
    inside = {"yanchor": "top", "xanchor": "right", "orientation": "v"}
    middle = (fig.layout.xaxis2.domain[0] + fig.layout.xaxis2.domain[1]) / 2
    low = {"x": middle, "xanchor": "center", "y": 0.98, "yanchor": "top", "orientation": "h"}
    fig.update_layout(margin_t=104, legend={"x": 1, "y": 0.98, **inside}, legend2=low)
    return fig


def code_retrieval(found: pd.DataFrame, ceiling: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw how well documents are found by their first codes, the query embedded and quantised alike.

    Parameters
    ----------
    found : DataFrame
        `depth` (codes read), `k`, `recall`.
    ceiling : DataFrame
        `k` and `recall` by the embeddings themselves.
    """
    fig = style.figure("How well codes retrieve on their own", subtitle, height=400)
    for i, (k, part) in enumerate(found.groupby("k")):
        colour = style.SEQUENCE[i % len(style.SEQUENCE)]
        whole = ceiling.loc[ceiling["k"] == k, "recall"]
        fig.add_scatter(
            x=part["depth"],
            y=part["recall"],
            mode="lines+markers",
            name=f"R@{k}",
            line={"color": colour, "width": 2},
            marker={"size": 7},
            hovertemplate=f"{'%{x}'} codes: R@{k} %{{y:.3f}}<extra></extra>",
        )
        for value in whole:
            fig.add_scatter(
                x=[part["depth"].min(), part["depth"].max()],
                y=[value, value],
                mode="lines",
                line={"color": colour, "width": 1.4, "dash": "dot"},
                name=f"R@{k}, embeddings",
                hovertemplate=f"embeddings: R@{k} %{{y:.3f}}<extra></extra>",
            )
    fig.update_xaxes(title_text="codes read", **_whole(found["depth"]))
    fig.update_yaxes(title_text="recall", range=[0, 1.02])
    return fig


def _whole(depths: pd.Series[int]) -> dict[str, object]:
    """Label every position if there are few."""
    values = sorted(set(depths))
    return {"tickmode": "array", "tickvals": values} if len(values) <= 10 else {}


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
