"""A study, one of its cells or one of its notebook runs, by the name that a person gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genret_core.errors import BadInput
from genret_core.workbench.documents import nearest
from genret_core.workbench.notebook.record import RunRecord, open_run
from genret_core.workbench.runs import Study, find_study
from genret_core.workbench.study.reasons import name_of

Kind = Literal["study", "cell", "notebook"]


@dataclass(frozen=True, eq=False)
class Found:
    """What a name means.

    Attributes
    ----------
    study : Study
    kind : {"study", "cell", "notebook"}
    folder : Path
        Of the study, the cell or the notebook run.
    """

    study: Study
    kind: Kind
    folder: Path

    @property
    def key(self) -> str:
        """Key of a cell, or name and key of a notebook run; the study's name else."""
        return self.study.name if self.kind == "study" else self.folder.name

    @property
    def title(self) -> str:
        """What to call it: `demo`, `demo/llama-d64 ngram s0`, `demo/05_model_size-a3511388`."""
        if self.kind == "study":
            return self.study.name
        told = name_of(self.folder) if self.kind == "cell" else None
        return f"{self.study.name}/{told or self.folder.name}"

    @property
    def record(self) -> RunRecord:
        """Record of a notebook run."""
        return open_run(self.folder)


def find_run(text: str, part: str | None = None) -> Found:
    """Find a study (`demo`, `runs/demo`) or a part of one (`demo/02aab0`, `runs/demo/cells/02aab0e3…`).

    Parameters
    ----------
    text : str
        The study, or the study and a part of it.
    part : str, optional
        The part: the beginning of a cell's key or of a notebook run's folder, or a cell's whole name.

    Raises
    ------
    BadInput
        If there is none, or the beginning is that of several.
    """
    text = text.rstrip("/")
    if part is None:
        try:
            study = find_study(text)
            return Found(study, "study", study.folder)
        except BadInput as error:
            head, slash, part = text.rpartition("/")
            above, _, kind = head.rpartition("/")
            if kind in ("cells", "notebooks"):
                head = above
            if not slash or not head:
                raise
            try:
                study = find_study(head)
            except BadInput:
                raise error from None
    else:
        study = find_study(text)
    return _part(study, part)


def _part(study: Study, text: str) -> Found:
    folders: list[tuple[Kind, Path]] = []
    at = study.layout
    places: tuple[tuple[Kind, Path], ...] = (("cell", at.cells), ("notebook", at.notebooks))
    for kind, inside in places:
        if inside.is_dir():
            folders += [(kind, path) for path in sorted(inside.iterdir()) if path.name[0] != "."]
    alike = [(kind, path) for kind, path in folders if path.name.startswith(text)]
    if not alike:
        alike = [(kind, path) for kind, path in folders if kind == "cell" and name_of(path) == text]
        alike = [(kind, path) for kind, path in alike if path.name in _keys(study)] or alike
    exact = [(kind, path) for kind, path in alike if path.name == text]
    if len(exact or alike) == 1:
        kind, path = (exact or alike)[0]
        return Found(study, kind, path)
    if not alike:
        known = [path.name for _, path in folders]
        raise BadInput(f"the study {study.name} has no cell or notebook run {text!r}{nearest(text, known)}")
    names = ", ".join(path.name for _, path in alike[:5]) + (", …" if len(alike) > 5 else "")
    raise BadInput(f"{text!r} begins {len(alike)} names in {study.name} ({names}): write more of it.")


def _keys(study: Study) -> set[str]:
    try:
        return {cell.key for cell in study.plan}
    except BadInput:
        return set()
