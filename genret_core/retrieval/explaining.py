"""Which keys led to a document, where they come from and where they stand in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genret_core.retrieval.credited import Credited, credit_documents, keys_of
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.key_coverage import occurrences
from genret_core.retrieval.key_sources import SOURCES, UNIGRAM, KeySet
from genret_core.retrieval.ranking import Ranking
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.text_index import TextIndex

COLUMNS = (
    "query", "rank", "document", "key", "ids", "source", "log_prob", "count", "weight", "coefficient",
    "contribution", "places",
)  # fmt: skip


def explain(found: Hypotheses | KeySet, index: TextIndex, ranking: Ranking, **options: Any) -> pd.DataFrame:
    """List the keys of every ranked document.

    Parameters
    ----------
    found, index, **options
        As given to `rank_ngrams`.
    ranking : Ranking
        What that gave.

    Returns
    -------
    DataFrame
        In order of query, rank and falling contribution: `query`, `rank`, `document`; `key` (row of `found`,
        -1 for a token that no key covers), `ids` (its tokens), `source` (beam, query, unigram); `log_prob`
        and `count` (occurrences in the corpus); `weight`, `coefficient` and their product `contribution`;
        `places`, the token offsets in the document where it counts. With ``single_key=0`` the contributions
        add up to the score.
    """
    keyset, scoring = KeySet.of(found), Scoring.of(options)
    credited = credit_documents(keyset, index, scoring)
    size = np.int64(index.n_documents)
    rank = dict(zip((ranking.query * size + ranking.document).tolist(), ranking.rank.tolist(), strict=True))
    names = keyset.names()
    keys = keyset.hypotheses
    places = _places(keyset, credited, index, scoring)
    rows: list[tuple[Any, ...]] = []
    for i, pair in enumerate((credited.query * size + credited.document).tolist()):
        if pair in rank:
            key = int(credited.key[i])
            weight, coefficient = float(credited.weight[i]), float(credited.coefficient[i])
            rows.append(
                (
                    *divmod(pair, int(size)), rank[pair], key, keys.tokens(key).tolist(), names[key],
                    float(keys.score[key]), int(keys.count[key]), weight, coefficient, weight * coefficient,
                    places(i),
                )
            )  # fmt: skip
    rows += _tokens(keyset, credited, index, rank, int(size))
    rows.sort(key=lambda row: (row[0], row[2], -row[10], row[3]))
    return pd.DataFrame([(row[0], row[2], row[1], *row[3:]) for row in rows], columns=list(COLUMNS))


def _places(keyset: KeySet, credited: Credited, index: TextIndex, scoring: Scoring) -> Any:
    """Give a function that tells where a credit's key stands: token offsets in the document."""
    if credited.full is not None:
        full = credited.full
        return lambda i: full.places[full.place_starts[i] : full.place_starts[i + 1]].tolist()
    rows = np.unique(credited.key)
    rows = rows[np.lexsort((-keyset.weights(index.n_tokens, scoring)[rows], keyset.hypotheses.query[rows]))]
    owner, position = occurrences(keys_of(keyset, rows), index, allow_overlaps=scoring.allow_overlaps)
    document = index.document_at(position)
    name = rows[owner] * np.int64(index.n_documents) + document
    order = np.lexsort((position, name))
    name, offset = name[order], (position - index.document_start(document))[order]

    def places(i: int) -> list[int]:
        wanted = credited.key[i] * np.int64(index.n_documents) + credited.document[i]
        return list(offset[slice(*np.searchsorted(name, [wanted, wanted + 1]).tolist())].tolist())

    return places


def _tokens(
    keyset: KeySet, credited: Credited, index: TextIndex, rank: dict[int, int], size: int
) -> list[tuple[Any, ...]]:
    """List what single tokens add to the ranked documents in stage 2."""
    full, unigrams = credited.full, keyset.unigrams
    if full is None or unigrams is None:
        return []
    name = (unigrams.query * np.int64(index.vocab_size) + unigrams.token).tolist()
    known = dict(
        zip(name, zip(unigrams.log_prob.tolist(), unigrams.counts(index).tolist(), strict=True), strict=True)
    )
    covered = _covered(credited, keyset)
    rows = []
    for i, owner in enumerate(full.token_owner.tolist()):
        query, document = int(credited.documents[0][owner]), int(credited.documents[1][owner])
        if query * size + document not in rank:
            continue
        token = int(full.token[i])
        text = index.document(document)
        places = [place for place in np.flatnonzero(text == token).tolist() if (owner, place) not in covered]
        weight, coefficient = float(full.token_weight[i]), float(full.token_coefficient[i])
        rows.append(
            (
                query, document, rank[query * size + document], -1, [token], SOURCES[UNIGRAM],
                *known[query * index.vocab_size + token], weight, coefficient, weight * coefficient,
                places or np.flatnonzero(text == token).tolist(),
            )
        )  # fmt: skip
    return rows


def _covered(credited: Credited, keyset: KeySet) -> set[tuple[int, int]]:
    """Give the places of the documents that keys cover."""
    full = credited.full
    assert full is not None
    found: set[tuple[int, int]] = set()
    for i, owner in enumerate(full.owner.tolist()):
        length = int(keyset.hypotheses.length[credited.key[i]])
        for place in full.places[full.place_starts[i] : full.place_starts[i + 1]].tolist():
            found.update((owner, place + j) for j in range(length))
    return found
