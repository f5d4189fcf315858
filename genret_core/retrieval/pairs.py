"""Pairs of a query and an identifier: what models are trained on and scored with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json

_ARRAYS = {"query": np.int32, "document": np.int32, "ids": np.int32, "length": np.int16, "start": np.int32}


@dataclass(frozen=True, eq=False)
class Pairs:
    """A row per query and identifier.

    Attributes
    ----------
    query, document : int32[n]
        Rows of the corpus; the identifier is one of the document's.
    ids : int32[n, T]
        Token ids of the identifier, -1 behind its end.
    length : int16[n]
        Tokens of the identifier.
    start : int32[n]
        Where the identifier begins in the document's token ids; -1 for codes, which are no part of the
        text.
    notes : tuple of str
        What a reader of the pairs should know: fall-backs taken while they were made, with counts.
    """

    query: npt.NDArray[np.int32]
    document: npt.NDArray[np.int32]
    ids: npt.NDArray[np.int32]
    length: npt.NDArray[np.int16]
    start: npt.NDArray[np.int32]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.query)

    def identifier(self, row: int) -> npt.NDArray[np.int32]:
        """Give the token ids of one row, without padding."""
        return self.ids[row, : self.length[row]]

    def select(self, rows: npt.ArrayLike) -> Pairs:
        """Copy some rows (indices or a mask), in that order."""
        chosen = np.asarray(rows)
        arrays = {name: np.asarray(getattr(self, name))[chosen] for name in _ARRAYS}
        return Pairs(**arrays, notes=self.notes)

    @staticmethod
    def concat(parts: Sequence[Pairs]) -> Pairs:
        """Put several sets of pairs one behind the other; narrower ones are padded, notes are kept once."""
        width = max(part.ids.shape[1] for part in parts)
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS if name != "ids"
        }
        ids = np.full((len(joined["query"]), width), -1, np.int32)
        row = 0
        for part in parts:
            ids[row : row + len(part), : part.ids.shape[1]] = part.ids
            row += len(part)
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        return Pairs(**joined, ids=ids, notes=notes)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the arrays as ``.npy`` files and the notes as JSON; the folder appears whole."""
        with atomic_folder(folder) as part:
            for name, dtype in _ARRAYS.items():
                np.save(part / f"{name}.npy", np.ascontiguousarray(getattr(self, name), dtype))
            write_json(part / "pairs.json", {"n": len(self), "width": self.ids.shape[1], "notes": self.notes})

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> Pairs:
        """Map saved pairs, read-only.

        Raises
        ------
        BadInput
            The folder holds no pairs.
        """
        folder = Path(folder)
        if not (folder / "pairs.json").is_file():
            raise BadInput(f"{folder} holds no pairs (pairs.json is missing); make them first.")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return Pairs(**arrays, notes=tuple(read_json(folder / "pairs.json")["notes"]))
