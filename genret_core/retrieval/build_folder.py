"""A folder that takes long to fill: whole or not at all, and swept up after a build that was killed."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from genret_core.errors import BadInput
from genret_core.files import atomic_folder

try:
    import fcntl
except ImportError:  # a system without locks on files: nothing is swept up
    fcntl = None  # type: ignore[assignment]

LOCK = "building.lock"
_PART, _WHOLE = re.compile(r"\.([^/]+)\.[^/.]+\.part(?=/|$)"), r"\1"  # a folder's name while it is filled
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def build_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path` that becomes `path` when the block ends well.

    What builds that no longer run have left beside `path` is removed first. A folder that stands at `path` at
    the end is kept, and the new one dropped.
    """
    sweep(path)
    with atomic_folder(path) as part:
        with (part / f"new.{LOCK}").open("w") as lock:
            _hold(lock)
            os.rename(lock.name, part / LOCK)  # seen by others only once it is held
            yield part
        (part / LOCK).unlink()


@contextmanager
def room_on_disk(folder: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turn a full disk into a sentence; the block leaves nothing behind when it is left by an error."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        named = _PART.sub(_WHOLE, str(folder))
        raise BadInput(
            f"{named}: no room for {what} ({error.strerror}). Nothing was left behind; make room and begin "
            "again."
        ) from None


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what killed builds of `path` have left: folders whose lock nobody holds."""
    path = Path(path)
    for part in path.parent.glob(f".{path.name}.*.part"):
        with suppress(OSError), (part / LOCK).open("r+") as lock:
            if _hold(lock):
                shutil.rmtree(part, ignore_errors=True)


def _hold(lock: IO[str]) -> bool:
    """Take a lock for as long as the file is open, if nobody has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
