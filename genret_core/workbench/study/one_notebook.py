"""`genret run`: one notebook, by the rules of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.workbench import project
from genret_core.workbench.documents import read_value
from genret_core.workbench.notebook.record import RunRecord, run_key
from genret_core.workbench.params import check, declared, read_yaml
from genret_core.workbench.runs import open_study
from genret_core.workbench.study.notebooks import notebook_file, parents_of, reads_of
from genret_core.workbench.study.place import place


def run_one(
    notebook: str,
    *,
    file: Path | None = None,
    assignments: Sequence[str] = (),
    out: Path | None = None,
    timeout: float | None = None,
) -> RunRecord:
    """Run one notebook and make its report.

    Parameters
    ----------
    notebook : str
        Name (`05_model_size`) or file.
    file : Path, optional
        YAML with parameters.
    assignments : sequence of str
        `name=value`, over those of the file; a value is read as YAML reads it.
    out : Path, optional
        The run's folder; by default `notebooks/<name>-<key8>` of the study that it reads.
    timeout : float, optional
        Seconds.
    """
    from genret_core.workbench.execute import execute

    source = _source(notebook)
    given: dict[str, Any] = read_yaml(file) if file is not None else {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise BadInput(f"-p takes a name and a value; {assignment!r} has no value.")
        given[name] = read_value(value)
    values = check(given, source)
    study_dir = project.resolve(values.get("study_dir") or "runs")  # empty: a notebook that reads no study
    if values.get("study_dir"):
        open_study(values["study_dir"])  # refused here, before a folder is made for the run
    here = place(study_dir) if (study_dir / "study.yaml").is_file() else None
    reads = reads_of(here) if here is not None else {}
    if out is None:
        own = {name: value for name, value in values.items() if name != "study_dir"}
        out = study_dir / "notebooks" / f"{source.stem}-{run_key(source, own, reads)[:8]}"
    note = here.spec.note if here is not None else None
    parents = parents_of(here) if here is not None else []
    return execute(
        source, given, out, timeout=timeout, inputs=reads, parents=parents, note=note, on_progress=None
    )


def parameter_help(notebook: str) -> str:
    """List the parameters of a notebook: name, type, default and what it is."""
    rows = [(p.name, p.type, repr(p.default), p.help) for p in declared(_source(notebook))]
    widths = [max(len(row[i]) for row in rows) for i in range(3)] if rows else [0, 0, 0]
    lines = [f"  {n:{widths[0]}}  {t:{widths[1]}}  {d:{widths[2]}}  {h}".rstrip() for n, t, d, h in rows]
    return "\n".join([f"parameters of {_source(notebook).name}", *lines])


def _source(notebook: str) -> Path:
    path = Path(notebook).expanduser()
    return path if path.is_file() else notebook_file(path.name)
