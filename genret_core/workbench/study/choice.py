"""Which of a study's cells to run: all, those that an expression names, those that failed before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.modeling import RECIPE_VERSION, CellSpec
from genret_core.workbench.pool import read_status
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell, cell_name, expand

SPEC = "spec.json"  # in a cell's folder: what was asked for when it last ran
VOCABULARY = 1  # P leaves embeddings out, whatever their number


@dataclass(frozen=True)
class Choice:
    """What a command was asked to run.

    Parameters
    ----------
    where : sequence of str
        Expressions over the columns `name, method, family, backbone, P, fraction, seed`, as `genret fit
        --where` reads them; a cell has to hold for all.
    retry_failed : bool
        Run cells and notebooks again that failed before.
    cells : frozenset of str, optional
        Names of the only cells to run.
    """

    where: Sequence[str] = ()
    retry_failed: bool = False
    cells: frozenset[str] | None = None

    def named(self, spec: StudySpec) -> frozenset[str] | None:
        """Give the names of the cells to run; None for all.

        Raises
        ------
        BadInput
            If an expression is not understood, names a column there is not, or holds for no cell.
        """
        if not self.where:
            return self.cells
        found = _names_where(spec, list(self.where))
        return found if self.cells is None else found & self.cells


def _names_where(spec: StudySpec, expressions: list[str]) -> frozenset[str]:
    from genret_core.workbench.cli.fitting.table import Cell, Table
    from genret_core.workbench.cli.fitting.where import rows_where

    planned = expand(spec)
    rows = [_row(cell) for cell in planned]
    columns: dict[str, list[Cell]] = {name: [row[name] for row in rows] for name in rows[0]}
    table = Table(f"the study {spec.name}", "", columns, tuple(range(1, len(rows) + 1)))
    return frozenset(str(name) for name in rows_where(table, expressions).columns["name"])


def _row(cell: PlannedCell) -> dict[str, Any]:
    try:
        size: int | None = cell.backbone.parameters(VOCABULARY)[0]
    except BadInput:  # a pretrained one whose shape cannot be read on this machine
        size = None
    own = {"name": cell.name, "method": cell.method, "family": cell.backbone.family}
    return {**own, "backbone": cell.backbone.name, "P": size, "fraction": cell.fraction, "seed": cell.seed}


def note_spec(cell: CellSpec) -> None:
    """Write into a cell's folder what it was asked for."""
    write_json(cell.layout.cell(cell.key) / SPEC, asked_for(cell))


def asked_for(cell: CellSpec) -> dict[str, Any]:
    """Give all that a cell is, the version of the recipe with it; its folder may be moved."""
    values = {name: value for name, value in cell.to_dict().items() if name != "folder"}
    return {"recipe_version": RECIPE_VERSION, "lr": cell.lr, **values}


def noted_spec(folder: Path) -> dict[str, Any] | None:
    """Read what a cell was asked for when it last ran; None where that was not noted."""
    try:
        found: dict[str, Any] = read_json(folder / SPEC)
    except (OSError, ValueError):
        return None
    return found


def failed_before(cell: CellSpec) -> str | None:
    """Say why a cell failed, if it did with what is asked of it now; None otherwise."""
    folder = cell.layout.cell(cell.key)
    if not folder.is_dir():
        return None
    try:
        status = read_status(folder)
    except BadInput:
        return None
    if status["state"] != "failed":
        return None
    noted = noted_spec(folder)
    if noted is not None and _evaluations(noted) != _evaluations(cell.to_dict()):
        return None  # it may have failed at something else than what is asked now
    return str(status.get("reason") or "it is not known why")


def failures_of(cells: Iterable[CellSpec]) -> list[tuple[CellSpec, str]]:
    """List the cells that failed before, and why."""
    told = [(cell, failed_before(cell)) for cell in cells]
    return [(cell, reason) for cell, reason in told if reason is not None]


def told_failed(count: int, what: str) -> str:
    """Say that so many cells or notebooks are not tried again: `3 cells failed before; …`."""
    many, them = ("", "it") if count == 1 else ("s", "them")
    return f"{count} {what}{many} failed before; --retry-failed tries {them} again"


def told_failure(cell: CellSpec, reason: str) -> str:
    """Write the sentence about a cell that failed."""
    return f"{cell_name(cell)}: failed: {reason}"


def _evaluations(values: dict[str, Any]) -> list[Any]:
    return sorted(json.dumps(e, sort_keys=True) for e in [*values["losses"], *values["searches"]])
