"""BM25, the baseline that every ranking is shown beside."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.ranking import Ranking, top_documents

_WORD = re.compile(r"\w+")


def bm25_ranking(
    corpus: Corpus,
    queries: npt.ArrayLike,
    *,
    k: int = 100,
    fields: str = "title_text",
    k1: float = 0.9,
    b: float = 0.4,
) -> Ranking:
    """Rank documents by BM25 (Lucene's variant) over lower-cased words, without stemming or stop words.

    Parameters
    ----------
    corpus : Corpus
    queries : int[Q]
        Rows of the queries.
    k : int
        Documents per query at most; those without a word of the query are left out.
    fields : {"text", "title_text"}
        What of a document is searched.
    k1, b : float
        Saturation of term frequency, and normalisation by length.
    """
    import bm25s

    if k < 1:
        raise BadInput(f"k of BM25 must be 1 or more, not {k}.")
    rows = np.asarray(queries, np.int64).reshape(-1)
    engine = bm25s.BM25(k1=k1, b=b, method="lucene")
    engine.index([_words(text) for text in corpus.document_texts(fields=fields)], show_progress=False)
    asked = [_words(text) for text in corpus.query_texts(rows)]
    depth = min(k, corpus.n_documents)
    documents, scores = engine.retrieve(asked, k=depth, show_progress=False)
    query = np.repeat(np.arange(len(rows)), depth)
    found = scores.ravel() > 0
    return top_documents(query[found], documents.ravel()[found], scores.ravel()[found], len(rows), k=k)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
