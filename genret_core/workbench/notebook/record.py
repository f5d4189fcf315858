"""What is known of a notebook's run: its state while it goes on, its record when it has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json
from genret_core.workbench.pool import read_status
from genret_core.workbench.pool.status import ENDED

ANSWER_MIME = "application/vnd.genret.answer+json"
ENDS = {"run.json": b"}", "executed.ipynb": b"}", "report.html": b"</html>"}  # what a whole file ends with


@dataclass(frozen=True)
class RunRecord:
    """One notebook's run, as kept in its folder.

    Attributes
    ----------
    name : str
        The notebook's name without its extension.
    folder : Path
        Where its files are.
    state : str
        `queued`, `running`, `done`, `failed`, `killed` or `timeout`.
    reason : str or None
        Why it is not done, in one sentence.
    error : str or None
        The exception's name, where there was one; `BadInput` means the parameters or data cannot be used.
    started, ended : str or None
        UTC, ISO 8601.
    seconds : float
        From start to end.
    title, answer : str
        The notebook's first heading, and its answer in one sentence ("" until it has given one).
    cell, cells : int or None, int
        The code cell it ended in (counted from 1, None if done) and how many there are.
    parameters : dict
        All of them, as they were used.
    inputs : dict
        Keys of what it read.
    parents : list of str
        The runs whose results it read, by their folders in the study (`cells/<key>`).
    timings : dict
        Seconds for the kernel to start, the cells to run, the report to be made.
    provenance : dict
        Commit, versions, machine.
    """

    name: str
    folder: Path
    state: str
    reason: str | None = None
    error: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: float = 0.0
    title: str = ""
    answer: str = ""
    cell: int | None = None
    cells: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    parents: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the notebook ran to its end."""
        return self.state == "done"

    @property
    def notebook(self) -> Path:
        """The notebook with its outputs."""
        whole = self.folder / "executed.ipynb"
        return whole if self.done or whole.is_file() else self.folder / "failed.ipynb"

    @property
    def report(self) -> Path:
        """The page made from it."""
        return self.folder / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON-like values, without its folder (which may be moved)."""
        return {key: value for key, value in asdict(self).items() if key != "folder"}


def open_run(folder: str | os.PathLike[str]) -> RunRecord:
    """Read the record of a run that has ended, or the state of one that has not.

    One that is done, but has lost a file since, is `queued`.

    Raises
    ------
    BadInput
        If the folder holds no run.
    """
    folder = Path(folder)
    if not (folder / "status.json").is_file():
        raise BadInput(f"{folder / 'status.json'} is not there: there is no run in this folder.")
    status = read_status(folder)
    if status["state"] == "done" and (lacking := lacking_of(folder)):
        status |= {"state": "queued", "reason": f"it was done, but {lacking}; it has to run again"}
    if (folder / "run.json").is_file() and status["state"] in ENDED:
        known = {f.name for f in fields(RunRecord)}
        kept = {key: value for key, value in read_json(folder / "run.json").items() if key in known}
        return RunRecord(**{**kept, "folder": folder, "state": status["state"], "reason": status["reason"]})
    name = folder.name.rpartition("-")[0] or folder.name
    return RunRecord(
        name=name,
        folder=folder,
        state=status["state"],
        reason=status.get("reason"),
        started=status.get("started"),
        ended=status.get("ended"),
    )


def lacking_of(folder: Path) -> str | None:
    """Say what a run that is done has lost since: a file that is gone, or was cut off."""
    for name, end in ENDS.items():
        try:
            with open(folder / name, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 32))
                tail = file.read().rstrip()
        except OSError:
            return f"its {name} is gone"
        if not tail.endswith(end):
            return f"its {name} was cut off"
    return None


def run_key(
    notebook: str | os.PathLike[str], parameters: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """Hash what a run's result depends on: the notebook's source, its parameters, keys of what it reads."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in _read(notebook)["cells"]]
    return content_key({"cells": cells, "parameters": dict(parameters), "inputs": dict(inputs)})


def title_of(cells: Iterable[Mapping[str, Any]]) -> str:
    """Give a notebook's first heading, or "" if it has none."""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for line in "".join(cell["source"]).splitlines():
                if line.lstrip().startswith("#"):
                    return line.strip("# \t")
    return ""


def answer_of(cells: Iterable[Mapping[str, Any]]) -> str:
    """Give the last answer among a notebook's outputs (see `report.answer`), or "" if it has none."""
    found = ""
    for cell in cells:
        for output in cell.get("outputs", ()):
            given = output.get("data", {}).get(ANSWER_MIME)
            if isinstance(given, Mapping):
                found = str(given.get("answer", ""))
    return found


def now() -> str:
    """Give the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(notebook: str | os.PathLike[str]) -> Any:
    return json.loads(Path(notebook).read_text(encoding="utf-8"))
