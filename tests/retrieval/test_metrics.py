"""Metrics against a few lines of plain Python; BM25 against its formula and a known collection."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.bm25 import bm25_ranking
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.metrics import (
    mean_metrics,
    per_query_metrics,
    returned_documents,
    trusted_k,
)
from genret_core.retrieval.ranking import Ranking

N_DOCUMENTS = 30
DATA = Path(os.environ.get("GENRET_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Queries with one to six relevant documents of relevance 1 to 3, and a judged one that is not."""
    rng = np.random.default_rng(0)
    documents = [
        Document(f"d{i}", f"Title{i}", " ".join(f"word{w}" for w in rng.zipf(1.3, 15).clip(max=40)))
        for i in range(N_DOCUMENTS)
    ]
    queries = [Query(f"q{i}", f"Word{i + 1} word{3 * i + 2}, word1 title{i}") for i in range(7)]
    qrels = []
    for i in range(6):
        judged = rng.permutation(N_DOCUMENTS)[: 2 + i]
        qrels += [
            Qrel(f"q{i}", f"d{d}", int(r), "test")
            for d, r in zip(judged, rng.integers(1, 4, 2 + i), strict=True)
        ]
        qrels[-1] = qrels[-1]._replace(relevance=0)
    return write_corpus(
        tmp_path_factory.mktemp("metrics") / "corpus", documents, queries, qrels, {"name": "made"}
    )


def ranking_of(lists: list[list[int]]) -> Ranking:
    query = np.repeat(np.arange(len(lists)), [len(found) for found in lists]).astype(np.int32)
    rank = np.concatenate([np.arange(len(found)) for found in lists]).astype(np.int32)
    document = np.concatenate([np.asarray(found, np.int32) for found in lists]).astype(np.int32)
    return Ranking(
        query, document, np.ones(len(query)), rank, len(lists)
    )  # equal scores: the rank is what counts


def plain(found: list[int], gains: dict[int, int]) -> dict[str, float]:
    """The definitions, in plain Python."""
    relevant = {d for d, gain in gains.items() if gain > 0}
    values = {}
    for k in (1, 5, 20, 100):
        values[f"R@{k}"] = len(relevant & set(found[:k])) / len(relevant)
        values[f"MR@{k}"] = 1 - values[f"R@{k}"]
    ideal = sorted(gains.values(), reverse=True)[:10]
    dcg = sum(gains.get(d, 0) / math.log2(i + 2) for i, d in enumerate(found[:10]))
    values["nDCG@10"] = dcg / sum(gain / math.log2(i + 2) for i, gain in enumerate(ideal))
    values["RR@10"] = next((1 / (i + 1) for i, d in enumerate(found[:10]) if d in relevant), 0.0)
    hits = [i for i, d in enumerate(found[:10]) if d in relevant]
    values["AP@10"] = sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / len(relevant)
    return values


def gains_of(corpus: Corpus, query: int) -> dict[int, int]:
    rows = corpus.qrels.to_pandas()
    rows = rows[rows["query"] == query]
    return dict(zip(rows["document"].tolist(), rows["relevance"].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_their_definitions(corpus: Corpus, seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries = [4, 0, 5, 3, 1, 2, 4]  # in any order, and one of them twice
    lists = [rng.permutation(N_DOCUMENTS)[: rng.integers(1, 25)].tolist() for _ in queries]
    table = per_query_metrics(corpus, queries, ranking_of(lists))
    assert len(table) == 7 * 11
    for position, (query, found) in enumerate(zip(queries, lists, strict=True)):
        rows = table.iloc[position * 11 : (position + 1) * 11]
        assert (rows["query"] == query).all()
        expected = plain(found, gains_of(corpus, query))
        assert dict(zip(rows["metric"], rows["value"], strict=True)) == pytest.approx(expected)


def test_a_query_that_finds_nothing_is_a_miss(corpus: Corpus) -> None:
    best = int(corpus.relevant(1)[0])
    table = per_query_metrics(corpus, [0, 1, 2], ranking_of([[], [best], []]))
    values = table.pivot_table(index="query", columns="metric", values="value")
    for query in (0, 2):
        for metric in values.columns:
            assert values.loc[query, metric] == (1 if metric.startswith("MR@") else 0)
    assert values.loc[1, "RR@10"] == 1
    means = mean_metrics(table).set_index("metric")
    assert means.loc["RR@10", "value"] == pytest.approx(1 / 3)
    assert means.loc["RR@10", "stderr"] == pytest.approx(
        math.sqrt(1 / 3) / math.sqrt(3)
    )  # 0 1 0: variance 1/3
    assert means.loc["MR@1", "n_queries"] == 3
    nothing = per_query_metrics(corpus, [0, 1], ranking_of([[], []]), ["MR@5"])
    assert nothing["metric"].tolist() == ["R@5", "MR@5"] * 2
    assert nothing["value"].tolist() == [0, 1] * 2


def test_depths_that_mean_nothing_are_told() -> None:
    assert trusted_k(25, 500, 100) == (True, "")
    trusted, reason = trusted_k(26, 500, 100)
    assert not trusted
    assert "5% of the 500 documents" in reason
    trusted, reason = trusted_k(20, 500, 19)
    assert not trusted
    assert "19 documents that the search returned" in reason
    assert returned_documents(ranking_of([[1, 2, 3], [], [4, 5], [6]])) == 1  # 0 1 2 3: the median is 1.5


def test_bm25_agrees_with_its_formula(corpus: Corpus) -> None:
    queries = [5, 0, 3]
    ranking = bm25_ranking(corpus, queries, k=N_DOCUMENTS, k1=1.2, b=0.6)
    texts = [re.findall(r"\w+", text.lower()) for text in corpus.document_texts(fields="title_text")]
    mean = sum(map(len, texts)) / len(texts)
    for position, query in enumerate(queries):
        words = re.findall(r"\w+", corpus.query_text(query).lower())
        scores = {}
        for row, text in enumerate(texts):
            count = Counter(text)
            for word in words:
                df = sum(word in other for other in texts)
                idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
                saturated = count[word] / (count[word] + 1.2 * (1 - 0.6 + 0.6 * len(text) / mean))
                scores[row] = scores.get(row, 0) + idf * saturated
        scores = {row: score for row, score in scores.items() if score > 0}
        own = ranking.query == position
        assert set(ranking.document[own].tolist()) == set(scores)
        np.testing.assert_allclose(ranking.score[own], sorted(scores.values(), reverse=True), rtol=1e-5)
        np.testing.assert_allclose(ranking.score[own], [scores[d] for d in ranking.document[own]], rtol=1e-5)


def test_bm25_leaves_out_documents_without_a_word_of_the_query(tmp_path: Path) -> None:
    documents = [
        Document("a", "Cats", "sleep"),
        Document("b", "", "dogs bark"),
        Document("c", "", "cats and dogs"),
    ]
    queries = [Query("x", "CATS!"), Query("y", "unheardof"), Query("z", "bark dogs")]
    corpus = write_corpus(tmp_path / "corpus", documents, queries, [Qrel("x", "a", 1, "test")], {})
    ranking = bm25_ranking(corpus, [0, 1, 2])
    assert ranking.n_queries == 3
    assert ranking.document[ranking.query == 0].tolist() == [0, 2]
    assert (ranking.query == 1).sum() == 0
    assert ranking.document[ranking.query == 2].tolist() == [1, 2]
    assert bm25_ranking(corpus, [2], k=1).document.tolist() == [1]
    assert bm25_ranking(corpus, [0], fields="text").document.tolist() == [2]


def test_bad_input_is_told(corpus: Corpus) -> None:
    with pytest.raises(BadInput, match="'q6' has no relevant document"):
        per_query_metrics(corpus, [0, 6], ranking_of([[1], [2]]))
    with pytest.raises(BadInput, match="of 1 queries and 2 are given"):
        per_query_metrics(corpus, [0, 1], ranking_of([[1]]))
    for name in ("precission@5", "R", "R@x"):
        with pytest.raises(BadInput, match="A ranking metric is unknown"):
            per_query_metrics(corpus, [0], ranking_of([[1]]), [name])
    with pytest.raises(BadInput, match="1 or more"):
        bm25_ranking(corpus, [0], k=0)


def test_bm25_on_squad_articles(tmp_path: Path) -> None:
    """Numbers from the collection's README, computed by other code."""
    folder = DATA / "squad-articles"
    if not folder.is_dir():
        pytest.skip(f"no collection in {folder}")

    def lines(name: str) -> list[dict[str, str]]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    documents = [Document(row["_id"], row["title"], row["text"]) for row in lines("corpus.jsonl.gz")]
    judged = [line.split("\t") for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]]
    qrels = [Qrel(query, document, int(score), "test") for query, document, score in judged]
    asked = {qrel.query_id for qrel in qrels}
    queries = [Query(row["_id"], row["text"]) for row in lines("queries.jsonl.gz") if row["_id"] in asked]
    corpus = write_corpus(tmp_path / "squad", documents, queries, qrels, {"name": "squad-articles"})
    rows = corpus.split_queries("test")
    assert len(rows) == 4394
    table = per_query_metrics(corpus, rows, bm25_ranking(corpus, rows), ["R@1", "R@10", "R@100", "RR@10"])
    means = mean_metrics(table).set_index("metric")["value"]
    expected = {"R@1": 0.707, "R@10": 0.915, "R@100": 0.980, "RR@10": 0.780}
    assert means[list(expected)].to_dict() == pytest.approx(expected, abs=0.001)
