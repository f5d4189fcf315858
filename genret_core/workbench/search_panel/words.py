"""BM25 beside the retrievers: the same query, by its words alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from genret_core.workbench.search_panel.outcome import Document, Side, Span
from genret_core.workbench.search_panel.sides import shown_places, text_of, title_of

if TYPE_CHECKING:
    from genret_core.retrieval.corpus import Corpus
    from genret_core.retrieval.ranking import Ranking
    from genret_core.workbench.runs import Study

MOST_DOCUMENTS = 20_000  # that are indexed anew for a query
WORD = re.compile(r"\w+")


class _Asked:
    """A corpus that is asked these texts instead of its own queries."""

    def __init__(self, corpus: Corpus, texts: Sequence[str]) -> None:
        self._corpus, self._texts = corpus, texts

    def query_texts(self, rows: Any) -> Iterator[str]:
        return (self._texts[int(row)] for row in rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._corpus, name)


def ranked(study: Study, queries: Sequence[str]) -> Ranking | None:
    """Rank documents for some texts; None where the corpus is too large to be indexed for a question."""
    from genret_core.retrieval.bm25 import bm25_ranking

    if study.corpus.n_documents > MOST_DOCUMENTS:
        return None
    return bm25_ranking(cast("Corpus", _Asked(study.corpus, queries)), np.arange(len(queries)))


def words_side(study: Study, query: str, relevant: Sequence[int]) -> Side | None:
    """Put together what BM25 finds for a query."""
    started = time.perf_counter()
    ranking = ranked(study, [query])
    if ranking is None:
        return None
    seconds = time.perf_counter() - started
    asked = {word.lower() for word in WORD.findall(query)}
    documents = []
    for place in shown_places(ranking.document, relevant):
        row = int(ranking.document[place])
        title, text = title_of(study, row), text_of(study, row)
        documents.append(
            Document(
                row=row,
                rank=place + 1,
                score=float(ranking.score[place]),
                title=title,
                text=text,
                spans=matched(text, asked),
                title_spans=matched(title, asked),
                relevant=row in set(relevant),
            )
        )
    return Side("BM25", "bm25", "bm25", None, seconds, (), tuple(documents), len(ranking))


def matched(text: str, words: set[str]) -> tuple[Span, ...]:
    """Find lower-cased words in a text."""
    return tuple(
        Span(*match.span(), 1.0, match.group())
        for match in WORD.finditer(text)
        if match.group().lower() in words
    )
