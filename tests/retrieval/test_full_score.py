"""Stage 2 against a second implementation in plain loops, written from its description."""

from __future__ import annotations

import math

import numpy as np
import pytest
from toy_keys import build, hypotheses, random_search

from genret_core.errors import BadInput
from genret_core.retrieval import full_score, key_coverage
from genret_core.retrieval.credited import credit_documents
from genret_core.retrieval.explaining import explain
from genret_core.retrieval.key_sources import UNIGRAM, KeySet, Unigrams
from genret_core.retrieval.ranking import contributions, key_score, rank_ngrams
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.sharded_index import ShardedIndex


def places_of(tokens, document):
    n = len(tokens)
    return [i for i in range(len(document) - n + 1) if document[i : i + n] == tokens]


def one_weight(s, count, n, alpha):
    """The key score itself is held term by term in `test_ranking`."""
    return float(key_score(np.array([s]), np.array([count]), n, alpha=alpha)[0])


def plain_search(
    documents, keys, unigrams, n_queries, *, max_hits=1500, max_count=10**7, beta=0.8, overlaps=False,
    single=0.0, by=None, candidates=1500, everywhere=False, penalty=0.0, frequency=True,
):  # fmt: skip
    """Give {(query, document): (score, credits)} of stage 2, and the first tokens' share in `credits`."""
    n = sum(len(d) + 1 for d in documents)
    scored = {}
    for query in range(n_queries):
        own = [(tokens, s, source) for q, tokens, s, source in keys if q == query]
        least = min((s * (1 - penalty) ** (len(t) - 1) for t, s, _ in own), default=0)
        ranked = []
        for tokens, s, source in own:
            count = sum(len(places_of(tokens, d)) for d in documents)
            alpha = 1.0 if source == UNIGRAM else 2.0
            s = s * (1 - penalty) ** (len(tokens) - 1)
            weight = one_weight(s, count, n, alpha) if frequency else (s - (least - 0.1)) ** alpha
            if weight > 0 and count <= max_count:
                ranked.append((weight, tokens, count))
        ranked.sort(key=lambda entry: -entry[0])  # stable

        def best_of(document, ranked, rank_of=None):
            held = [entry for entry in ranked if places_of(entry[1], document)]
            if by == "length":
                held.sort(key=lambda entry: -len(entry[1]))
            if by == "freq":
                held.sort(key=lambda entry: entry[2])
            return held[0][0] if held else 0.0

        # stage 1: where rare keys stand on ground that no heavier key of the whole corpus has covered
        rare = [entry for entry in ranked if entry[2] <= max_hits]
        covered, credited = set(), {}
        for weight, tokens, _ in rare:
            new = [
                (row, i)
                for row, d in enumerate(documents)
                for i in places_of(tokens, d)
                if overlaps or not any((row, i + j) in covered for j in range(len(tokens)))
            ]
            covered.update((row, i + j) for row, i in new for j in range(len(tokens)))
            for row in {row for row, _ in new}:
                credited.setdefault(row, []).append((weight, set(tokens)))
        stage1 = {}
        for row, entries in credited.items():
            seen, total = set(), 0.0
            for weight, types in entries:
                total += weight * (1 - beta + beta * (len(types - seen) / len(types)))
                seen |= types
            stage1[row] = (1 - single) * total + single * best_of(documents[row], rare)
        kept = sorted(stage1, key=lambda row: (-stage1[row], row))[:candidates]

        # stage 2: in each of these documents, all keys, the heaviest first, on free places only
        single_tokens = {tokens[0] for tokens, _, _ in own if len(tokens) == 1}
        for row in kept:
            d = documents[row]
            free = [True] * len(d)
            total, seen, credits = 0.0, set(), []
            for weight, tokens, _ in ranked:
                at = []
                for i in places_of(tokens, d):
                    if overlaps or all(free[i : i + len(tokens)]):
                        at.append(i)
                        if not overlaps:
                            free[i : i + len(tokens)] = [False] * len(tokens)
                if at:
                    share = len(set(tokens) - seen) / len(set(tokens))
                    coefficient = 1 - beta + beta * share
                    total += weight * coefficient
                    seen |= set(tokens)
                    credits.append((tuple(tokens), tuple(at), coefficient))
            if overlaps:
                for tokens, at, _ in credits:
                    for i in at:
                        free[i : i + len(tokens)] = [False] * len(tokens)
            left = {t for t, is_free in zip(d, free, strict=True) if is_free or everywhere}
            extra = 0.0
            for token in sorted(left - single_tokens):
                count = sum(e.count(token) for e in documents)
                s = unigrams.get((query, token))
                weight = 0.0 if s is None else one_weight(s, count, n, 1.0)
                if weight > 0 and count <= max_count:
                    coefficient = 1 - beta if token in seen else 1.0
                    extra += weight * coefficient
                    credits.append(((token,), (), coefficient))
            score = (1 - single) * (total + extra) + single * best_of(d, ranked)
            scored[query, row] = (score, credits)
    return scored


def make(tmp_path, vocab, n_queries=5, seed=0):
    rng = np.random.default_rng(seed + vocab)
    documents = [rng.integers(2, vocab, n).tolist() for n in rng.integers(5, 40, 22)]
    documents += documents[:2]  # equal documents tie
    documents.append([3] * 9 + [4, 4, 4])  # keys that overlap themselves
    index = build(tmp_path / "index", documents)
    keys = [key for key in random_search(vocab, documents, n_queries, 45) if key[0] != 3]
    known = {(q, tuple(t)) for q, t, _ in keys}
    keys += [(q, t, -0.4) for q in (0, 1) for t in ([3, 3], [3, 3, 3], [4, 4]) if (q, tuple(t)) not in known]
    found = KeySet.of(hypotheses(index, keys, n_queries))
    token = rng.permutation(np.arange(2, vocab))[: vocab // 2]
    query = np.repeat(np.arange(n_queries), len(token))
    log_prob = np.log(rng.uniform(0.01, 0.5, len(query)))
    unigrams = Unigrams(query, np.tile(token, n_queries), log_prob)
    return documents, index, keys, found, unigrams


NAMES = {
    "max_hits": "max_hits", "max_count": "max_count", "repetition_penalty": "beta",
    "allow_overlaps": "overlaps", "single_key": "single", "candidates": "candidates",
    "unigrams_ignore_free_places": "everywhere",
    "length_penalty": "penalty", "corpus_frequency": "frequency",
}  # fmt: skip


CASES = [
    (30, {}),
    (5, {}),
    (8, {"max_hits": 3}),
    (8, {"max_hits": 5, "max_count": 20}),
    (6, {"repetition_penalty": 0.0}),
    (8, {"repetition_penalty": 1.0, "single_key": 0.4}),
    (8, {"candidates": 4}),
    (8, {"allow_overlaps": True}),
    (12, {"unigrams_ignore_free_places": True}),
    (8, {"single_key": 0.7, "sort_by_length": True, "candidates": 6}),
    (8, {"single_key": 0.7, "sort_by_freq": True, "candidates": 6}),
    (8, {"length_penalty": 0.1}),
]
WITHOUT = [(8, {"corpus_frequency": False})]  # first tokens are weighed by the corpus in the plain loops


@pytest.mark.parametrize(
    ("vocab", "options", "with_unigrams"),
    [(*case, True) for case in CASES] + [(*case, False) for case in CASES + WITHOUT],
)
def test_full_scores_equal_plain_loops_to_the_bit(tmp_path, monkeypatch, vocab, options, with_unigrams):
    documents, index, keys, found, unigrams = make(tmp_path, vocab)
    first_tokens = {}
    if with_unigrams:
        found = found.with_unigrams(unigrams, index, Scoring())
        entries = zip(unigrams.query, unigrams.token, unigrams.log_prob, strict=True)
        first_tokens = {(int(q), int(t)): float(s) for q, t, s in entries}
    h = found.hypotheses
    keys = [
        (int(h.query[i]), h.tokens(i).tolist(), float(h.score[i]), int(found.source[i]))
        for i in range(len(h))
    ]
    plain = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    plain["by"] = (
        "length" if options.get("sort_by_length") else "freq" if options.get("sort_by_freq") else None
    )
    expected = plain_search(documents, keys, first_tokens, 5, **plain)
    assert len(expected) > 12

    def check():
        credited = credit_documents(found, index, Scoring(full_score=True, **options))
        full = credited.full
        pairs = list(zip(credited.documents[0].tolist(), credited.documents[1].tolist(), strict=True))
        assert set(pairs) == set(expected)
        for i, pair in enumerate(pairs):
            score, credits = expected[pair]
            assert credited.score[i] == score
            got = []
            for j in np.flatnonzero(full.owner == i):
                places = full.places[full.place_starts[j] : full.place_starts[j + 1]]
                row = int(credited.key[j])
                got.append((tuple(h.tokens(row).tolist()), tuple(places.tolist()), full.coefficient[j]))
            for j in np.flatnonzero(full.token_owner == i):
                got.append(((int(full.token[j]),), (), full.token_coefficient[j]))
            assert got == credits

    check()
    monkeypatch.setattr(key_coverage, "OCCURRENCES", 40)  # query by query
    monkeypatch.setattr(full_score, "TOKENS", 40)
    check()
    ranking = rank_ngrams(found, index, 5, k=7, full_score=True, **options)
    for query in range(5):
        order = sorted((-score, row) for (q, row), (score, _) in expected.items() if q == query)[:7]
        mine = ranking.query == query
        assert ranking.document[mine].tolist() == [row for _, row in order]
        assert ranking.score[mine].tolist() == [-score for score, _ in order]


def test_two_documents_by_hand(tmp_path):
    """A = 4 2 3 4 5 6 2 3 and B = 2 3 7 8; N = 14 tokens with separators.

    Keys in falling weight: x = "2 3 4", y = "2 3", z = "4 5"; y is too frequent to find documents.
    Stage 1: x finds A alone, so that B is no candidate. Stage 2 in A: x takes 1 to 3, y takes 6 and 7 and
    counts .2, both of its types being known; z has no room. Left are 0, 4 and 5, the tokens 4, 5 and 6. Of
    the first tokens 6, 4 and 3 these count: 6, of odds .7 * 13/19 / (6/19 * .3), which outweighs a fifth of
    y; and 4, which x has, a fifth.
    """
    documents = [[4, 2, 3, 4, 5, 6, 2, 3], [2, 3, 7, 8]]
    index = build(tmp_path / "index", documents)
    keys = [(0, [2, 3], math.log(0.9)), (0, [2, 3, 4], math.log(0.95)), (0, [4, 5], math.log(0.8))]
    found = KeySet.of(hypotheses(index, keys, 1))
    unigrams = Unigrams(np.array([0, 0, 0]), np.array([6, 4, 3]), np.log([0.7, 0.6, 0.6]))
    found = KeySet(found.hypotheses, found.source, unigrams)
    odds = {
        name: math.log(p * (1 - q) / (q * (1 - p)))
        for name, p, q in (("x", 0.95, 6 / 19), ("y", 0.9, 8 / 19), ("6", 0.7, 6 / 19), ("4", 0.6, 7 / 19))
    }
    ranking = rank_ngrams(found, index, 1, full_score=True, max_hits=2)
    assert ranking.document.tolist() == [0]
    total = odds["x"] ** 2 + 0.2 * odds["y"] ** 2 + odds["6"] + 0.2 * odds["4"]
    assert ranking.score.tolist() == pytest.approx([total], rel=1e-8)
    table = explain(found, index, ranking, full_score=True, max_hits=2)
    assert table["ids"].tolist() == [[2, 3, 4], [6], [2, 3], [4]]
    assert table["places"].tolist() == [[1], [5], [6], [0]]
    assert table["source"].tolist() == ["beam", "unigram", "beam", "unigram"]
    assert table["count"].tolist() == [1, 1, 3, 2]
    assert table["coefficient"].tolist() == pytest.approx([1, 1, 0.2, 0.2])
    assert table["contribution"].sum() == pytest.approx(total, rel=1e-8)


@pytest.mark.parametrize("options", [{}, {"allow_overlaps": True}, {"full_score": True}])
def test_explanations_add_up_to_the_scores_and_point_at_the_keys(tmp_path, options):
    documents, index, _, found, unigrams = make(tmp_path, 9, seed=2)
    found = found.with_unigrams(unigrams, index, Scoring())
    ranking = rank_ngrams(found, index, 5, k=6, **options)
    table = explain(found, index, ranking, **options)
    sums = table.groupby(["query", "document"], sort=False)["contribution"].sum()
    got = dict(
        zip(zip(ranking.query.tolist(), ranking.document.tolist(), strict=True), ranking.score, strict=True)
    )
    assert list(got) == list(sums.index)
    assert sums.tolist() == pytest.approx(list(got.values()), rel=1e-9)
    for row in table.itertuples():
        assert row.places
        for place in row.places:
            assert documents[row.document][place : place + len(row.ids)] == row.ids
    told = contributions(found, index, **options)
    told = told[[pair in got for pair in zip(told["query"], told["document"], strict=True)]]
    assert len(told) == (table["key"] >= 0).sum()
    if not options.get("allow_overlaps"):  # nothing is covered twice
        for _, part in table.groupby(["query", "document"]):
            cells = [p + j for row in part.itertuples() for p in row.places for j in range(len(row.ids))]
            if options:
                assert len(cells) == len(set(cells))


def test_the_defaults_are_the_published_ones():
    published = {
        "alpha": 2, "smoothing": 5, "length_penalty": 0, "corpus_frequency": True, "max_hits": 1500,
        "max_count": 10_000_000, "repetition_penalty": 0.8, "allow_overlaps": False, "single_key": 0,
        "sort_by_length": False, "sort_by_freq": False, "candidates": 1500, "top_unigrams": 5000,
        "unigrams_ignore_free_places": False,
    }  # fmt: skip
    assert {name: getattr(Scoring(), name) for name in published} == published
    assert set(vars(Scoring())) - set(published) == {"full_score"}  # off: stage 2 costs more than the rest


def test_options_are_checked():
    with pytest.raises(BadInput, match="no option 'beta'"):
        Scoring.of({"beta": 1})
    with pytest.raises(BadInput, match="exclude"):
        Scoring(sort_by_length=True, sort_by_freq=True)
    with pytest.raises(BadInput, match="candidates must be at least 1"):
        Scoring(candidates=0)


def test_nothing_found(tmp_path):
    index = build(tmp_path / "index", [[2, 3], [4]])
    found = hypotheses(index, [(0, [2, 3], -50.0)], 2)
    ranking = rank_ngrams(found, index, 2, full_score=True)
    assert (len(ranking), ranking.n_queries) == (0, 2)
    assert len(explain(found, index, ranking, full_score=True)) == 0
    assert len(explain(found, index, ranking)) == 0


@pytest.mark.parametrize("options", [{}, {"full_score": True}])
def test_several_shards_give_the_same_ranking_and_the_same_reasons(tmp_path, options):
    documents, index, keys, found, unigrams = make(tmp_path, 9, seed=4)
    shards, at = [], 0
    for i, size in enumerate((9, 1, 15)):
        shards.append(build(tmp_path / f"shard{i}", documents[at : at + size], vocab=50))
        at += size
    assert at == len(documents)
    several = ShardedIndex.of(shards)
    again = KeySet.of(hypotheses(several, keys, 5)).with_unigrams(unigrams, several, Scoring())
    found = found.with_unigrams(unigrams, index, Scoring())
    rankings = [rank_ngrams(f, i, 5, **options) for f, i in ((found, index), (again, several))]
    for name in ("query", "document", "score"):
        np.testing.assert_array_equal(*(getattr(ranking, name) for ranking in rankings))
    told = [
        explain(f, i, r, **options)
        for f, i, r in zip((found, again), (index, several), rankings, strict=True)
    ]
    assert told[0].drop(columns="key").equals(told[1].drop(columns="key"))
