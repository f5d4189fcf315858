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
from genret_core.workbench.search_panel.outcome import Written
from genret_core.workbench.search_panel.retrievers import Retriever, Retrievers
from genret_core.workbench.search_panel.sides import Trace, in_words, shown_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genret_core.retrieval.ranking import Ranking

KEPT = 2  # models in memory: those that stand side by side
OF_KEYS = ("alpha", "smoothing")  # scoring options that weigh a key
NOT_OF_CREDITS = ("single_key",)  # those that only put a document's keys together


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

    def trace(self, retriever: Retriever, query: str, beam: int, relevant: Sequence[int]) -> Trace:
        """Search for a query.

        Parameters
        ----------
        retriever : Retriever
        query : str
        beam : int
        relevant : sequence of int
            Documents whose keys are wanted wherever they rank.

        Raises
        ------
        BadInput
            If the query holds no word that the tokenizer knows, or there is no model.
        """
        own = self._load(retriever)
        search = self.retrievers.search_of(retriever, beam)
        started = time.perf_counter()
        hypotheses, ranking = _searched(own, retriever, search, query)
        seconds = time.perf_counter() - started
        if retriever.method != "ngram":
            return self._codes(retriever, hypotheses, ranking, seconds)
        return self._ngrams(own, retriever, search, hypotheses, ranking, seconds, relevant)

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

    def _codes(self, retriever: Retriever, hypotheses: Hypotheses, ranking: Ranking, seconds: float) -> Trace:
        rows = np.flatnonzero(hypotheses.final)
        rows = rows[np.argsort(-hypotheses.score[rows], kind="stable")]
        written = tuple(self._written(retriever, hypotheses, int(row), None) for row in rows)
        return Trace(written, ranking.document, ranking.score, None, seconds, _short(hypotheses))

    def _ngrams(
        self,
        own: _Loaded,
        retriever: Retriever,
        search: SearchEval,
        hypotheses: Hypotheses,
        ranking: Ranking,
        seconds: float,
        relevant: Sequence[int],
    ) -> Trace:
        from genret_core.retrieval.ranking import contributions, key_score

        scoring = {name: value for name, value in search.scoring.items() if name not in NOT_OF_CREDITS}
        credited = contributions(hypotheses, own.index, **scoring)
        options = {name: value for name, value in search.scoring.items() if name in OF_KEYS}
        weight = key_score(hypotheses.score, hypotheses.count, own.index.n_tokens, **options)
        weight[credited["key"]] = credited["weight"]
        rows = np.flatnonzero((weight > 0) | hypotheses.final)
        rows = rows[np.argsort(-weight[rows], kind="stable")]
        written = tuple(self._written(retriever, hypotheses, int(r), float(weight[r])) for r in rows)
        place = {int(row): i for i, row in enumerate(rows)}
        looked_at = ranking.document[shown_places(ranking.document, relevant)]
        credited = credited[credited["document"].isin(looked_at)]
        credits = {
            int(str(document)): [place[int(key)] for key in part["key"]]
            for document, part in credited.groupby("document")
        }
        return Trace(written, ranking.document, ranking.score, credits, seconds, _short(hypotheses))

    def _written(
        self, retriever: Retriever, hypotheses: Hypotheses, row: int, weight: float | None
    ) -> Written:
        ids = hypotheses.tokens(row).tolist()
        return Written(
            ids=tuple(ids),
            text=in_words(self.retrievers.study, retriever.method, ids),
            log_prob=float(hypotheses.score[row]),
            count=int(hypotheses.count[row]),
            weight=weight,
            final=bool(hypotheses.final[row]),
        )


def _searched(
    own: _Loaded, retriever: Retriever, search: SearchEval, query: str
) -> tuple[Hypotheses, Ranking]:
    from genret_core.modeling.evaluations import rank_hypotheses, search_prompts
    from genret_core.retrieval.template import Template

    ids = own.inputs.tokenizer.encode([query])
    if not ids.lengths.all():
        raise BadInput("the query holds no word; type some words to look for.")
    template = Template(retriever.cell.prefix, retriever.cell.suffix)
    prompts = template.prompts(ids, own.inputs.tokenizer, retriever.family)
    hypotheses = search_prompts(own.model, own.inputs, search, prompts, own.index)
    return hypotheses, rank_hypotheses(hypotheses, own.index, search, 1)


def _short(hypotheses: Hypotheses) -> str:
    """Say it where the corpus could not fill the beams."""
    filled = int(hypotheses.filled[0])
    return f"the corpus filled {filled} of {hypotheses.beam} beams" if filled < hypotheses.beam else ""
