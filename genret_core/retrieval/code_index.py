"""The documents' codes as a sorted matrix, with the interface of the token index.

It plays the part of a trie of codes at the cost of the codes themselves; documents that share all codes are
neighbouring rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.arrays import Arrays, arrays_of
from genret_core.retrieval.prefix_index import PrefixIndex, spread
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.suffix_array import pack_at, sort_rows, token_bits
from genret_core.retrieval.token_index import torch_arrays


@dataclass(frozen=True, eq=False)
class CodeIndex(PrefixIndex):
    """Code sequences of documents, sorted.

    Attributes
    ----------
    codes : int32[n_documents, L_c]
        Token ids, in sorted order.
    rows : int64[n_documents]
        The document that each sorted row belongs to.
    vocab_size : int
        One more than the largest token id.
    """

    codes: np.ndarray
    rows: np.ndarray
    vocab_size: int
    max_depth: int
    separator_id: int | None = None

    @staticmethod
    def build(token_ids: np.ndarray) -> CodeIndex:
        """Sort the codes of all documents.

        Parameters
        ----------
        token_ids : int[n_documents, L_c]
            Codes as token ids of the model's vocabulary, see `Codebook.token_ids`.
        """
        if token_ids.ndim != 2 or not token_ids.size or token_ids.min() < 0:
            raise BadInput(
                f"codes must be a matrix of token ids, documents x codes, not of shape {token_ids.shape}."
            )
        n, length = token_ids.shape
        vocab_size = int(token_ids.max()) + 1
        bits = token_bits(vocab_size)
        step = min(64 // bits, length)
        flat = np.ascontiguousarray(token_ids, np.int32).view(np.uint32).ravel()

        def key_of(rows: np.ndarray, depth: int) -> np.ndarray:
            return pack_at(flat, rows * length + depth, bits, min(step, length - depth))

        rows = sort_rows(np.arange(n), key_of, step=step, max_depth=length)
        return CodeIndex(
            codes=np.ascontiguousarray(token_ids[rows], np.int32),
            rows=rows,
            vocab_size=vocab_size,
            max_depth=length,
        )

    @property
    def n_rows(self) -> int:
        """Number of sorted rows: one per document."""
        return len(self.codes)

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.codes)

    def column(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """Codes of some rows at a column; rows out of range give any code."""
        return self.arrays.gather(self.codes[:, depth], rows)

    def documents(self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None) -> Ragged:
        """Document rows of each interval, ascending; of its first `max_hits` rows only, if given."""
        xp = arrays_of(lo)
        lo, hi = np.atleast_1d(xp.numpy(lo)), np.atleast_1d(xp.numpy(hi))
        owner, places = spread(lo, hi if max_hits is None else np.minimum(hi, lo + max_hits))
        pairs = np.sort(owner * self.n_documents + self.arrays.numpy(self.rows)[places])
        edges = np.arange(len(lo) + 1) * self.n_documents
        return Ragged(pairs % self.n_documents, np.searchsorted(pairs, edges))

    def to(self, device: Any) -> CodeIndex:
        """Copy the index to a torch device: all questions are then answered there, in tensors."""
        xp = torch_arrays(device)
        return replace(self, codes=xp.stored(self.codes), rows=xp.stored(self.rows))

    @property
    def arrays(self) -> Arrays:
        """What intervals and codes are made of: numpy arrays, or tensors after `to`."""
        return arrays_of(self.codes)
