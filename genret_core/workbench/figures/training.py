"""What training looked like: loss curves, and the learning rates that were tried."""

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


def learning_rate_sweep(tried: pd.DataFrame) -> style.Figure:
    """Draw the learning rates tried and kept against model size, a panel per method and family.

    Parameters
    ----------
    tried : DataFrame
        A row per cell and rate: `method`, `family`, `backbone`, `P`, `lr`, `CGL`, `rule`, `kept`.
    """
    groups = list(style.by_series(tried))
    fig = make_subplots(
        rows=1,
        cols=max(len(groups), 1),
        shared_yaxes=False,
        horizontal_spacing=0.07,
        subplot_titles=[style.series_name(method, family) for method, family, _ in groups],
        figure=style.figure(
            "Learning rates tried", "line: the rule; filled: kept, by CGL on validation queries", height=360
        ),
    )
    fig.update_annotations(font_size=13)
    for column, (_, family, group) in enumerate(groups, start=1):
        rule = group.drop_duplicates("P").sort_values("P")
        line = {"color": style.GREY, "dash": "dot", "width": 1.4}
        fig.add_trace(
            go.Scatter(x=rule["P"], y=rule["rule"], mode="lines", line=line, hoverinfo="skip", name="rule"),
            row=1,
            col=column,
        )
        for kept, part in group.groupby("kept"):
            fig.add_trace(_rates(part, style.colour(family), kept=bool(kept)), row=1, col=column)
        fig.update_xaxes(
            **style.log_axis(group["P"], style.LABELS["P"], crowd=len(groups)), row=1, col=column
        )
        title = "learning rate" if column == 1 else ""
        fig.update_yaxes(**style.log_axis(group["lr"], title), row=1, col=column)
    fig.update_layout(showlegend=False, margin_t=104)
    return fig


def _rates(part: pd.DataFrame, colour: str, *, kept: bool) -> go.Scatter:
    return go.Scatter(
        x=part["P"],
        y=part["lr"],
        mode="markers",
        name="kept" if kept else "tried",
        marker={
            "color": colour if kept else "rgba(0,0,0,0)",
            "size": 9,
            "line": {"color": style.faded(colour, 1.0 if kept else 0.55), "width": 1.4},
        },
        customdata=part[["backbone", "CGL"]].to_numpy(),
        hovertemplate="<b>%{customdata[0]}</b><br>rate %{y:.3g}: CGL %{customdata[1]:.5f}<extra></extra>",
    )
