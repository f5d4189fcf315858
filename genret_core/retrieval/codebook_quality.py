"""What the codes of a codebook hold: position by position, and as a retriever of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.codebook import Codebook
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.quantiser import decode, encode


def depth_table(codebook: Codebook) -> pd.DataFrame:
    """Tell what each position of the codes adds.

    Returns
    -------
    DataFrame
        A row per `depth` (1 to L_c): `explained` (variance, this position), `error` (variance left over),
        `prefixes` (distinct prefixes of that depth), `identified` (part of the documents whose prefix is
        theirs alone), `codes_used` (of N_c, at this position) and `effective_codes` (exponential of their
        entropy).
    """
    rows = []
    for depth in range(1, codebook.L_c + 1):
        _, documents = np.unique(codebook.codes[:, :depth], axis=0, return_counts=True)
        share = np.bincount(codebook.codes[:, depth - 1], minlength=codebook.N_c) / len(codebook)
        used = share[share > 0]
        rows.append(
            {
                "depth": depth,
                "explained": codebook.explained[depth - 1],
                "error": 1 - codebook.explained[:depth].sum(),
                "prefixes": len(documents),
                "identified": (documents == 1).sum() / len(codebook),
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
    rows = []
    for depth in depths or (codebook.L_c,):
        _, size = np.unique(codebook.codes[:, :depth], axis=0, return_counts=True)
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
    rows = np.asarray(queries, np.int64).reshape(-1)
    if len(rows) == 0:
        raise BadInput("Retrieval by codes needs one query or more; give query rows.")
    embedding = codebook.embedding
    asked = np.ascontiguousarray(embedding.of_queries(corpus, rows), np.float32)
    asked_codes = encode(asked, codebook.centroids, beam=codebook.config.beam)
    decoded = decode(codebook.codes, codebook.centroids)
    embedded = embedding.of_documents(corpus, codebook.config.fields)
    half = (decoded**2).sum(axis=1) / 2 if embedding.unit else np.zeros(len(decoded), np.float32)
    found: dict[str, list[npt.NDArray[np.float64]]] = {"prefix": [], "codes": [], "embedding": []}
    for vector, code, row in zip(asked, asked_codes, rows.tolist(), strict=True):
        shared = np.logical_and.accumulate(codebook.codes == code, axis=1).sum(axis=1)
        farness = half - decoded @ vector  # half the squared distance, but for what all have in common
        orders = {
            "prefix": np.lexsort((farness, -shared)),
            "codes": np.argsort(farness, kind="stable"),
            "embedding": np.argsort(-(embedded @ vector), kind="stable"),
        }
        relevant = corpus.relevant(row)
        for name, order in orders.items():
            hits = np.cumsum(np.isin(order, relevant))
            found[name].append(hits[np.minimum(k, len(order)) - 1] / len(relevant))
    recall = {name: np.mean(values, axis=0) for name, values in found.items()}
    recall["chance"] = np.minimum(k, len(codebook)) / len(codebook)
    return pd.DataFrame(
        [
            {"ranking": name, "k": depth, "recall": recall[name][i]}
            for name in recall
            for i, depth in enumerate(k)
        ]
    )
