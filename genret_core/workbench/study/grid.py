"""From the blocks of a study file to the list of its cells, and the searches each of them runs."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.modeling import Backbone, CellSpec, LossEval, PretrainedBackbone, Recipe, SearchEval
from genret_core.retrieval.codebook import DEFAULT_L_c
from genret_core.workbench.documents import nearest
from genret_core.workbench.study.file import METHODS, GridBlock, SearchBlock, StudySpec
from genret_core.workbench.study.inputs import Inputs


@dataclass(frozen=True, order=True)
class PlannedSearch:
    """One beam search of a cell."""

    beam: int
    split: str
    n_queries: int
    k: int
    max_new_tokens: int
    scoring: tuple[tuple[str, float], ...] = ()
    rescore: bool = False
    query_keys: bool = False
    unigrams: bool = False


@dataclass(frozen=True)
class PlannedCell:
    """One cell of the grid, before there is a corpus to give it a key."""

    method: str
    backbone: Backbone | PretrainedBackbone = field(repr=False)
    fraction: float
    seed: int
    searches: tuple[PlannedSearch, ...] = ()
    questions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """Short name for people: `llama-d64 ngram 40% s0`."""
        percent = "" if self.fraction == 1 else f" {100 * self.fraction:g}%"
        return f"{self.backbone.name} {self.method}{percent} s{self.seed}"


Where = Callable[[Sequence[str | int]], str]


def nowhere(location: Sequence[str | int]) -> str:
    """Name the place of a key where the file is not known."""
    return ".".join(str(step) for step in location)


def expand(spec: StudySpec, *, where: Where = nowhere) -> list[PlannedCell]:
    """List the cells of a study: each block is a cartesian product, the study their union without doubles.

    Parameters
    ----------
    spec : StudySpec
        The study.
    where : callable
        Names the place of a key, for messages (`file:line`).

    Returns
    -------
    list of PlannedCell
        In the order in which the blocks first name them.

    Raises
    ------
    BadInput
        If a pattern names no backbone, a search block no cell, or the `name` of a search two kinds of it.
    """
    from genret_core.workbench.study.variants import variant_names

    questions: dict[tuple[str, str, float, int], list[str]] = {}
    for i, block in enumerate(spec.grid):
        for key in _product(spec, block, where=where, at=("grid", i)):
            asked = questions.setdefault(key, [])
            if block.question and block.question not in asked:
                asked.append(block.question)
    searches: dict[tuple[str, str, float, int], set[PlannedSearch]] = {key: set() for key in questions}
    for i, search in enumerate(spec.search):
        named = [key for key in _product(spec, search, where=where, at=("search", i)) if key in questions]
        if not named:
            raise BadInput(
                f"{where(('search', i))}: this search names no cell of the grid; add a block to `grid` with "
                "its methods, backbones, fractions and seeds, or change it."
            )
        for key in named:
            searches[key].update(_searches(spec, search, method=key[0]))
            if search.question and search.question not in questions[key]:
                questions[key].append(search.question)
    for method in METHODS:
        variant_names(spec, method, where=where)
    rungs = {rung.name: rung for rung in spec.backbones}
    return [
        PlannedCell(key[0], rungs[key[1]], key[2], key[3], tuple(sorted(searches[key])), tuple(asked))
        for key, asked in questions.items()
    ]


def _product(
    spec: StudySpec, block: GridBlock, *, where: Where, at: tuple[str, int]
) -> Iterable[tuple[str, str, float, int]]:
    names: list[str] = []
    for j, pattern in enumerate(block.backbones):
        found = match_backbones(spec, pattern)
        if not found:
            every = [rung.name for rung in spec.backbones]
            every += [f"{family}/*" for family in dict.fromkeys(rung.family for rung in spec.backbones)]
            raise BadInput(
                f"{where((*at, 'backbones', j))}: no backbone of the ladders is called {pattern!r}"
                f"{nearest(pattern, every)}"
            )
        names += [name for name in found if name not in names]
    return product(block.methods, names, block.fractions, block.seeds)


def match_backbones(spec: StudySpec, pattern: str) -> list[str]:
    """Name the backbones that a pattern means: `llama/*`, `t5/t5-d3*`, `llama-d64`, `*`."""
    match = fnmatch.fnmatchcase
    return [
        rung.name
        for rung in spec.backbones
        if match(f"{rung.family}/{rung.name}", pattern) or match(rung.name, pattern)
    ]


def longest_identifier(spec: StudySpec, method: str) -> int:
    """Give the tokens of the longest identifier of a method."""
    who = spec.identifiers
    return who.ngram.width if method == "ngram" else who.codebook.L_c or DEFAULT_L_c


def _searches(spec: StudySpec, block: SearchBlock, *, method: str) -> Iterable[PlannedSearch]:
    for beam in block.beams:
        yield PlannedSearch(
            beam=beam,
            split=block.split or spec.evaluation.splits[0],
            n_queries=min(block.n_queries or spec.evaluation.n_queries, spec.evaluation.n_queries),
            k=block.k,
            max_new_tokens=block.max_new_tokens or longest_identifier(spec, method),
            scoring=tuple(sorted(block.scoring.items())),
            rescore=block.rescore,
            query_keys=block.query_keys and method == "ngram",
            unigrams=block.unigrams and method == "ngram",
        )


def cell_specs(spec: StudySpec, inputs: Inputs, folder: Path) -> list[CellSpec]:
    """Give every planned cell its inputs, and so its key.

    Parameters
    ----------
    spec : StudySpec
    inputs : Inputs
        Keys of what was prepared.
    folder : Path
        The study folder.
    """
    recipes = {method: spec.recipe_of(method) for method in METHODS}
    return [_cell_spec(spec, inputs, folder, planned, recipes[planned.method]) for planned in expand(spec)]


def _cell_spec(
    spec: StudySpec, inputs: Inputs, folder: Path, planned: PlannedCell, recipe: Recipe
) -> CellSpec:
    def sample(split: str) -> str:
        return inputs.samples[f"{planned.method}/{split}"]

    return CellSpec(
        study=spec.name,
        folder=str(folder),
        corpus=inputs.corpus,
        split="train",
        tokenizer=inputs.tokenizer,
        identifiers=inputs.ngrams if planned.method == "ngram" else inputs.codebook,
        method=planned.method,
        backbone=planned.backbone,
        fraction=planned.fraction,
        seed=planned.seed,
        recipe=recipe,
        losses=tuple(
            LossEval(
                sample(split),
                split,
                spec.evaluation.n_negatives,
                spec.evaluation.end_and_padding,
                "fp32" if isinstance(planned.backbone, PretrainedBackbone) else spec.evaluation.precision,
            )
            for split in spec.evaluation.splits
        ),
        searches=tuple(
            SearchEval(
                sample(s.split),
                s.beam,
                s.split,
                s.n_queries,
                s.k,
                s.max_new_tokens,
                dict(s.scoring),
                rescore=s.rescore,
                query_keys=s.query_keys,
                unigrams=s.unigrams,
            )
            for s in planned.searches
        ),
        index=inputs.index,
        prefix=spec.template.prefix,
        suffix=spec.template.suffix,
        sweep_sample=sample("validation") if recipe.lr_sweep > 1 else None,
    )


def cell_name(cell: CellSpec) -> str:
    """Short name of a cell for people: `llama-d64 ngram 40% s0`."""
    return PlannedCell(cell.method, cell.backbone, cell.fraction, cell.seed).name
