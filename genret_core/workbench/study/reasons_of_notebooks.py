"""What notebooks of a study will run and why: each against its latest run (`--dry-run`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling import StudyFolder
from genret_core.workbench.notebook.record import RunRecord, open_run
from genret_core.workbench.params import check
from genret_core.workbench.study.changes import differences, listed
from genret_core.workbench.study.notebooks import (
    given_parameters,
    notebook_file,
    notebook_folder,
    reads_of,
)
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.reasons import Reason

READ = {"inputs": "its inputs", "rows": "the rows that it reads", "study": "the study's file"}


def reasons_of_notebooks(
    here: Place, chosen: Sequence[str], *, retry_failed: bool = False, cells_run: int = 0
) -> list[Reason]:
    """Say of each chosen notebook whether it will run and why.

    Parameters
    ----------
    here : Place
    chosen : sequence of str
        Names.
    retry_failed : bool
        Whether those that failed before are tried again.
    cells_run : int
        Cells that will run before them, which changes what they read.
    """
    reads = reads_of(here)
    return [_reason(here, name, reads, retry_failed, cells_run) for name in chosen]


def _reason(here: Place, name: str, reads: dict[str, str], retry_failed: bool, cells_run: int) -> Reason:
    folder = notebook_folder(here, name, reads)
    earlier = _latest(here, name)
    if earlier is None:
        return Reason(name, True, "never_ran", "never ran")
    if cells_run:
        some = "1 cell runs" if cells_run == 1 else f"{cells_run} cells run"
        return Reason(name, True, "rows", f"the rows that it reads will change: {some} first")
    if not (folder / "status.json").is_file():
        return Reason(name, True, *_difference(here, name, earlier, reads))
    record = open_run(folder)
    if record.done and record.report.is_file():
        return Reason(name, False, "done", "done")
    if record.done:
        return Reason(name, True, "report", "its report is not there")
    if record.state == "failed":
        if retry_failed:
            return Reason(name, True, "failed", f"failed before: {record.reason}")
        return Reason(
            name, False, "failed", f"failed before (--retry-failed tries it again): {record.reason}"
        )
    return Reason(name, True, record.state, record.reason or f"{record.state} before")


def _latest(here: Place, name: str) -> RunRecord | None:
    runs = []
    for path in StudyFolder(here.folder).notebooks.glob(f"{name}-????????/status.json"):
        try:
            runs.append(open_run(path.parent))
        except BadInput:
            continue
    return max(runs, key=lambda run: run.started or "", default=None)


def _difference(here: Place, name: str, earlier: RunRecord, reads: dict[str, str]) -> tuple[str, str]:
    """Say what differs between a notebook's latest run and what it would be now."""
    told, kinds = [], []
    source = notebook_file(name)
    if source_of(earlier.notebook) != source_of(source):
        told.append("its source changed")
        kinds.append("source")
    now = _plain({**check(given_parameters(here, name), source), "study_dir": ""})
    changes = differences(_plain({**earlier.parameters, "study_dir": ""}), now) if earlier.parameters else []
    if changes:
        told.append(f"its parameters changed: {listed(changes)}")
        kinds.append("parameters")
    for key, what in READ.items():
        if earlier.inputs.get(key) != reads.get(key):
            told.append(f"{what} changed")
            kinds.append("rows" if key != "inputs" else "inputs")
    return (kinds[0], "; ".join(told)) if told else ("never_ran", "never ran with these parameters")


def source_of(notebook: Path) -> list[tuple[str, str]]:
    """Read a notebook's cells, without the one that papermill put in."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []
    return [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in cells
        if "injected-parameters" not in cell.get("metadata", {}).get("tags", ())
    ]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return found
