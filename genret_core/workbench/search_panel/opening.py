"""What the panel opens with: a query whose finished searches are on disk, and who is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genret_core.workbench.search_panel.finished import Finished
from genret_core.workbench.search_panel.options import Options
from genret_core.workbench.search_panel.outcome import Outcome
from genret_core.workbench.search_panel.retrievers import Retriever, Retrievers
from genret_core.workbench.search_panel.sides import side, wanted
from genret_core.workbench.search_panel.words import Words

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

ORIGIN = (
    "Read from the finished searches of the study, which kept the heaviest and the likeliest final "
    "identifiers of some queries. This is the first of these that {name} answers at once and another ranking "
    "does not."
)
ANY = (
    "Read from the finished searches of the study, which kept the heaviest and the likeliest final "
    "identifiers of some queries."
)


@dataclass(frozen=True)
class Asked:
    """A query, the width of the beam, the keys of the retrievers that are asked, and the switches."""

    query: str
    beam: int
    keys: tuple[str, ...]
    options: Options


@dataclass(frozen=True)
class Opening:
    """What is asked at first, and the answer if it is on disk."""

    asked: Asked
    outcome: Outcome | None


def queries(study: Study, split: str, most: int) -> list[tuple[str, int]]:
    """Give the evaluation's queries of a split, text (with single spaces) and row, in its order."""
    methods = dict.fromkeys(cell.method for cell in study.plan)
    rows = study.sample(next(iter(methods)), split).queries[:most]
    texts = (" ".join(text.split()) for text in study.corpus.query_texts(rows))
    return list(zip(texts, map(int, rows), strict=True))


def opening(retrievers: Retrievers, words: Words) -> Opening:
    """Choose what the panel opens with.

    The best finished searches answer the first query that the first of them answers at once and another one
    or BM25 does not, so that there is something to see.
    """
    study = retrievers.study
    beam, chosen = retrievers.opening()
    if not chosen:
        return Opening(Asked("", beam, (retrievers.all[0].key,), retrievers.options), None)
    searches = [(one, Finished(study, one.method, retrievers.folder(run))) for one, run in chosen]
    query, telling = _query(study, [search for _, search in searches], words)
    text = " ".join(study.corpus.query_text(query).split())
    asked = Asked(text, beam, tuple(one.key for one, _ in chosen), retrievers.options)
    return Opening(asked, _outcome(study, asked, query, searches, words, telling))


def _outcome(
    study: Study,
    asked: Asked,
    query: int,
    searches: list[tuple[Retriever, Finished]],
    words: Words,
    telling: bool,
) -> Outcome:
    relevant = study.corpus.relevant(query).tolist()
    return Outcome(
        query=asked.query,
        wanted=wanted(study, relevant),
        sides=tuple(side(study, one, asked.beam, search.trace(query), relevant) for one, search in searches),
        words=words.side(asked.query, relevant),
        origin=ORIGIN.format(name=searches[0][0].name) if telling else ANY,
    )


def _query(study: Study, searches: list[Finished], words: Words) -> tuple[int, bool]:
    """Find the first kept query on which the rankings disagree, the first one being right; else the first.

    Returns
    -------
    query : int
    telling : bool
        Whether the rankings disagree on it.
    """
    kept = sorted(set.intersection(*(set(search.queries) for search in searches)))
    if not kept:
        return searches[0].queries[0], False
    beside = words.ranked([" ".join(text.split()) for text in study.corpus.query_texts(kept)])
    for place, query in enumerate(kept):
        relevant = {int(row) for row in study.corpus.relevant(query)}
        ranks = [search.rank_of(query, relevant) for search in searches]
        own = beside[place][0].tolist()
        ranks.append(next((i for i, row in enumerate(own, 1) if row in relevant), None))
        if ranks[0] == 1 and len(set(ranks)) > 1:
            return query, True
    return kept[0], False
