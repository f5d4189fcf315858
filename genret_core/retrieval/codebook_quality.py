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


def oracle_retrieval(
    corpus: Corpus, codebook: Codebook, queries: npt.ArrayLike, k: Sequence[int] = (1, 5, 20, 100)
) -> pd.DataFrame:
    """Measure how well the codes retrieve on their own, without a model.

    A query is embedded and encoded as documents are. Documents are ranked by the length of the prefix that
    they share with it and then by the distance of their decoded vectors to the query's ("prefix"); by that
    distance alone ("codes"); and by the distance of their own embeddings, without any quantisation
    ("embedding").

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
        k).
    """
    rows = np.asarray(queries, np.int64).reshape(-1)
    if len(rows) == 0:
        raise BadInput("Retrieval by codes needs one query or more; give query rows.")
    asked = codebook.embedding.transform(corpus.query_texts(rows))
    asked_codes = encode(asked, codebook.centroids, beam=codebook.config.beam)
    decoded = decode(codebook.codes, codebook.centroids)
    embedded = codebook.embedding.transform(corpus.document_texts(fields=codebook.config.fields))
    found: dict[str, list[npt.NDArray[np.float64]]] = {"prefix": [], "codes": [], "embedding": []}
    for vector, code, row in zip(asked, asked_codes, rows.tolist(), strict=True):
        shared = np.logical_and.accumulate(codebook.codes == code, axis=1).sum(axis=1)
        to_decoded = ((decoded - vector) ** 2).sum(axis=1)
        orders = {
            "prefix": np.lexsort((to_decoded, -shared)),
            "codes": np.argsort(to_decoded, kind="stable"),
            "embedding": np.argsort(-(embedded @ vector), kind="stable"),
        }
        relevant = corpus.relevant(row)
        for name, order in orders.items():
            hits = np.cumsum(np.isin(order, relevant))
            found[name].append(hits[np.minimum(k, len(order)) - 1] / len(relevant))
    recall = {name: np.mean(values, axis=0) for name, values in found.items()}
    return pd.DataFrame(
        [
            {"ranking": name, "k": depth, "recall": recall[name][i]}
            for name in found
            for i, depth in enumerate(k)
        ]
    )
