"""A trained model asked now. The first question imports torch, which takes some seconds."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.modeling import SearchEval
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.workbench.search_panel.options import Options
from genret_core.workbench.search_panel.outcome import Written
from genret_core.workbench.search_panel.retrievers import Retriever, Retrievers
from genret_core.workbench.search_panel.sides import Trace, in_words, shown_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genret_core.modeling.search_keys import FoundKeys
    from genret_core.retrieval.key_sources import KeySet
    from genret_core.retrieval.ranking import Ranking

KEPT = 2  # models in memory: those that stand side by side


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any
    inputs: Any
    index: Any


class Asking:
    """Trained cells that answer queries; the two that were asked last stay in memory.

    Parameters
    ----------
    retrievers : Retrievers
    """

    def __init__(self, retrievers: Retrievers) -> None:
        self.retrievers = retrievers
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def is_loaded(self, retriever: Retriever) -> bool:
        """Whether a model is in memory."""
        return retriever.key in self._loaded

    def trace(
        self,
        retriever: Retriever,
        query: str,
        beam: int,
        relevant: Sequence[int],
        options: Options | None = None,
    ) -> Trace:
        """Search for a query.

        Parameters
        ----------
        retriever : Retriever
        query : str
        beam : int
        relevant : sequence of int
            Documents whose keys are wanted wherever they rank.
        options : Options, optional
            Switches; by default those of the study's own searches.

        Raises
        ------
        BadInput
            If the query holds no word that the tokenizer knows, or there is no model.
        """
        own = self._load(retriever)
        search = self.retrievers.search_of(retriever, beam, options)
        started = time.perf_counter()
        found, ranking = _searched(own, search, query)
        seconds = time.perf_counter() - started
        if retriever.method != "ngram":
            written, credits = self._codes(retriever, found.keys), None
        else:
            written, credits = self._ngrams(own, retriever, search, found.keys, ranking, relevant)
        note = _short(found.keys.hypotheses)
        return Trace(written, ranking.document, ranking.score, credits, seconds, note, found.C)

    def _load(self, retriever: Retriever) -> _Loaded:
        from genret_core.modeling.cell_inputs import CellInputs
        from genret_core.modeling.checkpoint import load_model

        if retriever.key not in self._loaded:
            inputs = CellInputs.open(retriever.cell)
            model = load_model(retriever.cell.layout.checkpoint(retriever.key))
            self._loaded[retriever.key] = _Loaded(model, inputs, inputs.index())
        self._loaded.move_to_end(retriever.key)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return self._loaded[retriever.key]

    def _codes(self, retriever: Retriever, keys: KeySet) -> tuple[Written, ...]:
        hypotheses = keys.hypotheses
        rows = np.flatnonzero(hypotheses.final)
        rows = rows[np.argsort(-hypotheses.score[rows], kind="stable")]
        return tuple(self._written(retriever, keys, int(row), None, "beam") for row in rows)

    def _ngrams(
        self,
        own: _Loaded,
        retriever: Retriever,
        search: SearchEval,
        keys: KeySet,
        ranking: Ranking,
        relevant: Sequence[int],
    ) -> tuple[tuple[Written, ...], dict[int, list[int]]]:
        """Give the keys, the heaviest first, and which of them speak for the documents that are looked at."""
        from genret_core.retrieval.ranking import Scoring, contributions

        credited = contributions(keys, own.index, **search.scoring)
        weight = keys.weights(own.index.n_tokens, Scoring.of(search.scoring))
        rows = np.flatnonzero((weight > 0) | keys.hypotheses.final)
        rows = rows[np.argsort(-weight[rows], kind="stable")]
        names = keys.names()
        written = tuple(
            self._written(retriever, keys, int(row), float(weight[row]), names[int(row)]) for row in rows
        )
        place = {int(row): i for i, row in enumerate(rows)}
        looked_at = ranking.document[shown_places(ranking.document, relevant)]
        credited = credited[credited["document"].isin(looked_at)]
        return written, {
            int(str(document)): [place[int(key)] for key in part["key"]]
            for document, part in credited.groupby("document")
        }

    def _written(
        self, retriever: Retriever, keys: KeySet, row: int, weight: float | None, source: str
    ) -> Written:
        hypotheses = keys.hypotheses
        ids = hypotheses.tokens(row).tolist()
        return Written(
            ids=tuple(ids),
            text=in_words(self.retrievers.study, retriever.method, ids),
            log_prob=float(hypotheses.score[row]),
            count=int(hypotheses.count[row]),
            weight=weight,
            final=bool(hypotheses.final[row]),
            source=source,
        )


def _searched(own: _Loaded, search: SearchEval, query: str) -> tuple[FoundKeys, Ranking]:
    from genret_core.modeling.evaluations import rank_hypotheses
    from genret_core.modeling.search_keys import find_keys

    if not own.inputs.tokenizer.encode([query]).lengths.all():
        raise BadInput("the query holds no word; type some words to look for.")
    found = find_keys(own.model, own.inputs, search, [query], own.index)
    return found, rank_hypotheses(found.keys, own.index, search, 1)


def _short(hypotheses: Hypotheses) -> str:
    """Say it where the corpus could not fill the beams."""
    filled = int(hypotheses.filled[0])
    return f"the corpus filled {filled} of {hypotheses.beam} beams" if filled < hypotheses.beam else ""
