"""How figures look: colours that everyone can tell apart, one shape per family, one dash per method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio

# Okabe and Ito's palette; black is left out, so that a figure also reads on a dark page.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
    "#7F7F7F",
)
SEQUENCE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, GREY)

FAMILY_COLOURS = {"llama": BLUE, "t5": VERMILLION, "bm25": GREY}
FAMILY_SYMBOLS = {"llama": "circle", "t5": "square", "bm25": "diamond"}
METHOD_DASHES = {"ngram": "solid", "codebook": "dash", "bm25": "dot"}
FAMILY_NAMES = {"llama": "LLaMA", "llama2": "LLaMA-2", "t5": "T5", "bm25": "BM25"}
METHOD_NAMES = {"ngram": "n-grams", "codebook": "codebook", "bm25": "BM25"}
WITH = {"ngram": "with n-grams", "codebook": "with a codebook", "bm25": "with BM25"}

CGL = "ℒ<sub>CGL</sub>"
RHO = "ρ"
LABELS = {
    "P": "<i>P</i>, non-embedding parameters",
    "D": "<i>D</i>, query-identifier pairs",
    "n_queries": "training queries",
    "C": "<i>C</i>, FLOPs per query",
    "beam": "beam",
    "CGL": CGL,
    "rho": "ρ, positive over mean negative loss",
}

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "showSendToCloud": False,  # nothing leaves the page
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "genret"},
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _template(*, ink: str, paper: str, grid: str) -> go.layout.Template:
    axis = {
        "gridcolor": grid,
        "linecolor": ink,
        "linewidth": 1,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": ink,
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": 13}},
        "exponentformat": "power",
    }
    legend = {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "font": {"size": 12},
    }
    layout = {
        "font": {"family": FONT, "size": 13, "color": ink},
        "paper_bgcolor": paper,
        "plot_bgcolor": paper,
        "colorway": SEQUENCE,
        "xaxis": axis,
        "yaxis": axis,
        "title": {
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 12},
            "font": {"size": 15},
            "subtitle": {"font": {"size": 12, "color": GREY}},
        },
        "margin": {"l": 70, "r": 24, "t": 96, "b": 56},
        "legend": legend,
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "align": "left"},
        "hovermode": "closest",
        "height": 460,
        "annotationdefaults": {"font": {"size": 13, "color": ink}},
    }
    return go.layout.Template(layout=layout)


LIGHT = _template(ink="#24292f", paper="#ffffff", grid="rgba(127,127,127,0.20)")
DARK = _template(ink="#e6e6e6", paper="#111418", grid="rgba(160,160,160,0.25)")


class Figure(go.Figure):
    """A plotly figure that notebooks show with the house's settings (SVG from the mode bar, no logo)."""

    def _ipython_display_(self) -> None:
        pio.show(self, config=CONFIG)


def figure(title: str = "", subtitle: str = "", **layout: Any) -> Figure:
    """Start an empty figure in the house's style.

    Parameters
    ----------
    title, subtitle : str
        What is seen, and under what conditions (the learning-rate rule, for one). HTML tags, no LaTeX: only
        these look the same in JupyterLab, Voila and the exported page.
    **layout
        Anything else for `update_layout`.
    """
    made = Figure()
    made.update_layout(template=LIGHT, title={"text": title, "subtitle": {"text": subtitle}}, **layout)
    return made


def colour(family: str, index: int = 0) -> str:
    """Give the family's colour; an unknown family takes one of the others."""
    return FAMILY_COLOURS.get(family, SEQUENCE[(index + 2) % len(SEQUENCE)])


def symbol(family: str, method: str = "ngram") -> str:
    """Give the marker: shape by family, open for codebooks."""
    shape = FAMILY_SYMBOLS.get(family, "triangle-up")
    return shape if method == "ngram" else f"{shape}-open"


def dash(method: str) -> str:
    """Give the line's dash for a method."""
    return METHOD_DASHES.get(method, "dashdot")


def series_name(method: str | None = None, family: str | None = None) -> str:
    """Name a series as a person would: `LLaMA, n-grams`."""
    parts = [
        FAMILY_NAMES.get(family, family) if family else "",
        METHOD_NAMES.get(method, method) if method else "",
    ]
    return ", ".join(dict.fromkeys(part for part in parts if part))


def by_series(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Give (method, family, rows) for each series of a frame, in order of appearance."""
    for (method, family), part in frame.groupby(["method", "family"], sort=False):
        yield str(method), str(family), part


def faded(hex_colour: str, alpha: float) -> str:
    """Give a colour of the palette with an opacity, as plotly's fills want it."""
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def short(value: float, digits: int = 3) -> str:
    """Write a count as people say it: 6.74k, 390k, 1.2M, 58.1M.

    Parameters
    ----------
    value : float
        Parameters, pairs or FLOPs.
    digits : int
        Significant digits.
    """
    if not math.isfinite(value):
        return "–"
    for power, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.{digits}g}{unit}"
    return f"{value:.{digits}g}"


def log_ticks(low: float, high: float, *, crowd: int = 1) -> dict[str, Any]:
    """Lay ticks on a logarithmic axis at 1, 2 and 5 times the powers of ten, written short.

    Fewer are kept (1 and 3, then powers alone) when the axis spans many decades, or when `crowd` panels stand
    side by side.
    """
    decades = math.log10(high / low) * (1 + 0.8 * (crowd - 1))
    steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 5 else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    values = [s * 10.0**p for p in powers for s in steps]
    return {"tickmode": "array", "tickvals": values, "ticktext": [short(v) for v in values], "tickangle": 0}


def log_range(values: Iterable[float], pad: float = 0.06) -> tuple[float, float]:
    """Give the range of a logarithmic axis in decades, a little wider than the data."""
    logs = [math.log10(v) for v in values if v > 0 and math.isfinite(v)]
    low, high = min(logs), max(logs)
    room = max((high - low) * pad, 0.05)
    return low - room, high + room


def log_axis(values: Iterable[float], title: str, *, crowd: int = 1) -> dict[str, Any]:
    """Describe a logarithmic axis: range, ticks and title; `crowd` panels stand side by side."""
    low, high = log_range(values)
    ticks = log_ticks(10**low, 10**high, crowd=crowd)
    return {"type": "log", "range": [low, high], "title": {"text": title}, **ticks}
