"""Which keys led to a document, in words, with their places in its text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.modeling import SearchEval
from genret_core.workbench.runs import Study
from genret_core.workbench.search_panel.sides import in_words
from genret_core.workbench.search_panel.spans import locate

if TYPE_CHECKING:
    from genret_core.modeling.search_keys import FoundKeys
    from genret_core.retrieval.ranking import Ranking


@dataclass(frozen=True)
class Key:
    """An identifier that speaks for a document.

    Attributes
    ----------
    text : str
        Its words; of a codebook its codes.
    source : str
        `beam`, `query` (a span of it), `unigram` (a likely first token), or two of them.
    log_prob : float
        Of the model, natural logarithm.
    count : int
        Occurrences in the corpus; of codes, documents that have them.
    weight : float or None
        Key score; None for codes, which are ranked by `log_prob`.
    contribution : float
        What it adds to the document's score.
    places : tuple of int
        Tokens of the document where it begins.
    characters : tuple of (int, int)
        The same in characters of the text, its words joined by single spaces.
    """

    text: str
    source: str
    log_prob: float
    count: int
    weight: float | None
    contribution: float
    places: tuple[int, ...]
    characters: tuple[tuple[int, int], ...]


def keys_by_document(
    study: Study, method: str, found: FoundKeys, index: Any, ranking: Ranking, search: SearchEval
) -> dict[int, tuple[Key, ...]]:
    """List the keys of every document of a ranking of one query, what adds most first."""
    if method != "ngram":
        return _codes(study, found, index)
    from genret_core.retrieval.explaining import explain

    table = explain(found.keys, index, ranking, **search.scoring)
    led: dict[int, tuple[Key, ...]] = {}
    for document, part in table.groupby("document", sort=False):
        text = locate(study, int(str(document)))
        keys = []
        for row in part.to_dict("records"):
            places, size = tuple(row["places"]), len(row["ids"])
            spans = tuple((int(text.start[p]), int(text.end[p + size - 1])) for p in places)
            keys.append(
                Key(
                    in_words(study, method, row["ids"]), row["source"], row["log_prob"], row["count"],
                    row["weight"], row["contribution"], places, spans,
                )
            )  # fmt: skip
        led[int(str(document))] = tuple(keys)
    return led


def _codes(study: Study, found: FoundKeys, index: Any) -> dict[int, tuple[Key, ...]]:
    final = found.keys.hypotheses.select(found.keys.hypotheses.final)
    documents = index.documents(final.lo, final.hi)
    led: dict[int, tuple[Key, ...]] = {}
    for row, own in enumerate(documents):
        codes = in_words(study, "codebook", final.tokens(row).tolist())
        score = float(final.score[row])
        key = Key(codes, "beam", score, int(final.count[row]), None, score, (), ())
        led |= {document: (*led.get(document, ()), key) for document in own.tolist()}
    return led


def whole_text(study: Study, document: int) -> str:
    """Give the text that the characters of keys are counted in."""
    return " ".join(study.corpus.document_text(document, study.stream.fields).split())


def marked_text(text: str, keys: tuple[Key, ...], width: int) -> list[tuple[str, bool]]:
    """Cut a text to the stretch with the heaviest keys, in pieces that are marked or not.

    Parameters
    ----------
    text : str
        With its words joined by single spaces.
    width : int
        Characters to show.
    """
    begun, ended = np.zeros(len(text) + 1), np.zeros(len(text) + 1)
    covered = np.zeros(len(text), bool)
    for key in keys:
        for begin, end in key.characters:
            begun[begin] += key.contribution
            ended[end] += key.contribution
            covered[begin:end] = True
    first = 0
    if len(text) > width:
        starts = np.array([0, *(i + 1 for i, character in enumerate(text) if character == " ")])
        before = np.cumsum(begun) - begun
        gain = np.cumsum(ended)[np.minimum(starts + width, len(text))] - before[starts]
        first = int(starts[int(np.argmax(gain))])
    last = min(len(text), first + width)
    pieces: list[tuple[str, bool]] = [("… ", False)] if first else []
    edges = [first, *(np.flatnonzero(np.diff(covered[first:last])) + first + 1).tolist(), last]
    pieces += [(text[a:b], bool(covered[a])) for a, b in pairwise(edges) if a < b]
    return [*pieces, (" …", False)] if last < len(text) else pieces
