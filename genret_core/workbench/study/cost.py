"""How long a cell will take: good enough to start the longest first and to say how much time is left."""

from __future__ import annotations

import math
from collections.abc import Iterable

from genret_core.modeling import Backbone, CellSpec, Recipe, SearchEval
from genret_core.modeling.flops import Sizes, query_flops, row_flops
from genret_core.workbench.study.expected import PROMPT, asked_for, n_pairs
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell, PlannedSearch

# Seconds of one core (AVX-512). A run corrects them by what its first cells really took.
STEP = {True: 0.0032, False: 0.0048}  # a training step, whatever its size; by whether it is a decoder alone
TRAINER = 6.0  # a step of transformers' Trainer, as a multiple of that
QUERY = {"losses": 0.002, "search": 0.0007}  # a query that is scored or searched, whatever the model
BEAM_STEP = 3e-5  # a token of one beam: the constraint
STAGE_2 = 0.02  # a query whose best documents are matched with all keys
START = 1.0  # opening the inputs
RATE = 6e10  # floating-point operations a second
VOCABULARY = 1_024


def expected_seconds(cell: CellSpec) -> float:
    """Expect the seconds of one core that a cell takes, evaluations included."""
    at = cell.layout
    folder = at.ngrams(cell.corpus, cell.identifiers) if cell.method == "ngram" else at.corpus(cell.corpus)
    queries = n_pairs(folder) * cell.fraction
    tokens = max([search.max_new_tokens for search in cell.searches], default=10)
    seconds = START + _training(cell.backbone, cell.recipe, queries, tokens)
    seconds += sum(
        _scoring(cell.backbone, loss.n_negatives, tokens) * (3 if loss.end_and_padding else 1)
        for loss in cell.losses
    )
    return seconds + _searching(cell.backbone, cell.searches)


def expected_before(spec: StudySpec, planned: PlannedCell) -> float | None:
    """Expect the same before there is a corpus, from the queries it is asked for; None if not known."""
    _, queries = asked_for(spec)
    if queries is None:
        return None
    config = spec.identifiers.ngram
    pairs = queries * planned.fraction * (config.n_samples if planned.method == "ngram" else 1)
    tokens = max([search.max_new_tokens for search in planned.searches], default=config.width)
    seconds = START + _training(planned.backbone, spec.recipe_of(planned.method), pairs, tokens)
    scored = _scoring(planned.backbone, spec.evaluation.n_negatives, tokens, spec.evaluation.n_queries)
    return seconds + scored * len(spec.evaluation.splits) + _searching(planned.backbone, planned.searches)


def _training(backbone: Sizes, recipe: Recipe, pairs: float, tokens: int) -> float:
    per_step = recipe.batch_queries * recipe.identifiers_per_row
    steps = recipe.n_steps or math.ceil(pairs / per_step) * recipe.epochs
    row = float(row_flops(backbone, VOCABULARY, [PROMPT], [[tokens] * recipe.identifiers_per_row])[0])
    loop = 1.0 if isinstance(backbone, Backbone) else TRAINER
    step = loop * STEP[backbone.decoder_only] + 3 * recipe.batch_queries * row / RATE
    return steps * step * recipe.lr_sweep


def _scoring(backbone: Sizes, negatives: int, tokens: int, queries: int = 400) -> float:
    """Expect what the losses of a sample take: each query with its negatives and about ten positives."""
    row = float(row_flops(backbone, VOCABULARY, [PROMPT], [[tokens] * 8])[0])
    return queries * (QUERY["losses"] + (negatives + 10) / 8 * row / RATE)


def _searching(backbone: Sizes, searches: Iterable[SearchEval | PlannedSearch]) -> float:
    seconds = 0.0
    for one in searches:
        flops, _ = query_flops(backbone, VOCABULARY, PROMPT, beam=one.beam, n_tokens=one.max_new_tokens)
        own = BEAM_STEP * one.max_new_tokens * one.beam + flops / RATE
        own *= 2 if one.rescore else 1  # every key is read once more
        own += STAGE_2 if dict(one.scoring).get("full_score") else 0.0
        seconds += one.n_queries * (QUERY["search"] + own)
    return seconds
