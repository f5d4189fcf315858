"""BM25 beside the retrievers: the same query, by its words alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genret_core.retrieval.bm25 import WORD, words_of
from genret_core.workbench.search_panel.outcome import Document, Side, Span
from genret_core.workbench.search_panel.sides import shown_places, text_of, title_of

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

MOST_KEPT = 1000  # rankings that are remembered

Ranks = tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]


class Words:
    """BM25 over a study's corpus, asked for texts; what was asked before is remembered.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._known: dict[str, Ranks] = {}

    def ranked(self, queries: Sequence[str]) -> list[Ranks]:
        """Rank documents for some texts, all at once.

        Returns
        -------
        list of (document, score)
            Rows of the corpus, best first.
        """
        new = [query for query in dict.fromkeys(queries) if query not in self._known]
        if new:
            if len(self._known) > MOST_KEPT:
                self._known.clear()
                new = list(dict.fromkeys(queries))
            found = self.study.bm25.rank(new)
            for i, query in enumerate(new):
                own = found.query == i
                self._known[query] = found.document[own], found.score[own]
        return [self._known[query] for query in queries]

    def side(self, query: str, relevant: Sequence[int]) -> Side:
        """Put together what BM25 finds for a query."""
        ((found, score),) = self.ranked([query])
        asked = set(words_of(query))
        documents = []
        for place in shown_places(found, relevant):
            row = int(found[place])
            title, text = title_of(self.study, row), text_of(self.study, row)
            documents.append(
                Document(
                    row=row,
                    rank=place + 1,
                    score=float(score[place]),
                    title=title,
                    text=text,
                    spans=matched(text, asked),
                    title_spans=matched(title, asked),
                    relevant=row in set(relevant),
                )
            )
        return Side("BM25", "bm25", "bm25", None, None, (), tuple(documents), len(found))


def matched(text: str, words: set[str]) -> tuple[Span, ...]:
    """Find lower-cased words in a text."""
    return tuple(
        Span(*match.span(), 1.0, match.group())
        for match in WORD.finditer(text)
        if match.group().lower() in words
    )
