"""Asking a trained retriever of a study."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, SearchEval
from genret_core.workbench.documents import nearest
from genret_core.workbench.runs import Study, find_study
from genret_core.workbench.study.collect import is_trained
from genret_core.workbench.study.grid import cell_name, longest_identifier

SHOWN = 90  # characters of a document's text


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    rank: int
    document: str
    score: float
    title: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What a retriever found for a query."""

    query: str
    retriever: str
    beam: int
    seconds: float
    hits: tuple[Hit, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def ask(
    study: str, query: str, *, beam: int, k: int, cell: str | None = None, method: str | None = None
) -> Answer:
    """Search with a trained cell.

    Parameters
    ----------
    study : str
        A study's folder or name.
    query : str
        What to look for.
    beam : int
        Width of the beam.
    k : int
        Documents at most.
    cell : str, optional
        A cell's key or name, or a backbone's name; by default the trained cell with the least CGL.
    method : {"ngram", "codebook"}, optional
        Kind of identifier.

    Raises
    ------
    BadInput
        If the study has no such trained cell, or the query no word.
    """
    if not query.split():
        raise BadInput("the query is empty; give some words to look for.")
    found = find_study(study)
    spec = _choose(found, cell, method)
    from genret_core.modeling.cell_inputs import CellInputs
    from genret_core.modeling.checkpoint import load_model
    from genret_core.modeling.evaluations import rank_prompts
    from genret_core.retrieval.template import Template

    inputs = CellInputs.open(spec)
    model = load_model(spec.layout.checkpoint(spec.key))
    started = time.perf_counter()
    template = Template(spec.prefix, spec.suffix)
    prompts = template.prompts(inputs.tokenizer.encode([query]), inputs.tokenizer, spec.backbone.family)
    search = SearchEval(
        sample="",
        beam=beam,
        split="",
        n_queries=1,
        k=k,
        max_new_tokens=longest_identifier(found.spec, spec.method),
        scoring=spec.searches[0].scoring if spec.searches else {},  # as in the study's tables
    )
    ranking = rank_prompts(model, inputs, search, prompts, inputs.index())
    seconds = time.perf_counter() - started
    hits = [
        _hit(found, int(rank), int(document), float(score))
        for rank, document, score in zip(ranking.rank, ranking.document, ranking.score, strict=True)
    ]
    return Answer(query, cell_name(spec), beam, seconds, tuple(hits))


def _hit(study: Study, rank: int, document: int, score: float) -> Hit:
    text = " ".join(study.corpus.document_text(document).split())
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    title = str(study.corpus.documents.column("title")[document].as_py())
    return Hit(rank + 1, study.corpus.document_id(document), score, title, shown)


def _choose(study: Study, cell: str | None, method: str | None) -> CellSpec:
    trained = [c for c in study.plan if is_trained(c) and method in (None, c.method)]
    if not trained:
        kind = f" with {method} identifiers" if method else ""
        raise BadInput(f"{study.name} has no trained cell{kind}. {study.missing()}".strip())
    if cell is not None:
        named = [c for c in trained if cell in (c.key, cell_name(c), c.backbone.name)]
        if not named:
            known = [c.backbone.name for c in trained] + [cell_name(c) for c in trained]
            raise BadInput(f"{study.name} has no trained cell {cell!r}{nearest(cell, known)}")
        trained = named
    cgl = study.results[study.results["metric"] == "CGL"].groupby("cell")["value"].first()
    return min(trained, key=lambda c: (np.inf if c.key not in cgl.index else float(cgl[c.key]), c.key))
