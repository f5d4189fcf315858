"""Where n-grams stand in a document's text, in characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genret_core.workbench.search_panel.outcome import Span, Written

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

WORD = re.compile(r"\S+")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Located:
    """A document's text and the characters of each of its tokens.

    Attributes
    ----------
    text : str
        What was tokenised, its words joined by single spaces.
    ids : int[n]
        Tokens.
    start, end : int[n]
        Characters of each token. Of the whole word, where the tokenizer does not say more.
    """

    text: str
    ids: Ints
    start: Ints
    end: Ints

    def spans(self, written: Iterable[Written]) -> tuple[Span, ...]:
        """Find every place of some n-grams, in order of the text."""
        found = []
        for one in written:
            pattern = np.array(one.ids, np.int64)
            if not 0 < len(pattern) <= len(self.ids):
                continue
            windows = np.lib.stride_tricks.sliding_window_view(self.ids, len(pattern))
            for place in np.flatnonzero((windows == pattern).all(axis=1)).tolist():
                last = place + len(pattern) - 1
                found.append(
                    Span(int(self.start[place]), int(self.end[last]), float(one.weight or 0.0), one.text)
                )
        return tuple(sorted(found, key=lambda span: (span.start, span.end)))


def locate(study: Study, document: int) -> Located:
    """Read a document as it was tokenised and find the characters of its tokens."""
    stream = study.stream
    text = " ".join(study.corpus.document_text(document, stream.fields).split())
    ids = np.asarray(stream.document(document), np.int64)
    for lead in ("", " "):  # some tokenizers know a word by the space before it
        encoded = study.tokenizer.backend.encode(lead + text, add_special_tokens=False)
        if np.array_equal(encoded.ids, ids):
            places = np.array(encoded.offsets, np.int64).reshape(-1, 2) - len(lead)
            return _without_spaces(text, ids, places.clip(0, len(text)))
    words = np.array([match.span() for match in WORD.finditer(text)], np.int64).reshape(-1, 2)
    first, last = stream.doc_starts[document], stream.doc_starts[document + 1] - 1
    number = np.cumsum(stream.word_starts[first:last]) - 1
    return Located(text, ids, words[number, 0], words[number, 1])


def _without_spaces(text: str, ids: Ints, places: Ints) -> Located:
    """Leave out the space that a token may begin with."""
    start = places[:, 0].copy()
    for i, (first, last) in enumerate(places.tolist()):
        piece = text[first:last]
        start[i] += len(piece) - len(piece.lstrip())
    return Located(text, ids, start, places[:, 1])
