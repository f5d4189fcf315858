"""The evaluation sample: what is drawn, how evenly, and that both methods share it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import cgl_per_query
from genret_core.retrieval.codebook import Codebook, CodebookConfig, fit_codebook
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.ngrams import NgramConfig, sample_ngrams
from genret_core.retrieval.sample import (
    EvaluationSample,
    codebook_sample,
    draw_queries_and_negatives,
    ngram_sample,
)
from genret_core.retrieval.token_stream import TokenStream, tokenize_documents
from genret_core.retrieval.tokenizer import train_tokenizer

N_DOCUMENTS, N_QUERIES = 40, 60


class World(NamedTuple):
    corpus: Corpus
    stream: TokenStream
    codebook: Codebook


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Queries with one to three relevant documents; even ones are for testing, odd ones for training."""
    rng = np.random.default_rng(0)
    documents = [
        Document(f"d{i}", "", " ".join(f"word{w}" for w in rng.integers(0, 50, 20)))
        for i in range(N_DOCUMENTS)
    ]
    queries = [Query(f"q{i}", f"word{i % 50} word{i * 7 % 50}") for i in range(N_QUERIES)]
    qrels = [
        Qrel(f"q{i}", f"d{(i * 5 + 3 * j) % N_DOCUMENTS}", 1, "train" if i % 2 else "test")
        for i in range(N_QUERIES)
        for j in range(1 + i % 3)
    ]
    qrels.append(Qrel("q0", "d39", 0, "test"))  # judged, and not relevant
    folder: Path = tmp_path_factory.mktemp("world")
    corpus = write_corpus(folder / "corpus", documents, queries, qrels, {"name": "made"})
    stream = tokenize_documents(corpus, train_tokenizer(corpus, folder / "t", vocab_size=100), folder / "t")
    return World(corpus, stream, fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=8)))


def test_negatives_are_different_documents_that_are_not_relevant(world: World) -> None:
    for n in (3, 12, 20, 37):
        queries, negatives = draw_queries_and_negatives(world.corpus, "test", None, n, seed=0)
        assert queries.tolist() == list(range(0, N_QUERIES, 2))
        assert negatives.shape == (len(queries), n)
        for query, row in zip(queries, negatives, strict=True):
            assert len(set(row.tolist())) == n
            assert not set(row.tolist()) & set(world.corpus.relevant(query).tolist())
            assert row.min() >= 0
            assert row.max() < N_DOCUMENTS


@pytest.mark.parametrize("n_negatives", [4, 20])  # by rejection, and by permutation
def test_negatives_are_uniform(world: World, n_negatives: int) -> None:
    counts = np.zeros(N_DOCUMENTS)
    for seed in range(400):
        queries, negatives = draw_queries_and_negatives(world.corpus, "test", None, n_negatives, seed=seed)
        counts += np.bincount(negatives.ravel(), minlength=N_DOCUMENTS)
    expected = np.zeros(N_DOCUMENTS)
    for query in queries:
        others = np.setdiff1d(np.arange(N_DOCUMENTS), world.corpus.relevant(query))
        expected[others] += 400 * n_negatives / len(others)
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 2 * N_DOCUMENTS
    position = [
        draw_queries_and_negatives(world.corpus, "test", None, n_negatives, seed=s)[1][:, 0]
        for s in range(100)
    ]
    assert abs(np.mean(position) - (N_DOCUMENTS - 1) / 2) < 1  # the first is no smaller than the others


def test_more_queries_or_negatives_leave_the_others_as_they_are(world: World) -> None:
    few, of_few = draw_queries_and_negatives(world.corpus, "test", 10, 5, seed=7)
    many, of_many = draw_queries_and_negatives(world.corpus, "test", 20, 9, seed=7)
    assert set(few.tolist()) < set(many.tolist())
    np.testing.assert_array_equal(of_many[np.isin(many, few), :5], of_few)
    other, _ = draw_queries_and_negatives(world.corpus, "test", 10, 5, seed=8)
    assert set(other.tolist()) != set(few.tolist())


def test_rejection_is_fast_in_a_large_corpus() -> None:
    class Large:
        n_documents = 21_000_000

        def split_queries(self, split: str) -> np.ndarray:
            return np.arange(1000)

        def query_id(self, row: int) -> str:
            return str(row)

        def relevant(self, row: int) -> np.ndarray:
            return np.array([row])

    begin = time.process_time()
    _, negatives = draw_queries_and_negatives(Large(), "test", None, 256, seed=0)  # type: ignore[arg-type]
    assert time.process_time() - begin < 2  # 0.04 s; a pass over 21 million ids per query takes minutes
    assert abs(negatives.mean() / 21e6 - 0.5) < 4 / np.sqrt(12 * negatives.size)


def test_ngram_sample_holds_every_document_in_order(world: World) -> None:
    queries, negatives = draw_queries_and_negatives(world.corpus, "test", 12, 6, seed=1)
    config = NgramConfig(length=4)
    sample = ngram_sample(
        world.corpus,
        world.stream,
        "test",
        queries,
        negatives,
        config,
        seed=5,
        ngrams_per_positive=3,
        ngrams_per_negative=2,
    )
    expected = []
    for i, query in enumerate(queries.tolist()):
        expected += [(i, d, True, k) for d in world.corpus.relevant(query).tolist() for k in range(3)]
        expected += [(i, d, False, k) for d in negatives[i].tolist() for k in range(2)]
    columns = (sample.owner, sample.pairs.document, sample.positive, sample.identifier())
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    assert sample.pairs.query.tolist() == queries[sample.owner].tolist()
    for row in range(0, len(sample.owner), 7):  # each n-gram is what sampling that pair alone gives
        pair = [sample.pairs.query[row]], [sample.pairs.document[row]]
        alone = sample_ngrams(world.corpus, world.stream, *pair, config, 5, n_samples=3)
        assert sample.pairs.identifier(row).tolist() == alone.identifier(sample.identifier()[row]).tolist()


def test_both_methods_share_queries_and_negatives(world: World) -> None:
    queries, negatives = draw_queries_and_negatives(world.corpus, "test", 12, 6, seed=1)
    ngrams = ngram_sample(world.corpus, world.stream, "test", queries, negatives, NgramConfig(), seed=5)
    codes = codebook_sample(world.corpus, world.codebook, 100, "test", queries, negatives)
    frames = [
        pd.DataFrame(
            {"owner": s.owner, "document": s.pairs.document, "positive": s.positive}
        ).drop_duplicates()
        for s in (ngrams, codes)
    ]
    assert frames[0].to_numpy().tolist() == frames[1].to_numpy().tolist()
    assert (codes.identifier() == 0).all()
    np.testing.assert_array_equal(codes.pairs.ids, world.codebook.token_ids(100)[codes.pairs.document])


def test_key_is_the_content(world: World) -> None:
    queries, negatives = draw_queries_and_negatives(world.corpus, "test", 12, 6, seed=1)

    def key(split: str = "test", seed: int = 5, temperature: float = 1.0, n: int = 6) -> str:
        config = NgramConfig(temperature=temperature)
        return ngram_sample(
            world.corpus, world.stream, split, queries, negatives[:, :n], config, seed=seed
        ).key

    keys = {key(), key(split="seen"), key(seed=6), key(temperature=0.1), key(n=5)}
    keys.add(codebook_sample(world.corpus, world.codebook, 100, "test", queries, negatives).key)
    assert len(keys) == 6
    assert key() in keys


def test_save_and_open_give_the_same(world: World, tmp_path: Path) -> None:
    queries, negatives = draw_queries_and_negatives(world.corpus, "test", 12, 6, seed=1)
    sample = ngram_sample(world.corpus, world.stream, "test", queries, negatives, NgramConfig(), seed=5)
    sample.save(tmp_path / "sample")
    again = EvaluationSample.open(tmp_path / "sample")
    assert (again.key, again.split, again.method, again.n_negatives) == (sample.key, "test", "ngram", 6)
    for name in ("queries", "negatives", "owner", "positive"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sample, name))
    np.testing.assert_array_equal(again.pairs.ids, sample.pairs.ids)
    with pytest.raises(BadInput, match="no evaluation sample"):
        EvaluationSample.open(tmp_path)


def test_losses_of_a_sample_give_cgl(world: World) -> None:
    queries, negatives = draw_queries_and_negatives(world.corpus, "test", 12, 6, seed=1)
    sample = ngram_sample(world.corpus, world.stream, "test", queries, negatives, NgramConfig(), seed=5)
    nll = np.where(sample.positive, 2.0, 5.0)  # the relevant documents are likelier
    per_query = cgl_per_query(sample.losses(nll, sample.pairs.length))
    assert per_query["query"].tolist() == queries.tolist()
    np.testing.assert_allclose(per_query["CGL"], np.log1p(2 / (6 * 5)))


def test_bad_input_is_told(world: World) -> None:
    for split, n_queries, n_negatives, message in [
        ("test", 31, 5, "'test' has 30 queries"),
        ("test", 0, 5, "at least one"),
        ("test", 5, 0, "1 or more"),
        ("test", None, 40, "documents are not relevant to query"),
        ("validation", None, 5, "no query"),
        ("dev", None, 5, "dev"),
    ]:
        with pytest.raises(BadInput, match=message):
            draw_queries_and_negatives(world.corpus, split, n_queries, n_negatives, seed=0)
