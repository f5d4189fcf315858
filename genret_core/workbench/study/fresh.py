"""`--fresh`: what an earlier run of a study made in its folder, and nothing else, is removed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.modeling import StudyFolder

KEY = "[0-9a-f]{16}"
PART = r"\..+\.part|\.reading-\d+"
MADE = {  # what a study makes below each of its folders, and what that is called
    "cells": (rf"{KEY}|{PART}", "cell", "cells"),
    "corpus": (rf"{KEY}|{PART}|read\.json|vectors\.json", "corpus", "corpora"),
    "evaluation": (rf"(bm25-)?{KEY}|{PART}", "evaluation sample", "evaluation samples"),
    "pretrained": (rf"{KEY}(-work)?|\.{KEY}\.lock|{PART}", "pretrained backbone", "pretrained backbones"),
    "notebooks": (rf".+-[0-9a-f]{{8}}|{PART}", "notebook run", "notebook runs"),
}
LITTER = ("parsl", "runinfo")  # of engines
FILES = ("inputs.json", "cells.parquet", "results.parquet", "index.html", "plotly.min.js")


def own_folders(folder: Path) -> dict[str, list[Path]]:
    """List what a study made, by the folder it lies in.

    Raises
    ------
    BadInput
        If one of these folders is a link: what it leads to may not be the study's alone.
    """
    found: dict[str, list[Path]] = {}
    for name, (pattern, _, _) in MADE.items():
        inside = folder / name
        if inside.is_symlink():
            raise BadInput(
                f"{inside} is a link to {os.readlink(inside)}: what lies there is not removed; remove it, or "
                "the link, yourself."
            )
        names = sorted(entry.name for entry in os.scandir(inside)) if inside.is_dir() else []
        found[name] = [inside / entry for entry in names if re.fullmatch(pattern, entry)]
    return found


def clear(folder: Path, say: Callable[[str], None] = print) -> None:
    """Remove what an earlier run of a study made in its folder, and say what that is.

    What is not the study's stays, and is named; a folder without a study stays as it is.

    Raises
    ------
    BadInput
        See `own_folders`; nothing was removed then.
    """
    if not StudyFolder(folder).study_file.is_file():
        return
    found = own_folders(folder)
    files = [folder / name for name in FILES if (folder / name).is_file()]
    size = sum(bytes_in(path) for path in (*files, *(path for own in found.values() for path in own)))
    if size:
        counts = [_count(name, own) for name, own in found.items()]
        told = [text for text in (*counts, f"{len(files)} files" if files else "") if text]
        say(f"removing what was made in {folder}: {', '.join(told)} ({size / 1e6:,.1f} MB)")
    litter = [folder / name for name in LITTER]
    for path in (*files, *litter, *(path for own in found.values() for path in own)):
        remove(path)
    for name in found:
        inside = folder / name
        if not inside.is_dir():
            continue
        left = sorted(entry.name for entry in os.scandir(inside))
        if left:
            say(f"  left in {inside}, as no run made it: {', '.join(left[:5])}")
        else:
            inside.rmdir()


def remove(path: Path) -> None:
    """Remove a file, a folder with all in it, or a link (and not what it leads to)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def bytes_in(path: str | os.PathLike[str]) -> int:
    """Add up the sizes of a file, or of all files in a folder; a link counts as itself."""
    if os.path.islink(path) or not os.path.isdir(path):
        return os.lstat(path).st_size if os.path.lexists(path) else 0
    total, waiting = 0, [os.fspath(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # gone meanwhile
            continue
    return total


def _count(name: str, own: list[Path]) -> str:
    _, one, many = MADE[name]
    whole = sum(path.is_dir() for path in own)
    return f"{whole} {one if whole == 1 else many}" if whole else ""
