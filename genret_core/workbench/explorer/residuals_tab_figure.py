"""The figure of the residuals' tab: residuals along x, and the exponent without each row."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from genret_core.scaling.influence.rows import influential, outliers, watched_parameters
from genret_core.scaling.verdicts import LEVEL
from genret_core.scaling.wording import number
from genret_core.workbench.explorer.tab_stage import SHADE, heading, line_at
from genret_core.workbench.explorer.theme import symbol_html
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit
    from genret_core.scaling.influence.rows import Influence, RowInfluence

MOST = 14  # rows in the lower panel: those that move the exponent most
FARTHEST = 8.0  # studentised residuals beyond are drawn there, with their value beside them
LIMIT = 2.0  # studentised residuals beyond which a row is worth a look
MARKS = {
    "": (style.BLUE, "circle"),
    "outlier": (style.VERMILLION, "diamond"),
    "influential": (style.ORANGE, "square"),
    "outlier, influential": (style.VERMILLION, "star"),
}

Drawing = tuple[list[dict[str, Any]], dict[str, Any]]


def drawing(f: Fit | None, found: Influence | None, rows: pd.DataFrame) -> Drawing:
    """Give traces and layout; `rows`: all rows of the series, with `row`, `x`, `name`, `used`."""
    names = {int(row): str(name) for row, name in zip(rows["row"], rows["name"], strict=True)}
    every = () if found is None else found.rows
    kinds = {} if found is None else _kinds(found)
    studentised = any(np.isfinite(one.t) for one in every)
    values = [one.t if studentised else one.residual for one in every]
    finite = [abs(v) for v in values if np.isfinite(v)]
    reach = 1.25 * max([*finite, LIMIT if studentised else 0.0]) or 1.0
    if studentised:
        reach = min(reach, FARTHEST)
        values = [float(np.clip(value, -reach, reach)) for value in values]
    out = rows[~rows["used"]]
    traces = [
        _residuals(every, values, kinds, names, studentised),
        _left_out(out, reach, names),
        *_moves(f, found, kinds, names),
    ]
    x = [float(v) for v in rows["x"] if 0 < v < np.inf]
    axis = style.log_axis(x, "") if x else {}
    title = "studentised residual" if studentised else "residual"
    layout: dict[str, Any] = {
        "margin": {"l": 54, "r": 10, "t": 24, "b": 42},
        "xaxis": {
            **axis,
            "domain": [0.0, 1.0],
            "anchor": "y",
            "title": {"text": "" if found is None else escape(found.names["x"]), "font": {"size": 12}},
        },
        "yaxis": {
            "domain": [0.56, 1.0],
            "range": [-1.3 * reach, 1.15 * reach],
            "anchor": "x",
            "title": {"text": title, "font": {"size": 12}},
            "exponentformat": "power",
        },
        "shapes": [line_at("y", 0.0, dash="solid")],
        "annotations": [heading("<b>How far each row lies from the curve</b>")],
    }
    if studentised:
        layout["shapes"] += [line_at("y", side * LIMIT) for side in (-1.0, 1.0)]
    axes, shapes, notes = _right(f, found, names)
    layout |= axes
    layout["shapes"] += shapes
    layout["annotations"] += notes
    return traces, layout


def _kinds(found: Influence) -> dict[int, str]:
    far, pulling = set(outliers(found)), set(influential(found))
    return {
        one.row: ", ".join(
            word for word, rows in (("outlier", far), ("influential", pulling)) if one.row in rows
        )
        for one in found.rows
    }


def _named(row: int, names: dict[int, str]) -> str:
    name = names.get(row, "")
    return f"<b>{escape(name)}</b> (row {row})" if name else f"<b>row {row}</b>"


def _residuals(
    every: tuple[RowInfluence, ...] | tuple[()],
    values: list[float],
    kinds: dict[int, str],
    names: dict[int, str],
    studentised: bool,
) -> dict[str, Any]:
    text = []
    for one in every:
        lines = [
            _named(one.row, names) + (f" <i>{kinds[one.row]}</i>" if kinds[one.row] else ""),
            f"measured {number(one.y)}, curve {number(one.fitted)}, difference {one.residual:+.3g}",
        ]
        if np.isfinite(one.t):
            lines.append(f"t = {one.t:+.2f}, p = {one.p:.2g} among all rows")
        if np.isfinite(one.leverage):
            lines.append(f"holds its own fitted value by {one.leverage:.0%}")
        lines.append("<i>click to leave it out</i>")
        text.append("<br>".join(lines))
    marks = [MARKS[kinds[one.row]] for one in every]
    undefined = [not np.isfinite(value) for value in values]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": "rows",
        "x": [one.x for one in every],
        "y": [0.0 if bad else value for value, bad in zip(values, undefined, strict=True)],
        "customdata": [[one.row] for one in every],
        "hovertext": [
            told + ("<br>undefined: the curve goes through it" if bad and studentised else "")
            for told, bad in zip(text, undefined, strict=True)
        ],
        "text": [f" t = {one.t:.3g}" if studentised and abs(one.t) > FARTHEST else "" for one in every],
        "textposition": "middle right",
        "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {
            "size": 11,
            "color": [colour for colour, _ in marks],
            "symbol": [
                f"{symbol}-open" if bad else symbol for (_, symbol), bad in zip(marks, undefined, strict=True)
            ],
            "line": {"width": 1.5, "color": [colour for colour, _ in marks]},
        },
        "xaxis": "x",
        "yaxis": "y",
    }


def _left_out(out: pd.DataFrame, reach: float, names: dict[int, str]) -> dict[str, Any]:
    told = [
        f"{_named(int(row), names)}<br>not fitted: {escape(reason)}"
        + ("<br><i>click to take it back</i>" if by_hand else "")
        for row, reason, by_hand in zip(out["row"], out["reason"], out["left_out"], strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "left out",
        "x": out["x"].tolist(),
        "y": [-1.2 * reach] * len(out),
        "customdata": [[int(row)] for row in out["row"]],
        "text": told,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 10, "color": style.GREY, "symbol": "circle-open", "line": {"width": 1.5}},
        "xaxis": "x",
        "yaxis": "y",
    }


def _ordered(found: Influence | None) -> list[RowInfluence]:
    """Give the rows of the lower panel, from its bottom: in their order, or those that move it most."""
    if found is None:
        return []
    rows = list(found.rows)
    if len(rows) > MOST:
        rows = sorted(rows, key=lambda one: -np.nan_to_num(abs(one.shift), nan=0.0, posinf=1e9))[:MOST]
        return rows[::-1]
    return sorted(rows, key=lambda one: -one.row)


def _moves(
    f: Fit | None, found: Influence | None, kinds: dict[int, str], names: dict[int, str]
) -> list[dict[str, Any]]:
    """Give the bars from the exponent of all rows to that without each, and their ends."""
    on = {"type": "scatter", "xaxis": "x2", "yaxis": "y2"}
    bars: dict[str, list[Any]] = {"x": [], "y": []}
    ends: dict[str, list[Any]] = {"x": [], "y": [], "row": [], "text": [], "colour": [], "symbol": []}
    if f is not None and found is not None:
        p = watched_parameters(f.law)[0]
        here = f.params[p.name]
        for i, one in enumerate(_ordered(found)):
            there = one.without.get(p.name, np.nan)
            colour, symbol = MARKS[kinds[one.row]]
            edge = p.name in one.at_edge
            if np.isfinite(there) and np.isfinite(here):
                bars["x"] += [here, there, None]
                bars["y"] += [i, i, None]
            said = (
                f"without it {p.symbol} = {number(there)}"
                if np.isfinite(there)
                else "without it: no exponent"
            )
            if edge:
                said += ", at an edge of the search: no estimate"
            moved = f"<br>{abs(one.shift):.2g} half-widths away" if np.isfinite(one.shift) else ""
            ends["x"].append(there if np.isfinite(there) else None)
            ends["y"].append(i)
            ends["row"].append([one.row])
            ends["text"].append(f"{_named(one.row, names)}<br>{said}{moved}<br><i>click to leave it out</i>")
            ends["colour"].append(colour)
            ends["symbol"].append(f"{symbol}-open" if edge else symbol)
    return [
        {**on, "mode": "lines", **bars, "line": {"color": style.SKY, "width": 5}, "hoverinfo": "skip"},
        {
            **on,
            "mode": "markers",
            "x": ends["x"],
            "y": ends["y"],
            "customdata": ends["row"],
            "text": ends["text"],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {
                "size": 10,
                "color": ends["colour"],
                "symbol": ends["symbol"],
                "line": {"width": 1.5, "color": ends["colour"]},
            },
        },
    ]


def _right(
    f: Fit | None, found: Influence | None, names: dict[int, str]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    rows = _ordered(found)
    symbol, shapes = "exponent", []
    span: list[float] = []
    if f is not None and found is not None:
        p = watched_parameters(f.law)[0]
        symbol, here = p.symbol, f.params[p.name]
        interval = f.interval(p.name, LEVEL)
        span = [one.without[p.name] for one in rows if np.isfinite(one.without.get(p.name, np.nan))]
        if np.isfinite(here):
            span.append(here)
            shapes.append(line_at("x", here, x=2, dash="solid", colour=style.BLUE))
        ends = [] if interval is None else [e for e in (interval.lo, interval.hi) if e is not None]
        span += ends
        if interval is not None and span:
            room = 0.1 * (max(span) - min(span) or 1.0)
            low = min(span) - room if interval.lo is None else interval.lo
            high = max(span) + room if interval.hi is None else interval.hi
            box = {"type": "rect", "xref": "x2", "yref": "y2 domain", "x0": low, "x1": high, "y0": 0, "y1": 1}
            shapes.append({**box, "fillcolor": SHADE, "line": {"width": 0}, "layer": "below"})
    room = 0.08 * ((max(span) - min(span)) or abs(span[0]) or 1.0) if span else 0.0
    more = f", the {MOST} that move it most" if found is not None and len(found.rows) > MOST else ""
    axes = {
        "xaxis2": {
            "domain": [0.16, 1.0],
            "anchor": "y2",
            "range": [min(span) - room, max(span) + room] if span else [0, 1],
            "title": {"text": f"{symbol_html(symbol)} without the row", "font": {"size": 12}},
            "nticks": 5,
        },
        "yaxis2": {
            "domain": [0.0, 0.40],
            "anchor": "x2",
            "range": [-0.6, max(len(rows), 1) - 0.4],
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": [escape(_short(names.get(one.row) or f"row {one.row}")) for one in rows],
            "tickfont": {"size": 11},
            "showgrid": False,
        },
    }
    return axes, shapes, [heading(f"<b>{symbol_html(symbol)} without each row</b>{more}", 2)]


def _short(name: str, length: int = 18) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
