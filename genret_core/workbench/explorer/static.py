"""What stands for the explorer where there is no kernel: figure, table and verdicts."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import plotly.graph_objects as go

from genret_core.scaling.wording import interval_text, number
from genret_core.workbench.explorer import parameter_table, theme, verdict_strip, view_parts
from genret_core.workbench.explorer.prose import readable
from genret_core.workbench.explorer.view import picture
from genret_core.workbench.explorer.view_traces import Height, Look
from genret_core.workbench.figures import style

PLOTLY = "application/vnd.plotly.v1+json"
FIGURE, ROW, TALL_ROW = 380, 27, 46  # heights in pixels: of the axes, a row, one that wraps or has an index
AXIS = 70  # between the axes and the table: ticks and title
MARGIN = {"t": 104, "b": 16, "l": 72}
CHARACTERS = 150  # of the subtitle
HEAD = ("", "what it is", "estimate", "68 % interval", "95 % interval")


def bundle(shown: Any) -> dict[str, Any]:
    """Give the stand-in by mimetype: the figure for pages that draw it, a table for those that do not."""
    from plotly.io import to_json

    drawn = json.loads(to_json(figure(shown)))
    drawn["config"] = view_parts.CONFIG
    return {PLOTLY: drawn, "text/html": html(shown), "text/plain": plain(shown)}


def figure(shown: Any) -> style.Figure:
    """Draw what the explorer shows as a figure that needs no kernel, its parameters in a table below."""
    look, height = Look(shown.source), Height(shown)
    drawn = picture(shown, look, height)
    table = _table(shown)
    below = ROW + TALL_ROW * len(table.cells.values[0]) + 4
    plot = FIGURE + AXIS + below
    tall = plot + MARGIN["t"] + MARGIN["b"]
    made = style.Figure()
    for values in drawn["series"]:
        for part, trace in view_parts.slot().items():
            made.add_trace(trace.update(values[part]))
    for name, trace in view_parts.singles().items():
        values = drawn["single"].get(name, {})
        if len(values.get("x", ())) or name == "rho":
            made.add_trace(trace.update(values))
    table.domain = {"x": [0, 1], "y": [0, below / plot]}
    made.add_trace(table)
    made.update_layout(view_parts.layout(tall))
    made.update_layout(drawn["layout"])
    made.update_layout(
        title={"text": escape(title(shown)), "subtitle": {"text": escape(_shortened(words(shown)))}},
        margin=MARGIN,
        yaxis={"domain": [(below + AXIS) / plot, 1]},
        xaxis={"anchor": "y"},
        dragmode="zoom",
    )
    return made


def html(shown: Any) -> str:
    """Give the table, the verdicts in words and what was left out, as HTML."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in _head(shown))
    body = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells in _cells(shown)
    )
    told = [readable(f"{verdict.message} {verdict.help}") for verdict in shown.verdicts]
    said = "".join(f"<li>{escape(one)}</li>" for one in told)
    answer = escape(readable(sentence(shown)))
    return (
        f'<div class="genret-table"><p><strong>{escape(title(shown))}</strong> {answer}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{parameter_table.facts_html(shown)}</p>{f'<ul>{said}</ul>' if said else ''}</div>"
    )


def plain(shown: Any) -> str:
    """Give it as text."""
    return f"{title(shown)}. {sentence(shown)} {words(shown)}".strip()


def title(shown: Any) -> str:
    """Name what is in focus, and the law."""
    from genret_core.scaling import get_law

    label = str(shown.source.label(shown.state.focus))
    return f"{shown.source.name}: {label}, {get_law(shown.state.law).title}"


def sentence(shown: Any) -> str:
    """Answer in one sentence, or say why there is none."""
    return str(shown.why if shown.fit is None else shown.fit.sentence())


def words(shown: Any) -> str:
    """Give the words of the verdict strip."""
    return " · ".join(f"{theme.TONES[tone][0]} {said}" for tone, said, _ in verdict_strip.words(shown))


def _shortened(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1].rsplit(" · ", 1)[0] + " …"


def _head(shown: Any) -> list[str]:
    return [*HEAD[:4], f"{100 * shown.state.level:g} % interval"]


def _cells(shown: Any) -> list[tuple[str, ...]]:
    if shown.fit is None:
        return []
    cells: list[tuple[str, ...]] = []
    for row in parameter_table.rows(shown.fit, shown.state.level):
        inner, outer = (
            "none" if one is None else escape(interval_text(one, row.value)) for one in (row.inner, row.outer)
        )
        width = None if row.outer is None else row.outer.width or None
        value = number(row.value, width) if row.identified else "not identified"
        cells.append((row.symbol, *map(readable, (escape(row.meaning), escape(value), inner, outer))))
    return cells


def _table(shown: Any) -> go.Table:
    columns = [list(column) for column in zip(*_cells(shown), strict=True)] or [[] for _ in HEAD]
    grey = [theme.FAINT if value == "not identified" else theme.INK for value in columns[2]]
    inks = [theme.INK, theme.SOFT, grey, theme.INK, theme.INK]
    return go.Table(
        columnwidth=[1, 4, 2, 3, 3],
        header={
            "values": _head(shown),
            "align": "left",
            "fill": {"color": theme.RAISED},
            "font": {"color": theme.SOFT, "size": 12},
            "line": {"color": theme.LINE},
            "height": ROW,
        },
        cells={
            "values": columns,
            "align": "left",
            "fill": {"color": "#ffffff"},
            "font": {"color": inks, "size": 13},
            "line": {"color": theme.LINE},
            "height": ROW,
        },
    )
