"""What the codes of a codebook hold: position by position, and as a retriever of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.codebook import Codebook
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.quantiser import encode


def prefix_sizes(codes: npt.NDArray[np.integer]) -> Iterator[npt.NDArray[np.int64]]:
    """Count the documents of every prefix of 1, 2, ... codes, in the order of the prefixes.

    Parameters
    ----------
    codes : int[n, L_c]
    """
    ordered = codes[np.lexsort(codes.T[::-1])]
    begins = np.arange(len(codes)) == 0
    for column in ordered.T:
        begins[1:] |= column[1:] != column[:-1]
        yield np.diff(np.append(np.flatnonzero(begins), len(codes)))


def depth_table(codebook: Codebook) -> pd.DataFrame:
    """Tell what each position of the codes adds.

    Returns
    -------
    DataFrame
        A row per `depth` (1 to L_c): `explained` (variance, this position), `error` (variance left over),
        `prefixes` (distinct prefixes of that depth), `identified` (part of the documents whose prefix is
        theirs alone), `largest` (documents of the commonest prefix), `codes_used` (of N_c, at this position)
        and `effective_codes` (exponential of their entropy).
    """
    rows = []
    for depth, documents in enumerate(prefix_sizes(codebook.codes), start=1):
        share = np.bincount(codebook.codes[:, depth - 1], minlength=codebook.N_c) / len(codebook)
        used = share[share > 0]
        rows.append(
            {
                "depth": depth,
                "explained": codebook.explained[depth - 1],
                "error": 1 - codebook.explained[:depth].sum(),
                "prefixes": len(documents),
                "identified": (documents == 1).sum() / len(codebook),
                "largest": int(documents.max()),
                "codes_used": len(used),
                "effective_codes": float(np.exp(-(used * np.log(used)).sum())),
            }
        )
    return pd.DataFrame(rows)


def collision_table(codebook: Codebook, depths: Sequence[int] | None = None) -> pd.DataFrame:
    """Count documents that share their codes, by how many do.

    Parameters
    ----------
    codebook : Codebook
    depths : sequence of int, optional
        Codes read; by default all L_c.

    Returns
    -------
    DataFrame
        A row per `depth`: `identifiers` (different prefixes), `alone` (documents with one of their own),
        `sharing` (documents that share theirs), `largest` (documents of the most shared one) and `expected`
        (documents that a search finds by the codes of a document drawn at random, itself included).
    """
    rows, sizes = [], list(prefix_sizes(codebook.codes))
    for depth in depths or (codebook.L_c,):
        size = sizes[depth - 1]
        rows.append(
            {
                "depth": depth,
                "identifiers": len(size),
                "alone": int((size == 1).sum()),
                "sharing": int(size[size > 1].sum()),
                "largest": int(size.max()),
                "expected": float((size.astype(np.float64) ** 2).sum() / size.sum()),
            }
        )
    return pd.DataFrame(rows)


def oracle_retrieval(
    corpus: Corpus, codebook: Codebook, queries: npt.ArrayLike, k: Sequence[int] = (1, 5, 20, 100)
) -> pd.DataFrame:
    """Measure how well the codes retrieve on their own, without a model.

    A query is embedded and encoded as documents are. Documents are ranked by the length of the prefix that
    they share with it and then by how near their decoded vectors are to the query's ("prefix"); by that
    nearness alone ("codes"); and by that of their own embeddings, without any quantisation ("embedding").
    Vectors of unit length are near by their distance; others, as dense retrievers make them, by their inner
    product. Equal documents go by their row in the corpus.

    Parameters
    ----------
    corpus : Corpus
    codebook : Codebook
        Made of this corpus.
    queries : int[n]
        Rows of queries that have relevant documents.
    k : sequence of int

    Returns
    -------
    DataFrame
        `ranking`, `k`, `recall` (the mean over queries of the part of relevant documents among the first
        k). The last ranking, "chance", is what documents in any order give.

    Raises
    ------
    BadInput
        No queries, or vectors were given and none for one of them.
    """
    rows, asked, levels = _asked(corpus, codebook, queries)
    asked_codes = encode(asked, codebook.centroids, beam=codebook.config.beam)
    embedded = codebook.embedding.of_documents(corpus, codebook.config.fields)
    found: dict[str, list[npt.NDArray[np.float64]]] = {"prefix": [], "codes": [], "embedding": []}
    for vector, code, row in zip(asked, asked_codes, rows.tolist(), strict=True):
        shared = np.logical_and.accumulate(codebook.codes == code, axis=1).sum(axis=1)
        *_, far = levels.farness(vector)
        relevant = corpus.relevant(row)
        places = {
            "prefix": _places(relevant, far, -shared),
            "codes": _places(relevant, far),
            "embedding": _places(relevant, -(embedded @ vector)),
        }
        for name, place in places.items():
            found[name].append((place < np.asarray(k)[:, None]).mean(axis=1))
    recall = {name: np.mean(values, axis=0) for name, values in found.items()}
    recall["chance"] = np.minimum(k, len(codebook)) / len(codebook)
    return pd.DataFrame(
        [
            {"ranking": name, "k": depth, "recall": recall[name][i]}
            for name in recall
            for i, depth in enumerate(k)
        ]
    )


def oracle_by_depth(
    corpus: Corpus, codebook: Codebook, queries: npt.ArrayLike, k: Sequence[int] = (1, 5, 20)
) -> pd.DataFrame:
    """Measure how well the first codes retrieve on their own: the ranking "codes" of `oracle_retrieval`.

    Returns
    -------
    DataFrame
        `depth` (codes read, 1 to L_c), `k`, `recall`.

    Raises
    ------
    BadInput
        As of `oracle_retrieval`.
    """
    rows, asked, levels = _asked(corpus, codebook, queries)
    found = np.zeros((codebook.L_c, len(k)))
    for vector, row in zip(asked, rows.tolist(), strict=True):
        relevant = corpus.relevant(row)
        for level, far in enumerate(levels.farness(vector)):
            found[level] += (_places(relevant, far) < np.asarray(k)[:, None]).mean(axis=1)
    depths = np.repeat(np.arange(1, codebook.L_c + 1), len(k))
    recall = (found / len(rows)).reshape(-1)
    return pd.DataFrame({"depth": depths, "k": np.tile(k, codebook.L_c), "recall": recall})


@dataclass(frozen=True, eq=False)
class _Levels:
    """What is needed to tell how far all documents are from a query, code by code.

    `half` [L_c, n] holds half the squared length of the vectors decoded so far; zero where products decide.
    """

    codes: npt.NDArray[np.uint16]
    centroids: npt.NDArray[np.float32]
    half: npt.NDArray[np.float32]

    def farness(self, vector: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Give half the squared distance of all documents by their first 1, 2, ... codes.

        The part that all documents have in common is left out.
        """
        product = np.zeros(len(self.codes), np.float32)
        for level, table in enumerate(self.centroids):
            product += (table @ vector)[self.codes[:, level]]
            yield self.half[level] - product


def _asked(
    corpus: Corpus, codebook: Codebook, queries: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], _Levels]:
    """Embed the queries and lay out the codes of the documents."""
    rows = np.asarray(queries, np.int64).reshape(-1)
    if len(rows) == 0:
        raise BadInput("Retrieval by codes needs one query or more; give query rows.")
    asked = np.ascontiguousarray(codebook.embedding.of_queries(corpus, rows), np.float32)
    half = np.zeros((codebook.L_c, len(codebook)), np.float32)
    if codebook.embedding.unit:
        decoded = np.zeros((len(codebook), codebook.centroids.shape[2]), np.float32)
        for level, table in enumerate(codebook.centroids):
            decoded += table[codebook.codes[:, level]]
            half[level] = np.einsum("nd,nd->n", decoded, decoded) / 2
    return rows, asked, _Levels(np.asarray(codebook.codes), codebook.centroids, half)


def _places(
    relevant: npt.NDArray[np.integer],
    far: npt.NDArray[np.float32],
    before: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Give the places (from 0) of documents, nearest first; `before` decides before, the row after."""
    places = []
    for row in relevant.tolist():
        first, equal = far < far[row], far == far[row]
        if before is not None:
            first = (before < before[row]) | ((before == before[row]) & first)
            equal &= before == before[row]
        places.append(int(first.sum()) + int(equal[:row].sum()))
    return np.array(places, np.int64)
