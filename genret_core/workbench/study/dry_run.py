"""`genret study --dry-run`: what a study takes, and what of it will run now and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genret_core.workbench.pool.progress import duration
from genret_core.workbench.study.changes import Change, changes_of_cells, listed, study_before
from genret_core.workbench.study.choice import Choice
from genret_core.workbench.study.notebooks import chosen_notebooks
from genret_core.workbench.study.place import place
from genret_core.workbench.study.plan import Plan, plan
from genret_core.workbench.study.reasons import Reason, reasons_of_cells
from genret_core.workbench.study.reasons_of_notebooks import reasons_of_notebooks

NAMED = 3  # cells that a line names


@dataclass(frozen=True)
class DryRun:
    """What a study would do.

    Attributes
    ----------
    plan : Plan
        What all of it takes.
    cells, notebooks : tuple of Reason
        Whether each will run, and why; cells in the order of the plan.
    changes : tuple of Change
        What is another value than when the folder was last run.
    """

    plan: Plan
    cells: tuple[Reason, ...]
    notebooks: tuple[Reason, ...]
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values: each cell says `runs`, `kind` and `why`."""
        found = self.plan.to_dict()
        reasons = [reason.to_dict() for reason in self.cells]
        cells = [{**cell, **reason} for cell, reason in zip(found["cells"], reasons, strict=True)]
        changed = [{"key": c.key, "before": c.before, "now": c.now} for c in self.changes]
        notebooks = [reason.to_dict() for reason in self.notebooks]
        return {**found, "cells": cells, "notebooks": notebooks, "changed": changed}

    def __str__(self) -> str:
        """Write it for people: the plan, then what will run, alike cells together."""
        lines = [str(self.plan)]
        if self.changes:
            lines.append(f"changed since it was last run: {listed(list(self.changes))}")
        running = [work for work, reason in zip(self.plan.cells, self.cells, strict=True) if reason.runs]
        seconds = replace(self.plan, cells=tuple(running)).seconds if running else None
        about = f", about {duration(seconds)}" if seconds is not None else ""
        lines += [f"cells that will run now: {len(running)} of {len(self.cells)}{about}", *_told(self.cells)]
        if self.notebooks:
            run = sum(reason.runs for reason in self.notebooks)
            lines.append(f"notebooks that will run now: {run} of {len(self.notebooks)}")
            lines += _told(self.notebooks)
        return "\n".join(lines)


def dry_run(
    source: str,
    *,
    out: Path | None = None,
    choice: Choice | None = None,
    only: Sequence[str] | None = None,
    fresh: bool = False,
    jobs: int | None = None,
    flops_rate: str | None = None,
    memory: float | None = None,
) -> DryRun:
    """Describe what a study would do, without changing anything.

    Parameters
    ----------
    source, out, jobs, flops_rate, memory
        As in `plan.plan`.
    choice, only, fresh
        As in `run.run_study`.

    Raises
    ------
    BadInput
        The study, or a choice, cannot be used.
    """
    here = place(source, out)
    chosen = chosen_notebooks(here, only)
    choice = choice or Choice()
    planned = plan(source, out=out, jobs=jobs, flops_rate=flops_rate, memory=memory)
    cells = reasons_of_cells(here, choice)
    before = study_before(here.folder)
    changes = [] if before is None else changes_of_cells(before, here.spec)
    if fresh:
        cells = [_anew(reason) for reason in cells]
        notebooks = [Reason(name, True, "fresh", "--fresh removes what is there") for name in chosen]
        changes = []
    else:
        running = sum(reason.runs for reason in cells)
        notebooks = reasons_of_notebooks(here, chosen, retry_failed=choice.retry_failed, cells_run=running)
    return DryRun(planned, tuple(cells), tuple(notebooks), tuple(changes))


def _anew(reason: Reason) -> Reason:
    if reason.kind == "left_out":
        return reason
    return Reason(reason.name, True, "fresh", "--fresh removes what is there")


def _told(reasons: Sequence[Reason]) -> list[str]:
    """Write a line for all that have the same reason; those that run first."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for reason in sorted(reasons, key=lambda reason: not reason.runs):
        groups.setdefault((reason.runs, reason.why), []).append(reason.name)
    lines = []
    for (runs, why), names in groups.items():
        more = f", … ({len(names)})" if len(names) > NAMED else ""
        mark = "run" if runs else "  -"
        lines.append(f"  {mark}  {why}: {', '.join(names[:NAMED])}{more}")
    return lines
