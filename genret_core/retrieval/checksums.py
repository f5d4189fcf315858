"""Has a large file changed since it was written? Answered quickly when it is opened, or byte by byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json

BLOCK = 1 << 20
WHOLE = 64 << 20  # bytes up to which everything is read whenever a folder is opened
SAMPLED = 16  # blocks of a larger file that are read then
NOTE = "checked.json"
AGAIN = "remove the folder and build the index again"


def of_file(path: Path) -> list[str]:
    """Hash a file, block by block."""
    with path.open("rb") as file:
        return [_hash(block) for block in iter(lambda: file.read(BLOCK), b"")]


def check(
    folder: Path, blocks: Mapping[str, Sequence[str]], *, every_byte: bool = False, again: str = AGAIN
) -> None:
    """Refuse a folder with a changed file.

    Small folders are read whole. Of larger ones a few blocks are read if the files have the times that they
    had when they were last read whole, which editing changes; else everything is, about a second per GB.

    Parameters
    ----------
    blocks : mapping
        For every file the hashes of its blocks.
    every_byte : bool
        Read everything in any case.
    again : str
        What to do about a changed file.

    Raises
    ------
    BadInput
        Names the file and the place.
    """
    small = sum(len(hashes) for hashes in blocks.values()) * BLOCK <= WHOLE
    whole = every_byte or small or _noted(folder) != _times(folder, blocks)
    for name, hashes in blocks.items():
        last = len(hashes) - 1
        chosen = range(len(hashes)) if whole else sorted({last * i // (SAMPLED - 1) for i in range(SAMPLED)})
        with (folder / name).open("rb") as file:
            for i in chosen:
                file.seek(i * BLOCK)
                if _hash(file.read(BLOCK)) != hashes[i]:
                    raise BadInput(
                        f"{folder / name} was changed since it was written, between bytes {i * BLOCK:,} and "
                        f"{(i + 1) * BLOCK:,}; {again}."
                    )
    if whole and not small:
        note(folder, blocks)


def note(folder: Path, names: Iterable[str]) -> None:
    """Note that some files are as they should be; a folder that cannot be written to goes without."""
    with suppress(OSError):
        write_json(folder / NOTE, _times(folder, names))


def _noted(folder: Path) -> Any:
    with suppress(OSError, ValueError):
        return read_json(folder / NOTE)
    return None


def _times(folder: Path, names: Iterable[str]) -> dict[str, int]:
    return {name: os.stat(folder / name).st_mtime_ns for name in names}


def _hash(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()[:16]
