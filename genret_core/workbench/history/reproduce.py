"""`genret reproduce`: a run repeated from what was recorded of it, and compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.provenance import provenance
from genret_core.workbench.history.found import Found
from genret_core.workbench.history.numbers import shown_numbers
from genret_core.workbench.history.shown import provenance_of_study
from genret_core.workbench.history.verdict import Verdict, of_notebooks, of_results
from genret_core.workbench.project import project_root
from genret_core.workbench.runs import Study
from genret_core.workbench.study.changes import Change, differences, listed
from genret_core.workbench.study.choice import Choice
from genret_core.workbench.study.grid import cell_name
from genret_core.workbench.study.notebooks import notebook_file
from genret_core.workbench.study.reasons_of_notebooks import source_of

Say = Callable[[str], None]
NOTE = "reproduces.json"  # in the folder of a repetition: what it repeats
INJECTED = "injected-parameters"


def reproduce(
    found: Found,
    *,
    out: Path | None = None,
    cells: int | None = None,
    seed: int = 0,
    tolerance: float = 1e-6,
    jobs: int | None = None,
    say: Say = print,
) -> Verdict:
    """Run a study, a cell or a notebook again and compare what comes out.

    Parameters
    ----------
    found : Found
        What to repeat. A study is repeated as far as it was done: its finished cells.
    out : Path, optional
        A fresh folder; by default `reproduced/` beside the study. A repetition that was stopped goes on.
    cells : int, optional
        Of a study: repeat only so many cells.
    seed : int
        Of the draw of these.
    tolerance : float
        Relative difference up to which numbers count as the same.
    jobs : int, optional
        Workers.
    say : callable
        Told what happens.

    Raises
    ------
    BadInput
        If nothing is finished that could be repeated, or the folder holds something else.
    """
    folder = (out or found.study.folder.parent / "reproduced").expanduser().resolve()
    if found.kind == "notebook":
        return _notebook(found, folder, tolerance, say)
    if cells is not None and found.kind == "cell":
        raise BadInput("--cells draws from the cells of a study; leave it out for one cell.")
    return _cells(found, folder, cells, seed, tolerance, jobs, say)


# ---- cells ----


def _cells(
    found: Found, out: Path, count: int | None, seed: int, tolerance: float, jobs: int | None, say: Say
) -> Verdict:
    from genret_core.workbench.study.run import run_cells

    study = found.study
    finished = {str(key) for key in study.cells["cell"]}
    plan = [cell for cell in study.plan if cell.key in finished]
    if found.kind == "cell":
        plan = [cell for cell in plan if cell.key == found.folder.name]
    if not plan:
        raise BadInput(
            f"{found.title} has no finished cell that its study.yaml asks for: run `{study.command}` first."
        )
    if count is not None and count < len(plan):
        drawn = np.random.default_rng(seed).choice(len(plan), count, replace=False)
        plan = [plan[i] for i in sorted(drawn)]
    whole = len(plan) == len(study.plan)
    target = out / study.name
    _claim(target, study.folder, say)
    before = provenance_of_study(study)
    origin = _origin_changes(before)
    if origin:
        say(f"warning: not as before: {listed(origin)}")
    some = "all" if whole else str(len(plan))
    say(f"running {some} of {len(study.plan)} cells of {study.name} again in {target}")
    names = frozenset(cell_name(cell) for cell in plan)
    failures = run_cells(study.spec, out=out, jobs=jobs, choice=Choice(cells=names), say=say)
    now = Study(target, study.spec).results
    keys = {cell.key for cell in plan}
    table, missing, extra = of_results(
        _rows(study.results, keys, whole), _rows(now, set(now["cell"]), whole), tolerance
    )
    return Verdict(found.title, str(target), table, missing, extra, origin, failures, tolerance)


def _rows(results: pd.DataFrame, cells: set[str], whole: bool) -> pd.DataFrame:
    """Take the rows of these cells; BM25's beside them where the whole study is repeated."""
    is_bm25 = results["method"] == "bm25"
    return results[(results["cell"].isin(cells) & ~is_bm25) | (is_bm25 & whole)]


def _claim(target: Path, original: Path, say: Say) -> None:
    """Take a fresh folder, or go on with an earlier repetition of the same."""
    if target == original:
        raise BadInput(f"{target} is what is to be repeated: give another folder with --out.")
    note = {"of": str(original)}
    if target.exists() and any(target.iterdir()):
        try:
            known = read_json(target / NOTE)
        except (OSError, ValueError):
            known = None
        if known != note:
            raise BadInput(f"{target} holds something else: give another folder with --out.")
        say(f"going on with the repetition in {target}; remove it to start anew")
    write_json(target / NOTE, note)


def _origin_changes(before: Mapping[str, Any]) -> list[Change]:
    """Say what differs in code, versions and machine from how it is here."""
    now = {key: value for key, value in provenance().items() if key in before and key != "created"}
    old = {key: value for key, value in before.items() if key in now}
    found = []
    for change in differences(old, now):
        if change.before is None:
            continue  # it was not recorded then
        if isinstance(change.before, list) and change.now in change.before:
            continue  # of several that the cells have, one is as it is here
        found.append(change)
    return found


# ---- a notebook ----


def _notebook(found: Found, out: Path, tolerance: float, say: Say) -> Verdict:
    from genret_core.workbench.execute import execute
    from genret_core.workbench.study.notebooks import reads_of
    from genret_core.workbench.study.place import Place

    record = found.record
    if not record.done:
        raise BadInput(
            f"{found.title} did not come to its end ({record.state}): there is nothing to compare."
        )
    target = out / found.folder.name
    _claim(target, found.folder, say)
    origin = _origin_changes(record.provenance)
    reads = reads_of(Place(found.study.spec, found.study.folder))
    origin += differences(record.inputs, reads) if record.inputs else []
    if origin:
        say(f"warning: not as before: {listed(origin)}")
    source = _as_it_was(record.name, record.notebook, target, say)
    parameters = {**record.parameters}
    if parameters.get("study_dir"):
        parameters["study_dir"] = str(found.study.folder)
    say(f"running {record.name} again in {target}")
    again = execute(source, parameters, target / "run", inputs=reads, cwd=project_root())
    failures = [] if again.done else [f"{again.name}: {again.state}: {again.reason}"]
    table = pd.DataFrame({"different": []})
    missing: list[str] = []
    extra: list[str] = []
    if again.done:
        table, missing, extra = of_notebooks(
            shown_numbers(record.notebook), shown_numbers(again.notebook), tolerance
        )
    return Verdict(found.title, str(target), table, missing, extra, origin, failures, tolerance)


def _as_it_was(name: str, executed: Path, target: Path, say: Say) -> Path:
    """Give the notebook that was run: the project's, if it is still the same, else what was kept of it."""
    try:
        known = notebook_file(name)
        if source_of(known) == source_of(executed):
            return known
        say(f"warning: {known} is another notebook than the one that was run, whose source is taken")
    except BadInput:
        say(f"warning: the project has no notebook {name}; the source that was kept is taken")
    notebook = copy.deepcopy(json.loads(executed.read_text(encoding="utf-8")))
    cells = [c for c in notebook["cells"] if INJECTED not in c.get("metadata", {}).get("tags", ())]
    for cell in cells:
        cell.get("metadata", {}).pop("papermill", None)
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    metadata = {k: v for k, v in notebook["metadata"].items() if k not in ("papermill", "genret")}
    path = target / f"{name}.ipynb"
    write_json(path, {**notebook, "cells": cells, "metadata": metadata})
    return path
