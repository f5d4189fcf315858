"""What a constrained search leaves behind: prefixes, their probability and where they stand in the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hypotheses:
    """The identifier prefixes that a beam search met, in order of query, then length, then falling score.

    Attributes
    ----------
    query : int32[h]
        Position of the query among the prompts, 0 .. n_queries-1.
    ids : int32[h, T]
        Tokens of the prefix, padded with -1 on the right.
    length : int16[h]
        Number of tokens of the prefix.
    score : float64[h]
        Sum of the model's log-probabilities (natural logarithm, over its whole vocabulary) of these tokens.
    lo, hi : int64[h]
        The rows of the index that begin with the prefix; `hi - lo` is its number of occurrences.
    final : bool[h]
        The beams left at the end: full length, or finished because nothing follows them in the corpus.
    filled : int32[n_queries]
        The most beams of the query that were alive at once. Below `beam`, the corpus could not fill them.
    n_queries, beam : int
    """

    query: np.ndarray
    ids: np.ndarray
    length: np.ndarray
    score: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    final: np.ndarray
    filled: np.ndarray
    n_queries: int
    beam: int

    def __len__(self) -> int:
        return len(self.query)

    @property
    def count(self) -> np.ndarray:
        """Occurrences in the corpus, int64[h]."""
        return self.hi - self.lo

    def tokens(self, row: int) -> np.ndarray:
        """Tokens of one prefix, without padding."""
        return self.ids[row, : self.length[row]]

    def select(self, rows: np.ndarray) -> Hypotheses:
        """Keep some rows (a mask or row numbers); the queries stay as they are."""
        return Hypotheses(
            query=self.query[rows],
            ids=self.ids[rows],
            length=self.length[rows],
            score=self.score[rows],
            lo=self.lo[rows],
            hi=self.hi[rows],
            final=self.final[rows],
            filled=self.filled,
            n_queries=self.n_queries,
            beam=self.beam,
        )

    def note(self) -> str | None:
        """One sentence if the corpus could not fill the beams, else None."""
        short = int((self.filled < self.beam).sum())
        if not short:
            return None
        return (
            f"The corpus could not fill {self.beam} beams for {short} of {self.n_queries} queries "
            f"(fewest: {int(self.filled.min())})."
        )


def join_hypotheses(parts: Sequence[tuple[np.ndarray, Hypotheses]], n_queries: int) -> Hypotheses:
    """Put batches together.

    Parameters
    ----------
    parts : sequence of (int[n], Hypotheses)
        For every batch the places of its queries among all queries, and what was found for them.
    n_queries : int
    """
    width = max((h.ids.shape[1] for _, h in parts), default=0)
    query = np.concatenate([places[h.query] for places, h in parts]).astype(np.int32)
    length = np.concatenate([h.length for _, h in parts])
    score = np.concatenate([h.score for _, h in parts])
    order = np.lexsort((-score, length, query))
    ids = np.full((len(query), width), -1, dtype=np.int32)
    filled = np.zeros(n_queries, dtype=np.int32)
    start = 0
    for places, h in parts:
        ids[start : start + len(h), : h.ids.shape[1]] = h.ids
        filled[places] = h.filled
        start += len(h)
    return Hypotheses(
        query=query[order],
        ids=ids[order],
        length=length[order],
        score=score[order],
        lo=np.concatenate([h.lo for _, h in parts])[order],
        hi=np.concatenate([h.hi for _, h in parts])[order],
        final=np.concatenate([h.final for _, h in parts])[order],
        filled=filled,
        n_queries=n_queries,
        beam=max((h.beam for _, h in parts), default=0),
    )
