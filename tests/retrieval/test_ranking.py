from __future__ import annotations

import math

import numpy as np
import pytest
from toy_keys import build, hypotheses, random_search

from genret_core.errors import BadInput
from genret_core.retrieval import key_coverage
from genret_core.retrieval.code_index import CodeIndex
from genret_core.retrieval.ranking import contributions, key_score, rank_codes, rank_ngrams, top_documents


def plain_weight(s, count, n, alpha=2.0, smoothing=5.0) -> float:
    """The formula of the key score, term by term."""
    if count == 0:
        return 0.0
    p, q = math.exp(s - 1e-10), (count + smoothing) / (n + smoothing)
    return max(0.0, math.log(p * (1 - q)) - math.log(q * (1 - p))) ** alpha


def plain_ranking(documents, keys, n_queries, max_hits=1500, beta=0.8, single=0.0, k=100, overlaps=False):
    """Stage 1 in plain loops over occurrences, straight from its description."""
    n = sum(len(d) + 1 for d in documents)
    ranking = []
    for query in range(n_queries):
        weighed = []
        for order, (q, tokens, s) in enumerate(keys):
            if q != query:
                continue
            places = [
                (row, i)
                for row, d in enumerate(documents)
                for i in range(len(d) - len(tokens) + 1)
                if d[i : i + len(tokens)] == tokens
            ]
            weight = plain_weight(s, len(places), n)
            if weight > 0 and len(places) <= max_hits:
                weighed.append((-weight, order, tokens, places))
        covered: set[tuple[int, int]] = set()
        credited: dict[int, list[tuple[float, set[int]]]] = {}
        for negative, _, tokens, places in sorted(weighed):
            new = [
                (row, i)
                for row, i in places
                if overlaps or not any((row, i + j) in covered for j in range(len(tokens)))
            ]
            for row, i in new:
                covered.update((row, i + j) for j in range(len(tokens)))
            for row in {row for row, _ in new}:
                credited.setdefault(row, []).append((-negative, set(tokens)))
        scores = {}
        for row, entries in credited.items():
            seen: set[int] = set()
            total = 0.0
            for weight, types in entries:
                total += weight * (1 - beta + beta * len(types - seen) / len(types))
                seen |= types
            scores[row] = (1 - single) * total + single * max(w for w, _ in entries)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]
        ranking += [(query, row, rank, score) for rank, (row, score) in enumerate(best)]
    return ranking


def assert_equal(ranking, expected):
    got = list(zip(ranking.query.tolist(), ranking.document.tolist(), ranking.rank.tolist(), strict=True))
    assert got == [row[:3] for row in expected]
    np.testing.assert_allclose(ranking.score, [row[3] for row in expected], rtol=1e-9)


@pytest.mark.parametrize(
    ("vocab", "options"),
    [
        (30, {}),
        (5, {}),
        (30, {"max_hits": 3}),
        (5, {"repetition_penalty": 0.0}),
        (8, {"repetition_penalty": 1.0, "single_key": 0.4}),
        (8, {"k": 2}),
        (8, {"allow_overlaps": True}),
    ],
)
def test_ranking_equals_plain_loops(tmp_path, monkeypatch, vocab, options):
    rng = np.random.default_rng(vocab)
    documents = [rng.integers(2, vocab, n).tolist() for n in rng.integers(5, 60, 25)]
    documents += documents[:2]  # equal documents tie
    index = build(tmp_path / "index", documents)
    keys = random_search(vocab, documents, 6, 60)
    keys = [key for key in keys if key[0] != 3]  # a query that found nothing
    found = hypotheses(index, keys, 6)
    plain = {"repetition_penalty": "beta", "single_key": "single", "allow_overlaps": "overlaps"}
    expected = plain_ranking(documents, keys, 6, **{plain.get(n, n): v for n, v in options.items()})
    ranking = rank_ngrams(found, index, 6, **options)
    assert len(ranking) > 30 or "k" in options
    assert_equal(ranking, expected)
    monkeypatch.setattr(key_coverage, "OCCURRENCES", 40)  # query by query
    assert_equal(rank_ngrams(found, index, 6, **options), expected)


def test_two_documents_by_hand(tmp_path):
    """A = 2 3 4 5 6 2 3 and B = 2 3 7 8, N = 13 tokens with separators.

    Keys in falling weight: x = "2 3 4" (p .95), y = "2 3" (p .9), z = "4 5" (p .8), u = "3 7" (p .7).
    x counts at A[0:3]. y: A[0:2] is covered, A[5:7] and B[0:2] are new: credited to A and B. z: A[2:4] shares
    A[2] with x: not new anywhere. u: B[1:3] shares B[1] with y: not new.
    A = w(x) + w(y) (1 - .8 + .8 * 0/2), both types of y being in x; B = w(y).
    """
    documents = [[2, 3, 4, 5, 6, 2, 3], [2, 3, 7, 8]]
    index = build(tmp_path / "index", documents)
    keys = [(0, [2, 3], math.log(0.9)), (0, [2, 3, 4], math.log(0.95)), (0, [4, 5], math.log(0.8)),
            (0, [3, 7], math.log(0.7))]  # fmt: skip
    weights = {}
    for name, p, c in (("x", 0.95, 1), ("y", 0.9, 3), ("z", 0.8, 1), ("u", 0.7, 1)):
        q = (c + 5) / 18
        weights[name] = max(0, math.log(p * (1 - q) / (q * (1 - p)))) ** 2
    assert weights["x"] > weights["y"] > 0
    assert weights["x"] == pytest.approx(3.637586**2, rel=1e-6)  # ln(.95 * 12/18 / (6/18 * .05)) = ln 38
    found = hypotheses(index, keys, 1)
    # y occurs three times: its odds are .9 * 10/18 / (8/18 * .1) = 11.25; z: 4 * 2 = 8; u: 7/3 * 2
    assert weights["y"] > weights["z"] > weights["u"] > 0
    ranking = rank_ngrams(found, index, 1)
    assert ranking.document.tolist() == [0, 1]
    assert ranking.score == pytest.approx([weights["x"] + 0.2 * weights["y"], weights["y"]], rel=1e-6)
    table = contributions(found, index)
    assert table["document"].tolist() == [0, 0, 1]
    assert table["key"].tolist() == [1, 0, 0]
    assert table["count"].tolist() == [1, 3, 3]
    assert table["coefficient"].tolist() == pytest.approx([1, 0.2, 1])
    assert table.groupby("document")["contribution"].sum().tolist() == pytest.approx(ranking.score.tolist())


def test_full_ngrams_weigh_nothing_in_a_small_corpus_and_their_prefixes_do():
    """Ten tokens at 0.38 each in 70,000: below the smoothed frequency 6/70005; three tokens are above."""
    n = 70_000
    full, prefix = key_score(np.log([0.38**10, 0.38**3]), np.array([1, 1]), n)
    assert full == 0
    assert prefix == pytest.approx(plain_weight(3 * math.log(0.38), 1, n))
    assert prefix > 0
    assert key_score(np.log([0.38**10]), np.array([1]), n, smoothing=0)[0] > 0


def test_key_score_at_its_edges():
    score = key_score(np.array([0.0, -1e-12, -0.1, -0.1, -700.0]), np.array([1, 100, 0, 100, 1]), 100)
    assert np.isfinite(score).all()
    assert score[0] > 0  # p = 1 is finite
    assert score[1] == 0  # c = N: q = 1
    assert score[2] == 0  # c = 0: does not occur
    assert score[3] == 0
    assert score[4] == 0
    for s in (-3.0, -0.5, -0.01):
        for count in (1, 7, 90):
            expected = plain_weight(s, count, 1000, alpha=1.5, smoothing=2)
            got = key_score(np.array([s]), np.array([count]), 1000, alpha=1.5, smoothing=2)
            assert got[0] == pytest.approx(expected, rel=1e-12)


def test_nothing_found_gives_an_empty_ranking(tmp_path):
    index = build(tmp_path / "index", [[2, 3], [4]])
    ranking = rank_ngrams(hypotheses(index, [(0, [2, 3], -50.0)], 2), index, 2)
    assert (len(ranking), ranking.n_queries) == (0, 2)
    assert len(contributions(hypotheses(index, [], 2), index)) == 0
    with pytest.raises(BadInput, match="between 0 and 1"):
        rank_ngrams(hypotheses(index, [], 2), index, 2, repetition_penalty=2)


def test_codes_rank_their_documents_by_probability_and_ties_by_row():
    codes = np.array([[20, 21], [20, 22], [20, 21], [23, 21]])
    index = CodeIndex.build(codes)
    keys = [(0, [20], -0.1), (0, [20, 21], -0.5), (0, [23, 21], -0.2), (1, [20, 22], -3.0)]
    found = hypotheses(index, keys, 3, final=[False, True, True, True])
    ranking = rank_codes(found, index, 3)
    assert ranking.query.tolist() == [0, 0, 0, 1]
    assert ranking.document.tolist() == [3, 0, 2, 1]
    assert ranking.score.tolist() == [-0.2, -0.5, -0.5, -3.0]
    assert rank_codes(found, index, 3, k=2).document.tolist() == [3, 0, 1]


def test_top_documents_sorts_within_queries_and_breaks_ties_by_document_row():
    query = np.array([2, 0, 0, 2, 0, 2])
    document = np.array([5, 9, 3, 1, 4, 8])
    score = np.array([1.0, 2.0, 2.0, 1.0, 7.0, 0.5])
    ranking = top_documents(query, document, score, 4, k=2)
    assert ranking.query.tolist() == [0, 0, 2, 2]
    assert ranking.document.tolist() == [4, 3, 1, 5]
    assert ranking.score.tolist() == [7.0, 2.0, 1.0, 1.0]
    assert ranking.rank.tolist() == [0, 1, 0, 1]
    assert ranking.n_queries == 4
    assert list(ranking.to_frame().columns) == ["query", "document", "score", "rank"]
