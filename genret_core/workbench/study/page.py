"""The index page of a study, from what lies in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import StudyFolder
from genret_core.provenance import provenance
from genret_core.workbench.notebook.record import RunRecord, now
from genret_core.workbench.pool.progress import duration
from genret_core.workbench.report.chart import Chart
from genret_core.workbench.runs import Study
from genret_core.workbench.study.key_figures import key_figures
from genret_core.workbench.study.notebooks import finished_notebooks
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.standing import Onlooker

LIVE = '<p id="live"'  # what only the page of a study that runs has
NOTHING = pd.DataFrame(), pd.DataFrame(columns=["cell", "metric", "value", "split"])
REPORTS = {"model-size": "05_model_size", "data-size": "06_data_size", "inference": "08_inference_compute"}


def write_page(study: Study, notebooks: Sequence[RunRecord]) -> Path:
    """Write `index.html`: state, key figures, answers, reports and cells of a study.

    Parameters
    ----------
    study : Study
    notebooks : sequence of RunRecord
        Those that were just run; of the others of the study the latest run is listed.
    """
    try:
        status = read_json(study.layout.status_file)
    except (OSError, ValueError):
        status = {"state": "queued"}
    try:
        tables = study.cells, study.results
    except BadInput:
        tables = NOTHING
    just = {record.name: record for record in notebooks}
    known = {record.name: record for record in finished_notebooks(Place(study.spec, study.folder))}
    order = [name for name in study.spec.notebooks if name in {**known, **just}]
    return _write(study, status, study.progress(), tables, [({**known, **just})[name] for name in order])


def write_live_page(onlooker: Onlooker, *, every: float) -> Path:
    """Write the page of a study that runs, with what is done by now; the page follows it by itself.

    Parameters
    ----------
    onlooker : Onlooker
    every : float
        Seconds until the next one.
    """
    seen = onlooker.look()
    live = {"state": "running", "reason": None, "left": seen.left, "every": round(every)}
    status = {**seen.status, **live, "written": now(), "command": onlooker.study.command}
    return _write(onlooker.study, status, seen.cells, onlooker.tables(), seen.notebooks)


def _write(
    study: Study,
    status: Mapping[str, Any],
    cells: pd.DataFrame,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    notebooks: Sequence[RunRecord],
) -> Path:
    from genret_core.workbench.report.index import write_index

    trained, results = tables
    cells["log"] = [_log(study, key) for key in cells["cell"]]
    if not trained.empty:
        known = trained.drop(columns=["method", "backbone", "fraction", "seed"])
        cells = cells.merge(known, on="cell", how="left")
    return write_index(
        study.folder,
        title=study.name,
        note=study.quick_note,
        status={**status, "provenance": provenance()},
        cells=cells,
        results=results,
        notebooks=notebooks,
        summary={"sentences": _answer(notebooks), "figures": _figures(study, cells)},
        charts=_linked(key_figures(results, study.spec.evaluation.splits[0]), notebooks, study.folder),
    )


def up_to_date_page(folder: Path, notebooks: Sequence[RunRecord]) -> Path | None:
    """Give the page if nothing that it shows is newer (making it anew takes longer than all else)."""
    at = StudyFolder(folder)
    page = folder / "index.html"
    shown = [at.study_file, at.cells_table, at.results_table, *(run.folder / "run.json" for run in notebooks)]
    if not page.is_file() or not all(path.is_file() for path in shown):
        return None
    text = page.read_text(encoding="utf-8")
    linked = all(f"{run.folder.name}/" in text for run in notebooks)
    if LIVE in text:
        return None
    newest = max(path.stat().st_mtime_ns for path in shown)
    return page if linked and page.stat().st_mtime_ns > newest else None


def _answer(notebooks: Sequence[RunRecord]) -> list[str]:
    """Take the answer of the summary, the notebook that speaks for the whole study."""
    return [record.answer for record in notebooks if record.name.endswith("summary") and record.answer]


def _figures(study: Study, cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    found = []
    try:
        meta = study.corpus.meta
        found.append(("documents", f"{meta['counts']['documents']:,}", str(meta.get("name", ""))))
    except BadInput:
        pass  # the page of a study that has just begun
    found += [
        ("cells", f"{(cells['state'] == 'done').sum()} of {len(cells)}", "trained, scored and searched"),
    ]
    if "train_seconds" in cells and cells["train_seconds"].notna().any():
        trained = cells.drop_duplicates("cell")["train_seconds"].sum()
        found.append(("training", duration(float(trained)), "by the clock, added up over all cells"))
    return found


def _linked(charts: Sequence[Chart], notebooks: Sequence[RunRecord], folder: Path) -> list[Chart]:
    """Link each figure to the report that asks about it."""
    made = {one.name: one.report for one in notebooks if one.report.is_file()}
    found = []
    for chart in charts:
        report = made.get(REPORTS.get(chart.name, ""))
        link = quote(report.relative_to(folder).as_posix()) if report is not None else ""
        found.append(replace(chart, link=link))
    return found


def _log(study: Study, key: str) -> str | None:
    return f"cells/{key}/log.txt" if key and (study.layout.cell(key) / "log.txt").is_file() else None
