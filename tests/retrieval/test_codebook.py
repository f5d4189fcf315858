"""Codebooks: embeddings and codes against dense linear algebra and plain loops."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.codebook import Codebook, CodebookConfig, code_pairs, fit_codebook
from genret_core.retrieval.codebook_quality import depth_table, oracle_by_depth, oracle_retrieval
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.embeddings import fit_tfidf
from genret_core.retrieval.quantiser import _train_by_level, decode, encode, make_unique, train_centroids

TOPICS = 8


def topic_corpus(folder: Path, n: int, copies: int = 0, seed: int = 0) -> Corpus:
    """Documents of one of eight topics with words of their own; the last `copies` repeat the first."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n):
        topic = [f"topic{i % TOPICS}word{w}" for w in rng.integers(0, 12, 12)]
        texts.append(
            " ".join(
                [*topic, *(f"own{i}x{w}" for w in range(2)), *(f"common{w}" for w in rng.integers(0, 5, 6))]
            )
        )
    texts[n - copies :] = [texts[0]] * copies
    documents = [Document(f"d{i}", "", text) for i, text in enumerate(texts)]
    queries = [Query(f"q{i}", " ".join(texts[i].split()[:4]) + " unheardof") for i in range(n)]
    qrels = [Qrel(f"q{i}", f"d{i}", 1, "test") for i in range(n)]
    return write_corpus(folder, documents, queries, qrels, {"name": "topics"})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return topic_corpus(tmp_path_factory.mktemp("topics") / "corpus", 160)


@pytest.fixture(scope="module")
def codebook(corpus: Corpus) -> Codebook:
    return fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=16))


def dense_tfidf(corpus: Corpus) -> np.ndarray:
    texts = [re.findall(r"\w+", text.lower()) for text in corpus.document_texts()]
    words = sorted({word for text in texts for word in text})
    matrix = np.zeros((len(texts), len(words)))
    for row, text in enumerate(texts):
        for word, count in Counter(text).items():
            df = sum(word in other for other in texts)
            matrix[row, words.index(word)] = (1 + math.log(count)) * (
                math.log((1 + len(texts)) / (1 + df)) + 1
            )
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_embedding_is_the_truncated_svd_of_dense_tfidf(corpus: Corpus) -> None:
    embedding, vectors = fit_tfidf(corpus, dim=10, seed=0)
    matrix = dense_tfidf(corpus)
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(embedding.singular, singular[:10], rtol=1e-8)
    expected = matrix @ right[:10].T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((vectors**2).sum(axis=1)), 1, rtol=1e-5)
    # singular vectors have no sign and may turn within equal values: compare what does not depend on either
    np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-4)
    largest = np.abs(embedding.components).argmax(axis=0)
    assert (embedding.components[largest, np.arange(10)] > 0).all()


def test_embedding_is_deterministic_and_embeds_new_text_alike(corpus: Corpus) -> None:
    embedding, vectors = fit_tfidf(corpus, dim=10, seed=3)
    _, again = fit_tfidf(corpus, dim=10, seed=3)
    np.testing.assert_array_equal(vectors, again)
    texts = list(corpus.document_texts())
    np.testing.assert_allclose(embedding.transform(texts[:5]), vectors[:5], atol=1e-6)
    shouted = texts[2].upper().replace(" ", " ?! ")
    np.testing.assert_allclose(embedding.transform([shouted])[0], vectors[2], atol=1e-6)
    assert not embedding.transform(["nothing known here", ""]).any()


def test_codes_take_the_nearest_centroid_level_after_level() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    centroids = train_centroids(vectors, 8, 4, seed=0)
    codes = encode(vectors, centroids)
    for vector, code in zip(vectors, codes, strict=True):
        left = vector.astype(np.float64)
        for level in range(4):
            distances = [((left - centroids[level, c]) ** 2).sum() for c in range(8)]
            assert distances[code[level]] <= min(distances) + 1e-5
            left = left - centroids[level, code[level]]
        np.testing.assert_allclose(vector - left, decode(code[None], centroids)[0], atol=1e-5)
    np.testing.assert_array_equal(train_centroids(vectors, 8, 2, seed=0), centroids[:2])


@pytest.mark.parametrize(("N_c", "beam"), [(11, 1), (3, 1), (11, 20), (300, 1)])
def test_any_number_of_codes(N_c: int, beam: int) -> None:
    """No power of two: no code beyond N_c, the nearest of all centroids; a beam leaves no larger error."""
    vectors = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    centroids = train_centroids(vectors, N_c, 3, seed=0)
    assert centroids.shape == (3, N_c, 6)
    codes = encode(vectors, centroids, beam=beam)
    assert 0 <= codes.min() <= codes.max() < N_c
    left = vectors.astype(np.float64)
    for level in range(3):
        distances = ((left[:, None] - centroids[level]) ** 2).sum(axis=2)
        if beam == 1:
            nearest = distances.min(axis=1)
            assert (distances[np.arange(400), codes[:, level]] <= nearest + 1e-5).all()
        left -= centroids[level, codes[:, level]]
        if beam == 1 and N_c < 300:  # k-means has settled: a centroid is about the mean of what it takes
            members = left[codes[:, level] == np.bincount(codes[:, level]).argmax()]
            assert np.abs(members.mean(axis=0)).max() < 0.2
    alone = encode(vectors, centroids)
    greedy = ((vectors - decode(alone, centroids)) ** 2).sum()
    assert (left**2).sum() <= greedy * (1 + 1e-6)


def test_levels_are_clustered_as_faiss_does() -> None:
    vectors = np.random.default_rng(5).normal(size=(500, 7)).astype(np.float32)
    np.testing.assert_array_equal(_train_by_level(vectors, 16, 3, 4), train_centroids(vectors, 16, 3, seed=4))


def test_codebook_is_the_same_every_time(corpus: Corpus, codebook: Codebook) -> None:
    again = fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=16))
    np.testing.assert_array_equal(again.codes, codebook.codes)
    other = fit_codebook(corpus, CodebookConfig(N_c=8, L_c=3, embedding_dim=16, seed=1))
    assert (other.codes != codebook.codes).any()


def test_codes_are_unique_and_follow_the_topics(codebook: Codebook) -> None:
    assert codebook.codes.shape == (160, 3)
    assert codebook.codes.dtype == np.uint16
    assert codebook.codes.max() < 8
    assert len(np.unique(codebook.codes, axis=0)) == 160
    purity = sum(
        max(Counter(np.flatnonzero(codebook.codes[:, 0] == code) % TOPICS).values(), default=0)
        for code in range(8)
    )
    assert purity > 0.8 * 160  # eight topics, eight first codes; k-means may merge a pair


def test_explained_variance_and_depths(corpus: Corpus, codebook: Codebook) -> None:
    _, vectors = fit_tfidf(corpus, dim=16, seed=0)
    table = depth_table(codebook)
    spread = ((vectors - vectors.mean(axis=0)) ** 2).sum()
    for depth in (1, 2, 3):
        left = sum(
            ((vectors[i] - sum(codebook.centroids[t, codebook.codes[i, t]] for t in range(depth))) ** 2).sum()
            for i in range(160)
        )
        assert table["error"][depth - 1] == pytest.approx(left / spread, rel=1e-4)
        prefixes = Counter(tuple(code[:depth]) for code in codebook.codes.tolist())
        assert table["prefixes"][depth - 1] == len(prefixes)
        assert table["identified"][depth - 1] == pytest.approx(sum(n == 1 for n in prefixes.values()) / 160)
        used = Counter(codebook.codes[:, depth - 1].tolist())
        entropy = -sum(n / 160 * math.log(n / 160) for n in used.values())
        assert table["effective_codes"][depth - 1] == pytest.approx(math.exp(entropy))


def test_ties_move_to_the_nearest_free_code() -> None:
    rng = np.random.default_rng(1)
    centroids = rng.normal(size=(3, 4, 5)).astype(np.float32)
    vectors = rng.normal(size=(6, 5)).astype(np.float32)
    codes = np.array([[1, 2, 0], [1, 2, 0], [0, 0, 0], [1, 2, 3], [1, 2, 0], [3, 3, 3]])
    unique, moved = make_unique(vectors, codes, centroids)
    assert moved == 2
    assert unique[[0, 2, 3, 5]].tolist() == codes[[0, 2, 3, 5]].tolist()
    taken = {0, 3}
    for row in (1, 4):
        assert unique[row, :2].tolist() == [1, 2]
        left = vectors[row] - centroids[0, 1] - centroids[1, 2]
        best = min(set(range(4)) - taken, key=lambda c: ((left - centroids[2, c]) ** 2).sum())
        assert unique[row, 2] == best
        taken.add(best)


@pytest.mark.parametrize("n", [5, 17, 64])
def test_ties_go_up_when_a_prefix_is_full(n: int) -> None:
    rng = np.random.default_rng(2)
    centroids = rng.normal(size=(3, 4, 5)).astype(np.float32)
    codes = np.tile([2, 1, 3], (n, 1))
    vectors = rng.normal(size=(n, 5)).astype(np.float32)
    unique, moved = make_unique(vectors, codes, centroids)
    assert moved == n - 1
    assert len(np.unique(unique, axis=0)) == n
    shared = {2: min(n, 4), 1: min(n, 16)}
    for depth, expected in shared.items():  # as many as there is room for keep the prefix
        assert (unique[:, :depth] == codes[:, :depth]).all(axis=1).sum() == expected
    if n == 64:
        assert set(map(tuple, unique.tolist())) == set(itertools.product(range(4), repeat=3))
        with pytest.raises(ValueError, match="do not fit"):
            make_unique(np.tile(vectors, (2, 1)), np.tile(codes, (2, 1)), centroids)


def test_copies_of_a_document_get_codes_of_their_own(tmp_path: Path) -> None:
    corpus = topic_corpus(tmp_path / "corpus", 60, copies=10)
    codebook = fit_codebook(corpus, CodebookConfig(N_c=4, L_c=4, embedding_dim=8))
    assert codebook.n_collisions >= 10
    assert len(np.unique(codebook.codes, axis=0)) == 60
    same = np.r_[0, 50:60]
    assert (
        codebook.codes[same, 0] == codebook.codes[0, 0]
    ).all()  # there is room for 64 below the first code


def test_defaults_shrink_and_say_so(corpus: Corpus) -> None:
    codebook = fit_codebook(corpus, CodebookConfig(embedding_dim=4))
    assert codebook.N_c == 4  # 160 documents: 39 for each of 4
    assert "N_c shrank from 256 to 4" in " ".join(codebook.notes)
    assert codebook.L_c < 32
    assert f"L_c shrank from 32 to {codebook.L_c}" in " ".join(codebook.notes)
    assert (codebook.explained[:-1] > 0.0005).all()


def test_given_values_are_kept_and_what_is_thin_is_said(corpus: Corpus) -> None:
    codebook = fit_codebook(corpus, CodebookConfig(N_c=64, L_c=12))
    assert (codebook.N_c, codebook.L_c) == (64, 12)
    assert "N_c = 64 leaves 2.5 documents for each code" in " ".join(codebook.notes)
    assert re.search(r"Position \d+ of L_c = 12 explains less than 0.1%", " ".join(codebook.notes))


def test_a_corpus_of_two_and_one_of_copies(tmp_path: Path) -> None:
    """The smallest corpora come through with smaller codebooks, and say so; codes tell documents apart."""
    two = write_corpus(
        tmp_path / "two", [Document("a", "", "x y"), Document("b", "", "y z")], [Query("q", "x")], [], {}
    )
    book = fit_codebook(two, CodebookConfig())
    assert (book.N_c, len(np.unique(book.codes, axis=0))) == (2, 2)
    assert "the fewest there can be" in " ".join(book.notes)
    copies = [Document(f"d{i}", "", "one and the same") for i in range(9)]
    same = write_corpus(tmp_path / "same", copies, [Query("q", "x")], [], {})
    book = fit_codebook(same, CodebookConfig(N_c=3))
    assert len(np.unique(book.codes, axis=0)) == 9
    assert book.n_collisions == 8
    assert book.L_c == 2  # 3^2 identifiers
    assert "Fewer than half of the 3 codes" in " ".join(book.notes)
    shared = fit_codebook(same, CodebookConfig(N_c=3, collisions="shared"))
    assert (shared.L_c, len(np.unique(shared.codes, axis=0))) == (1, 1)


def test_save_and_open_give_the_same(corpus: Corpus, codebook: Codebook, tmp_path: Path) -> None:
    codebook.save(tmp_path / "codebook")
    again = Codebook.open(tmp_path / "codebook")
    for name in ("codes", "explained", "centroids"):
        np.testing.assert_array_equal(getattr(again, name), getattr(codebook, name))
    for name in ("N_c", "L_c", "n_collisions", "notes", "config"):
        assert getattr(again, name) == getattr(codebook, name)
    queries = list(corpus.query_texts(range(9)))
    np.testing.assert_array_equal(again.embedding.transform(queries), codebook.embedding.transform(queries))
    with pytest.raises(BadInput, match="holds no codebook"):
        Codebook.open(tmp_path)


def test_pairs_hold_code_tokens(codebook: Codebook) -> None:
    pairs = code_pairs([3, 1], [7, 2], codebook, 100)
    assert pairs.ids.tolist() == [(100 + codebook.codes[d].astype(int)).tolist() for d in (7, 2)]
    assert codebook.token_ids(100)[7].tolist() == pairs.ids[0].tolist()
    assert pairs.length.tolist() == [3, 3]
    assert pairs.start.tolist() == [-1, -1]


def test_oracle_ranks_as_plain_python_does(corpus: Corpus, codebook: Codebook) -> None:
    queries = [3, 50, 121]
    table = oracle_retrieval(corpus, codebook, queries, k=(1, 10, 500)).set_index(["ranking", "k"])["recall"]
    asked = codebook.embedding.transform(corpus.query_texts(queries))
    codes = encode(asked, codebook.centroids)
    decoded = decode(codebook.codes, codebook.centroids)
    hits = 0
    for vector, code, row in zip(asked, codes, queries, strict=True):
        scored = []
        for document in range(160):
            same = list(itertools.takewhile(lambda t: codebook.codes[document, t] == code[t], range(3)))  # noqa: B023
            scored.append((-len(same), float(((decoded[document] - vector) ** 2).sum()), document))
        hits += row in [document for _, _, document in sorted(scored)[:10]]
    assert table["prefix", 10] == pytest.approx(hits / 3)
    assert table["prefix", 500] == table["codes", 500] == table["embedding", 500] == 1
    assert table["chance", 10] == 10 / 160
    depths = oracle_by_depth(corpus, codebook, queries, k=(1, 10)).set_index(["depth", "k"])["recall"]
    assert depths[3, 1] == table["codes", 1]
    assert depths[3, 10] == table["codes", 10]
    for depth in (1, 2):
        begun = decode(codebook.codes[:, :depth], codebook.centroids).astype(np.float64)
        firsts = [np.lexsort((np.arange(160), ((begun - v) ** 2).sum(axis=1).round(6)))[:10] for v in asked]
        assert depths[depth, 10] == np.mean(
            [row in first for row, first in zip(queries, firsts, strict=True)]
        )
    whole = oracle_retrieval(corpus, codebook, corpus.split_queries("test"), k=(10,)).set_index("ranking")
    assert (whole["recall"].drop("chance") > 3 * 10 / 160).all()  # far above chance


def test_bad_input_is_told(corpus: Corpus, tmp_path: Path) -> None:
    for config, message in [
        (CodebookConfig(N_c=1), "between 2 and 65536"),
        (CodebookConfig(N_c=65537), "between 2 and 65536"),
        (CodebookConfig(N_c=256), "corpus has 160"),
        (CodebookConfig(N_c=8, L_c=2), "64 identifiers for 160 documents; .*collisions: shared"),
        (CodebookConfig(beam=0), "beam of a codebook must be 1"),
        (CodebookConfig(collisions="both"), "unique or shared, not 'both'"),
        (CodebookConfig(positions="each"), "shared or own"),
        (CodebookConfig(embedding="backbone"), "folder of a trained model"),
        (CodebookConfig(model="runs/x"), "only with it"),
        (CodebookConfig(L_c=0), "L_c of a codebook must be 1"),
        (CodebookConfig(embedding="dense"), "must be tfidf"),
    ]:
        with pytest.raises(BadInput, match=message):
            fit_codebook(corpus, config)
    lone = write_corpus(tmp_path / "lone", [Document("d", "", "one two")], [Query("q", "one")], [], {})
    with pytest.raises(BadInput, match="two documents"):
        fit_codebook(lone, CodebookConfig())
