"""What an index over text answers beyond prefixes: where n-grams stand, and in which documents."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.prefix_index import Children, PrefixIndex, distinct
from genret_core.retrieval.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Places:
    """Occurrences of several patterns, in order of pattern, then corpus.

    Attributes
    ----------
    pattern : int64[m]
        Which of the patterns.
    document : int64[m]
        Row of the document.
    offset : int64[m]
        Tokens before the occurrence in its document.
    """

    pattern: np.ndarray
    document: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        return len(self.pattern)


class TextIndex(PrefixIndex):
    """An index over documents end to end; one file (`TokenIndex`) or several (`ShardedIndex`)."""

    separator_id: int
    tokenizer_key: str

    @property
    @abc.abstractmethod
    def n_tokens(self) -> int:
        """Tokens of the corpus, separators included."""

    @property
    @abc.abstractmethod
    def n_documents(self) -> int:
        """Number of documents."""

    @abc.abstractmethod
    def occurrences(
        self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give for every occurrence the number of its interval, and its position in the corpus, int64 each.

        In order of interval; if `max_hits` is given, only the first so many rows of each.
        """

    @abc.abstractmethod
    def document_at(self, positions: np.ndarray) -> np.ndarray:
        """Document rows that hold some positions, int64."""

    @abc.abstractmethod
    def document_start(self, documents: np.ndarray) -> np.ndarray:
        """Positions at which some documents begin, int64; that of `n_documents` is the end."""

    @abc.abstractmethod
    def tokens_at(self, positions: np.ndarray) -> np.ndarray:
        """Tokens at some positions, int64."""

    def allowed(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> Children:
        """List all tokens that may follow each prefix, with the intervals they lead to."""
        self.check_depth(depth)
        return super().allowed(lo, hi, depth)

    def ended(self, lo: np.ndarray, hi: np.ndarray, depth: int) -> np.ndarray:
        """Tell which prefixes nothing but separators can follow."""
        self.check_depth(depth)
        return super().ended(lo, hi, depth)

    def check_depth(self, depth: int) -> None:
        """Refuse to look behind a prefix of `depth` tokens if the index is not sorted any further."""
        if depth >= self.max_depth:
            raise BadInput(
                f"The index is sorted for prefixes of up to {self.max_depth} tokens; build it with a larger "
                "max_depth for longer ones."
            )

    def document(self, row: int) -> np.ndarray:
        """Tokens of a document, without the separator."""
        start, stop = self.document_start(self.arrays.ints([row, row + 1])).tolist()
        return self.tokens_at(self.arrays.arange(start, stop - 1))

    def documents(self, lo: np.ndarray, hi: np.ndarray, max_hits: int | None = None) -> Ragged:
        """Distinct document rows of each interval, ascending; of its first `max_hits` rows only, if given."""
        xp = self.arrays
        lo, hi = np.atleast_1d(xp.numpy(xp.ints(lo))), np.atleast_1d(xp.numpy(xp.ints(hi)))
        owner, positions = self.occurrences(xp.ints(lo), xp.ints(hi), max_hits)
        pairs = xp.numpy(distinct(owner * self.n_documents + self.document_at(positions)))
        edges = np.arange(len(lo) + 1) * self.n_documents
        return Ragged(pairs % self.n_documents, np.searchsorted(pairs, edges))

    def locate_all(self, patterns: Ragged | Sequence[Sequence[int]], max_hits: int | None = None) -> Places:
        """Find all places of several patterns at once; of each the first `max_hits` rows only, if given."""
        xp = self.arrays
        lo, hi = self.find(patterns)
        pattern, positions = self.occurrences(lo, hi, max_hits)
        order = xp.lexsort((positions, pattern))
        positions = positions[order]
        documents = self.document_at(positions)
        offsets = positions - self.document_start(documents)
        return Places(xp.numpy(pattern[order]), xp.numpy(documents), xp.numpy(offsets))

    def locate(self, pattern: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Find a pattern: document rows and token offsets in them, in corpus order, int64 each."""
        places = self.locate_all([pattern])
        return places.document, places.offset
