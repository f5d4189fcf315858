"""Where a study lives, and its status while a command is at work there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import disk_fault, write_json
from genret_core.modeling import StudyFolder
from genret_core.workbench import project
from genret_core.workbench.pool import read_status
from genret_core.workbench.pool.heartbeat import BEAT, Pulse
from genret_core.workbench.pool.process import command_line, identity
from genret_core.workbench.study.file import StudySpec, load
from genret_core.workbench.study.lock import others_at_work


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

    While it runs, it is written anew every few seconds, with `updated`, the process that writes it (`pid`,
    `host`, `command`) and what is under way (`running`). `pool.read_status` tells whether that is still true.

    Yields
    ------
    dict
        Set `state` and `reason` in it to say how the block ended.
    """
    started = _now()
    ending: dict[str, Any] = {"state": "done", "reason": None}
    path = StudyFolder(folder).status_file
    who = {**identity(), "command": command_line()}

    def say_running() -> None:
        running = {"state": "running", "reason": None, "started": started, "updated": _now()}
        write_json(path, {**running, **who, "running": under_way(folder)})

    def again() -> None:
        with contextlib.suppress(OSError):  # a full disk is told by whoever needs it
            say_running()

    say_running()
    try:
        with Pulse(again, every=2 * BEAT):
            yield ending
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            ending |= {"state": "killed", "reason": "stopped by the user"}
        elif disk_fault(error) is not None:
            ending |= {"state": "killed", "reason": f"killed: {disk_fault(error)}"}
        else:
            ending |= {"state": "failed", "reason": str(error)}
        raise
    finally:
        if not others_at_work(folder):  # they go on, and say so
            with contextlib.suppress(OSError):
                write_json(path, {**ending, "started": started, "updated": _now(), "command": who["command"]})


def under_way(folder: Path) -> list[dict[str, Any]]:
    """List the cells and notebooks that somebody is at: folder, name, and how far they are."""
    found = []
    for beat in sorted([*folder.glob("cells/*/beat.json"), *folder.glob("notebooks/*/beat.json")]):
        status = read_status(beat.parent)
        if status["state"] == "running":
            shown = {key: status.get(key) for key in ("name", "started", "stage", "step", "of", "loss")}
            found.append({"folder": beat.parent.relative_to(folder).as_posix(), **shown})
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
