"""Asking a trained retriever of a study."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, SearchEval
from genret_core.workbench.documents import nearest
from genret_core.workbench.retriever.led import Key, keys_by_document, whole_text
from genret_core.workbench.runs import Study, find_study
from genret_core.workbench.search_panel.options import Options
from genret_core.workbench.study.collect import is_trained
from genret_core.workbench.study.grid import cell_name
from genret_core.workbench.study.variants import plain_search

if TYPE_CHECKING:
    from genret_core.retrieval.ranking import Ranking

SHOWN = 90  # characters of a document's text
WORDS = ("query_keys", "unigrams")  # switches that only n-grams know


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Attributes
    ----------
    rank : int
        From 1.
    document : str
        Its id.
    score : float
    title, text : str
        The text is the beginning of the document's; all of it where `keys` point at it.
    keys : tuple of Key, optional
        What led to it, if that was asked for.
    """

    rank: int
    document: str
    score: float
    title: str
    text: str
    keys: tuple[Key, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """What a retriever found for a query.

    Attributes
    ----------
    query, retriever : str
    beam : int
    seconds : float
        Search and ranking, without loading the model.
    search : SearchEval
        With all its switches.
    flops : dict
        What the model computed, item by item.
    hits : tuple of Hit
        Best first.
    """

    query: str
    retriever: str
    beam: int
    seconds: float
    search: SearchEval
    flops: Mapping[str, Mapping[str, float]]
    hits: tuple[Hit, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values: `switches` that are on, and `keys` of hits only if they were asked for."""
        plain = asdict(self)
        del plain["search"]
        on = {name: True for name in ("rescore", "query_keys", "unigrams") if getattr(self.search, name)}
        plain["switches"] = {**on, "scoring": dict(self.search.scoring)}
        for hit in plain["hits"]:
            if hit["keys"] is None:
                del hit["keys"]
        return plain


def ask(
    study: str,
    query: str,
    *,
    beam: int,
    k: int,
    cell: str | None = None,
    method: str | None = None,
    explain: bool = False,
    switches: Mapping[str, bool | float] | None = None,
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
    explain : bool
        Tell which keys led to each document.
    switches : mapping, optional
        By name of `search_panel.options.Options`: what differs from the study's own searches.

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
    from genret_core.modeling.evaluations import rank_hypotheses
    from genret_core.modeling.search_keys import find_keys

    search = _search(found, spec, beam, k, switches or {})
    inputs = CellInputs.open(spec)
    model = load_model(spec.layout.checkpoint(spec.key))
    index = inputs.index()
    started = time.perf_counter()
    keys = find_keys(model, inputs, search, [query], index)
    ranking = rank_hypotheses(keys.keys, index, search, 1)
    seconds = time.perf_counter() - started
    led = keys_by_document(found, spec.method, keys, index, ranking, search) if explain else None
    return Answer(
        query=query,
        retriever=cell_name(spec),
        beam=beam,
        seconds=seconds,
        search=search,
        flops=keys.flops(),
        hits=_hits(found, ranking, led),
    )


def _search(study: Study, spec: CellSpec, beam: int, k: int, switches: Mapping[str, Any]) -> SearchEval:
    """Describe the search: as in the study's tables, but for what is asked for."""
    search = replace(plain_search(study.spec, spec.method), beam=beam, k=k)
    for name in WORDS if spec.method != "ngram" else ():
        if switches.get(name):
            raise BadInput(f"{name} are n-grams, and {cell_name(spec)} writes codes; switch it off.")
    return replace(Options.of(search), **switches).put_into(search, spec.method)


def _hits(study: Study, ranking: Ranking, led: Mapping[int, tuple[Key, ...]] | None) -> tuple[Hit, ...]:
    rows: Sequence[tuple[int, int, float]] = list(
        zip(ranking.rank.tolist(), ranking.document.tolist(), ranking.score.tolist(), strict=True)
    )
    return tuple(
        _hit(study, rank, document, score, None if led is None else led.get(document, ()))
        for rank, document, score in rows
    )


def _hit(study: Study, rank: int, document: int, score: float, keys: tuple[Key, ...] | None) -> Hit:
    text = " ".join(study.corpus.document_text(document).split())
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    if keys is not None:
        shown = whole_text(study, document)
    title = str(study.corpus.documents.column("title")[document].as_py())
    return Hit(rank + 1, study.corpus.document_id(document), score, title, shown, keys)


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
