"""A whole study: inputs, cells, tables, notebooks, index page. Started again, it does what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.modeling import StudyFolder
from genret_core.provenance import available_cores
from genret_core.workbench.pool import told_end
from genret_core.workbench.runs import Study
from genret_core.workbench.study.cells import make_cells, standing
from genret_core.workbench.study.changes import changes_of_cells, listed, study_before
from genret_core.workbench.study.choice import Choice
from genret_core.workbench.study.collect import collect
from genret_core.workbench.study.engines import chosen_engine
from genret_core.workbench.study.file import StudySpec, save
from genret_core.workbench.study.fresh import clear
from genret_core.workbench.study.live_page import live_page
from genret_core.workbench.study.lock import beside_others, locked, others_at_work, refuse_beside_others
from genret_core.workbench.study.notebooks import chosen_notebooks, run_notebooks, with_those_not_asked_for
from genret_core.workbench.study.page import up_to_date_page, write_page
from genret_core.workbench.study.place import Place, at_work, nothing_left_of_bad_input, place
from genret_core.workbench.study.plan import refuse_what_cannot_fit

Say = Callable[[str], None]


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
    site: str | Path | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    only: Sequence[str] | None = None,
    choice: Choice | None = None,
    anyway: bool = False,
    say: Say = print,
) -> StudyOutcome:
    """Run a study, or what is left of it.

    Parameters
    ----------
    source : StudySpec, str or Path
        See `place`.
    out : path-like, optional
        Where study folders lie; by default `runs` of the project.
    engine : {"local", "parsl"}
        Who runs the cells.
    site : str or Path, optional
        For Parsl: a site file, or the name of one in `params/sites`; by default this machine.
    jobs : int, optional
        Workers; by default the study's own number, else as many as cores.
    fresh : bool
        Remove what an earlier run of this study made, first.
    only : sequence of str, optional
        Notebooks to run, of those in the study; by default all. `[]` runs none.
    choice : Choice, optional
        Which cells to run, and whether what failed before is tried again; by default all, and it is not.
    anyway : bool
        Run also what, by estimate, fits neither into memory nor onto the disk.
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
    here = place(source, out)
    chosen = chosen_notebooks(here, only)
    choice = choice or Choice()
    names = choice.named(here.spec)  # refused here, before anything is changed
    workers = jobs or here.spec.jobs or available_cores()
    before = None if fresh else standing(here)
    if not anyway and not (before and before.is_all):
        refuse_what_cannot_fit(
            here, workers=workers, names=names, fresh=fresh, computes_here=engine == "local"
        )
    runner = chosen_engine(engine, site, here.folder, workers=workers, jobs=jobs)
    with nothing_left_of_bad_input(here.folder), locked(here.folder, say=say):
        with live_page(here, say=say), at_work(here.folder) as ending:
            if fresh:
                refuse_beside_others(here.folder, "starting anew")
                clear(here.folder, say)
            _note_study(here, say)
            made = make_cells(here, workers=workers, engine=runner, choice=choice, before=before, say=say)
            failures = made.failures
            collect(here.folder, here.spec, made.inputs, made.plan)
            runs = run_notebooks(
                here, chosen, workers=workers, engine=runner, retry_failed=choice.retry_failed, say=say
            )
            failures += [told_end(run.name, run.state, run.reason) for run in runs if not run.done]
            if failures:
                ending |= {"state": "failed", "reason": failures[0]}
            elif made.done < len(made.plan):
                ending |= {"state": "queued", "reason": "a part of its cells is done"}
        shown = with_those_not_asked_for(here, runs)
        index = up_to_date_page(here.folder, shown) if not failures else None
        if index is None:
            index = write_page(Study(here.folder, here.spec), shown)
    return StudyOutcome(
        folder=here.folder,
        cells=len(made.plan),
        cells_done=made.done,
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
    anyway: bool = False,
    say: Say = print,
) -> list[str]:
    """Train, score and search the cells of a study, or one part of them, without notebooks.

    Parameters are those of `run_study` and `make_cells`. Any number of these may run in one folder at a time,
    also beside `run_study`, on one machine or on several that share it: they share the cells.

    Returns
    -------
    list of str
        A sentence for each cell that did not come through.
    """
    here = place(source, out)
    choice = choice or Choice()
    names = choice.named(here.spec)
    workers = jobs or here.spec.jobs or available_cores()
    if not anyway:
        refuse_what_cannot_fit(here, workers=workers, names=names)
    lock = beside_others(here.folder, say=say)
    page = live_page(here, last=True, say=say)
    with nothing_left_of_bad_input(here.folder), lock, page, at_work(here.folder) as ending:
        _note_study(here, say)
        made = make_cells(here, workers=workers, shard=shard, max_seconds=max_seconds, choice=choice, say=say)
        collect(here.folder, here.spec, made.inputs, made.plan)
        if made.failures:
            ending |= {"state": "failed", "reason": made.failures[0]}
        elif made.done < len(made.plan):
            ending |= {"state": "queued", "reason": "a part of its cells is done"}
    return made.failures


def _note_study(here: Place, say: Say) -> None:
    """Write the study into its folder, and say what changed where cells stand on what was there before."""
    before = study_before(here.folder)
    changes = [] if before is None else changes_of_cells(before, here.spec)
    others = others_at_work(here.folder) if changes else []
    if others:
        raise BadInput(
            f"{others[0]} is at work in {here.folder} with other parameters ({listed(changes)}); wait for "
            "it, or give this study another `name`."
        )
    if changes and any(StudyFolder(here.folder).cells.glob("*/cell.json")):
        say(
            f"changed since it was last run: {listed(changes)}; what depends on that is made anew, and what "
            f"was made before stays in {here.folder} (`genret runs gc` tells what can go)"
        )
    save(here.spec, StudyFolder(here.folder).study_file)
