"""Keys from several sources: each once, with the names of all of its sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_keys import SEP, build, hypotheses

from genret_core.retrieval.corpus import Document, Qrel, Query, write_corpus
from genret_core.retrieval.key_sources import BEAM, QUERY, UNIGRAM, KeySet, Unigrams, query_spans
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.ranking import key_score, rank_ngrams
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.token_stream import tokenize_documents
from genret_core.retrieval.tokenizer import train_tokenizer

TEXTS = (
    "The norm of a sparse matrix, or of a vector.",
    "Eigenvalues of the Sparse Matrix are sorted",
    "Random seed (integer) of the generator",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("world")
    documents = [Document(f"d{i}", "", text) for i, text in enumerate(TEXTS)]
    corpus = write_corpus(
        folder / "c",
        documents,
        [Query("q0", "sparse matrix")],
        [Qrel("q0", "d0", 1, "train")],
        {"name": "made"},
    )
    tokenizer = train_tokenizer(corpus, folder / "t", vocab_size=120)
    stream = tokenize_documents(corpus, tokenizer, folder / "t")
    index = TokenIndex.build(
        stream.ids, stream.doc_starts, folder / "i", vocab_size=tokenizer.size, tokenizer_key=tokenizer.key,
        separator_id=tokenizer.eos_id,
    )  # fmt: skip
    return tokenizer, index


def test_spans_of_the_query_are_those_that_stand_in_the_corpus(world):
    tokenizer, index = world
    queries = ["Sparse matrix norm?", "(integer) of the", "zebra sparse zebra sparse", "?"]
    owner, spans = query_spans(queries, tokenizer, index)
    found = [(int(q), tokenizer.decode(ids).strip()) for q, ids in zip(owner, spans, strict=True)]
    assert len(found) == len(set(found))
    assert {text for q, text in found if q == 0} == {"sparse", "matrix", "norm", "sparse matrix"}
    assert {text for q, text in found if q == 1} >= {"of", "the", "of the", "(integer)", "(integer) of the"}
    assert {text for q, text in found if q == 2} == {"sparse"}
    assert 3 not in owner
    assert (np.diff(owner) >= 0).all()
    assert (index.count(spans) > 0).all()


def make(tmp_path):
    documents = [[2, 3, 4, 5, 6, 2, 3], [2, 3, 7, 8], [5, 5, 9]]
    index = build(tmp_path / "i", documents)
    keys = [(0, [2, 3], -0.5), (0, [2, 3, 4], -0.9), (0, [5], -1.5), (1, [7], -0.2)]
    return index, KeySet.of(hypotheses(index, keys, 3))


def rows_of(found):
    h = found.hypotheses
    return {
        (int(h.query[i]), tuple(h.tokens(i).tolist())): (float(h.score[i]), name, int(h.count[i]))
        for i, name in enumerate(found.names())
    }


def test_a_key_of_two_sources_is_one_key(tmp_path):
    index, found = make(tmp_path)
    patterns = Ragged.of([[2, 3], [5, 6, 2, 3], [8, 2], [7], [9]])
    joined = found.joined(np.array([0, 0, 0, 2, 2]), patterns, np.full(5, -2.0), QUERY, index)
    assert rows_of(joined) == {
        (0, (2, 3)): (-0.5, "beam, query", 3),
        (0, (2, 3, 4)): (-0.9, "beam", 1),
        (0, (5,)): (-1.5, "beam", 3),
        (0, (5, 6, 2, 3)): (-2.0, "query", 1),  # (8, 2) does not occur
        (1, (7,)): (-0.2, "beam", 1),
        (2, (7,)): (-2.0, "query", 1),
        (2, (9,)): (-2.0, "query", 1),
    }
    h = joined.hypotheses
    assert (np.lexsort((-h.score, h.length, h.query)) == np.arange(len(h))).all()
    assert not h.final[joined.source == QUERY].any()
    assert rank_ngrams(joined, index, 3, smoothing=0).query.tolist() == [0, 0, 0, 1, 2, 2]


def test_unigrams_become_keys_and_weigh_without_the_power(tmp_path):
    index, found = make(tmp_path)
    query, token = np.array([0, 0, 0, 0, 1, 1, 1, 2]), np.array([6, 5, 9, 3, 6, 8, SEP, 7])
    log_prob = np.log([0.9, 0.8, 0.7, 0.01, 0.6, 0.8, 0.9, 0.9])
    both = found.with_unigrams(Unigrams(query, token, log_prob), index, Scoring(smoothing=0))
    rows = rows_of(both)
    names = {key: name for key, (_, name, _) in rows.items()}
    # of query 0: 5 is a key already, 3 weighs nothing; query 1 has one other key, so one unigram (the
    # separator does not count as a word of the corpus); query 2 has no key
    assert names == {
        (0, (2, 3)): "beam", (0, (2, 3, 4)): "beam", (0, (5,)): "beam",
        (0, (6,)): "unigram", (0, (9,)): "unigram",
        (1, (7,)): "beam", (1, (8,)): "unigram",
    }  # fmt: skip
    weight = both.weights(index.n_tokens, Scoring(smoothing=0))
    alone = both.source == UNIGRAM
    h = both.hypotheses
    plain = key_score(h.score, h.count, index.n_tokens, alpha=1, smoothing=0)
    assert weight[alone].tolist() == plain[alone].tolist()
    assert weight[~alone].tolist() == pytest.approx((plain[~alone] ** 2).tolist())
    assert (both.source[~alone] == BEAM).all()
