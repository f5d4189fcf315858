"""`genret runs ls`: the studies below a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.workbench import project
from genret_core.workbench.pool import read_status
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.file import load
from genret_core.workbench.study.fresh import bytes_in
from genret_core.workbench.study.grid import cell_specs, expand
from genret_core.workbench.study.inputs import Inputs


@dataclass(frozen=True)
class Run:
    """One line of `genret runs ls`.

    Attributes
    ----------
    name, folder : str
    state : str
        As `status.json` has it, or `killed` where its process is gone; `unreadable` if its file is.
    cells, done : int
        Cells that its file asks for, and those that are trained and measured.
    updated : str or None
        UTC, ISO 8601.
    note : str or None
        What its reports say on top, or why it cannot be read.
    bytes : int or None
        Size of the folder, where that was asked for.
    """

    name: str
    folder: str
    state: str
    cells: int
    done: int
    updated: str | None
    note: str | None
    bytes: int | None = None


ORDERS: dict[str, tuple[Callable[[Run], Any], bool]] = {  # how to sort, and whether the largest comes first
    "updated": (lambda run: run.updated or "", True),
    "name": (lambda run: run.name, False),
    "state": (lambda run: (run.state, run.name), False),
    "cells": (lambda run: run.cells, True),
    "size": (lambda run: run.bytes or 0, True),
}


def list_runs(out: str | Path = "runs", *, sort: str = "updated", sizes: bool = False) -> list[Run]:
    """List the studies below a folder.

    Parameters
    ----------
    out : path-like
        Where study folders lie.
    sort : {"updated", "name", "state", "cells", "size"}
        By default the latest first.
    sizes : bool
        Add up the files of each.

    Raises
    ------
    BadInput
        If there is no such order.
    """
    if sort not in ORDERS:
        raise BadInput(f"there is no order {sort!r}: sort by {', '.join(ORDERS)}.")
    found = []
    for path in sorted(project.resolve(out).glob("*/study.yaml")):
        size = bytes_in(path.parent) if sizes or sort == "size" else None
        try:
            found.append(_run(path.parent, size))
        except BadInput as error:
            told = Run(path.parent.name, str(path.parent), "unreadable", 0, 0, None, str(error), size)
            found.append(told)
    key, largest_first = ORDERS[sort]
    return sorted(found, key=key, reverse=largest_first)


def _run(folder: Path, size: int | None) -> Run:
    spec = load(folder)
    status = read_status(folder)
    inputs = Inputs.read(folder, spec)
    if inputs is None:
        cells, done = len(expand(spec)), 0
    else:
        plan = cell_specs(spec, inputs, folder)
        cells, done = len(plan), sum(map(is_done, plan))
    return Run(
        spec.name, str(folder), str(status["state"]), cells, done, status.get("updated"), spec.note, size
    )
