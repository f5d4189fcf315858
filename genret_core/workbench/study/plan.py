"""`genret study --dry-run`: what a study would do, and how long it may take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genret_core.provenance import available_cores
from genret_core.workbench.pool.progress import duration
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.cost import expected_before, expected_seconds
from genret_core.workbench.study.grid import cell_specs, expand
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import place, refuse_other_parameters


def plan(source: str, *, out: Path | None = None, jobs: int | None = None) -> str:
    """Describe a study without changing anything.

    Parameters
    ----------
    source : str
        A preset, a YAML file or a study folder.
    out : Path, optional
        Where study folders lie.
    jobs : int, optional
        Workers.

    Returns
    -------
    str
        A line per cell with the processor time it is expected to take, and what it comes to.
    """
    here = place(source, out)
    refuse_other_parameters(here)
    workers = jobs or here.spec.jobs or available_cores()
    inputs = Inputs.read(here.folder, here.spec)
    specs = [] if inputs is None else cell_specs(here.spec, inputs, here.folder)
    planned = expand(here.spec)  # in the order of specs
    lines, left, done = [f"{here.spec.name} in {here.folder}"], [], 0
    for number, cell in enumerate(planned):
        if specs and is_done(specs[number]):
            told, done = "done", done + 1
        else:
            seconds = expected_seconds(specs[number]) if specs else expected_before(here.spec, cell)
            told = duration(seconds) if seconds is not None else ""
            left.append(seconds)
        lines.append(_line(cell.name, [search.beam for search in cell.searches], told))
    lines.append(f"{len(planned)} cells, {done} of them done{_rest(left, workers)}")
    return "\n".join([*lines, f"notebooks: {', '.join(here.spec.notebooks) or 'none'}"])


def _rest(left: Sequence[float | None], workers: int) -> str:
    if not left:
        return ""
    if None in left:
        return "; how long the rest takes is not known before the corpus has been read"
    some = "one worker" if workers == 1 else f"{workers} workers"
    return f"; the rest takes about {duration(_makespan([s or 0.0 for s in left], workers))} with {some}"


def _line(name: str, beams: Sequence[int], told: str) -> str:
    searched = f"beams {', '.join(map(str, beams))}" if beams else ""
    return f"  {name:32s} {told:>12s}  {searched}".rstrip()


def _makespan(costs: Sequence[float], workers: int) -> float:
    """Lay the cells out over the workers as the pool does, longest first."""
    busy = [0.0] * workers
    for seconds in sorted(costs, reverse=True):
        busy[busy.index(min(busy))] += seconds
    return max(busy)
