"""What training looked like: loss curves, and CGL along the ladder."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style


def loss_curves(curves: pd.DataFrame, subtitle: str = "") -> style.Figure:
    """Draw the training loss of every cell against optimiser steps, a panel per method and family.

    Parameters
    ----------
    curves : DataFrame
        A row per logged step: `method`, `family`, `name`, `P`, `step`, `loss` (nats per target token).
    subtitle : str
        The learning-rate rule.
    """
    groups = list(style.by_series(curves))
    fig = make_subplots(
        rows=1,
        cols=max(len(groups), 1),
        shared_yaxes=False,
        horizontal_spacing=0.06,
        subplot_titles=[style.series_name(method, family) for method, family, _ in groups],
        figure=style.figure("Training loss", subtitle, height=420),
    )
    fig.update_annotations(font_size=13)
    for column, (_, family, group) in enumerate(groups, start=1):
        ladder = sorted(group["P"].unique())
        for name, line in group.groupby("name", sort=False):
            rank = ladder.index(line["P"].iloc[0]) / max(len(ladder) - 1, 1)
            fig.add_trace(_loss(str(name), line, style.colour(family), rank), row=1, col=column)
        fig.update_xaxes(title_text="optimiser step", nticks=5, row=1, col=column)
        fig.update_yaxes(title_text="loss, nats per token" if column == 1 else "", row=1, col=column)
    fig.update_layout(showlegend=False, margin_t=104)
    return fig


def _loss(name: str, line: pd.DataFrame, colour: str, rank: float) -> go.Scatter:
    """Draw one curve: the larger its model, the stronger its colour."""
    size = style.short(line["P"].iloc[0])
    return go.Scatter(
        x=line["step"],
        y=line["loss"],
        mode="lines",
        name=name,
        line={"color": style.faded(colour, 0.3 + 0.7 * rank), "width": 1.6},
        hovertemplate=f"<b>{name}</b> ({size})<br>step %{{x}}: %{{y:.3f}}<extra></extra>",
    )
