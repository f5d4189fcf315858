"""One command at a time in a study folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.workbench.pool import process_lives


@contextmanager
def locked(folder: Path, *, name: str = "lock.json", say: Callable[[str], None] = print) -> Iterator[None]:
    """Hold a lock of a study folder while the block runs.

    A lock whose process is gone (this machine) is taken over, and that is said.

    Raises
    ------
    BadInput
        If another command works in the folder.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    while not _claim(path):
        holder = _holder(path)
        here = holder.get("host") == socket.gethostname()
        if here and not process_lives(holder.get("pid")):
            say(f"taking over the lock of process {holder.get('pid')}, which is gone")
            path.unlink(missing_ok=True)
            continue
        raise BadInput(
            f"another command is at work in {folder} (process {holder.get('pid')} on {holder.get('host')}, "
            f"since {holder.get('since')}); wait for it, or remove {path} if that is not so."
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _claim(path: Path) -> bool:
    """Put the lock in place whole, unless one is there: a hard link is made or it fails."""
    mine = path.with_name(f".{path.name}-{os.getpid()}")
    since = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(mine, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    finally:
        mine.unlink(missing_ok=True)
    return True


def _holder(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(path)
    except (OSError, ValueError):
        return {}
    return found
