"""From what a search wrote to ranked documents.

n-grams are weighed by how much likelier the model finds them than the corpus does, and a document by the
n-grams that speak for it (after SEAL: Bevilacqua et al., Autoregressive search engines: generating substrings
as document identifiers, NeurIPS 2022). Codes name their documents directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.key_coverage import Keys, credits, fresh_share
from genret_core.retrieval.prefix_index import PrefixIndex
from genret_core.retrieval.token_index import TokenIndex


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


def key_score(
    log_prob: np.ndarray,
    count: np.ndarray,
    n_tokens: int,
    *,
    alpha: float = 2.0,
    smoothing: float = 5.0,
) -> np.ndarray:
    """Weigh keys: max(0, ln[p (1 - q)] - ln[q (1 - p)])^alpha with q = (count + smoothing) / (N + smoothing).

    A squared log-odds ratio of the model's probability p and the smoothed corpus frequency q. Mind the
    smoothing in small corpora: a key weighs nothing unless the model gives it more than about smoothing / N,
    which hardly any full-length n-gram reaches.

    Parameters
    ----------
    log_prob : float[n]
        ln p.
    count : int[n]
        Occurrences in the corpus; a key that does not occur weighs 0.
    n_tokens : int
        N, separators included.
    """
    s = np.asarray(log_prob, np.float64) - 1e-10  # p = 1 stays finite
    count = np.asarray(count, np.float64)
    with np.errstate(divide="ignore"):
        odds = s - np.log(-np.expm1(s)) - np.log(count + smoothing) + np.log(n_tokens - count)
    return np.where(count > 0, np.maximum(odds, 0.0), 0.0) ** alpha


def rank_ngrams(
    hypotheses: Hypotheses,
    index: TokenIndex,
    n_queries: int,
    *,
    alpha: float = 2.0,
    smoothing: float = 5.0,
    max_hits: int = 1500,
    repetition_penalty: float = 0.8,
    allow_overlaps: bool = False,
    single_key: float = 0.0,
    k: int = 100,
) -> Ranking:
    """Rank documents by the n-grams found for each query.

    A document's score is ``(1 - single_key) * sum + single_key * best`` over the weights of the keys that it
    is credited with (see `key_coverage`), each discounted by ``1 - b + b * f``: b is `repetition_penalty`, f
    the share of the key's token types that no heavier key of this document has.

    Parameters
    ----------
    hypotheses : Hypotheses
        Of the search, with its history: see `key_score` for why prefixes matter.
    max_hits : int
        Keys that occur more often are left out.
    allow_overlaps : bool
        Credit a document with all keys that it holds, also where they overlap heavier ones. In small corpora
        a prefix often outweighs the n-gram that it begins, and would silence it.
    k : int
        Documents kept per query.
    """
    found = _contributions(hypotheses, index, alpha, smoothing, max_hits, repetition_penalty, allow_overlaps)
    first = np.flatnonzero(np.diff(found.group, prepend=-1))
    if not len(first):
        return top_documents(found.query, found.document, found.weight, n_queries, k=k)
    total = np.add.reduceat(found.weight * found.coefficient, first)
    score = (1 - single_key) * total + single_key * found.weight[first]
    return top_documents(found.query[first], found.document[first], score, n_queries, k=k)


def contributions(
    hypotheses: Hypotheses,
    index: TokenIndex,
    *,
    alpha: float = 2.0,
    smoothing: float = 5.0,
    max_hits: int = 1500,
    repetition_penalty: float = 0.8,
    allow_overlaps: bool = False,
) -> pd.DataFrame:
    """Tell which keys led to which documents, with the same arguments as `rank_ngrams`.

    Returns
    -------
    DataFrame
        query, document, key (row of `hypotheses`), count, log_prob, weight, coefficient and contribution
        (weight x coefficient), in order of query, document and falling weight.
    """
    found = _contributions(hypotheses, index, alpha, smoothing, max_hits, repetition_penalty, allow_overlaps)
    return pd.DataFrame(
        {
            "query": found.query,
            "document": found.document,
            "key": found.key,
            "count": hypotheses.count[found.key],
            "log_prob": hypotheses.score[found.key],
            "weight": found.weight,
            "coefficient": found.coefficient,
            "contribution": found.weight * found.coefficient,
        }
    )


def rank_codes(hypotheses: Hypotheses, index: PrefixIndex, n_queries: int, *, k: int = 100) -> Ranking:
    """Rank documents by the log-probability of their code sequences; those that share one are equal."""
    final = hypotheses.select(hypotheses.final)
    documents = index.documents(final.lo, final.hi)
    owner = np.repeat(np.arange(len(final)), documents.lengths)
    return top_documents(final.query[owner], documents.values, final.score[owner], n_queries, k=k)


@dataclass(frozen=True)
class _Contributions:
    """Credits of documents with keys, in order of query, document and falling weight."""

    query: np.ndarray
    document: np.ndarray
    group: np.ndarray
    key: np.ndarray
    weight: np.ndarray
    coefficient: np.ndarray


def _contributions(
    hypotheses: Hypotheses,
    index: TokenIndex,
    alpha: float,
    smoothing: float,
    max_hits: int,
    repetition_penalty: float,
    allow_overlaps: bool,
) -> _Contributions:
    if not 0 <= repetition_penalty <= 1:
        raise BadInput(f"repetition_penalty must lie between 0 and 1, not {repetition_penalty}.")
    count = hypotheses.count
    weight = key_score(hypotheses.score, count, index.n_tokens, alpha=alpha, smoothing=smoothing)
    rows = np.flatnonzero((weight > 0) & (count <= max_hits))
    rows = rows[np.lexsort((-weight[rows], hypotheses.query[rows]))]
    keys = Keys(
        query=hypotheses.query[rows].astype(np.int64),
        ids=hypotheses.ids[rows],
        length=hypotheses.length[rows].astype(np.int64),
        lo=hypotheses.lo[rows],
        hi=hypotheses.hi[rows],
    )
    key, document = credits(keys, index, allow_overlaps=allow_overlaps)
    query = keys.query[key]
    new = (np.diff(query, prepend=-1) != 0) | (np.diff(document, prepend=-1) != 0)
    group = np.cumsum(new) - 1
    share = fresh_share(keys, key, group)
    return _Contributions(
        query=query,
        document=document,
        group=group,
        key=rows[key],
        weight=weight[rows[key]],
        coefficient=1 - repetition_penalty + repetition_penalty * share,
    )
