"""`genret runs show`: a study, a cell or a notebook run: what it was, where it is from, what it left."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.readable import readable
from genret_core.workbench.history.found import Found
from genret_core.workbench.pool import read_status
from genret_core.workbench.runs import Study
from genret_core.workbench.study.changes import flat
from genret_core.workbench.study.choice import noted_spec
from genret_core.workbench.study.fresh import bytes_in

LOG_LINES = 12
MACHINE = (
    "commit", "dirty", "source", "python", "os", "cpu", "cores", "memory", "gpu", "cuda", "versions",
)  # fmt: skip
METRICS = ["split", "n_negatives", "variant", "beam", "metric", "value", "stderr", "n_queries"]


@dataclass(frozen=True)
class Shown:
    """What is known of a run.

    Attributes
    ----------
    title, kind, folder, state : str
    reason : str or None
    started, ended : str or None
    answer : str
        Of a notebook.
    parameters, provenance, inputs : dict
        Inputs by their hash. Of a study, the provenance of its cells: several values stand in a list.
    rows : DataFrame
        What a cell measured; the cells of a study, with their hosts if those are several.
    files : list of (str, int)
        Name and bytes; a folder with all in it.
    log : str
        The end of its log.
    host : str or None
        Where it runs, or ran last, if that was noted.
    """

    title: str
    kind: str
    folder: str
    state: str
    reason: str | None
    started: str | None
    ended: str | None
    answer: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    inputs: dict[str, Any]
    rows: pd.DataFrame
    files: list[tuple[str, int]]
    log: str
    host: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rows"}
        rows = json.loads(self.rows.to_json(orient="records", double_precision=15))
        return {**own, "files": [{"name": name, "bytes": size} for name, size in self.files], "rows": rows}

    def __str__(self) -> str:
        """Write it for people."""
        lines = [f"{self.title}: {self.state}" + (f": {readable(self.reason)}" if self.reason else "")]
        lines.append(self.folder)
        if self.started:
            on = f", on {readable(self.host)}" if self.host and self.kind != "study" else ""
            lines.append(f"from {self.started} to {self.ended or 'now'}{on}")
        if self.answer:
            lines.append(readable(self.answer))
        whole = self.kind != "study"  # a study's parameters are its study.yaml, and long
        for head, values in (
            ("parameters", self.parameters if whole else {}),
            ("inputs", self.inputs if whole else {}),
            ("made with", self.provenance),
        ):
            if values:
                lines += [f"{head}:", *(f"  {key}: {_text(value)}" for key, value in _lines(head, values))]
        if len(self.rows):
            shown = self.rows.drop(columns=["cell"], errors="ignore").dropna(axis="columns", how="all")
            told = shown.to_string(index=False, na_rep="", float_format=lambda x: f"{x:.5g}")
            lines += ["cells:" if self.kind == "study" else "measured:", told]
        if self.files:
            lines += ["files:", *(f"  {size:>12,}  {readable(name)}" for name, size in self.files)]
        if self.log:
            lines += ["the end of its log:", *(f"  {line}" for line in self.log.splitlines())]
        return "\n".join(lines)


def show(found: Found) -> Shown:
    """Gather what is known of a run."""
    if found.kind == "study":
        return _study(found)
    return _cell(found) if found.kind == "cell" else _notebook(found)


def _study(found: Found) -> Shown:
    study = found.study
    status = read_status(study.folder)
    prepared = _inputs(study)
    try:
        rows = study.overview()
    except BadInput:  # nothing is prepared yet
        rows = pd.DataFrame()
    hosts = [read_status(study.layout.cell(cell.key)).get("host") for cell in study.plan] if len(rows) else []
    if len({*hosts} - {None}) > 1:
        rows.insert(list(rows).index("state") + 1, "host", hosts)
    return Shown(
        study.name, "study", str(study.folder), str(status["state"]), status.get("reason"),
        status.get("started"), status.get("updated"), "", study.spec.model_dump(mode="json"),
        provenance_of_study(study), prepared, rows, _files(study.folder), "",
    )  # fmt: skip


def _inputs(study: Study) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(study.folder / "inputs.json")
    except (OSError, ValueError):
        return {}
    return found


def _cell(found: Found) -> Shown:
    folder, study = found.folder, found.study
    status = read_status(folder)
    noted = noted_spec(folder) or {}
    try:
        kept = read_json(folder / "cell.json")
    except (OSError, ValueError):
        kept = {}
    if not noted:
        noted = {"recipe": kept.get("recipe", {}), "backbone": kept.get("backbone_config", {})}
    inputs = {key: noted.get(key) or kept.get(key) for key in ("corpus", "tokenizer", "identifiers", "index")}
    parameters = {key: value for key, value in noted.items() if key not in (*inputs, "losses", "searches")}
    try:
        rows = study.results
        rows = rows.loc[rows["cell"] == folder.name, METRICS].reset_index(drop=True)
    except BadInput:
        rows = pd.DataFrame()
    state = "done" if len(rows) and status["state"] == "queued" else str(status["state"])
    return Shown(
        found.title, "cell", str(folder), state, status.get("reason"), status.get("started"),
        status.get("ended"), "", parameters, kept.get("provenance") or {},
        {key: value for key, value in inputs.items() if value}, rows, _files(folder), _tail(folder),
        status.get("host"),
    )  # fmt: skip


def _notebook(found: Found) -> Shown:
    record = found.record
    return Shown(
        found.title, "notebook", str(found.folder), record.state, record.reason, record.started, record.ended,
        record.answer, record.parameters, record.provenance, record.inputs, pd.DataFrame(),
        _files(found.folder), _tail(found.folder),
    )  # fmt: skip


def provenance_of_study(study: Study) -> dict[str, Any]:
    """Give where the cells of a study are from: one value where all agree, else the list of them."""
    try:
        cells = study.cells
    except BadInput:
        return {}
    found: dict[str, Any] = {}
    for name in MACHINE:
        if name not in cells:
            continue
        values = [value for value in cells[name].drop_duplicates().tolist() if not _is_nothing(value)]
        plain = [json.loads(value) if name == "versions" else value for value in values]
        if plain:
            found[name] = plain[0] if len(plain) == 1 else plain
    return found


def _is_nothing(value: Any) -> bool:
    return value is None or value != value


def _files(folder: Path) -> list[tuple[str, int]]:
    entries = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    sizes = [(name, folder / name) for name in entries]
    return [(name + "/" * (path.is_dir() and not path.is_symlink()), bytes_in(path)) for name, path in sizes]


def _tail(folder: Path) -> str:
    """Read the end of a log without reading all of it."""
    try:
        with open(folder / "log.txt", "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 20_000))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return readable("\n".join(text.strip().splitlines()[-LOG_LINES:]), 200, lines=True)


def _lines(head: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Give what a block lists; the versions of packages stand in one line."""
    return list(values.items()) if head == "made with" else list(flat(values).items())


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, list) and len(value) > 3:
        return readable(f"{len(value)} of them: {json.dumps(value, default=str, ensure_ascii=False)}", 200)
    return readable(value, 400)
