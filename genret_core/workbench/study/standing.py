"""How a study stands while it runs: what is done, what runs and how far, what failed, how long it takes.

Everything is read from the folder (`status.json`, signs of life, results), so that it is the same from the
process that runs the study, from another one, and from another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import CellSpec
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.pool import read_status
from genret_core.workbench.runs import Study
from genret_core.workbench.study.collect import as_tables, rows_of_bm25, rows_of_cell
from genret_core.workbench.study.cost import expected_seconds
from genret_core.workbench.study.file import METHODS
from genret_core.workbench.study.grid import expand
from genret_core.workbench.study.notebooks import finished_notebooks
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.variants import variant_names


@dataclass(frozen=True)
class Standing:
    """A study at one moment.

    Attributes
    ----------
    status : dict
        `status.json` of the study; one whose process is gone is given as `killed`.
    cells : DataFrame
        As `Study.progress` gives it; before there is a corpus, what is planned.
    notebooks : list of RunRecord
        The latest run of each that was begun.
    left : float or None
        Seconds that the cells may still take, where some are done to judge by.
    """

    status: dict[str, Any]
    cells: pd.DataFrame
    notebooks: list[RunRecord]
    left: float | None

    @property
    def state(self) -> str:
        """State of the study."""
        return str(self.status.get("state", "queued"))

    def count(self, *states: str) -> int:
        """Count the cells in any of some states."""
        return int(self.cells["state"].isin(states).sum())


class Onlooker:
    """Looks at a study again and again; what does not change any more is read once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._read: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
        self._cost: dict[str, float] = {}
        self._took: dict[str, float | None] = {}

    def look(self) -> Standing:
        """See how the study stands now."""
        cells = self._cells()
        notebooks = finished_notebooks(Place(self.study.spec, self.study.folder))
        return Standing(self._status(), cells, notebooks, self._left(cells))

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Give the rows of `cells.parquet` and `results.parquet` for the cells that are done by now."""
        study = self.study
        names = {method: variant_names(study.spec, method) for method in METHODS}
        states = dict(zip(*(self._cells()[name] for name in ("cell", "state")), strict=True))
        for cell in self._plan():
            if states.get(cell.key) == "done" and cell.key not in self._read:
                row, own = rows_of_cell(cell, names[cell.method])
                if row is not None:
                    self._read[cell.key] = row, own
        cells = [row for row, _ in self._read.values()]
        results = [one for _, own in self._read.values() for one in own]
        if self._plan():
            results += rows_of_bm25(study.folder, study.inputs)
        return as_tables(cells, results)

    def _plan(self) -> list[CellSpec]:
        try:
            return self.study.plan
        except BadInput:  # its inputs are not made yet
            return []

    def _cells(self) -> pd.DataFrame:
        if self._plan():
            return self.study.progress()
        rows = [
            {
                "cell": "",
                "name": one.name,
                "method": one.method,
                "backbone": one.backbone.name,
                "fraction": one.fraction,
                "seed": one.seed,
                "state": "queued",
                "reason": None,
                "now": None,
            }
            for one in expand(self.study.spec)
        ]
        return pd.DataFrame(rows)

    def _status(self) -> dict[str, Any]:
        try:
            status: dict[str, Any] = dict(read_json(self.study.layout.status_file))
        except (OSError, ValueError, TypeError):
            return {"state": "queued"}
        return read_status(self.study.folder) if status.get("state") == "running" else status

    def _left(self, cells: pd.DataFrame) -> float | None:
        """Expect the rest from what the finished cells took, spread over as many as run now."""
        state = dict(zip(cells["cell"], cells["state"], strict=True))
        plan = self._plan()
        for cell in plan:
            if cell.key not in self._cost:
                self._cost[cell.key] = expected_seconds(cell)
            if state[cell.key] == "done" and cell.key not in self._took:
                self._took[cell.key] = _seconds(read_status(self.study.layout.cell(cell.key)))
        known = {key: seconds for key, seconds in self._took.items() if seconds}
        waiting = sum(self._cost[cell.key] for cell in plan if state[cell.key] in ("queued", "running"))
        if not known or not waiting:
            return None
        factor = sum(known.values()) / sum(self._cost[key] for key in known)
        return waiting * factor / max(1, int((cells["state"] == "running").sum()))


def _seconds(status: Mapping[str, Any]) -> float | None:
    """Give the seconds that a cell took, where its status knows."""
    try:
        begun, ended = (datetime.fromisoformat(str(status[name])) for name in ("started", "ended"))
    except (KeyError, ValueError):
        return None
    return max(1.0, (ended - begun).total_seconds())
