"""`genret runs gc`: what can go from a study's folder, and how much that frees.

Nothing is looked for behind a link, and a folder that is one is left as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, StudyFolder
from genret_core.workbench.documents import nearest
from genret_core.workbench.notebook.record import open_run
from genret_core.workbench.pool import read_status
from genret_core.workbench.runs import Study
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.fresh import KEY, LITTER, bytes_in, remove
from genret_core.workbench.study.grid import cell_specs
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.lock import locked, refuse_beside_others
from genret_core.workbench.study.notebooks import notebook_file, reads_of
from genret_core.workbench.study.place import Place
from genret_core.workbench.study.reasons import name_of
from genret_core.workbench.study.reasons_of_notebooks import source_of

KINDS = {
    "parts": "half-made files and folders of commands that are gone",
    "states": "training states and unfinished scoring of cells that are done",
    "cells": "cells that the study's file does not ask for",
    "inputs": "corpora, indices, samples and pretrained backbones that no cell of it reads",
    "failed": "notebook runs that did not come to their end",
    "superseded": "notebook runs on other rows, or of another source, than there are now",
    "litter": "files of the engine",
    "checkpoints": "weights of cells that are done: without them nothing is searched or measured anew",
}
ASKED = ("checkpoints",)  # go only when they are named
PART = re.compile(r"\..+\.part|\.reading-\d+|\.clock-.*|\.lock.*-\d+")
STATE = re.compile(r"training-.+|scoring|state.*")


@dataclass(frozen=True)
class Leftover:
    """Something that can go.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    path : str
        Inside the study.
    bytes : int
    what : str
        The name of the cell, say.
    """

    kind: str
    path: str
    bytes: int
    what: str


@dataclass(frozen=True)
class Leftovers:
    """What can go from one study.

    Attributes
    ----------
    study : str
    folder : Path
    items : tuple of Leftover
    notes : tuple of str
        What was not looked at, and why.
    removed : tuple of str
        Kinds that were removed.
    """

    study: str
    folder: Path
    items: tuple[Leftover, ...]
    notes: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        plain = {"study": self.study, "folder": str(self.folder), "notes": list(self.notes)}
        return {**plain, "removed": list(self.removed), "items": [asdict(item) for item in self.items]}

    def __str__(self) -> str:
        """Write it for people: a line per kind."""
        lines = [f"{self.study}: {self.folder}"]
        for kind, what in KINDS.items():
            own = [item for item in self.items if item.kind == kind]
            if own:
                freed = sum(item.bytes for item in own) / 1e6
                some = "removed" if kind in self.removed else "only with --kind checkpoints" * (kind in ASKED)
                lines.append(f"  {kind:12s} {len(own):5d} {freed:10,.1f} MB  {what}{some and f' ({some})'}")
                lines += [f"{'':14s}{item.path}  {item.what}".rstrip() for item in own[:3]]
                lines += [f"{'':14s}…"] if len(own) > 3 else []
        if not self.items:
            lines.append("  nothing can go")
        return "\n".join([*lines, *self.notes])


def leftovers(study: Study) -> Leftovers:
    """List what can go from a study's folder; nothing is changed."""
    at = StudyFolder(study.folder)
    inputs = Inputs.read(study.folder, study.spec)
    plan = None if inputs is None else cell_specs(study.spec, inputs, study.folder)
    found = [*_parts(study.folder), *_litter(study.folder), *_notebooks(study)]
    notes = [f"{path.name} is a link and was not looked into" for path in _links(study.folder)]
    if plan is None or inputs is None:
        notes.append(
            "cells and inputs were not looked at: what the study's file asks for is not prepared yet"
        )
    else:
        found += [*_cells(at, plan), *_inputs(study.folder, inputs, plan)]
    order = list(KINDS)
    items = sorted(found, key=lambda item: (order.index(item.kind), -item.bytes, item.path))
    return Leftovers(study.name, study.folder, tuple(items), tuple(notes))


def collect_garbage(study: Study, kinds: Collection[str] = ()) -> Leftovers:
    """Remove what can go.

    Parameters
    ----------
    study : Study
    kinds : collection of str
        Of `KINDS`; by default all but checkpoints.

    Raises
    ------
    BadInput
        If a kind is not known, or somebody works in the folder.
    """
    chosen = chosen_kinds(kinds)
    refuse_beside_others(study.folder, "removing anything")
    with locked(study.folder):
        found = leftovers(study)
        for item in found.items:
            path = study.folder / item.path
            if item.kind in chosen and _lies_inside(path, study.folder):
                remove(path)
    there = tuple(kind for kind in chosen if any(item.kind == kind for item in found.items))
    return Leftovers(found.study, found.folder, found.items, found.notes, there)


def chosen_kinds(kinds: Collection[str] = ()) -> tuple[str, ...]:
    """Give the kinds to remove: those named, else all that need not be named.

    Raises
    ------
    BadInput
        If there is no such kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise BadInput(f"there is no kind {kind!r} of leftover{nearest(kind, KINDS)}")
    return tuple(kinds) or tuple(kind for kind in KINDS if kind not in ASKED)


def _lies_inside(path: Path, folder: Path) -> bool:
    """Whether a path is where it seems to be, no folder on the way to it being a link."""
    return path.parent.resolve() == folder.resolve() / path.parent.relative_to(folder)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder, unless it is a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def _links(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_symlink()]


def _item(kind: str, folder: Path, path: Path, what: str = "") -> Leftover:
    return Leftover(kind, path.relative_to(folder).as_posix(), bytes_in(path), what)


def _parts(folder: Path) -> Iterator[Leftover]:
    """Find what a command left half-made; whoever works here would have been refused for."""
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if PART.fullmatch(entry.name):
                yield _item("parts", folder, Path(entry.path))
            elif entry.is_dir(follow_symlinks=False) and entry.name != "checkpoint":
                waiting.append(Path(entry.path))


def _litter(folder: Path) -> Iterator[Leftover]:
    for name in LITTER:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            yield _item("litter", folder, folder / name)


def _cells(at: StudyFolder, plan: Sequence[CellSpec]) -> Iterator[Leftover]:
    asked = {cell.key: cell for cell in plan}
    for path in _folders(at.cells):
        if not re.fullmatch(KEY, path.name):
            continue
        cell = asked.get(path.name)
        if cell is None:
            state = "trained" if (path / "cell.json").is_file() else str(read_status(path)["state"])
            yield _item("cells", at.path, path, f"{name_of(path) or ''} ({state})".strip())
        elif is_done(cell):
            for inner in _folders(path):
                if STATE.fullmatch(inner.name):
                    yield _item("states", at.path, inner, name_of(path) or "")
            if (path / "checkpoint").is_dir() and not (path / "checkpoint").is_symlink():
                yield _item("checkpoints", at.path, path / "checkpoint", name_of(path) or "")


def _inputs(folder: Path, inputs: Inputs, plan: Sequence[CellSpec]) -> Iterator[Leftover]:
    """Find shared inputs under keys that nothing asks for."""
    used = {path.resolve() for path in inputs.folders(folder)}
    corpus = StudyFolder(folder).corpus(inputs.corpus)
    for path in _folders(folder / "corpus"):
        if re.fullmatch(KEY, path.name) and path != corpus:
            yield _item("inputs", folder, path, "a corpus")
    for path in _folders(corpus):
        if (
            re.fullmatch(rf"(tokenizer|index|ngrams|codebook)-{KEY}", path.name)
            and path.resolve() not in used
        ):
            yield _item("inputs", folder, path)
    for path in _folders(folder / "evaluation"):
        if re.fullmatch(rf"(bm25-)?{KEY}", path.name) and path.resolve() not in used:
            yield _item("inputs", folder, path, "an evaluation sample")
    begun = {cell.pretraining.key for cell in plan if cell.pretraining is not None}
    for path in _folders(folder / "pretrained"):
        key = path.name.removesuffix("-work")
        if re.fullmatch(KEY, key) and key not in begun:
            yield _item("inputs", folder, path, "a pretrained backbone")


def _notebooks(study: Study) -> Iterator[Leftover]:
    reads = reads_of(Place(study.spec, study.folder))
    for path in _folders(study.layout.notebooks):
        if not (path / "status.json").is_file():
            continue
        record = open_run(path)
        if record.state in ("failed", "killed", "timeout"):
            yield _item("failed", study.folder, path, record.state)
        elif record.done and reads and (record.inputs != reads or _other_source(record.name, path)):
            yield _item("superseded", study.folder, path)


def _other_source(name: str, folder: Path) -> bool:
    """Whether a notebook of the project is another than the one that was run."""
    try:
        return source_of(notebook_file(name)) != source_of(folder / "executed.ipynb")
    except BadInput:  # a notebook of one's own
        return False
