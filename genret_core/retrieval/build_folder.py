"""A folder that takes long to fill: whole or not at all, and swept up after a build that was killed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
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

LOCK, PART = ".lock", ".part"
_PART, _WHOLE = re.compile(r"\.([^/]+)\.[^/.]+\.part(?=/|$)"), r"\1"  # a folder's name while it is filled
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def build_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path` that becomes `path` when the block ends well.

    What builds that no longer run have left beside `path` is removed first. A folder that stands at `path` at
    the end is kept, and the new one dropped.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    with _lock_beside(path) as lock, atomic_folder(path, part=lock.with_suffix(PART)) as part:
        yield part


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
    for left in path.parent.glob(f".{path.name}.*{LOCK}"):
        with suppress(OSError), left.open("r+") as lock:
            if _hold(lock):
                shutil.rmtree(left.with_suffix(PART), ignore_errors=True)
                left.unlink(missing_ok=True)


@contextmanager
def _lock_beside(path: Path) -> Iterator[Path]:
    """Hold a lock of a fresh name beside `path`; it is there before the folder it stands for, and after."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=LOCK, dir=path.parent)
        with os.fdopen(handle, "r+") as lock:
            held = _hold(lock)
            if fcntl is not None and not (held and os.path.exists(name)):
                continue  # another build swept it up before it was held
            try:
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)
            return


def _hold(lock: IO[str]) -> bool:
    """Take a lock for as long as the file is open, if nobody has it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
