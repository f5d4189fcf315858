"""The page of a study: its state, its key figures, its answers, its reports, its cells."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from genret_core.files import atomic
from genret_core.readable import last_lines, readable
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.report.cell_rows import BROKEN, Row, cell_rows, columns_of, counts, data
from genret_core.workbench.report.chart import Chart, svg
from genret_core.workbench.report.facts import commit, machine, seconds, when
from genret_core.workbench.report.policy import policy
from genret_core.workbench.report.sentences import message_to_html, sentence_to_html

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).parent / "templates"
DATA = ("study.yaml", "cells.parquet", "results.parquet")
FIRST = 100  # rows that are in the page as such; a script shows the others when they are asked for
LOGS = 20  # failures whose last lines are shown; of more, the log is linked


def write_index(
    study_folder: str | os.PathLike[str],
    *,
    title: str,
    note: str | None,
    status: Mapping[str, Any],
    cells: pd.DataFrame,
    results: pd.DataFrame,
    notebooks: Sequence[RunRecord],
    summary: Mapping[str, Any],
    charts: Sequence[Chart] = (),
) -> Path:
    """Write `index.html` of a study: one file, no requests, links only to files beside it.

    Parameters
    ----------
    study_folder : path-like
        The study's folder.
    title : str
        Its name.
    note : str or None
        A sentence shown on top (of a preset for looking around, say).
    status : mapping
        `state`, and as known `reason`, `started`, `ended` or `updated` (UTC, ISO 8601), and `provenance`.
        While it runs also `written` (when this page was made), `every` (seconds to the next one), `left`
        (seconds that the rest may take) and `command` (what goes on with it).
    cells : DataFrame
        A row per cell of the study, as in `cells.parquet`, with `state` and `reason` where one is not done,
        `now` (what it is doing) and `log` (where that lies in the folder) where known.
    results : DataFrame
        Tidy results, as in `results.parquet`; may be empty.
    notebooks : sequence of RunRecord
        In the order in which they are to be listed.
    summary : mapping
        `sentences`: what was found, a little markdown allowed; `figures`: a few (label, value, detail).
    charts : sequence of Chart
        Key figures.

    Returns
    -------
    Path
        The page.
    """
    folder = Path(study_folder)
    rows, beam = cell_rows(cells, results)
    columns = columns_of(rows)
    state = str(status.get("state", ""))
    environment = _environment()
    style, script = (environment.get_template(f"index.{kind}.j2").render() for kind in ("css", "js"))
    live = {key: status.get(key) for key in ("written", "every", "command")} if state == "running" else None
    logs = any(row.log for row in rows)
    told = {"first": FIRST, "study": readable(title, 80), "logs": logs, "live": live}
    page = environment.get_template("index.html.j2").render(
        policy=policy([script], styles=[style]),
        style=Markup(style),
        script=Markup(script),
        table=_json({**data(rows, columns), **told}),
        title=readable(title, 200),
        note=readable(note) if note else None,
        status={"state": state, "reason": _message(status.get("reason"))},
        live=live,
        left=seconds(status["left"]) if live and status.get("left") else "",
        facts=_facts(status),
        sentences=[Markup(sentence_to_html(text)) for text in summary.get("sentences", ())],
        figures=[
            (str(label), str(value), str(detail or "")) for label, value, detail in summary.get("figures", ())
        ],
        charts=[(one, Markup(svg(one))) for one in charts],
        notebooks=[_notebook(record, folder) for record in notebooks],
        failures=_failures(rows, notebooks, folder),
        columns=columns,
        logs=logs,
        newline=Markup("\n"),
        beam=beam,
        rows=rows[:FIRST],
        total=len(rows),
        counts=counts(rows),
        running=[row for row in rows if row.state == "running"][:64] if live else [],
        data=[name for name in DATA if (folder / name).is_file()],
    )
    path = folder / "index.html"
    with atomic(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader([TEMPLATES, TEMPLATES / "report"])
    return jinja2.Environment(
        loader=loader,
        finalize=lambda value: readable(value) if type(value) is str else value,  # whatever is filled in
        autoescape=lambda name: name is not None and ".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _json(value: Any) -> Markup:
    """Write data for a page: no text in it can end the element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _message(text: str | None) -> Markup | None:
    return Markup(message_to_html(text)) if text else None


def _facts(status: Mapping[str, Any]) -> list[str]:
    origin = status.get("provenance") or {}
    begun, ended = status.get("started"), status.get("ended") or status.get("updated")
    words = [when(ended or begun)]
    if origin:
        words += [
            machine(origin),
            f"Python {origin.get('python')}" if origin.get("python") else "",
            commit(origin),
        ]
    return [readable(word) for word in words if word]


def _notebook(record: RunRecord, folder: Path) -> dict[str, Any]:
    return {
        "name": readable(record.name, 80),
        "title": readable(record.title or record.name, 300),
        "link": _link(record.report, folder),
        "state": record.state,
        "answer": Markup(sentence_to_html(record.answer)) if record.answer else None,
        "reason": _message(record.reason),
        "took": seconds(record.seconds) if record.seconds else "",
    }


def _failures(rows: Sequence[Row], notebooks: Sequence[RunRecord], folder: Path) -> list[dict[str, Any]]:
    """List what failed: why, its log, and the end of that."""
    found: list[dict[str, Any]] = [
        {"state": row.state, "label": row.label, "told": _message(row.reason), "log": row.log}
        for row in rows
        if row.broken
    ]
    found += [
        {
            "state": record.state,
            "label": readable(record.name, 80),
            "told": _message(record.reason),
            "log": _link(record.folder / "log.txt", folder),
        }
        for record in notebooks
        if record.state in BROKEN
    ]
    for one, path in zip(found[:LOGS], _logs(rows, notebooks, folder), strict=False):
        one["lines"] = last_lines(path)
    return found


def _logs(rows: Sequence[Row], notebooks: Sequence[RunRecord], folder: Path) -> list[Path]:
    cells = [folder / "cells" / row.key / "log.txt" for row in rows if row.broken]
    return cells + [record.folder / "log.txt" for record in notebooks if record.state in BROKEN]


def _link(path: Path, folder: Path) -> str | None:
    return quote(Path(os.path.relpath(path, folder)).as_posix()) if path.is_file() else None
