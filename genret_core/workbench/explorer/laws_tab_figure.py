"""The figure of the laws' tab: a small multiple for each law, and the error as more points are held out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.scaling import get_law
from genret_core.scaling.comparison.compare import OF_TWO, WITH_A_BREAK
from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.prose import in_sentence, short_title
from genret_core.workbench.explorer.tab_stage import heading
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.comparison.compare import Comparison
    from genret_core.scaling.comparison.criteria import Judged
    from genret_core.scaling.comparison.held_out import Rollout
    from genret_core.workbench.explorer.state import State

ORDER = ("constant", "log_linear", "power", "exponential")  # then those with a floor, then the bend
COLUMNS, ROWS = 2, 3
SMALL, PANEL = 0.79, 0.54  # shares: small multiples of the height, a panel of its row
ROLLED = [0.0, 0.155]  # where the error of held-out points stands, of the height
PLACES = 80
CLEAR, TINT = "rgba(0,0,0,0)", style.faded(style.BLUE, 0.10)

Drawing = tuple[list[dict[str, Any]], dict[str, Any]]


def drawing(comparison: Comparison | None, rollout: Rollout | None, state: State, amiss: str) -> Drawing:
    """Give traces and layout: always as many panels, so that they are redrawn in place."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": [], "shapes": []}
    slots = _slots(comparison)
    for i in range(COLUMNS * ROWS):
        law, judged, why = slots[i] if i < len(slots) else ("", None, "")
        drawn, axes, notes = _panel(i, law, judged, why, comparison, state)
        traces += drawn
        layout |= axes
        layout["annotations"] += notes
    drawn, axes, notes = _rolled(COLUMNS * ROWS, rollout, state, amiss)
    layout |= axes
    layout["annotations"] += notes
    layout["margin"] = {"l": 6, "r": 6, "t": 22, "b": 40}
    return traces + drawn, layout


def _slots(comparison: Comparison | None) -> list[tuple[str, Judged | None, str]]:
    """Give law, judgement and why there is none, in an order that does not jump as laws change rank."""
    if comparison is None:
        return []
    there = {one.law: one for one in comparison.laws}
    names = [*there, *comparison.left_out]
    bend, least = WITH_A_BREAK
    if len(names) and not any(law in OF_TWO[1:] for law in names) and bend not in names:
        names.append(bend)

    def place(law: str) -> tuple[int, str]:
        known = (*ORDER, *OF_TWO[1:])
        return (known.index(law) if law in known else len(known) + (law == bend), law)

    found = []
    for law in sorted(names, key=place)[: COLUMNS * ROWS]:
        why = comparison.left_out.get(law, "" if law in there else f"asks for {least} points or more")
        found.append((law, there.get(law), why))
    return found


def _domains(i: int) -> tuple[list[float], list[float]]:
    row, column = divmod(i, COLUMNS)
    width, height = 1 / COLUMNS, SMALL / ROWS
    top = 1 - row * height
    return [column * width + 0.01, (column + 1) * width - 0.01], [top - PANEL * height, top]


def _panel(
    i: int, law: str, judged: Judged | None, why: str, comparison: Comparison | None, state: State
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    n = "" if i == 0 else str(i + 1)
    on = {"xaxis": f"x{n}", "yaxis": f"y{n}", "showlegend": False}
    across, up = _domains(i)
    axis = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False, "mirror": True}
    x_axis: dict[str, Any] = {**axis, "domain": across, "anchor": f"y{n}", "type": "linear", "range": [0, 1]}
    y_axis: dict[str, Any] = {**axis, "domain": up, "anchor": f"x{n}", "type": "linear", "range": [0, 1]}
    seen: dict[str, Any] = {"x": [], "y": [], "curve_x": [], "curve_y": []}
    if judged is not None:
        seen, ranges, kind = _points_and_curve(judged.fit, comparison)
        x_axis |= {"range": ranges[0], "type": kind}
        y_axis |= {"range": ranges[1]}
    chosen = bool(law) and law == state.law
    x_axis["linecolor"] = y_axis["linecolor"] = style.BLUE if chosen else theme.LINE
    x_axis["linewidth"] = y_axis["linewidth"] = 2 if chosen else 1
    x_axis["visible"] = y_axis["visible"] = bool(law)
    ends_x, ends_y = x_axis["range"], y_axis["range"]
    cell_x = [10.0**v for v in ends_x] if x_axis["type"] == "log" else ends_x
    colour = TINT if chosen else CLEAR
    traces = [
        {
            "type": "heatmap",
            "name": law if judged is not None else "",
            "x": list(cell_x),
            "y": list(ends_y),
            "z": [[1.0]],
            "colorscale": [[0, colour], [1, colour]],
            "showscale": False,
            "hovertemplate": f"{_hover(judged)}<extra></extra>" if judged is not None else "<extra></extra>",
            "hoverinfo": "skip" if judged is None else "all",
            **on,
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": seen["curve_x"],
            "y": seen["curve_y"],
            "line": {"color": style.BLUE if chosen else style.GREY, "width": 2},
            "hoverinfo": "skip",
            **on,
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": seen["x"],
            "y": seen["y"],
            "marker": {"color": theme.INK, "size": 5},
            "hoverinfo": "skip",
            **on,
        },
    ]
    notes = [] if not law else [heading(f"<b>{escape(short_title(get_law(law).title))}</b>", n)]
    under = _under(judged, comparison) if judged is not None else escape(_wrapped(why)).replace("\n", "<br>")
    colour = theme.INK if judged is not None else theme.SOFT
    place = {"xref": f"x{n} domain", "yref": f"y{n} domain", "x": 0, "y": 0, "yshift": -3}
    shape = {"xanchor": "left", "yanchor": "top", "align": "left", "showarrow": False}
    notes.append({"text": under, **place, **shape, "font": {"size": 11, "color": colour}})
    return traces, {f"xaxis{n}": x_axis, f"yaxis{n}": y_axis}, notes


def _points_and_curve(f: Fit, comparison: Comparison | None) -> tuple[dict[str, Any], list[list[float]], str]:
    """Give points and curve of a law of one argument; predicted against measured for one of two."""
    low, high = float(f.y.min()), float(f.y.max())
    room = 0.12 * (high - low or abs(high) or 1.0)
    span = [low - room, high + room]
    if f.x2 is not None:
        seen = {"x": f.y, "y": f.predict(f.x, f.x2), "curve_x": span, "curve_y": span}
        return seen, [span, span], "linear"
    reach = style.log_range(f.x, 0.08)
    x = np.logspace(*reach, PLACES)
    return {"x": f.x, "y": f.y, "curve_x": x, "curve_y": f.predict(x)}, [list(reach), span], "log"


def _under(judged: Judged, comparison: Comparison | None) -> str:
    best = comparison.best if comparison is not None else {}
    loo, largest = judged.loo.rmse, judged.largest.rmse
    left = "undefined" if loo is None else f"{loo:.2g}"
    out = "undefined" if largest is None else f"{largest:.2g}"
    left, out = (
        f"<b>{text} ★</b>" if best.get(by) == judged.law else text
        for text, by in ((left, "loo"), (out, "largest"))
    )
    AICc = "AICc undefined" if judged.AICc is None else f"AICc {judged.AICc:.1f}"
    if best.get("AICc") == judged.law:
        AICc = f"<b>{AICc} ★</b>"
    return f"error left out {left}<br>at the largest {out} · {AICc}"


def _hover(judged: Judged) -> str:
    f = judged.fit
    lines = [
        f"<b>{escape(f.law.title)}</b>",
        escape(f.law.equation),
        f"{judged.k} parameters, {f.dof} degrees of freedom",
        f"each point left out in turn: {_error(judged.loo.rmse, judged.loo.mape)}",
        f"the largest predicted from the rest: {_error(judged.largest.rmse, judged.largest.mape)}",
        *(
            f"F test against {escape(in_sentence(get_law(test.against).title))}: "
            f"F = {test.F:.3g}, p = {test.p:.2g}"
            for test in judged.tests
        ),
        "<i>click to fit this law</i>",
    ]
    return "<br>".join(lines)


def _error(rmse: float | None, mape: float | None) -> str:
    if rmse is None:
        return "undefined, too few points are left"
    return f"error {rmse:.3g}" + ("" if mape is None else f" ({mape:.2g} %)")


def _wrapped(text: str, width: int = 34) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width)[:3])


def _rolled(
    i: int, rollout: Rollout | None, state: State, amiss: str
) -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    n = str(i + 1)
    on = {"xaxis": f"x{n}", "yaxis": f"y{n}", "showlegend": False}
    held = () if rollout is None else rollout.held
    k = [one.k for one in held]
    largest = [float(abs(one.out.errors[-1])) for one in held]
    each_k = [one.k for one in held for _ in one.out.errors[:-1]]
    each = [float(abs(e)) for one in held for e in one.out.errors[:-1]]
    rows = [int(row) for one in held for row in one.out.rows[:-1]]
    hover = [
        f"the largest {one.k} held out, {one.kept} points fitted<br>"
        f"the largest lies {one.reach:.3g} times beyond; its prediction is off by {one.out.errors[-1]:+.3g}"
        for one in held
    ]
    chosen = [style.VERMILLION if one.k == state.hold_out else style.BLUE for one in held]
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": each_k,
            "y": each,
            "customdata": rows,
            "marker": {"color": style.GREY, "size": 5, "opacity": 0.6},
            "hovertemplate": "row %{customdata}: error %{y:.3g}<extra></extra>",
            **on,
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": k,
            "y": largest,
            "text": hover,
            "marker": {"color": chosen, "size": 9},
            "line": {"color": style.BLUE, "width": 2},
            "hovertemplate": "%{text}<extra></extra>",
            **on,
        },
    ]
    positive = [e for e in (*largest, *each) if e > 0]
    wide = bool(positive) and max(positive) > 30 * min(positive)
    y_range: list[Any] | None = None if positive else [0, 1]
    most = max(k, default=1)
    axes = {
        f"xaxis{n}": {
            "domain": [0.12, 0.98],
            "anchor": f"y{n}",
            "title": {"text": "largest sizes held out", "font": {"size": 12}},
            "tickmode": "linear" if most <= 12 else "auto",
            "tick0": 1,
            "dtick": 1,
            "range": [0.5, most + 0.5],
        },
        f"yaxis{n}": {
            "domain": ROLLED,
            "anchor": f"x{n}",
            "type": "log" if wide else "linear",
            "rangemode": "tozero",
            "autorange": y_range is None,
            "range": y_range or [None, None],
            "exponentformat": "power",
            "nticks": 4,
            "automargin": False,
        },
    }
    title = "<b>Error at the largest point</b> as more of the largest are held out"
    notes = [heading(title, n)]
    said = (
        "" if held else escape(_wrapped(amiss or "Too few points to hold one out.", 60)).replace("\n", "<br>")
    )
    middle = {"xref": f"x{n} domain", "yref": f"y{n} domain", "x": 0.5, "y": 0.5, "showarrow": False}
    notes.append({"text": said, **middle, "font": {"size": 12, "color": theme.SOFT}})
    return traces, axes, notes
