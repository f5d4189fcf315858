"""All keys of a search: what the beams wrote, and what the other sources add if they are switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.flops import QueryFlops, decoding_flops, search_flops
from genret_core.modeling.forced_keys import Forced, force_keys
from genret_core.modeling.spec import SearchEval
from genret_core.retrieval.beam_search import beam_search
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.key_sources import QUERY, KeySet, Unigrams, query_spans
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.template import Template
from genret_core.retrieval.text_index import TextIndex


@dataclass(frozen=True, eq=False)
class FoundKeys:
    """The keys of some queries, and what they cost.

    Attributes
    ----------
    keys : KeySet
    search : QueryFlops
        Of the beams.
    rescoring : QueryFlops or None
        Of teacher forcing: rescored keys, spans of the query, first tokens. Its `prefill` is one more reading
        of the query.
    """

    keys: KeySet
    search: QueryFlops
    rescoring: QueryFlops | None

    @property
    def C(self) -> float:
        """FLOPs of a query: all that the model computed."""
        return self.search.total + (self.rescoring.total if self.rescoring else 0.0)

    @property
    def C_no_head(self) -> float:
        """The same without the output head."""
        return self.search.without_head + (self.rescoring.without_head if self.rescoring else 0.0)

    def flops(self) -> dict[str, dict[str, float]]:
        """Give the items."""
        items = {"search": self.search.to_dict()}
        if self.rescoring is not None:
            items["rescoring"] = self.rescoring.to_dict()
        return items


def prompts_of(inputs: CellInputs, texts: Sequence[str], *, bare: bool = False) -> Ragged:
    """Make the prompts of query texts; `bare` without the words that the study's template puts around."""
    template = Template() if bare else Template(inputs.spec.prefix, inputs.spec.suffix)
    return template.prompts(
        inputs.tokenizer.encode(list(texts)), inputs.tokenizer, inputs.spec.backbone.family
    )


def find_keys(
    model: Any, inputs: CellInputs, evaluation: SearchEval, texts: Sequence[str], index: Any
) -> FoundKeys:
    """Search with the beam that `evaluation` asks for, and add what its switches add.

    Parameters
    ----------
    texts : sequence of str
        The queries.
    index : TextIndex or CodeIndex
    """
    scoring = Scoring.of(evaluation.scoring)
    words = isinstance(index, TextIndex)
    if not words and (evaluation.query_keys or evaluation.unigrams):
        raise BadInput("query_keys and unigrams are n-grams; switch them off for a codebook.")
    prompts = prompts_of(inputs, texts)
    hypotheses = search_beams(model, inputs, evaluation, prompts, index)
    keys = KeySet.of(hypotheses)
    search = search_flops(
        inputs.spec.backbone, inputs.vocab_size, prompts.lengths,
        beam=evaluation.beam, n_tokens=evaluation.max_new_tokens,
    )  # fmt: skip
    if not (evaluation.rescore or evaluation.query_keys or evaluation.unigrams):
        return FoundKeys(keys, search, None)
    if evaluation.query_keys:
        query, spans = query_spans(texts, inputs.tokenizer, index)
        keys = keys.joined(query, spans, np.zeros(len(spans)), QUERY, index)
    # Only the beams' keys have log-probabilities, of the search's prompt.
    rows = np.arange(len(keys)) if evaluation.rescore else np.flatnonzero(keys.source == QUERY)
    prompts = prompts_of(inputs, texts, bare=True) if evaluation.rescore else prompts
    first = int(scoring.top_unigrams) if evaluation.unigrams else 0
    forced = _forced(model, inputs, prompts, keys.hypotheses.select(rows), first)
    log_prob = keys.hypotheses.score.copy()
    log_prob[rows] = forced.log_prob
    keys = keys.rescored(log_prob)
    if forced.first is not None:
        keys = keys.with_unigrams(_ordinary(forced.first, inputs), index, scoring)
    rescoring = decoding_flops(inputs.spec.backbone, inputs.vocab_size, prompts.lengths, forced.reads)
    return FoundKeys(keys, search, rescoring)


def search_beams(
    model: Any, inputs: CellInputs, evaluation: SearchEval, prompts: Ragged, index: Any
) -> Hypotheses:
    """Search identifiers for prompts with the beam that `evaluation` asks for."""
    Scoring.of(evaluation.scoring)
    words = isinstance(index, TextIndex)
    return beam_search(
        model, index, prompts,
        beam=evaluation.beam, max_new_tokens=evaluation.max_new_tokens, family=inputs.spec.backbone.family,
        pad_id=inputs.tokenizer.pad_id, eos_id=inputs.tokenizer.eos_id, keep_history=words,
        first_tokens=inputs.tokenizer.word_start if words else None,
    )  # fmt: skip


def _forced(model: Any, inputs: CellInputs, prompts: Ragged, keys: Hypotheses, first: int) -> Forced:
    starts = np.concatenate([[0], np.cumsum(keys.length, dtype=np.int64)])
    return force_keys(
        model, prompts, keys.query, Ragged(keys.ids[keys.ids >= 0], starts),
        family=inputs.spec.backbone.family, pad_id=inputs.tokenizer.pad_id, first_tokens=first,
    )  # fmt: skip


def _ordinary(unigrams: Unigrams, inputs: CellInputs) -> Unigrams:
    """Leave special tokens out, and those that the vocabulary of the text does not hold."""
    own = inputs.tokenizer
    kept = ~np.isin(unigrams.token, (own.pad_id, own.eos_id, own.sep_id, own.unk_id))
    kept &= unigrams.token < own.size
    return Unigrams(unigrams.query[kept], unigrams.token[kept], unigrams.log_prob[kept])
