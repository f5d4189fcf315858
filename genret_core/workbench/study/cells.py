"""The cells of a study: whatever they lack is prepared, trained, scored and searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genret_core.modeling import CellSpec
from genret_core.modeling.pretraining.spec import Pretraining
from genret_core.workbench.pool import Job, Outcome, Progress, run_jobs, told_end, warm
from genret_core.workbench.pool.progress import watching
from genret_core.workbench.study.bases import base_jobs, bases_first, run_base
from genret_core.workbench.study.choice import Choice, failures_of, note_spec, told_failed, told_failure
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.cost import expected_seconds
from genret_core.workbench.study.engines import Engine
from genret_core.workbench.study.grid import cell_name, cell_specs
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.prepare import prepare

Say = Callable[[str], None]
PRELOAD = (  # torch and all that a cell needs: imported once, forked to every cell
    "genret_core.modeling.training",
    "genret_core.modeling.evaluations",
    "genret_core.modeling.checkpoint",
    "transformers.models.llama.modeling_llama",
    "transformers.models.t5.modeling_t5",
    "genret_core.workbench.study.cells",  # what jobs are pickled with
    "ir_measures",
)


@dataclass(frozen=True)
class Made:
    """What there is when the cells have run.

    Attributes
    ----------
    inputs : Inputs
        Keys of the inputs.
    plan : list of CellSpec
        Every cell of the study.
    done : int
        How many of them are trained and measured.
    failures : list of str
        A sentence for each cell that did not come through.
    """

    inputs: Inputs
    plan: list[CellSpec]
    done: int
    failures: list[str]


@dataclass(frozen=True)
class Standing:
    """What there is before anything runs: inputs (None if they are not made), cells, keys of those done."""

    inputs: Inputs | None
    plan: list[CellSpec]
    done: frozenset[str]

    @property
    def is_all(self) -> bool:
        """Whether nothing is left to run."""
        return self.inputs is not None and len(self.done) == len(self.plan)


def standing(here: Place) -> Standing:
    """Look at what lies in a study's folder."""
    inputs = Inputs.read(here.folder, here.spec)
    plan = [] if inputs is None else cell_specs(here.spec, inputs, here.folder)
    return Standing(inputs, plan, frozenset(cell.key for cell in plan if is_done(cell)))


def make_cells(
    here: Place,
    *,
    workers: int,
    engine: Engine | None = None,
    shard: tuple[int, int] = (1, 1),
    max_seconds: float | None = None,
    choice: Choice | None = None,
    before: Standing | None = None,
    say: Say = print,
) -> Made:
    """Prepare the inputs and train, score and search whatever cells lack.

    Parameters
    ----------
    here : Place
        The study.
    workers : int
        Processes of this machine.
    engine : Engine, optional
        Who runs the cells; by default those processes.
    shard : (i, n)
        Do the i-th of n equal parts of the cells (counted from 1).
    max_seconds : float, optional
        Stop after that long; what runs then is marked `timeout`.
    choice : Choice, optional
        Which cells to run.
    before : Standing, optional
        What `standing` said just now, where it was asked.
    say : callable
        Told what happens.

    Returns
    -------
    Made
    """
    started = time.monotonic()
    before = before or standing(here)
    inputs, plan, done = before.inputs, before.plan, set(before.done)
    engine = engine or Engine(workers, run_jobs)
    if inputs is None or len(done) < len(plan):
        if engine.is_local:
            warm(PRELOAD)  # torch is imported in the background while the inputs are made
        inputs = prepare(here.folder, here.spec, workers=workers, say=say)
        plan = cell_specs(here.spec, inputs, here.folder)
        done = {cell.key for cell in plan if is_done(cell)}
    longest_first = plan
    if len(done) < len(plan):
        longest_first = sorted(plan, key=lambda cell: (-expected_seconds(cell), cell.key))
    cells = longest_first[shard[0] - 1 :: shard[1]]
    of = f" (part {shard[0]} of {shard[1]})" if shard[1] > 1 else ""
    choice = choice or Choice()
    named = choice.named(here.spec)
    if named is not None:
        cells = [cell for cell in cells if cell_name(cell) in named]
        of += f" of {len(plan)}"
    lacking = [cell for cell in cells if cell.key not in done]
    say(f"{len(cells)} cells{of}, {len(cells) - len(lacking)} of them done")
    failed = [] if choice.retry_failed else failures_of(lacking)
    if failed:
        say(told_failed(len(failed), "cell"))
        again = {cell.key for cell, _ in failed}
        lacking = [cell for cell in lacking if cell.key not in again]
    left = None if max_seconds is None else max(0.0, max_seconds - (time.monotonic() - started))
    outcomes = _run_cells(lacking, base_jobs(lacking, here, inputs), engine, left)
    failures = [told_failure(cell, reason) for cell, reason in failed]
    failures += [told_end(o.job.name, o.state, o.reason) for o in outcomes if o.state != "done"]
    if len(outcomes) < len(lacking):
        failures.append(f"{len(lacking) - len(outcomes)} cells were not started: the time was up")
    done |= {cell.key for cell in lacking if is_done(cell)}
    return Made(inputs, plan, len(done), failures)


def _run_cells(
    cells: Sequence[CellSpec], bases: Sequence[Job], engine: Engine, max_seconds: float | None
) -> list[Outcome]:
    if not cells:
        return []
    deadline = None if max_seconds is None else time.monotonic() + max_seconds
    jobs = [
        Job(cell.key, cell_name(cell), cell, cell.layout.cell(cell.key), expected_seconds(cell), _gpus(cell))
        for cell in cells
    ]

    def run(some: Sequence[Job]) -> list[Outcome]:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        with watching(some, engine.workers) as watch:
            return engine.run_jobs(
                some, run_one_cell, workers=engine.workers, preload=PRELOAD, watch=watch, deadline=left
            )

    return bases_first(jobs, bases, run)


def _gpus(cell: CellSpec) -> int | None:
    """Count the GPUs that a cell trains on: one for each of its processes; None: all, as its file may say."""
    launch = getattr(cell.backbone, "launch", None)
    return 1 if launch is None else launch if isinstance(launch, int) else None


def run_one_cell(cell: CellSpec | Pretraining, progress: Progress) -> None:
    """Train, score and search a cell, or pretrain what cells begin from; called in a process of the pool."""
    from genret_core.modeling.cells import run_cell

    if isinstance(cell, Pretraining):
        return run_base(cell, progress)
    note_spec(cell)
    run_cell(cell, progress)
