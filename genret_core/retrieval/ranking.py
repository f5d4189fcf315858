"""Ranked documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Ranking:
    """Documents for every query, best first.

    Attributes
    ----------
    query : int32[m]
        Position of the query in the list that was searched, 0 .. n_queries-1, ascending.
    document : int32[m]
        Row of the document in the corpus.
    score : float64[m]
        Falling within a query.
    rank : int32[m]
        0 for the best document of its query.
    n_queries : int
        Queries searched; those without any row found nothing.
    """

    query: np.ndarray
    document: np.ndarray
    score: np.ndarray
    rank: np.ndarray
    n_queries: int

    def __len__(self) -> int:
        return len(self.query)

    def to_frame(self) -> pd.DataFrame:
        """Give the rows as a data frame (query, document, score, rank)."""
        return pd.DataFrame(
            {"query": self.query, "document": self.document, "score": self.score, "rank": self.rank}
        )


def top_documents(
    query: np.ndarray, document: np.ndarray, score: np.ndarray, n_queries: int, *, k: int = 100
) -> Ranking:
    """Order documents within each query and keep the first `k`; equal scores go by document row.

    Parameters
    ----------
    query, document : int[n]
        One row per query and document, in any order.
    score : float[n]
        Higher is better.
    """
    order = np.lexsort((document, -score, query))
    query = query[order]
    counts = np.bincount(query, minlength=n_queries)
    rank = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = rank < k
    order = order[keep]
    return Ranking(
        query=query[keep].astype(np.int32),
        document=document[order].astype(np.int32),
        score=score[order].astype(np.float64),
        rank=rank[keep].astype(np.int32),
        n_queries=n_queries,
    )
