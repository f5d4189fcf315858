"""The notebooks of a study: run again only when their source, parameters or rows changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genret_core.errors import BadInput
from genret_core.files import content_key, read_table
from genret_core.modeling import StudyFolder
from genret_core.workbench import project
from genret_core.workbench.documents import nearest
from genret_core.workbench.notebook.record import RunRecord, open_run, run_key
from genret_core.workbench.params import check
from genret_core.workbench.study.choice import told_failed
from genret_core.workbench.study.engines import Engine
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import Place

if TYPE_CHECKING:
    from genret_core.workbench.execute import Job

Say = Callable[[str], None]


def notebook_file(name: str) -> Path:
    """Find a notebook of the project by its name, with or without `.ipynb`."""
    folder = project.project_root() / "notebooks"
    path = folder / f"{name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        known = [found.stem for found in sorted(folder.glob("*.ipynb"))]
        raise BadInput(f"there is no notebook {name!r} in {folder}{nearest(name, known)}")
    return path


def chosen_notebooks(here: Place, only: Sequence[str] | None) -> list[str]:
    """Check the notebooks of a study and their parameters before anything runs, and give those wanted."""
    for name in only or []:
        if name not in here.spec.notebooks:
            hint = nearest(name, here.spec.notebooks)
            raise BadInput(f"the study {here.spec.name} has no notebook {name!r}{hint}")
    chosen = [name for name in here.spec.notebooks if only is None or name in only]
    for name in chosen:
        check(given_parameters(here, name), notebook_file(name))
    return chosen


def run_notebooks(
    here: Place,
    chosen: Sequence[str],
    *,
    workers: int,
    engine: Engine | None = None,
    retry_failed: bool = False,
    say: Say = print,
) -> list[RunRecord]:
    """Run those of the chosen notebooks whose source, parameters or rows changed since they ran.

    One that failed on the same source, parameters and rows is run again only if `retry_failed` says so. They
    run on this machine, except where the engine has its own way.

    Returns
    -------
    list of RunRecord
        One for each of them, in their order.
    """
    reads = reads_of(here)
    jobs = {name: (notebook_folder(here, name, reads), given_parameters(here, name)) for name in chosen}
    records = {name: _ended(folder, retry_failed) for name, (folder, _) in jobs.items()}
    lacking = [name for name in chosen if records[name] is None]
    failed = sum(record is not None and not record.done for record in records.values())
    if lacking or failed:
        say(f"{len(chosen)} notebooks, {len(chosen) - len(lacking) - failed} of them done")
    if failed:
        say(told_failed(failed, "notebook"))
    if lacking:
        from genret_core.workbench.execute import execute_many

        todo = [_job(here, name, *jobs[name], reads) for name in lacking]
        run_many = (engine.execute_many if engine is not None else None) or execute_many
        for record in run_many(todo, workers=max(1, min(2, workers))):
            records[record.name] = record
            why = f": {record.reason}" if record.reason else ""
            say(f"  {record.name}  {record.state} in {record.seconds:.1f} s{why}")
    return [record for record in (records[name] for name in chosen) if record is not None]


def given_parameters(here: Place, name: str) -> dict[str, Any]:
    """Give what a study sets of a notebook's parameters, itself among them."""
    root = project.project_root()
    folder = here.folder.relative_to(root) if here.folder.is_relative_to(root) else here.folder
    return {**here.spec.notebook_parameters.get(name, {}), "study_dir": str(folder)}


def finished_notebooks(here: Place) -> list[RunRecord]:
    """Give the records of the study's notebooks as they stand, the latest run of each."""
    found = []
    for name in here.spec.notebooks:
        runs = [
            open_run(path.parent) for path in StudyFolder(here.folder).notebooks.glob(f"{name}-*/status.json")
        ]
        found += sorted(runs, key=lambda run: run.started or "")[-1:]
    return found


def with_those_not_asked_for(here: Place, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Add the study's other notebooks as far as they ran on what is there now, for its page."""
    asked = {run.name: run for run in runs}
    others = [name for name in here.spec.notebooks if name not in asked]
    reads = reads_of(here) if others else {}
    for name in others:
        folder = notebook_folder(here, name, reads)
        if (folder / "status.json").is_file():
            asked[name] = open_run(folder)
    return [asked[name] for name in here.spec.notebooks if name in asked]


def reads_of(here: Place) -> dict[str, str]:
    """Hash what notebooks read: the inputs, the rows of the tables, and what the study says of itself."""
    at = StudyFolder(here.folder)
    inputs = Inputs.read(here.folder, here.spec)
    if inputs is None or not at.results_table.is_file():
        return {}
    rows = read_table(at.results_table, columns=["run_id", "metric", "value"])
    # without defaults, so that a new option of the workbench leaves finished notebooks finished
    left_out = {"notebooks", "notebook_parameters", "notebook_timeout", "jobs"}
    spec = here.spec.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    return {
        "inputs": content_key([inputs.corpus, *(path.name for path in inputs.folders(here.folder))]),
        "rows": content_key(rows.to_numpy(object).tolist()),
        "study": content_key(spec),
    }


def parents_of(here: Place) -> list[str]:
    """List the runs whose rows notebooks read, by their folders in the study."""
    table = StudyFolder(here.folder).cells_table
    if not table.is_file():
        return []
    return [f"cells/{key}" for key in read_table(table, columns=["cell"])["cell"]]


def notebook_folder(here: Place, name: str, reads: dict[str, str]) -> Path:
    """Find where a notebook's run lies: its name, and the key of all that its result depends on."""
    given = {key: value for key, value in given_parameters(here, name).items() if key != "study_dir"}
    key = run_key(notebook_file(name), given, reads)  # without its place: a study can be moved
    return StudyFolder(here.folder).notebooks / f"{name}-{key[:8]}"


def _ended(folder: Path, retry_failed: bool) -> RunRecord | None:
    """Give the record of a notebook that is not to run again: done, with its report, or failed."""
    if not (folder / "status.json").is_file():
        return None
    record = open_run(folder)
    if record.done:
        return record if record.report.is_file() else None
    return record if record.state == "failed" and not retry_failed else None


def _job(here: Place, name: str, folder: Path, parameters: dict[str, Any], reads: dict[str, str]) -> Job:
    from genret_core.workbench.execute import Job

    return Job(
        notebook_file(name),
        parameters,
        folder,
        inputs=reads,
        parents=parents_of(here),
        timeout=here.spec.notebook_timeout,
        note=here.spec.note,
        shared_js=here.folder / "plotly.min.js",
    )
