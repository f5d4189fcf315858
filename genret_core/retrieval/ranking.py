"""From what a search wrote to ranked documents.

n-grams are weighed by how much likelier the model finds them than the corpus does (`scoring`), and a document
by the n-grams that speak for it (`credited`). Codes name their documents directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genret_core.retrieval.credited import credit_documents
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.key_sources import KeySet
from genret_core.retrieval.prefix_index import PrefixIndex
from genret_core.retrieval.scoring import Scoring, key_score
from genret_core.retrieval.text_index import TextIndex

__all__ = [
    "Ranking",
    "Scoring",
    "contributions",
    "key_score",
    "rank_codes",
    "rank_ngrams",
    "top_documents",
]


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


def rank_ngrams(
    found: Hypotheses | KeySet, index: TextIndex, n_queries: int, *, k: int = 100, **options: Any
) -> Ranking:
    """Rank documents by the n-grams found for each query.

    A document's score is ``(1 - single_key) * sum + single_key * best`` over the weights of the keys that it
    is credited with (see `key_coverage`, and `full_score` for stage 2), each discounted by the share of its
    token types that a heavier key of the document has already.

    Parameters
    ----------
    found : Hypotheses or KeySet
        Of the search, with its history: see `key_score` for why prefixes matter.
    k : int
        Documents kept per query.
    **options
        Those of `Scoring`.
    """
    scoring = Scoring.of(options)
    credited = credit_documents(KeySet.of(found), index, scoring)
    query, document = credited.documents
    return top_documents(query, document, credited.score, n_queries, k=k)


def contributions(found: Hypotheses | KeySet, index: TextIndex, **options: Any) -> pd.DataFrame:
    """Tell which keys led to which documents, with the same arguments as `rank_ngrams`.

    Returns
    -------
    DataFrame
        query, document, key (row of `found`), count, log_prob, weight, coefficient and contribution
        (weight x coefficient), in order of query, document and falling weight. With `full_score`, of the
        documents that reached stage 2; what single tokens add there is told by `explain`.
    """
    credited = credit_documents(KeySet.of(found), index, Scoring.of(options))
    keys = KeySet.of(found).hypotheses
    return pd.DataFrame(
        {
            "query": credited.query,
            "document": credited.document,
            "key": credited.key,
            "count": keys.count[credited.key],
            "log_prob": keys.score[credited.key],
            "weight": credited.weight,
            "coefficient": credited.coefficient,
            "contribution": credited.weight * credited.coefficient,
        }
    )


def rank_codes(hypotheses: Hypotheses, index: PrefixIndex, n_queries: int, *, k: int = 100) -> Ranking:
    """Rank documents by the log-probability of their code sequences; those that share one are equal."""
    final = hypotheses.select(hypotheses.final)
    documents = index.documents(final.lo, final.hi)
    owner = np.repeat(np.arange(len(final)), documents.lengths)
    return top_documents(final.query[owner], documents.values, final.score[owner], n_queries, k=k)
