"""Codes that somebody gave to the documents: read, checked, and seen as a quantiser of our own embeddings."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.importing.beir import beside_codes
from genret_core.retrieval.importing.detection import kind_of
from genret_core.retrieval.importing.items import Codes
from genret_core.retrieval.importing.ripor import codes as ripor_codes
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.text_table import TextTable

_BLOCK = 65_536
_READERS = {"codes": ripor_codes, "beside-codes": beside_codes}


def read_codes(path: str | os.PathLike[str], corpus: Corpus) -> npt.NDArray[np.uint16]:
    """Read the codes of a corpus' documents.

    Parameters
    ----------
    path : path-like
        `codes.jsonl` of an import, or `docid_to_smtid.json`; "~" and environment variables are replaced.
        Documents that the corpus does not hold are passed over.
    corpus : Corpus

    Returns
    -------
    uint16[n_documents, L_c]
        Rows need not differ. A document that stands in the file twice with the same codes is read once.

    Raises
    ------
    BadInput
        If there is no such file, it is damaged, or a document has no codes, or two different ones.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    if not file.is_file():
        raise BadInput(f"there is no file {file} with codes; give codes.jsonl or docid_to_smtid.json.")
    kind = kind_of(file)
    if kind not in _READERS:
        raise BadInput(f"{file} holds no codes; give codes.jsonl of an import or docid_to_smtid.json.")
    items = _READERS[kind](Source(file, file.name, "train"))
    table = TextTable.open(corpus.folder, "documents")
    found: npt.NDArray[np.uint16] | None = None
    known = np.zeros(corpus.n_documents, bool)
    while block := [item for item in islice(items, _BLOCK) if isinstance(item, Codes)]:
        if found is None:
            found = np.zeros((corpus.n_documents, len(block[0].codes)), np.uint16)
        rows = table.rows([item.id for item in block])
        for item in block:
            if len(item.codes) != found.shape[1] or not item.codes:
                raise BadInput(
                    f"{item.where}: the document {item.id!r} has {len(item.codes)} codes, and the first has "
                    f"{found.shape[1]}; all must have the same, one or more."
                )
        held = rows >= 0
        codes = np.array([item.codes for item in block], np.uint16)
        again = _differing(found, known, rows, codes)
        if again is not None:
            raise BadInput(
                f"{block[again].where}: the document {block[again].id!r} has two different codes; keep one."
            )
        found[rows[held]] = codes[held]
        known[rows[held]] = True
    if found is None or not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise BadInput(
            f"{file} has no codes for {(~known).sum():,} of {len(known):,} documents, such as "
            f"{corpus.document_id(row)!r}; import the corpus with --coded-only, or give codes for all."
        )
    return found


def _differing(
    found: npt.NDArray[np.uint16],
    known: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    codes: npt.NDArray[np.uint16],
) -> int | None:
    """Find an item of a block whose document had other codes before; `rows` is -1 for other documents."""
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] >= 0]
    before = np.flatnonzero(rows[order[1:]] == rows[order[:-1]])
    inside = order[1:][before][(codes[order[1:][before]] != codes[order[:-1][before]]).any(axis=1)]
    seen = order[known[rows[order]]]
    earlier = seen[(found[rows[seen]] != codes[seen]).any(axis=1)]
    either = np.concatenate([inside, earlier])
    return int(either.min()) if len(either) else None


def centroids_of(
    vectors: npt.NDArray[np.float32], codes: npt.NDArray[np.uint16], N_c: int
) -> npt.NDArray[np.float32]:
    """Give the centroids with which codes approximate vectors best, level after level.

    A code's centroid is the mean of what the levels before left over of the vectors that have it; one that
    no vector has is zero.

    Returns
    -------
    float32[L_c, N_c, dim]
    """
    left = vectors.astype(np.float64)
    centroids = np.zeros((codes.shape[1], N_c, vectors.shape[1]), np.float32)
    for level, column in enumerate(codes.T):
        order = np.argsort(column, kind="stable")
        used, starts, sizes = np.unique(column[order], return_index=True, return_counts=True)
        centroids[level][used] = np.add.reduceat(left[order], starts, axis=0) / sizes[:, None]
        left -= centroids[level][column]
    return centroids


def shared_codes(codes: npt.NDArray[np.uint16]) -> int:
    """Count the documents whose codes are those of another one."""
    _, sizes = np.unique(codes, axis=0, return_counts=True)
    return int(sizes[sizes > 1].sum())
