"""Where a study lives, and whether that folder may be gone on with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.modeling import StudyFolder
from genret_core.workbench import project
from genret_core.workbench.study.file import StudySpec, load

# What a study may change while it stays the same study: cells, searches and notebooks have keys of their own,
# so that a wider grid trains only what is new. All else decides what its numbers mean.
FREE = ("note", "grid", "search", "seed_noise", "notebooks", "notebook_parameters", "jobs")
MADE = ("cells", "corpus", "evaluation", "notebooks", "inputs.json", "cells.parquet", "results.parquet")


@dataclass(frozen=True)
class Place:
    """A study and the folder it lives in."""

    spec: StudySpec
    folder: Path


def place(source: StudySpec | str | Path, out: str | Path | None = None) -> Place:
    """Settle which study is meant and where it lives.

    Parameters
    ----------
    source : StudySpec, str or Path
        A study, a preset (`demo`), a YAML file, or a study folder (`runs/demo`), which is then gone on with.
    out : path-like, optional
        Where study folders lie; by default `runs` of the project.
    """
    runs = Path(out).expanduser().resolve() if out is not None else project.project_root() / "runs"
    if isinstance(source, StudySpec):
        return Place(source, runs / source.name)
    for folder in (Path(source).expanduser(), project.resolve(source)):
        if (folder / "study.yaml").is_file() and (folder / "status.json").is_file():
            return Place(load(folder), folder.resolve())
    spec = load(source)
    return Place(spec, runs / spec.name)


def refuse_other_parameters(here: Place) -> None:
    """Refuse a folder that was made with other parameters.

    Raises
    ------
    BadInput
        Naming the keys that differ, with both values.
    """
    trained = any((here.folder / "cells").glob("*/cell.json"))
    if not trained or not StudyFolder(here.folder).study_file.is_file():
        return  # nothing stands on the old parameters yet
    before, now = _fixed(load(here.folder)), _fixed(here.spec)
    both = [
        key for key in {*before, *now} if not key.startswith("backbone ") or (key in before and key in now)
    ]
    different = [key for key in sorted(both) if before.get(key) != now.get(key)]
    if different:
        shown = ", ".join(f"{key} ({before.get(key)} there, {now.get(key)} now)" for key in different[:4])
        more = f" and {len(different) - 4} more" if len(different) > 4 else ""
        raise BadInput(
            f"{here.folder} was made with other parameters: {shown}{more}. Give the study another `name`, or "
            "start it anew with --fresh (which removes what is there)."
        )


def _fixed(spec: StudySpec) -> dict[str, Any]:
    """Flatten what may not change, as `recipe.batch_queries`; a ladder may grow, its rungs may not change."""
    values = spec.model_dump(mode="json", exclude={*FREE, "ladders"})
    rungs = {f"backbone {backbone.name}": backbone.to_dict() for backbone in spec.backbones}
    return _flat({**values, **rungs})


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def clear(folder: Path) -> None:
    """Remove what an earlier run of a study made in its folder, and nothing else."""
    for name in MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def nothing_left_of_bad_input(folder: Path) -> Iterator[None]:
    """Remove a study folder that the block made, if its input turns out to be of no use."""
    new = not folder.exists()
    try:
        yield
    except BadInput:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def at_work(folder: Path) -> Iterator[dict[str, Any]]:
    """Keep `status.json` of a study while the block runs: running, then done, failed or killed.

    Yields
    ------
    dict
        Set `state` and `reason` in it to say how the block ended.
    """
    started = _now()
    ending: dict[str, Any] = {"state": "done", "reason": None}
    path = StudyFolder(folder).status_file
    running = {"state": "running", "reason": None, "started": started, "updated": started}
    write_json(path, {**running, "pid": os.getpid()})
    try:
        yield ending
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            ending |= {"state": "killed", "reason": "stopped by the user"}
        else:
            ending |= {"state": "failed", "reason": str(error)}
        raise
    finally:
        write_json(path, {**ending, "started": started, "updated": _now()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
