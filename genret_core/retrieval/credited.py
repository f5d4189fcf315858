"""Which keys speak for which documents, and what that makes of each: stage 1, then stage 2 if asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.full_score import FullScores, Weighed, full_scores
from genret_core.retrieval.key_coverage import Keys, credits, fresh_share
from genret_core.retrieval.key_sources import KeySet
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.text_index import TextIndex


@dataclass(frozen=True)
class Credited:
    """Credits of documents with keys, in order of query, document and falling weight.

    Attributes
    ----------
    query, document, key : int64[m]
        `key` is a row of the keys.
    weight, coefficient : float64[m]
        What the key weighs, and the share of it that counts.
    documents : pair of int64[c]
        Queries and rows of the documents that were scored.
    score : float64[c]
        Of these documents.
    full : FullScores or None
        Of stage 2.
    """

    query: np.ndarray
    document: np.ndarray
    key: np.ndarray
    weight: np.ndarray
    coefficient: np.ndarray
    documents: tuple[np.ndarray, np.ndarray]
    score: np.ndarray
    full: FullScores | None = None


def credit_documents(found: KeySet, index: TextIndex, scoring: Scoring) -> Credited:
    """Find the documents of all queries that keys speak for, and score them."""
    hypotheses = found.hypotheses
    count = hypotheses.count
    weight = found.weights(index.n_tokens, scoring)
    rows = np.flatnonzero((weight > 0) & (count <= scoring.max_count))
    rows = rows[np.lexsort((-weight[rows], hypotheses.query[rows]))]
    rare = rows[count[rows] <= scoring.max_hits]
    first = _first_stage(found, index, scoring, rare, weight)
    if not scoring.full_score:
        return first
    query, document = _candidates(first, int(scoring.candidates))
    order = scoring.order(hypotheses.length[rows], count[rows])
    weighed = Weighed(keys_of(found, rows), weight[rows], order)
    full = full_scores(weighed, query, document, index, scoring, found.unigram_weights(index, scoring))
    return Credited(
        query=query[full.owner],
        document=document[full.owner],
        key=rows[full.key],
        weight=weight[rows[full.key]],
        coefficient=full.coefficient,
        documents=(query, document),
        score=full.score,
        full=full,
    )


def keys_of(found: KeySet, rows: np.ndarray) -> Keys:
    """Take some keys, in order of query, then falling weight."""
    keys = found.hypotheses
    return Keys(
        query=keys.query[rows].astype(np.int64),
        ids=keys.ids[rows],
        length=keys.length[rows].astype(np.int64),
        lo=keys.lo[rows],
        hi=keys.hi[rows],
    )


def _first_stage(
    found: KeySet, index: TextIndex, scoring: Scoring, rows: np.ndarray, weight: np.ndarray
) -> Credited:
    keys = keys_of(found, rows)
    key, document = credits(keys, index, allow_overlaps=scoring.allow_overlaps)
    query = keys.query[key]
    new = (np.diff(query, prepend=-1) != 0) | (np.diff(document, prepend=-1) != 0)
    group, first = np.cumsum(new) - 1, np.flatnonzero(new)
    coefficient = 1 - scoring.repetition_penalty + scoring.repetition_penalty * fresh_share(keys, key, group)
    own = weight[rows[key]]
    score = np.empty(0)
    if len(first):
        order = scoring.order(keys.length, keys.hi - keys.lo) if scoring.single_key else None
        best = own[first]
        if order is not None:
            best = _best(keys, index, order, weight[rows], query[first], document[first])
        total = np.add.reduceat(own * coefficient, first)
        score = (1 - scoring.single_key) * total + scoring.single_key * best
    return Credited(query, document, rows[key], own, coefficient, (query[first], document[first]), score)


def _best(
    keys: Keys,
    index: TextIndex,
    order: np.ndarray,
    weight: np.ndarray,
    query: np.ndarray,
    document: np.ndarray,
) -> np.ndarray:
    """Give the weight of the best key that stands in each document, whether it is credited or not."""
    key, holder = credits(keys, index, allow_overlaps=True)
    at = np.lexsort((key, -order[key], holder, keys.query[key]))
    owner, holder = keys.query[key][at], holder[at]
    first = at[(np.diff(owner, prepend=-1) != 0) | (np.diff(holder, prepend=-1) != 0)]
    assert len(first) == len(query)  # each document with a key is credited with its heaviest
    return weight[key[first]]


def _candidates(first: Credited, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the best documents of each query, in order of query, then document."""
    query, document = first.documents
    order = np.lexsort((document, -first.score, query))
    place = np.arange(len(order)) - np.searchsorted(query[order], query[order])
    kept = np.sort(order[place < most])  # the documents come in order of query, then row
    return query[kept], document[kept]
