"""Embeddings without a trained model: TF-IDF reduced by a truncated SVD (latent semantic analysis)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import svds

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, write_json
from genret_core.retrieval.corpus import Corpus

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class TfidfEmbedding:
    """A map from text to vectors of `dim` numbers, fitted to a corpus.

    Attributes
    ----------
    words : dict of str to int
        Column of every word of the documents.
    idf : float64[n_words]
        ln((1 + n) / (1 + df)) + 1, of n documents of which df hold the word.
    components : float64[n_words, dim]
        Right singular vectors, the largest first, each with the sign that makes its largest entry positive.
    singular : float64[dim]
        Singular values.
    """

    words: dict[str, int]
    idf: npt.NDArray[np.float64]
    components: npt.NDArray[np.float64]
    singular: npt.NDArray[np.float64]
    unit: ClassVar[bool] = True
    source: ClassVar[str] = "TF-IDF"
    notes: ClassVar[tuple[str, ...]] = ()

    @property
    def dim(self) -> int:
        """Numbers per vector."""
        return self.components.shape[1]

    def transform(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """Embed texts.

        Returns
        -------
        float32[n, dim]
            Vectors of unit length; zero for a text without any word of the corpus.
        """
        return self._embed(_weigh(_counts(texts, self.words), self.idf))

    def of_documents(self, corpus: Corpus, fields: str) -> npt.NDArray[np.float32]:
        """Embed all documents, float32[n_documents, dim]."""
        return self.transform(corpus.document_texts(fields=fields))

    def of_queries(self, corpus: Corpus, rows: ArrayLike) -> npt.NDArray[np.float32]:
        """Embed some queries, float32[len(rows), dim]."""
        return self.transform(corpus.query_texts(rows))

    def _embed(self, weights: sparse.csr_matrix) -> npt.NDArray[np.float32]:
        vectors = weights @ self.components
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(norms > 1e-12, norms, np.inf)).astype(np.float32)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write words and arrays; the folder appears whole."""
        with atomic_folder(folder) as part:
            write_json(part / "words.json", list(self.words))
            for name in ("idf", "components", "singular"):
                np.save(part / f"{name}.npy", getattr(self, name))

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> TfidfEmbedding:
        """Read a saved embedding."""
        folder = Path(folder)
        listed = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        words = {word: column for column, word in enumerate(listed)}
        return TfidfEmbedding(
            words, *(np.load(folder / f"{name}.npy") for name in ("idf", "components", "singular"))
        )


def fit_tfidf(
    corpus: Corpus, *, dim: int, seed: int, fields: str = "text"
) -> tuple[TfidfEmbedding, npt.NDArray[np.float32]]:
    """Fit TF-IDF and a truncated SVD to the documents of a corpus.

    Words are lower-cased runs of letters and digits, term frequencies 1 + ln(tf), rows of unit length.

    Parameters
    ----------
    corpus : Corpus
    dim : int
        Dimensions wanted; a small corpus gives fewer (one less than its documents or words).
    seed : int
        For the vector with which the iteration starts: the same seed gives the same embedding.
    fields : {"text", "title_text"}

    Returns
    -------
    embedding : TfidfEmbedding
    vectors : float32[n_documents, dim]
        The documents embedded.

    Raises
    ------
    BadInput
        Fewer than two documents or two words.
    """
    words = {word: i for i, word in enumerate(sorted(_vocabulary(corpus.document_texts(fields=fields))))}
    counts = _counts(corpus.document_texts(fields=fields), words)
    if min(counts.shape) < 2:
        raise BadInput(
            "Embedding a corpus needs two documents and two different words or more; bring more text."
        )
    frequency = np.bincount(counts.indices, minlength=len(words))
    idf = np.log((1 + counts.shape[0]) / (1 + frequency)) + 1
    weights = _weigh(counts, idf)
    k = min(dim, min(weights.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(weights.shape))
    _, singular, right = svds(weights, k=k, v0=start, return_singular_vectors="vh")
    order = np.argsort(-singular, kind="stable")
    components = right[order].T
    components *= np.sign(components[np.abs(components).argmax(axis=0), np.arange(k)])
    embedding = TfidfEmbedding(words, idf, np.ascontiguousarray(components), singular[order])
    return embedding, embedding._embed(weights)


def _vocabulary(texts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in texts:
        found.update(_WORD.findall(text.lower()))
    return found


def _counts(texts: Iterable[str], words: dict[str, int]) -> sparse.csr_matrix:
    """Count the known words of texts."""
    columns: list[npt.NDArray[np.int32]] = []
    for text in texts:
        known = (words.get(word, -1) for word in _WORD.findall(text.lower()))
        columns.append(np.fromiter((column for column in known if column >= 0), np.int32))
    pointer = np.cumsum([0, *map(len, columns)])
    indices = np.concatenate(columns) if columns else np.zeros(0, np.int32)
    matrix = sparse.csr_matrix((np.ones(len(indices)), indices, pointer), shape=(len(columns), len(words)))
    matrix.sum_duplicates()
    return matrix


def _weigh(counts: sparse.csr_matrix, idf: npt.NDArray[np.float64]) -> sparse.csr_matrix:
    weights = counts.copy()
    weights.data = (1 + np.log(weights.data)) * idf[weights.indices]
    norms = np.sqrt(weights.multiply(weights).sum(axis=1)).A1
    return sparse.diags(1 / np.where(norms > 0, norms, 1)) @ weights
