"""What a study will run and why: each cell and notebook against what lies in its folder (`--dry-run`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import CellSpec, LossEval, SearchEval, StudyFolder
from genret_core.workbench.pool import read_status
from genret_core.workbench.study.changes import (
    Change,
    changes_of_cells,
    differences,
    listed,
    study_before,
)
from genret_core.workbench.study.choice import Choice, asked_for, failed_before, noted_spec
from genret_core.workbench.study.collect import is_done, is_trained
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell, cell_name, cell_specs, expand
from genret_core.workbench.study.inputs import Inputs, corpus_of, given_keys
from genret_core.workbench.study.place import Place

INPUTS = {
    "corpus": "corpus",
    "tokenizer": "tokenizer",
    "identifiers": "identifiers",
}  # key: section of study.yaml
NOT_TRAINING = ("losses", "searches", "study", "folder", "index")


@dataclass(frozen=True)
class Reason:
    """Why one cell or notebook runs, or does not.

    Attributes
    ----------
    name : str
        Of the cell or notebook.
    runs : bool
        Whether it will run.
    kind : str
        For programs: `done, new, never_ran, failed, killed, timeout, queued, running, parameters, recipe,
        inputs, evaluations, source, rows, report` or `left_out`.
    why : str
        For people.
    """

    name: str
    runs: bool
    kind: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Give the fields."""
        return asdict(self)


def expected_inputs(folder: Path, spec: StudySpec) -> Inputs | None:
    """Give the keys of the inputs that a study will have; None where its corpus has not been read yet."""
    found = Inputs.read(folder, spec)
    if found is not None:
        return found
    corpus = corpus_of(folder, spec)
    if not corpus:
        return None
    try:
        given = given_keys(folder, spec)
    except BadInput:
        return None
    from genret_core.retrieval.corpus import Corpus

    try:
        validation = len(Corpus.open(StudyFolder(folder).corpus(corpus)).split_queries("validation")) > 0
    except (OSError, BadInput):
        return None
    return Inputs.of(spec, corpus, validation=validation, **given)


def reasons_of_cells(here: Place, choice: Choice | None = None) -> list[Reason]:
    """Say of every cell of a study, in the order of its grid, whether it will run and why."""
    choice = choice or Choice()
    planned = expand(here.spec)
    named = choice.named(here.spec)
    before = study_before(here.folder)
    inputs = expected_inputs(here.folder, here.spec)
    if inputs is None:
        told = _before_the_corpus(planned, before, here.spec)
    else:
        specs = cell_specs(here.spec, inputs, here.folder)
        told = _of_cells(planned, specs, before, here, choice)
    if named is None:
        return told
    return [
        reason if reason.name in named or not reason.runs
        else Reason(reason.name, False, "left_out", f"left out: {reason.why}")
        for reason in told
    ]  # fmt: skip


def _before_the_corpus(
    planned: Sequence[PlannedCell], before: StudySpec | None, now: StudySpec
) -> list[Reason]:
    """Reasons where nothing is known but the study's file."""
    if before is None:
        return [Reason(cell.name, True, "never_ran", "never ran") for cell in planned]
    changes = [change for change in changes_of_cells(before, now) if change.key.startswith("corpus")]
    known = {cell.name for cell in expand(before)}
    why = f"its parameters changed: {listed(changes)}" if changes else "never ran"
    kind = "parameters" if changes else "never_ran"
    return [
        Reason(cell.name, True, kind, why)
        if cell.name in known
        else Reason(cell.name, True, "new", "new: the study did not ask for it before")
        for cell in planned
    ]


def _of_cells(
    planned: Sequence[PlannedCell],
    specs: Sequence[CellSpec],
    before: StudySpec | None,
    here: Place,
    choice: Choice,
) -> list[Reason]:
    keys = {cell.key for cell in specs}
    asked = set() if before is None else {cell.name for cell in expand(before)}
    changes = [] if before is None else changes_of_cells(before, here.spec)
    earlier: dict[str, list[Path]] | None = None
    found = []
    for plan, cell in zip(planned, specs, strict=True):
        if is_done(cell):
            found.append(Reason(plan.name, False, "done", "done"))
            continue
        if cell.layout.cell(cell.key).is_dir():
            found.append(_begun(plan.name, cell, choice))
            continue
        if earlier is None:  # read only where something is to be told apart from it
            earlier = _cells_of_before(here.folder, keys)
        found.append(_absent(plan.name, cell, earlier.get(plan.name, []), changes, asked))
    return found


def _begun(name: str, cell: CellSpec, choice: Choice) -> Reason:
    """Reason of a cell that has a folder: how it ended, or what is not measured yet."""
    status = read_status(cell.layout.cell(cell.key))
    state, reason = str(status["state"]), str(status.get("reason") or "")
    why_failed = failed_before(cell)
    if why_failed is not None:
        if choice.retry_failed:
            return Reason(name, True, "failed", f"failed before: {why_failed}")
        return Reason(name, False, "failed", f"failed before (--retry-failed tries it again): {why_failed}")
    if state in ("killed", "timeout"):
        return Reason(name, True, state, reason or f"{state} before")
    if state == "running":
        return Reason(name, False, "running", f"runs now, in process {status.get('pid')}")
    if is_trained(cell):
        return Reason(name, True, "evaluations", f"trained; not measured yet: {_lacking(cell)}")
    return Reason(name, True, "queued", "never ran: it was queued")


def _lacking(cell: CellSpec) -> str:
    at = cell.layout
    wanted: tuple[LossEval | SearchEval, ...] = (*cell.losses, *cell.searches)
    lacking = [e for e in wanted if not (at.evaluation(cell.key, e.key) / "eval.json").is_file()]
    told = [f"beam {e.beam}" if isinstance(e, SearchEval) else f"CGL {e.split}" for e in lacking]
    return ", ".join(dict.fromkeys(told))


def _absent(
    name: str, cell: CellSpec, earlier: Sequence[Path], changes: Sequence[Change], asked: set[str]
) -> Reason:
    """Reason of a cell that has no folder: it is another than an earlier one, or it is new."""
    told: tuple[str, str] | None = None
    for folder in earlier:  # the latest first
        told = _difference(folder, cell, changes)
        if told is not None:
            return Reason(name, True, *told)
    if name in asked or not asked:
        return Reason(name, True, "never_ran", "never ran")
    return Reason(name, True, "new", "new: the study did not ask for it before")


def _difference(folder: Path, cell: CellSpec, changes: Sequence[Change]) -> tuple[str, str] | None:
    """Tell a cell from an earlier one of the same name: kind and sentence."""
    now, before = asked_for(cell), noted_spec(folder)
    if before is None:
        try:
            kept = read_json(folder / "cell.json")
        except (OSError, ValueError):
            return None
        before = {"recipe": kept.get("recipe", {}), "backbone": kept.get("backbone_config", {})}
    both = before.keys() & now.keys() - set(NOT_TRAINING)
    found = differences({k: before[k] for k in both}, {k: now[k] for k in both})
    by_input = [change for change in found if change.key in INPUTS]
    own = [change for change in found if change.key not in (*INPUTS, "recipe_version")]
    if own and any(change.key.startswith(("recipe.", "backbone.")) for change in own):
        own = [change for change in own if change.key != "lr" or len(own) == 1]  # it follows from these
    sections = tuple(f"{INPUTS[change.key]}." for change in by_input)
    own += [change for change in changes if sections and change.key.startswith(sections)]
    if own:
        return "parameters", f"its parameters changed: {listed(own)}"
    if by_input:
        return "inputs", f"its inputs changed: {listed(by_input)} (keys)"
    version = [change for change in found if change.key == "recipe_version"]
    if version:
        return "recipe", f"the recipe's version changed: from {version[0].before} to {version[0].now}"
    return "recipe", "the recipe's version, or what it is trained on, changed"


def _cells_of_before(folder: Path, keys: set[str]) -> dict[str, list[Path]]:
    """List the cells that lie in a study but are not asked for now, by name, the latest first."""
    inside = StudyFolder(folder).cells
    if not inside.is_dir():
        return {}
    others = [Path(e.path) for e in os.scandir(inside) if e.name not in keys and e.is_dir()]
    found: dict[str, list[Path]] = {}
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        name = name_of(path)
        if name:
            found.setdefault(name, []).append(path)
    return found


def name_of(folder: Path) -> str | None:
    """Read the name of a cell from what lies in its folder; None if it does not tell."""
    noted = noted_spec(folder)
    if noted is not None:
        try:
            return cell_name(CellSpec.from_dict({**_known(noted), "folder": str(folder)}))
        except (BadInput, KeyError, TypeError, ValueError):
            return str(read_status(folder).get("name") or "") or None
    try:
        kept = read_json(folder / "cell.json")
        percent = "" if kept["fraction"] == 1 else f" {100 * kept['fraction']:g}%"
        return f"{kept['backbone']} {kept['method']}{percent} s{kept['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        return str(read_status(folder).get("name") or "") or None


def _known(noted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in noted.items() if name not in ("recipe_version", "lr")}
