"""A study as one file to hand on: its page, reports, results and parameters, and what going on needs.

The same study gives the same bytes: files in the order of their names, with one date for all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from genret_core.errors import BadInput
from genret_core.files import atomic, read_json
from genret_core.workbench.pool import read_status
from genret_core.workbench.runs import Study
from genret_core.workbench.study.notebooks import finished_notebooks
from genret_core.workbench.study.place import Place

MANIFEST = "bundle.json"
FORMAT = 1
TOP = (
    "study.yaml", "status.json", "inputs.json", "cells.parquet", "results.parquet", "index.html",
    "plotly.min.js",
)  # fmt: skip
WEIGHTS = ("checkpoint", "pretrained")  # folders that are packed on request
PASSING = ("scoring", "beat.json", "lock.json")  # unfinished work and signs of life
OWN = ("host", "machine", "pid", "born", "command")  # of a status: it is handed on without whose it was
DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16  # a plain file that its owner may write


@dataclass
class Bundle:
    """What was packed.

    Attributes
    ----------
    path : Path
        The file.
    bytes : int
        Its size.
    parts : dict
        Bytes, before packing, by part: reports, results, corpus, checkpoints.
    """

    path: Path
    bytes: int = 0
    parts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.parts.items())
        return f"{self.path}: {self.bytes / 1e6:.1f} MB ({told})"


def write_bundle(study: Study, path: Path, *, checkpoints: bool = False, corpus: bool = True) -> Bundle:
    """Pack a study into a zip.

    Parameters
    ----------
    study : Study
        One that does not run now. What belongs to its grid, and the latest run of each notebook, goes in.
    path : Path
        The zip; it appears whole or not at all.
    checkpoints : bool
        Pack the weights too: with them its models can be searched, and measured in new ways.
    corpus : bool
        Pack the corpus and what is made of it, without which a notebook cannot run again.

    Raises
    ------
    BadInput
        If the study runs, or has nothing to show yet.
    """
    if read_status(study.folder).get("state") == "running":
        raise BadInput(f"{study.folder} runs now; pack it when that is over.")
    if not study.layout.results_table.is_file():
        raise BadInput(f"{study.folder} has no results yet: run `{study.command}`.")
    made = Bundle(path)
    noted: dict[str, dict[str, object]] = {}
    with atomic(path) as part, zipfile.ZipFile(part, "w") as archive:
        for file in sorted(_files(study, checkpoints=checkpoints, corpus=corpus)):
            name = file.relative_to(study.folder).as_posix()
            size, digest = _add(archive, f"{study.name}/{name}", file)
            noted[name] = {"size": size, "sha256": digest}
            kind = _part(name)
            made.parts[kind] = made.parts.get(kind, 0) + size
        about = {"format": FORMAT, "study": study.name, "checkpoints": checkpoints, "corpus": corpus}
        text = json.dumps({**about, "files": noted}, indent=1, ensure_ascii=False)
        with archive.open(_entry(f"{study.name}/{MANIFEST}"), "w") as out:
            out.write(text.encode())
    made.bytes = path.stat().st_size
    return made


def _files(study: Study, *, checkpoints: bool, corpus: bool) -> Iterator[Path]:
    at = study.layout
    yield from (study.folder / name for name in TOP if (study.folder / name).is_file())
    for record in finished_notebooks(Place(study.spec, study.folder)):
        yield from _inside([record.folder])
    yield from _inside([at.cell(cell.key) for cell in study.plan], weights=checkpoints)
    shared = [folder for folder in study.inputs.folders(study.folder) if folder.is_dir()]
    read, whole = study.folder / "corpus", at.corpus(study.inputs.corpus)
    if corpus:
        yield from (one for one in (read / "read.json",) if one.is_file())
        yield from (one for one in whole.iterdir() if one.is_file() and not one.name.startswith("."))
        yield from _inside([one for one in shared if one != whole and one.is_relative_to(whole)])
    yield from _inside([one for one in shared if not one.is_relative_to(read)])
    if checkpoints:
        yield from _inside([study.folder / "pretrained"], weights=True)


def _inside(folders: Iterable[Path], *, weights: bool = True) -> Iterator[Path]:
    """List the plain files of folders, without what passes; links are left where they are."""
    left_out = {*PASSING, *(() if weights else WEIGHTS)}
    for folder in folders:
        for path in folder.rglob("*"):
            names = path.relative_to(folder).parts
            hidden = any(name.startswith(".") or name.endswith("-work") for name in names)
            if path.is_file() and not path.is_symlink() and not hidden and not left_out & set(names):
                yield path


def _part(name: str) -> str:
    if any(f"/{kind}/" in f"/{name}" for kind in WEIGHTS):
        return "checkpoints"
    first = name.partition("/")[0]
    return {"corpus": "corpus", "evaluation": "results", "cells": "results"}.get(
        first, "results" if name.endswith(".parquet") else "reports"
    )


def _add(archive: zipfile.ZipFile, name: str, file: Path) -> tuple[int, str]:
    if file.name == "status.json":
        return _add_status(archive, name, file)
    digest = hashlib.sha256()
    entry = _entry(name)
    entry.file_size = size = file.stat().st_size  # decides whether the entry needs 64 bits
    if file.suffix == ".safetensors":
        entry.compress_type = zipfile.ZIP_STORED  # does not get smaller
    with file.open("rb") as source, archive.open(entry, "w") as out:
        shutil.copyfileobj(_Hashed(source, digest), out, 1 << 20)
    return size, digest.hexdigest()


def _add_status(archive: zipfile.ZipFile, name: str, file: Path) -> tuple[int, str]:
    """Pack a status without the machine that it was on."""
    status = {key: value for key, value in read_json(file).items() if key not in OWN}
    text = (json.dumps(status, indent=1, ensure_ascii=False) + "\n").encode()
    archive.writestr(_entry(name), text)
    return len(text), hashlib.sha256(text).hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.external_attr, entry.create_system = MODE, 3
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


class _Hashed:
    """Hashes what is read through it."""

    def __init__(self, source: IO[bytes], digest: hashlib._Hash) -> None:
        self.source, self.digest = source, digest

    def read(self, size: int = -1) -> bytes:
        block = self.source.read(size)
        self.digest.update(block)
        return block
