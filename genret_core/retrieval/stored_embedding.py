"""Embeddings that were computed elsewhere: by a trained model, or given as a file; what all kinds share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.embeddings import TfidfEmbedding

_HEADER = "embedding.json"


class Embedding(Protocol):
    """The vectors of a corpus' documents and queries."""

    @property
    def dim(self) -> int:
        """Numbers per vector."""

    @property
    def unit(self) -> bool:
        """Whether vectors have unit length, so that distances and products order alike."""

    @property
    def source(self) -> str:
        """What made the vectors, for people."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of them."""

    def of_documents(self, corpus: Corpus, fields: str) -> npt.NDArray[np.float32]:
        """Give the vectors of all documents, float32[n_documents, dim]."""

    def of_queries(self, corpus: Corpus, rows: ArrayLike) -> npt.NDArray[np.float32]:
        """Give the vectors of some queries, float32[len(rows), dim]."""

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the embedding; the folder appears whole."""


@dataclass(frozen=True, eq=False)
class StoredEmbedding:
    """Vectors of all documents, and of those queries that there are vectors for.

    Attributes
    ----------
    documents : float32[n_documents, dim]
        In the order of the corpus.
    query_rows : int64[m]
        Rows of the queries, ascending; none where queries were not embedded.
    queries : float32[m, dim]
    source : str
        What made the vectors.
    unit : bool
        Whether vectors have unit length.
    notes : tuple of str
        What a reader should know of them.
    """

    documents: npt.NDArray[np.float32]
    query_rows: npt.NDArray[np.int64]
    queries: npt.NDArray[np.float32]
    source: str
    unit: bool
    notes: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Numbers per vector."""
        return int(self.documents.shape[1])

    def of_documents(self, corpus: Corpus, fields: str) -> npt.NDArray[np.float32]:
        """Give the vectors of all documents as they were made, whatever `fields` is now."""
        return self.documents

    def of_queries(self, corpus: Corpus, rows: ArrayLike) -> npt.NDArray[np.float32]:
        """Give the vectors of some queries.

        Raises
        ------
        BadInput
            One of them has none.
        """
        asked = np.asarray(rows, np.int64).reshape(-1)
        place = np.searchsorted(self.query_rows, asked)
        known = place < len(self.query_rows)
        known[known] = self.query_rows[place[known]] == asked[known]
        if not known.all():
            name = corpus.query_id(int(asked[~known][0]))
            raise BadInput(
                f"the embedding ({self.source}) has no vector for {(~known).sum():,} of {len(asked):,} "
                f"queries, such as {name!r}; those of v.npy are read from v.queries.npy beside it."
            )
        return self.queries[place]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the vectors; the folder appears whole."""
        with atomic_folder(folder) as part:
            for name in ("documents", "query_rows", "queries"):
                np.save(part / f"{name}.npy", getattr(self, name))
            write_json(part / _HEADER, {"source": self.source, "unit": self.unit, "notes": self.notes})

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> StoredEmbedding:
        """Map saved vectors, read-only."""
        folder = Path(folder)
        header = read_json(folder / _HEADER)
        names = ("documents", "query_rows", "queries")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        return StoredEmbedding(
            **arrays, source=header["source"], unit=header["unit"], notes=tuple(header["notes"])
        )


def open_embedding(folder: str | os.PathLike[str]) -> Embedding:
    """Open a saved embedding of either kind."""
    if (Path(folder) / _HEADER).is_file():
        return StoredEmbedding.open(folder)
    return TfidfEmbedding.open(folder)
