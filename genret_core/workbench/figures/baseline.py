"""BM25 in a figure: a dotted grey line that every trained retriever is seen against, never fitted."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from genret_core.workbench.figures import style

NAME = "BM25"


def baseline(ends: Sequence[float], value: float, metric: str, *, legend: bool = True) -> go.Scatter:
    """Draw the value of BM25 across a panel.

    Parameters
    ----------
    ends : two floats
        Where the panel begins and ends, in its own units.
    value : float
    metric : str
        Whose value it is, for the hover.
    legend : bool
        Whether this is the panel that names it.
    """
    return go.Scatter(
        x=list(ends),
        y=[value, value],
        mode="lines",
        name=NAME,
        legendgroup=NAME,
        legendrank=1500,
        showlegend=legend,
        line={"color": style.GREY, "width": 1.6, "dash": "dot"},
        hovertemplate=f"<b>BM25</b>, {metric}: {value:.3f}<extra></extra>",
    )
