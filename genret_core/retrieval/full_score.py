"""Stage 2: documents scored by all keys that stand in their text, frequent ones too.

In each document the keys are taken from the heaviest to the lightest, each where all of its places are still
free. A key that is taken again takes up room and adds nothing. What is left free speaks as single tokens, if
there are unigrams: each type once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genret_core.retrieval.key_coverage import Keys, fresh_share
from genret_core.retrieval.key_matches import Matches, find_matches, taken
from genret_core.retrieval.key_sources import UnigramWeights
from genret_core.retrieval.prefix_index import distinct, spread
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.text_index import TextIndex

TOKENS = 500_000  # of documents looked at together; about 100 bytes each


@dataclass(frozen=True)
class Weighed:
    """Keys of many queries, in order of query, then falling weight, with what they weigh.

    Attributes
    ----------
    keys : Keys
    weight : float64[n]
        Above 0.
    order : int64[n] or None
        What the best key of a document has most of; None: weight.
    """

    keys: Keys
    weight: np.ndarray
    order: np.ndarray | None = None


@dataclass(frozen=True)
class FullScores:
    """What stage 2 makes of some documents.

    Attributes
    ----------
    score : float64[c]
        Of each document.
    owner, key, coefficient : int64[m], int64[m], float64[m]
        The keys that are credited to each document, in order of document, then falling weight.
    place_starts, places : int64[m + 1], int64[p]
        Where the i-th of these stands: `places[place_starts[i]:place_starts[i + 1]]`, token offsets in the
        document.
    token_owner, token, token_coefficient : int64[u], int64[u], float64[u]
        The tokens that no key covers and that weigh something, once per document and type.
    token_weight : float64[u]
    """

    score: np.ndarray
    owner: np.ndarray
    key: np.ndarray
    coefficient: np.ndarray
    place_starts: np.ndarray
    places: np.ndarray
    token_owner: np.ndarray
    token: np.ndarray
    token_coefficient: np.ndarray
    token_weight: np.ndarray


def full_scores(
    weighed: Weighed,
    query: np.ndarray,
    document: np.ndarray,
    index: TextIndex,
    scoring: Scoring,
    unigrams: UnigramWeights | None = None,
) -> FullScores:
    """Score documents by stage 2.

    Parameters
    ----------
    weighed : Weighed
        Keys that may be matched.
    query, document : int64[c]
        The documents of each query to score, in order of query.
    unigrams : UnigramWeights, optional
        What tokens weigh that no key covers.
    """
    parts = []
    for rows in _runs(query, document, index):
        first, last = int(query[rows.start]), int(query[rows.stop - 1])
        begin, end = np.searchsorted(weighed.keys.query, [first, last + 1]).tolist()
        part = _scored(
            _of_queries(weighed, slice(begin, end), first),
            query[rows] - first,
            document[rows],
            index,
            scoring,
            _unigrams_of_queries(unigrams, first, last),
        )
        parts.append((rows.start, begin, part))
    return _joined(parts)


def _runs(query: np.ndarray, document: np.ndarray, index: TextIndex) -> Iterator[slice]:
    """Cut the documents between queries so that a run has few enough tokens (or is one query)."""
    _, starts = np.unique(query, return_index=True)
    ends = np.append(starts[1:], len(query))
    size = index.document_start(document + 1) - index.document_start(document)
    before = np.concatenate([[0], np.cumsum(size)])
    first = 0
    for i in range(len(starts)):
        if i + 1 == len(starts) or before[ends[i + 1]] - before[starts[first]] > TOKENS:
            yield slice(int(starts[first]), int(ends[i]))
            first = i + 1


def _of_queries(weighed: Weighed, rows: slice, first: int) -> Weighed:
    """Give the keys of some queries, these counted from 0."""
    part = weighed.keys.part(rows)
    keys = Keys(part.query - first, part.ids, part.length, part.lo, part.hi)
    return Weighed(keys, weighed.weight[rows], None if weighed.order is None else weighed.order[rows])


def _unigrams_of_queries(unigrams: UnigramWeights | None, first: int, last: int) -> UnigramWeights | None:
    if unigrams is None:
        return None
    rows = slice(*np.searchsorted(unigrams.query, [first, last + 1]).tolist())
    return UnigramWeights(unigrams.query[rows] - first, unigrams.token[rows], unigrams.weight[rows])


def _scored(
    weighed: Weighed,
    query: np.ndarray,
    document: np.ndarray,
    index: TextIndex,
    scoring: Scoring,
    unigrams: UnigramWeights | None,
) -> FullScores:
    keys, n = weighed.keys, len(query)
    owner, tokens = document_tokens(index, document)
    begins = np.searchsorted(owner, np.arange(n))
    matches = find_matches(keys, query[owner], tokens, index.vocab_size)
    chosen, free = taken(keys, matches, len(tokens), allow_overlaps=scoring.allow_overlaps)
    used = matches.select(chosen)
    used = used.select(np.lexsort((used.place, used.key, owner[used.place])))
    group = owner[used.place]
    new = np.flatnonzero((np.diff(group, prepend=-1) != 0) | (np.diff(used.key, prepend=-1) != 0))
    key, of = used.key[new], group[new]
    b = scoring.repetition_penalty
    coefficient = 1 - b + b * fresh_share(keys, key, of)
    total = np.bincount(of, weights=weighed.weight[key] * coefficient, minlength=n)
    token_owner, token, weight = _free_tokens(query, owner, tokens, free, unigrams, index, scoring)
    seen = _seen(keys, key, of, index.vocab_size)
    old = np.isin(token_owner * index.vocab_size + token, seen)
    token_coefficient = np.where(old, 1 - b, 1.0)
    total = total + np.bincount(token_owner, weights=weight * token_coefficient, minlength=n)
    best = _best(weighed, matches, owner, n)
    return FullScores(
        score=(1 - scoring.single_key) * total + scoring.single_key * best,
        owner=of,
        key=key,
        coefficient=coefficient,
        place_starts=np.append(new, len(used.place)),
        places=used.place - begins[group],
        token_owner=token_owner,
        token=token,
        token_coefficient=token_coefficient,
        token_weight=weight,
    )


def document_tokens(index: TextIndex, document: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read documents, separators included: which of them each token belongs to, and the tokens, int64."""
    owner, position = spread(index.document_start(document), index.document_start(document + 1))
    return owner, index.tokens_at(position)


def _free_tokens(
    query: np.ndarray,
    owner: np.ndarray,
    tokens: np.ndarray,
    free: np.ndarray,
    unigrams: UnigramWeights | None,
    index: TextIndex,
    scoring: Scoring,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the types of each document's free tokens that are unigrams of its query, and their weights."""
    if unigrams is None or not len(unigrams.query):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    table = np.zeros((int(query.max(initial=0)) + 1) * index.vocab_size)
    table[unigrams.query * index.vocab_size + unigrams.token] = unigrams.weight
    weight = table[query[owner] * index.vocab_size + tokens]
    rows = np.flatnonzero((weight > 0) & (free | scoring.unigrams_ignore_free_places))
    pairs = distinct(owner[rows] * index.vocab_size + tokens[rows])
    of, token = np.divmod(pairs, index.vocab_size)
    return of, token, table[query[of] * index.vocab_size + token]


def _seen(keys: Keys, key: np.ndarray, of: np.ndarray, vocab_size: int) -> np.ndarray:
    """Give the token types of the keys of each document, as numbers."""
    ids = keys.ids[key].astype(np.int64)
    rows, columns = np.nonzero(ids >= 0)
    return distinct(of[rows] * vocab_size + ids[rows, columns])


def _best(weighed: Weighed, matches: Matches, owner: np.ndarray, n: int) -> np.ndarray:
    """Give the weight of the best key that stands in each document, free or not; 0 without any."""
    of, key = owner[matches.place], matches.key
    order = np.zeros(len(key), np.int64) if weighed.order is None else weighed.order[key]
    rows = np.lexsort((key, -order, of))  # keys come in falling weight
    first = rows[np.diff(of[rows], prepend=-1) != 0]
    best = np.zeros(n)
    best[of[first]] = weighed.weight[key[first]]
    return best


def _joined(parts: list[tuple[int, int, FullScores]]) -> FullScores:
    """Put runs together, given the number of their first document and of their first key."""

    def all_of(name: str, shift: int | None = None) -> np.ndarray:
        arrays = [getattr(part[2], name) + (0 if shift is None else part[shift]) for part in parts]
        return np.concatenate(arrays) if arrays else np.empty(0, np.int64)

    starts = [np.zeros(1, np.int64)]
    for _, _, part in parts:
        starts.append(part.place_starts[1:] + starts[-1][-1])
    return FullScores(
        score=all_of("score"),
        owner=all_of("owner", 0),
        key=all_of("key", 1),
        coefficient=all_of("coefficient"),
        place_starts=np.concatenate(starts),
        places=all_of("places"),
        token_owner=all_of("token_owner", 0),
        token=all_of("token"),
        token_coefficient=all_of("token_coefficient"),
        token_weight=all_of("token_weight"),
    )
