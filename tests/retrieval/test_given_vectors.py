"""Given vectors: rows by order or by id, every fault told in one sentence, a codebook made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.codebook import Codebook, CodebookConfig, fit_codebook
from genret_core.retrieval.codebook_quality import oracle_retrieval
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.given_vectors import read_vectors, vector_files

N, DIM = 40, 6


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    documents = [Document(f"d{i}", "", f"words of number{i}") for i in range(N)]
    queries = [Query(f"q{i}", f"number{i}") for i in range(5)]
    return write_corpus(
        tmp_path / "c", documents, queries, [Qrel(f"q{i}", f"d{i}", 1, "test") for i in range(5)], {}
    )


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_as_in_the_corpus(corpus: Corpus, vectors: np.ndarray, tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "v.npy", vectors.astype(dtype))
    found = read_vectors(tmp_path / "v.npy", corpus)
    assert found.documents.dtype == np.float32
    np.testing.assert_array_equal(found.documents, vectors.astype(dtype).astype(np.float32))
    assert not found.unit
    with pytest.raises(BadInput, match="no vector for 2 of 2 queries, such as 'q0'"):
        found.of_queries(corpus, [0, 1])


@pytest.mark.parametrize("form", ["ids", "jsonl"])
def test_rows_by_id_in_any_order(corpus: Corpus, vectors: np.ndarray, tmp_path: Path, form: str) -> None:
    order = np.random.default_rng(1).permutation(N + 3)  # three vectors are of documents elsewhere
    np.save(tmp_path / "v.npy", np.vstack([vectors, np.ones((3, DIM))])[order])
    names = [f"d{i}" if i < N else f"other{i}" for i in order]
    told = "\r\n".join(names) + "\r\n" if form == "ids" else "\n".join(json.dumps({"_id": n}) for n in names)
    (tmp_path / f"v.{form}").write_text(told, newline="")
    np.save(tmp_path / "v.queries.npy", vectors[[3, 1]] / 2)
    (tmp_path / "v.queries.ids").write_text("q3\nq1\n")
    found = read_vectors(tmp_path / "v.npy", corpus)
    np.testing.assert_array_equal(found.documents, vectors)
    assert found.query_rows.tolist() == [1, 3]
    np.testing.assert_array_equal(found.of_queries(corpus, [3, 1, 3]), vectors[[3, 1, 3]] / 2)
    with pytest.raises(BadInput, match="no vector for 1 of 2 queries, such as 'q4'"):
        found.of_queries(corpus, [1, 4])
    assert {path.name for path in vector_files(tmp_path / "v.npy")} == {
        "v.npy", f"v.{form}", "v.queries.npy", "v.queries.ids",
    }  # fmt: skip


def test_every_fault_is_told(corpus: Corpus, vectors: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "v.npy"

    def said(content: np.ndarray | bytes | None, ids: list[str] | None = None) -> str:
        for path in tmp_path.glob("v.*"):
            path.unlink()
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            np.save(file, content, allow_pickle=True)
        if ids is not None:
            (tmp_path / "v.ids").write_text("\n".join(ids))
        with pytest.raises(BadInput) as caught:
            read_vectors(file, corpus)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    names = [f"d{i}" for i in range(N)]
    assert "no file" in said(None)
    assert "39 rows and the corpus 40 documents" in said(vectors[:-1])
    assert "row 7 (counted from 0)" in said(np.where(np.arange(N)[:, None] == 7, np.nan, vectors))
    assert "not finite in float32" in said(vectors.astype(np.float64) * 1e60)
    assert "int64" in said(np.ones((N, DIM), np.int64))
    assert "shape (40,)" in said(vectors[:, 0])
    assert "shape (40, 0)" in said(vectors[:, :0])
    assert "no whole .npy" in said(b"not numpy")
    assert "no whole .npy" in said(np.array([{"a": 1}], object))  # nothing is unpickled
    assert "38 ids" in said(vectors, names[:-2])
    assert "'d0' has two vectors" in said(vectors, ["d0", *names[:-1]])
    assert "no vector for 1 of 40 documents, such as 'd39'" in said(vectors, [*names[:-1], "d40"])
    np.save(file, vectors)
    whole = file.read_bytes()
    assert "no whole .npy" in said(whole[: len(whole) // 2])
    np.save(file, vectors)
    (tmp_path / "v.ids").unlink(missing_ok=True)
    np.save(tmp_path / "v.queries.npy", np.ones((5, DIM + 1)))
    with pytest.raises(BadInput, match="vectors of 7 numbers"):
        read_vectors(file, corpus)
    with pytest.raises(BadInput, match="tfidf, backbone or the path"):
        read_vectors(tmp_path / "v.txt", corpus)


def test_a_codebook_of_given_vectors(corpus: Corpus, vectors: np.ndarray, tmp_path: Path) -> None:
    """Queries are noisy copies of vectors of any length, so that products and distances order differently."""
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "v.queries.npy", 3 * vectors[:5])
    config = CodebookConfig(N_c=5, L_c=4, embedding=str(tmp_path / "v.npy"))
    book = fit_codebook(corpus, config)
    book.save(tmp_path / "book")
    (tmp_path / "v.npy").unlink()
    again = Codebook.open(tmp_path / "book")
    assert again.config == config
    np.testing.assert_array_equal(again.embedding.of_documents(corpus, "text"), vectors)
    found = oracle_retrieval(corpus, again, range(5), k=(1, 7)).set_index(["ranking", "k"])["recall"]
    products = 3 * vectors[:5] @ vectors.T
    expected = np.mean([(products[i] > products[i, i]).sum() < 7 for i in range(5)])
    assert found["embedding", 7] == expected
    decoded = np.array([sum(book.centroids[t, c] for t, c in enumerate(code)) for code in book.codes])
    products = 3 * vectors[:5] @ decoded.T
    assert found["codes", 7] == np.mean([(products[i] > products[i, i]).sum() < 7 for i in range(5)])
