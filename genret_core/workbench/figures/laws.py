"""Measured points, the law through them and its band: Figs 4, 5 and 6, and the panels of Fig. 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genret_core.workbench.figures import style
from genret_core.workbench.figures.baseline import baseline

BARS = 1.959964  # standard errors in a bar: 95 %


def law_figure(
    points: pd.DataFrame,
    curves: pd.DataFrame | None = None,
    *,
    x: str = "P",
    y: str = "CGL",
    title: str = "",
    subtitle: str = "",
    n_negatives: int | None = None,
    log_y: bool = False,
    shared_x: bool = True,
    shared_y: bool = True,
    bm25: Mapping[str, float] | None = None,
    height: int = 460,
) -> style.Figure:
    """Draw points with error bars, and where there is a law its curve with the band.

    Parameters
    ----------
    points : DataFrame
        A row per measured point: `panel` (its title), `method`, `family`, `name` (the cell's, for the hover),
        `x`, `value`, `stderr`; optional `used` (False: shown in grey, not fitted) and `note` (for the hover).
    curves : DataFrame, optional
        A row per place of a curve: `panel`, `method`, `family`, `x`, `y`, and `lo` and `hi`, maybe NaN.
    x, y : str
        Which symbols these are: axis titles come from `style.LABELS`.
    n_negatives : int, optional
        Draws the chance line ln(1 + 1/N) and a second axis in rho; only for CGL.
    shared_x, shared_y : bool
        One scale for all panels; otherwise each panel has its own.
    bm25 : mapping of str to float, optional
        BM25's value by panel, drawn as a line.

    Returns
    -------
    Figure
        A panel per value of `panel`, in order of appearance.
    """
    curves = no_curves() if curves is None else curves
    panels = list(dict.fromkeys(points["panel"]))
    fig = make_subplots(
        rows=1,
        cols=len(panels),
        shared_yaxes=shared_y,
        horizontal_spacing=0.05 if shared_y else 0.09,
        figure=style.figure(title, subtitle, height=height),
        subplot_titles=panels if len(panels) > 1 else None,
    )
    for trace, column in traces(points, curves, panels):
        fig.add_trace(trace, row=1, col=column)
    if len(panels) > 1:
        fig.update_layout(legend_y=1.08, margin_t=116)
        fig.update_annotations(font_size=13)
    _scales(
        fig,
        points,
        curves,
        panels,
        x=x,
        y=y,
        log_y=log_y,
        shared_x=shared_x,
        shared_y=shared_y,
        n_negatives=n_negatives,
        bm25=bm25 or {},
    )
    _baselines(fig, panels, bm25 or {})
    if n_negatives:
        _chance(fig, len(panels), n_negatives, log_y=log_y)
        rho_axis(fig, len(panels), n_negatives)
    return fig


def no_curves() -> pd.DataFrame:
    """Give an empty frame of curves."""
    return pd.DataFrame(columns=["panel", "method", "family", "x", "y", "lo", "hi"])


def traces(
    points: pd.DataFrame, curves: pd.DataFrame, panels: Sequence[str]
) -> Iterator[tuple[go.Scatter, int]]:
    """Give the traces of points and curves (see `law_figure`), each with the column of its panel."""
    seen: set[str] = set()
    used = points["used"] if "used" in points else pd.Series(True, index=points.index)
    points = points.assign(used=used.astype(bool))
    for method, family, own in style.by_series(points):
        name = style.series_name(method, family)
        for column, panel in enumerate(panels, start=1):
            here = own[own["panel"] == panel]
            line = curves[
                (curves["panel"] == panel) & (curves["method"] == method) & (curves["family"] == family)
            ]
            if len(line):
                yield from ((trace, column) for trace in _curve(line.sort_values("x"), method, family))
            for used_here, part in here.groupby("used", sort=False):
                label = name if used_here else "not fitted"
                yield _markers(part, method, family, label, label not in seen, bool(used_here)), column
                seen.add(label)


def _curve(line: pd.DataFrame, method: str, family: str) -> Iterator[go.Scatter]:
    colour, group = style.colour(family), style.series_name(method, family)
    if line["lo"].notna().any():
        around = {
            "x": [*line["x"], *line["x"][::-1]],
            "y": [*line["hi"], *line["lo"][::-1]],
            "fill": "toself",
            "fillcolor": style.faded(colour, 0.13 if method == "ngram" else 0.08),
        }
        yield go.Scatter(
            **around, line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=group, mode="lines"
        )
    yield go.Scatter(
        x=line["x"],
        y=line["y"],
        mode="lines",
        line={"color": colour, "width": 2, "dash": style.dash(method)},
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
    )


def _markers(
    part: pd.DataFrame, method: str, family: str, label: str, in_legend: bool, used: bool
) -> go.Scatter:
    colour = style.colour(family) if used else style.GREY
    notes = part["note"] if "note" in part else pd.Series("", index=part.index)
    return go.Scatter(
        x=part["x"],
        y=part["value"],
        mode="markers",
        name=label,
        legendgroup=label,
        legendrank=1000 if used else 2000,
        showlegend=in_legend,
        error_y={
            "type": "data",
            "array": (BARS * part["stderr"]).fillna(0.0),
            "color": colour,
            "thickness": 1.2,
            "width": 3,
        },
        marker={
            "color": colour,
            "symbol": style.symbol(family, method),
            "size": 9,
            "line": {"width": 1.6, "color": colour},
        },
        customdata=np.stack(
            [part["name"], part["stderr"], [style.short(v) for v in part["x"]], notes], axis=-1
        ),
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[2]}: %{y:.5g} ± %{customdata[1]:.2g} (1 SE)"
        "<br>%{customdata[3]}<extra></extra>",
    )


def _scales(
    fig: style.Figure,
    points: pd.DataFrame,
    curves: pd.DataFrame,
    panels: Sequence[str],
    *,
    x: str,
    y: str,
    log_y: bool,
    shared_x: bool,
    shared_y: bool,
    n_negatives: int | None,
    bm25: Mapping[str, float],
) -> None:
    every = pd.concat([points["x"], curves["x"]]).astype(float)
    title = style.LABELS.get(y, y)
    for column, panel in enumerate(panels, start=1):
        own_x = every if shared_x else pd.concat([f.loc[f["panel"] == panel, "x"] for f in (points, curves)])
        axis = style.log_axis(own_x.astype(float), style.LABELS.get(x, x), crowd=len(panels))
        fig.update_xaxes(axis, row=1, col=column)
        shown = [f if shared_y else f[f["panel"] == panel] for f in (points, curves)]
        lines = [value for name, value in bm25.items() if shared_y or name == panel]
        span = y_range(*shown, log_y=log_y, n_negatives=n_negatives, lines=lines)
        told = {"text": title if column == 1 or not shared_y else ""}
        fig.update_yaxes(range=span, type="log" if log_y else "linear", title=told, row=1, col=column)
        if y == "CGL":
            fig.update_yaxes(tickformat=".4f", row=1, col=column)


def _baselines(fig: style.Figure, panels: Sequence[str], bm25: Mapping[str, float]) -> None:
    for column, panel in enumerate(panels, start=1):
        if panel in bm25:
            low, high = fig.layout["xaxis" if column == 1 else f"xaxis{column}"].range
            line = baseline((10**low, 10**high), bm25[panel], panel, legend=panel == next(iter(bm25)))
            fig.add_trace(line, row=1, col=column)


def y_range(
    points: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    log_y: bool,
    n_negatives: int | None,
    lines: Sequence[float] = (),
) -> list[float]:
    """Find the range that holds all bars, curves, the chance line and other lines."""
    reach = BARS * points["stderr"].fillna(0.0)
    values = [*(points["value"] - reach), *(points["value"] + reach), *curves["y"].dropna(), *lines]
    if n_negatives:
        values.append(math.log1p(1 / n_negatives))
    kept = [v for v in values if math.isfinite(v) and (v > 0 or not log_y)]
    low, high = min(kept), max(kept)
    if log_y:
        return list(style.log_range([low, high]))
    pad = 0.06 * (high - low or abs(high) or 1.0)
    return [low - pad, high + pad]


def _chance(fig: style.Figure, n_panels: int, n_negatives: int, *, log_y: bool) -> None:
    chance = math.log1p(1 / n_negatives)
    for column in range(1, n_panels + 1):
        line = {"color": style.GREY, "width": 1.2, "dash": "dot"}
        fig.add_hline(y=chance, line=line, row=1, col=column)
    told = {"text": f"chance, ln(1 + 1/{n_negatives})", "font": {"size": 11, "color": style.GREY}}
    place = {
        "xref": "x domain",
        "x": 0.01,
        "xanchor": "left",
        "yref": "y",
        "yanchor": "bottom",
        "showarrow": False,
    }
    fig.add_annotation(**told, **place, y=math.log10(chance) if log_y else chance)


def rho_axis(fig: style.Figure, n_panels: int, n_negatives: int) -> None:
    """Write rho on the right of the last panel: the same scale, other ticks."""
    last = fig.layout["yaxis" if n_panels == 1 else f"yaxis{n_panels}"]
    low, high = last.range
    rho_low, rho_high = (n_negatives * math.expm1(v) for v in (low, high))
    step = _nice_step((rho_high - rho_low) / 6)
    marks = np.arange(math.ceil(rho_low / step), math.floor(rho_high / step) + 1) * step
    own = "y" if n_panels == 1 else f"y{n_panels}"
    fig.update_layout(
        yaxis99={
            "overlaying": own,
            "matches": own,
            "side": "right",
            "anchor": last.anchor,
            "showgrid": False,
            "tickmode": "array",
            "tickvals": [math.log1p(rho / n_negatives) for rho in marks],
            "ticktext": [f"{rho:.3g}" for rho in marks],
            "title": {"text": style.LABELS["rho"]},
        }
    )
    ghost: dict[str, Any] = {"mode": "markers", "opacity": 0, "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(x=[1.0], y=[low], xaxis=last.anchor, yaxis="y99", **ghost))


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return min((s * power for s in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
