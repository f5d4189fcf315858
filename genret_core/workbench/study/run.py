"""A whole study: inputs, cells, tables, notebooks, index page. Started again, it does what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, StudyFolder
from genret_core.provenance import available_cores
from genret_core.workbench.documents import nearest
from genret_core.workbench.pool import Job, Outcome, Progress, run_jobs, warm
from genret_core.workbench.pool.progress import watching
from genret_core.workbench.runs import Study
from genret_core.workbench.study.changes import changes_of_cells, listed, study_before
from genret_core.workbench.study.choice import Choice, failures_of, note_spec, told_failed, told_failure
from genret_core.workbench.study.collect import collect, is_done
from genret_core.workbench.study.cost import expected_seconds
from genret_core.workbench.study.file import StudySpec, save
from genret_core.workbench.study.fresh import clear
from genret_core.workbench.study.grid import cell_name, cell_specs, expand
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.lock import locked
from genret_core.workbench.study.notebooks import chosen_notebooks, run_notebooks
from genret_core.workbench.study.page import up_to_date_page, write_page
from genret_core.workbench.study.place import Place, at_work, nothing_left_of_bad_input, place
from genret_core.workbench.study.prepare import prepare

Say = Callable[[str], None]
ENGINES = ("local",)
PRELOAD = (  # torch and all that a cell needs: imported once, forked to every cell
    "genret_core.modeling.training",
    "genret_core.modeling.evaluations",
    "genret_core.modeling.checkpoint",
    "transformers.models.llama.modeling_llama",
    "transformers.models.t5.modeling_t5",
    "genret_core.workbench.study.run",  # what jobs are pickled with
    "ir_measures",
)


@dataclass(frozen=True)
class StudyOutcome:
    """How a study ended.

    Attributes
    ----------
    folder : Path
        The study folder.
    cells, cells_done : int
        Cells of the grid, and those that are trained and measured.
    notebooks, notebooks_done : int
        Notebooks that were to run, and those that did.
    failures : tuple of str
        A sentence for each cell or notebook that is not done.
    index : Path
        The page that links everything.
    seconds : float
        Wall time.
    """

    folder: Path
    cells: int
    cells_done: int
    notebooks: int
    notebooks_done: int
    failures: tuple[str, ...]
    index: Path
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether everything is there."""
        return not self.failures


def run_study(
    source: StudySpec | str | Path,
    *,
    out: str | Path | None = None,
    engine: str = "local",
    jobs: int | None = None,
    fresh: bool = False,
    only: Sequence[str] | None = None,
    choice: Choice | None = None,
    say: Say = print,
) -> StudyOutcome:
    """Run a study, or what is left of it.

    Parameters
    ----------
    source : StudySpec, str or Path
        See `place`.
    out : path-like, optional
        Where study folders lie; by default `runs` of the project.
    engine : {"local"}
        Who runs the cells.
    jobs : int, optional
        Workers; by default the study's own number, else as many as cores.
    fresh : bool
        Remove what an earlier run of this study made, first.
    only : sequence of str, optional
        Notebooks to run, of those in the study; by default all. `[]` runs none.
    choice : Choice, optional
        Which cells to run, and whether what failed before is tried again; by default all, and it is not.
    say : callable
        Told what happens, a line at a time.

    Returns
    -------
    StudyOutcome
        A cell or notebook that fails does not raise and does not stop the others.

    Raises
    ------
    BadInput
        If the study cannot be run as asked; nothing was changed then.
    """
    started = time.monotonic()
    if engine not in ENGINES:
        raise BadInput(f"there is no engine {engine!r}{nearest(engine, ENGINES)}")
    here = place(source, out)
    chosen = chosen_notebooks(here, only)
    choice = choice or Choice()
    choice.named(here.spec)  # refused here, before anything is changed
    workers = jobs or here.spec.jobs or available_cores()
    with nothing_left_of_bad_input(here.folder), locked(here.folder, say=say):
        with at_work(here.folder) as ending:
            if fresh:
                clear(here.folder, say)
            _note_study(here, say)
            inputs, failures = make_cells(here, workers=workers, choice=choice, say=say)
            collect(here.folder, here.spec, inputs)
            runs = run_notebooks(here, chosen, workers=workers, retry_failed=choice.retry_failed, say=say)
            failures += [f"{run.name}: {run.state}: {run.reason}" for run in runs if not run.done]
            if failures:
                ending |= {"state": "failed", "reason": failures[0]}
            elif not all(map(is_done, cell_specs(here.spec, inputs, here.folder))):
                ending |= {"state": "queued", "reason": "a part of its cells is done"}
        index = up_to_date_page(here.folder, runs) if not failures else None
        if index is None:
            index = write_page(Study(here.folder, here.spec), runs)
    done = sum(map(is_done, cell_specs(here.spec, inputs, here.folder)))
    return StudyOutcome(
        folder=here.folder,
        cells=len(expand(here.spec)),
        cells_done=done,
        notebooks=len(chosen),
        notebooks_done=sum(run.done for run in runs),
        failures=tuple(failures),
        index=index,
        seconds=time.monotonic() - started,
    )


def run_cells(
    source: StudySpec | str | Path,
    *,
    out: str | Path | None = None,
    jobs: int | None = None,
    shard: tuple[int, int] = (1, 1),
    max_seconds: float | None = None,
    choice: Choice | None = None,
    say: Say = print,
) -> list[str]:
    """Train, score and search the cells of a study, or one part of them, without notebooks.

    Parameters are those of `run_study` and `make_cells`. Several parts may run in one folder at a time, on
    one machine or on several that share it.

    Returns
    -------
    list of str
        A sentence for each cell that did not come through.
    """
    here = place(source, out)
    choice = choice or Choice()
    choice.named(here.spec)
    workers = jobs or here.spec.jobs or available_cores()
    part = "" if shard[1] == 1 else f"-{shard[0]}-of-{shard[1]}"
    lock = locked(here.folder, name=f"lock{part}.json", say=say)
    with nothing_left_of_bad_input(here.folder), lock, at_work(here.folder) as ending:
        _note_study(here, say)
        inputs, failures = make_cells(
            here, workers=workers, shard=shard, max_seconds=max_seconds, choice=choice, say=say
        )
        collect(here.folder, here.spec, inputs)
        if failures:
            ending |= {"state": "failed", "reason": failures[0]}
        elif not all(map(is_done, cell_specs(here.spec, inputs, here.folder))):
            ending |= {"state": "queued", "reason": "a part of its cells is done"}
    return failures


def _note_study(here: Place, say: Say) -> None:
    """Write the study into its folder, and say what changed where cells stand on what was there before."""
    before = study_before(here.folder)
    changes = [] if before is None else changes_of_cells(before, here.spec)
    if changes and any(StudyFolder(here.folder).cells.glob("*/cell.json")):
        say(
            f"changed since it was last run: {listed(changes)}; what depends on that is made anew, and what "
            f"was made before stays in {here.folder} (`genret runs gc` tells what can go)"
        )
    save(here.spec, StudyFolder(here.folder).study_file)


def make_cells(
    here: Place,
    *,
    workers: int,
    shard: tuple[int, int] = (1, 1),
    max_seconds: float | None = None,
    choice: Choice | None = None,
    say: Say = print,
) -> tuple[Inputs, list[str]]:
    """Prepare the inputs and train, score and search whatever cells lack.

    Parameters
    ----------
    here : Place
        The study.
    workers : int
        Cells at a time.
    shard : (i, n)
        Do the i-th of n equal parts of the cells (counted from 1).
    max_seconds : float, optional
        Stop after that long; what runs then is marked `timeout`.
    choice : Choice, optional
        Which cells to run.
    say : callable
        Told what happens.

    Returns
    -------
    Inputs
        Keys of the inputs.
    list of str
        A sentence for each cell that did not come through.
    """
    started = time.monotonic()
    inputs = Inputs.read(here.folder, here.spec)
    everything = [] if inputs is None else cell_specs(here.spec, inputs, here.folder)
    if inputs is None or not all(map(is_done, everything)):
        warm(PRELOAD)  # torch is imported in the background while the inputs are made
        inputs = prepare(here.folder, here.spec, workers=workers, say=say)
        everything = cell_specs(here.spec, inputs, here.folder)
    longest_first = sorted(everything, key=lambda cell: (-expected_seconds(cell), cell.key))
    cells = longest_first[shard[0] - 1 :: shard[1]]
    of = f" (part {shard[0]} of {shard[1]})" if shard[1] > 1 else ""
    choice = choice or Choice()
    named = choice.named(here.spec)
    if named is not None:
        cells = [cell for cell in cells if cell_name(cell) in named]
        of += f", of {len(everything)}"
    lacking = [cell for cell in cells if not is_done(cell)]
    say(f"{len(cells)} cells{of}, {len(cells) - len(lacking)} of them done")
    failed = [] if choice.retry_failed else failures_of(lacking)
    if failed:
        say(told_failed(len(failed), "cell"))
        again = {cell.key for cell, _ in failed}
        lacking = [cell for cell in lacking if cell.key not in again]
    left = None if max_seconds is None else max(0.0, max_seconds - (time.monotonic() - started))
    outcomes = _run_cells(lacking, workers, left)
    failures = [told_failure(cell, reason) for cell, reason in failed]
    failures += [f"{o.job.name}: {o.state}: {o.reason}" for o in outcomes if o.state != "done"]
    if len(outcomes) < len(lacking):
        failures.append(f"{len(lacking) - len(outcomes)} cells were not started: the time was up")
    return inputs, failures


def _run_cells(cells: Sequence[CellSpec], workers: int, max_seconds: float | None) -> list[Outcome]:
    if not cells:
        return []
    jobs = [
        Job(cell.key, cell_name(cell), cell, cell.layout.cell(cell.key), expected_seconds(cell))
        for cell in cells
    ]
    with watching(jobs, workers) as watch:
        return run_jobs(
            jobs, run_one_cell, workers=workers, preload=PRELOAD, watch=watch, deadline=max_seconds
        )


def run_one_cell(cell: CellSpec, progress: Progress) -> None:
    """Train, score and search one cell; called in a process of the pool."""
    from genret_core.modeling.cells import run_cell

    note_spec(cell)
    run_cell(cell, progress)
