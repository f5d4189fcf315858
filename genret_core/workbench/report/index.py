"""The page of a study: its state, its answers, its reports, its cells."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from genret_core.files import atomic
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.report.facts import commit, machine, seconds, when
from genret_core.workbench.report.prose import message_to_html, sentence_to_html

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).parent / "templates"
STATES = ("failed", "killed", "timeout", "running", "queued", "done")  # what needs looking at comes first
DATA = ("study.yaml", "cells.parquet", "results.parquet")
METRICS = ("CGL", "rho", "R@100", "MR@5")
SPLITS = ("seen", "unseen", "validation")


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
    cells : DataFrame
        A row per cell of the study, as in `cells.parquet`, with `state` and `reason` where one is not done.
    results : DataFrame
        Tidy results, as in `results.parquet`; may be empty.
    notebooks : sequence of RunRecord
        In the order in which they are to be listed.
    summary : mapping
        `sentences`: what was found, a little markdown allowed; `figures`: a few (label, value, detail).

    Returns
    -------
    Path
        The page.
    """
    folder = Path(study_folder)
    beam = _common_beam(results)
    rows = _rows(cells, _metrics(results, beam))
    page = (
        _environment()
        .get_template("index.html.j2")
        .render(
            title=title,
            note=note,
            status={"state": status.get("state", ""), "reason": _message(status.get("reason"))},
            facts=_facts(status),
            sentences=[Markup(sentence_to_html(text)) for text in summary.get("sentences", ())],
            figures=[
                (str(label), str(value), str(detail or ""))
                for label, value, detail in summary.get("figures", ())
            ],
            notebooks=[_notebook(record, folder) for record in notebooks],
            columns=[
                column for column in COLUMNS if column[0] in ("state", "backbone") or _any(rows, column[0])
            ],
            beam=beam,
            rows=rows,
            failed=[row for row in rows if row["values"]["state"][0] in ("failed", "killed", "timeout")],
            counts=_counts(rows),
            data=[name for name in DATA if (folder / name).is_file()],
        )
    )
    path = folder / "index.html"
    with atomic(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


# name of the value, heading, explanation, whether it is a number
COLUMNS = (
    ("state", "state", "done, or why not", False),
    ("method", "method", "how documents are named", False),
    ("family", "family", "decoder-only (llama) or encoder-decoder (t5)", False),
    ("backbone", "backbone", "the model's size", False),
    ("P", "P", "non-embedding parameters", True),
    ("D", "D", "query-identifier pairs it was trained on", True),
    ("fraction", "fraction", "of the training queries", True),
    ("seed", "seed", "of its initial weights and of the order of its data", True),
    ("CGL", "CGL", "contrastive generation loss: lower is better", True),
    ("rho", "ρ", "positive over mean negative loss: 1 is chance", True),
    ("R@100", "R@100", "recall at 100", True),
    ("MR@5", "MR@5", "miss rate at 5: lower is better", True),
    ("train_seconds", "time", "of training", True),
)


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader([TEMPLATES, TEMPLATES / "report"])
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


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
    return [word for word in words if word]


def _notebook(record: RunRecord, folder: Path) -> dict[str, Any]:
    report = record.report
    link = quote(Path(os.path.relpath(report, folder)).as_posix()) if report.is_file() else None
    return {
        "name": record.name,
        "title": record.title or record.name,
        "link": link,
        "state": record.state,
        "answer": Markup(sentence_to_html(record.answer)) if record.answer else None,
        "reason": _message(record.reason),
        "took": seconds(record.seconds) if record.seconds else "",
    }


def _common_beam(results: pd.DataFrame) -> int | None:
    """Choose the beam that most cells were searched with (the widest of several), to compare cells at."""
    searched = results[results["beam"].notna()] if "beam" in results else results.iloc[:0]
    if searched.empty:
        return None
    cells = searched.groupby("beam")["cell"].nunique()
    return int(cells[cells == cells.max()].index.max())


def _metrics(results: pd.DataFrame, beam: int | None) -> dict[str, dict[str, float]]:
    """Give each cell one value per metric: of the first split there is, searches at `beam`."""
    found: dict[str, dict[str, float]] = {}
    if results.empty:
        return found
    rows = results[results["metric"].isin(METRICS)]
    if "variant" in rows:
        rows = rows[rows["variant"].isna() | (rows["variant"] == "default")]
    rank = {split: place for place, split in enumerate(SPLITS)}
    if "beam" in rows:
        rows = rows[rows["beam"].isna() | (rows["beam"] == beam)]
    rows = rows.assign(_rank=rows["split"].map(rank).fillna(len(rank))).sort_values("_rank", kind="stable")
    for cell, metric, value in zip(rows["cell"], rows["metric"], rows["value"], strict=True):
        found.setdefault(str(cell), {}).setdefault(str(metric), float(value))
    return found


def _rows(cells: pd.DataFrame, metrics: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Turn cells into rows of (shown, sorted by), failed ones first."""
    rows = []
    for given in cells.to_dict("records"):
        values = {str(name): value for name, value in given.items()}
        values.update(metrics.get(str(values.get("cell")), {}))
        state = values.get("state")
        values["state"] = state if isinstance(state, str) and state else "done"
        reason = values.get("reason")
        row: dict[str, Any] = {name: _shown(name, values.get(name)) for name, *_ in COLUMNS}
        label = ", ".join(row[name][0] for name in ("backbone", "method") if row[name][0])
        label += f", fraction {row['fraction'][0]}, seed {row['seed'][0]}" if row["fraction"][0] else ""
        reason = reason if isinstance(reason, str) else ""
        told = _message(reason)
        rows.append(
            {"values": row, "label": label, "reason": reason, "told": told, "key": values.get("cell", "")}
        )
    order = {state: place for place, state in enumerate(STATES)}
    return sorted(rows, key=lambda row: order.get(row["values"]["state"][0], -1))


def _shown(name: str, value: Any) -> tuple[str, str]:
    """Give a value as it is shown and as it is sorted by."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "", ""
    if isinstance(value, str):
        return value, value
    number = float(value)
    if math.isnan(number):
        return "", ""
    if name in ("P", "D"):
        return f"{number:,.0f}", repr(number)
    if name == "train_seconds":
        return seconds(number), repr(number)
    if name in METRICS:
        return f"{number:.{5 if name == 'CGL' else 3}f}", repr(number)
    return f"{number:.4g}", repr(number)


def _any(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(row["values"][name][0] for row in rows)


def _counts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    states = [row["values"]["state"][0] for row in rows]
    return [(state, states.count(state)) for state in dict.fromkeys([*STATES, *states]) if state in states]
