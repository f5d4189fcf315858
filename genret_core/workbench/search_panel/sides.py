"""From what was written and ranked to a side of the panel: documents with the places that were matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genret_core.workbench.search_panel.outcome import Document, Side, Wanted, Written
from genret_core.workbench.search_panel.retrievers import Retriever
from genret_core.workbench.search_panel.spans import locate

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

SHOWN = 4  # documents of each ranking
SPACE = "␣"  # a token that is but the space before a word
MARKED = 0.25  # of the heaviest weight: n-grams that weigh less are credited, and not marked


@dataclass(frozen=True, eq=False)
class Trace:
    """What a search leaves behind.

    Attributes
    ----------
    written : tuple of Written
    document : int[n]
        The ranking: rows of the corpus, best first.
    score : float[n]
    credits : mapping of int to sequence of int, or None
        Documents to the places in `written` of what speaks for them; None: all that weighs anything and
        stands in the document.
    seconds : float or None
    note : str
    flops : float or None
        FLOPs of the search.
    """

    written: tuple[Written, ...]
    document: npt.NDArray[np.int32]
    score: npt.NDArray[np.float64]
    credits: Mapping[int, Sequence[int]] | None = None
    seconds: float | None = None
    note: str = ""
    flops: float | None = None

    def speaking_for(self, document: int) -> list[Written]:
        """Give what led to a document, as far as it weighs enough to be marked."""
        least = MARKED * max((one.weight or 0.0 for one in self.written), default=0.0)
        told = range(len(self.written)) if self.credits is None else self.credits.get(document, ())
        return [self.written[i] for i in told if least <= (self.written[i].weight or 0.0) > 0]


def in_words(study: Study, method: str, ids: Sequence[int]) -> str:
    """Write an identifier for people: its words, or its codes."""
    if method == "ngram":
        return study.tokenizer.decode(ids) or SPACE
    return study.codebook.in_words(ids, study.tokenizer.size)


def shown_places(ranking: npt.NDArray[np.int32], relevant: Sequence[int]) -> list[int]:
    """Choose the places of a ranking that are shown: the first few, and the first that is relevant."""
    hits = np.flatnonzero(np.isin(ranking, list(relevant)))[:1]
    return sorted({*range(min(SHOWN, len(ranking))), *hits.tolist()})


def side(study: Study, retriever: Retriever, beam: int, trace: Trace, relevant: Sequence[int]) -> Side:
    """Put together what a retriever wrote and found.

    Parameters
    ----------
    study : Study
    retriever : Retriever
    beam : int
    trace : Trace
    relevant : sequence of int
        Rows of the documents that the query asks for.
    """
    places = shown_places(trace.document, relevant)
    documents = [
        _document(study, retriever.method, place + 1, trace, int(trace.document[place]), relevant)
        for place in places
    ]
    return Side(
        name=retriever.name,
        family=retriever.family,
        method=retriever.method,
        beam=beam,
        seconds=trace.seconds,
        written=trace.written,
        documents=tuple(documents),
        n_found=len(trace.document),
        note=trace.note,
        flops=trace.flops,
    )


def wanted(study: Study, relevant: Sequence[int]) -> tuple[Wanted, ...]:
    """Read the documents that a query asks for."""
    return tuple(Wanted(int(row), title_of(study, row), text_of(study, row)) for row in relevant)


def title_of(study: Study, document: int) -> str:
    """Give a document's title, or its id if it has none."""
    (title,) = study.corpus.document_titles([document])
    return title or study.corpus.document_id(document)


def text_of(study: Study, document: int) -> str:
    """Give a document's text, its words joined by single spaces."""
    return " ".join(study.corpus.document_text(document).split())


def _document(
    study: Study, method: str, rank: int, trace: Trace, row: int, relevant: Sequence[int]
) -> Document:
    title, score = title_of(study, row), float(trace.score[rank - 1])
    asked_for = row in set(relevant)
    if method != "ngram":
        codes = " ".join(f"c{code}" for code in study.codebook.codes[row].tolist())
        return Document(row, rank, score, title, text_of(study, row), codes=codes, relevant=asked_for)
    found = locate(study, row)
    spans = found.spans(trace.speaking_for(row))
    return Document(row, rank, score, title, found.text, spans, relevant=asked_for)
