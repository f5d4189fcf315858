"""Files that appear whole or not at all, damaged ones told of, and keys made of content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genret_core.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there replaces `path` when the block ends well.

    Parameters
    ----------
    path : path-like
        The file that is to appear. Its folder is made if needed.

    Yields
    ------
    Path
        A fresh path in the same folder (so that the rename is atomic), removed if the block raises.

    Raises
    ------
    BadInput
        If a folder stands there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        try:
            os.replace(part, path)
        except IsADirectoryError:
            raise BadInput(f"{path} is a folder, and a file is to go there; move it away.") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], *, part: Path | None = None) -> Iterator[Path]:
    """Give a temporary folder beside `path` that becomes `path` when the block ends well.

    A folder that stands at `path` by then (another process was first) is kept, and the new one is dropped.

    Parameters
    ----------
    path : path-like
        The folder that is to appear.
    part : Path, optional
        What the temporary folder is called, in the same folder as `path`; by default a fresh name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if part is None:
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    else:
        part.mkdir(mode=0o700)
    try:
        yield part
        mask = _umask()
        part.chmod(0o777 & ~mask)
        for inner in part.rglob("*"):  # some libraries write files that nobody else may read
            if not inner.is_symlink():
                inner.chmod((0o777 if inner.is_dir() else 0o666) & ~mask)
        try:
            os.rename(part, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; numbers keep all their digits."""
    with atomic(path) as part:
        text = json.dumps(value, indent=1, ensure_ascii=False, default=_plain)
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    OSError
        If it cannot be read.
    BadInput
        If it holds something else.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(found, dict):
        raise _damaged(path, f"expected an object, found a {type(found).__name__}")
    return found


def read_table(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table, or some of its columns.

    Raises
    ------
    OSError
        If it cannot be read.
    BadInput
        If it is no such table, or is cut off.
    """
    import pandas as pd  # a quarter of a second that most of those who import this do not need
    import pyarrow as pa

    if Path(path).is_dir():  # pandas would take it for a table in parts
        raise _damaged(path, "expected a file, found a folder")
    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except (ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from None


def _damaged(path: str | os.PathLike[str], why: object) -> BadInput:
    said = (str(why).splitlines() or [type(why).__name__])[0]
    again = "bring a whole copy; or remove it, and run the study again to have it made anew"
    return BadInput(f"{os.fspath(path)} is damaged ({said}): {again}.", code="damaged_file")


def content_key(value: Any, length: int = 16) -> str:
    """Hash a JSON-like value: the same content gives the same key on every machine.

    Parameters
    ----------
    value : JSON-like
        Mappings, sequences, strings, numbers, None; numpy's scalars and arrays count as Python's values.
    length : int
        Hexadecimal digits to keep of the SHA-256.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def disk_fault(error: BaseException | None) -> str | None:
    """Say in a sentence which fault of a disk an exception goes back to; None if it does not.

    Such a fault is none of the work's own: when it is mended, the same work can go on.
    """
    for _ in range(20):
        if error is None:
            return None
        if isinstance(error, OSError) and error.errno in _FAULTS:
            path = Path(error.filename) if isinstance(error.filename, str) else None
            if path is not None and path.name.startswith("."):  # a temporary name says nothing
                path = path.parent
            return _FAULTS[error.errno] + (f" ({path})" if path is not None else "")
        if "os error 28" in str(error) or "No space left on device" in str(error):
            return _FAULTS[errno.ENOSPC]  # libraries that are not written in Python wrap it in words
        error = error.__cause__ or error.__context__
    return None


_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "there is no permission to read or write",
    errno.EIO: "the disk gave an error",
    errno.ESTALE: "the shared disk lost a file",
}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
