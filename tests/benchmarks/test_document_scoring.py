"""Scoring documents by keys, stage 1 and stage 2, against loops over occurrences as published, in one run.

A corpus of a million tokens (see `zipf_corpus`); the keys of a query are what a beam of 10 or 100 leaves
behind: all prefixes of n-grams of the corpus. The loops use the same index to find occurrences and sets to
remember covered places; in stage 2 they walk a trie along each document. Both give the same scores.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from zipf_corpus import SEP, V, write_corpus

from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.ranking import rank_ngrams
from genret_core.retrieval.scoring import Scoring, key_score
from genret_core.retrieval.token_index import TokenIndex

pytestmark = pytest.mark.benchmark
N, LENGTH, QUERIES, KEPT = 1_000_000, 10, 4, 300
MOST, BETA = int(Scoring.max_hits), Scoring.repetition_penalty


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoring")
    write_corpus(folder, N)
    ids, starts = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("ids", "starts"))
    return TokenIndex.build(
        ids, starts, folder / "index", vocab_size=V, tokenizer_key="zipf", separator_id=SEP
    )


def keys_of_a_search(index: TokenIndex, beam: int, rng: np.random.Generator) -> Hypotheses:
    """Prefixes of as many n-grams as `2 * beam` at every length, likelier than they are frequent."""
    seen: dict[tuple[int, ...], float] = {}
    for query in range(QUERIES):
        positions = rng.integers(0, index.n_tokens - LENGTH, 20 * beam)
        grams = index.tokens[positions[:, None] + np.arange(LENGTH)].astype(np.int64)
        grams = grams[(grams != SEP).all(axis=1)][: 2 * beam]
        for gram in grams.tolist():
            log_prob = -rng.exponential(2.0)
            for stop in range(1, LENGTH + 1):
                log_prob -= rng.exponential(0.4)
                seen.setdefault((query, *gram[:stop]), log_prob)
    query = np.array([key[0] for key in seen], np.int32)
    patterns = [list(key[1:]) for key in seen]
    lo, hi = index.find(patterns)
    lengths = np.array([len(p) for p in patterns], np.int64)
    ragged = Ragged(np.concatenate(patterns), np.concatenate([[0], np.cumsum(lengths)]))
    return Hypotheses(
        query=query,
        ids=ragged.padded(-1).astype(np.int32),
        length=lengths.astype(np.int16),
        score=np.array(list(seen.values())),
        lo=lo,
        hi=hi,
        final=lengths == LENGTH,
        filled=np.full(QUERIES, beam, np.int32),
        n_queries=QUERIES,
        beam=beam,
    )


def loops(index: TokenIndex, keys: Hypotheses, query: int, *, full: bool) -> dict[int, float]:
    """Score the documents of one query key by key and occurrence by occurrence."""
    rows = np.flatnonzero(keys.query == query)
    weight = key_score(keys.score[rows], keys.count[rows], index.n_tokens)
    order = [i for i in np.argsort(-weight, kind="stable").tolist() if weight[i] > 0]
    weighed = [
        (float(weight[i]), keys.tokens(int(rows[i])).tolist(), int(keys.count[rows[i]])) for i in order
    ]
    covered: set[tuple[int, int]] = set()
    credited: dict[int, list[tuple[float, set[int]]]] = {}
    for own, tokens, count in weighed:
        if count > MOST:
            continue
        documents, offsets = index.locate(tokens)
        new = []
        for place in zip(documents.tolist(), offsets.tolist(), strict=True):
            cells = [(place[0], place[1] + j) for j in range(len(tokens))]
            if not any(cell in covered for cell in cells):
                new.append((place[0], cells))
        for _, cells in new:
            covered.update(cells)
        for row in dict.fromkeys(row for row, _ in new):
            credited.setdefault(row, []).append((own, set(tokens)))
    scores = {row: _together(entries) for row, entries in credited.items()}
    kept = sorted(scores, key=lambda row: (-scores[row], row))[:KEPT]
    if not full:
        return {row: scores[row] for row in kept}
    return {row: _stage_2(index.document(row).tolist(), weighed) for row in kept}


def _together(entries: list[tuple[float, set[int]]]) -> float:
    seen: set[int] = set()
    total = 0.0
    for weight, types in entries:
        total += weight * (1 - BETA + BETA * len(types - seen) / len(types))
        seen |= types
    return total


def _stage_2(document: list[int], weighed: list[tuple[float, list[int], int]]) -> float:
    trie: dict = {}
    for number, (_, tokens, _) in enumerate(weighed):
        node = trie
        for token in tokens:
            node = node.setdefault(token, {})
        node["key"] = number
    places: dict[int, list[int]] = {}
    for start in range(len(document)):
        node = trie
        for token in document[start:]:
            node = node.get(token)
            if node is None:
                break
            if "key" in node:
                places.setdefault(node["key"], []).append(start)
    free, entries = [True] * len(document), []
    for number in sorted(places):
        weight, tokens, _ = weighed[number]
        taken = False
        for start in places[number]:
            if all(free[start : start + len(tokens)]):
                free[start : start + len(tokens)] = [False] * len(tokens)
                taken = True
        if taken:
            entries.append((weight, set(tokens)))
    return _together(entries)


@pytest.mark.parametrize("beam", [10, 100])
@pytest.mark.parametrize("full", [False, True], ids=["stage 1", "stage 2"])
def test_scoring_documents_beats_loops_over_occurrences(index, benchmark, beam, full):
    keys = keys_of_a_search(index, beam, np.random.default_rng(beam))
    options = {"full_score": full, "candidates": KEPT}

    def ours():
        return rank_ngrams(keys, index, QUERIES, k=KEPT, **options)

    found = ours()
    slow = []
    for query in range(QUERIES):
        begun = time.perf_counter()
        expected = loops(index, keys, query, full=full)
        slow.append(1e3 * (time.perf_counter() - begun))
        own = found.query == query
        got = dict(zip(found.document[own].tolist(), found.score[own].tolist(), strict=True))
        wanted = sorted(expected.values(), reverse=True)[: len(got)]
        np.testing.assert_allclose(sorted(got.values(), reverse=True), wanted, rtol=1e-9)
    benchmark.pedantic(ours, rounds=5)
    quick = 1e3 * benchmark.stats.stats.median / QUERIES
    benchmark.extra_info.update(
        keys_per_query=len(keys) // QUERIES,
        ms_per_query=round(quick, 2),
        loops_ms_per_query=round(statistics.median(slow), 2),
        ratio=round(statistics.median(slow) / quick, 1),
    )
    print(f"\nbeam {beam}, {'stage 1 and 2' if full else 'stage 1'}: {benchmark.extra_info}")
