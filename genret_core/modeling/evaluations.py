"""The evaluations of a trained cell: losses (CGL) and searches (ranking metrics), a folder each."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, write_json
from genret_core.modeling import scoring_slices
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.losses import score_identifiers
from genret_core.modeling.padded_losses import padded_losses
from genret_core.modeling.scoring_slices import Slices, fingerprint, score_in_processes
from genret_core.modeling.search_clock import SearchClock
from genret_core.modeling.search_keys import find_keys, search_beams
from genret_core.modeling.spec import LossEval, SearchEval
from genret_core.provenance import provenance
from genret_core.retrieval.cgl import cgl_per_query, summarise
from genret_core.retrieval.hypotheses import Hypotheses
from genret_core.retrieval.key_sources import KeySet
from genret_core.retrieval.metrics import mean_metrics, per_query_metrics
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ranking import Ranking, rank_codes, rank_ngrams
from genret_core.retrieval.sample import EvaluationSample
from genret_core.retrieval.scoring import Scoring
from genret_core.retrieval.text_index import TextIndex

WRITTEN, KEPT = 24, 5  # queries of a search whose identifiers are kept, and how many of each


def evaluate_losses(
    model: Any, inputs: CellInputs, evaluation: LossEval, folder: Path, devices: Sequence[str] = ()
) -> dict[str, Any]:
    """Score a sample and write `losses.parquet`, `per_query.parquet` and `eval.json`.

    A large sample is scored in slices, in a folder `scoring` beside that of the evaluations: stopped and
    started again, it goes on with the slice that it was at.

    Parameters
    ----------
    devices : sequence of str, optional
        Where several are named, each scores a part of a large sample, with the cell's checkpoint.

    Returns
    -------
    dict
        What `eval.json` says: CGL and rho as [value, standard error]; `seconds` are per query.
    """
    began = time.perf_counter()
    sample = inputs.sample(evaluation.sample)
    unfinished = folder.parent.parent / "scoring" / folder.name
    losses = sample_losses(
        in_precision(model, evaluation.precision), inputs, sample, evaluation.n_negatives,
        unfinished, devices, evaluation.end_and_padding, evaluation.precision,
    )  # fmt: skip
    per_query = cgl_per_query(losses)
    summary = summarise(per_query)
    seconds = time.perf_counter() - began
    report = {
        "kind": "losses",
        "split": evaluation.split,
        "n_negatives": evaluation.n_negatives,
        "beam": None,
        "C": None,
        "C_no_head": None,
        "seconds": seconds / summary.n_queries,
        "n_queries": summary.n_queries,
        "metrics": {
            "CGL": _pair(summary.CGL, summary.CGL_stderr),
            "rho": _pair(summary.rho, summary.rho_stderr),
        },
        "created": _now(),
        "provenance": provenance(),
    }
    long = per_query.melt("query", ["CGL", "rho"], var_name="metric").sort_values("query", kind="stable")
    with atomic_folder(folder) as part:
        losses.to_parquet(part / "losses.parquet", index=False)
        long.to_parquet(part / "per_query.parquet", index=False)
        write_json(part / "eval.json", report)
    shutil.rmtree(unfinished, ignore_errors=True)
    return report


def sample_losses(
    model: Any,
    inputs: CellInputs,
    sample: EvaluationSample,
    n_negatives: int | None = None,
    unfinished: Path | None = None,
    devices: Sequence[str] = (),
    end_and_padding: bool = False,
    precision: str = "fp32",
) -> pd.DataFrame:
    """Give the losses table of a sample: a row per query and identifier.

    Parameters
    ----------
    n_negatives : int, optional
        The first N of each query's negatives; None: all.
    unfinished : Path, optional
        Where the losses of a large sample's slices are kept until all are there; by default nowhere.
    devices : sequence of str, optional
        Where several are named, each scores a part of a large sample, with the cell's checkpoint.
    end_and_padding : bool
        Add the columns of `padded_losses`.
    precision : {"fp32", "bf16"}
        That of `model`, in which other devices load it.
    """
    kept = _first_negatives(sample, n_negatives)
    prompts, pairs, owner = inputs.prompts(sample.queries), sample.pairs.select(kept), sample.owner[kept]

    def score(identifiers: Pairs, what: str) -> npt.NDArray[np.float64]:
        scored = prompts, identifiers, owner
        slices = None if unfinished is None else Slices.cut(unfinished, owner, scoring_slices.ROWS)
        if slices is None or len(slices) == 1:
            return score_identifiers(model, *scored)[0]
        key = fingerprint(model, sample.key, n_negatives, what, slices.bounds)
        slices = Slices(slices.folder / key, slices.bounds)
        if len(devices) > 1:
            load = partial(_load, inputs.spec.layout.checkpoint(inputs.spec.key), precision)
            score_in_processes(model, load, devices, slices, *scored)
        slices.score(model, *scored)
        return slices.join()

    nll, tokens = np.zeros(len(kept)), np.zeros(len(kept), np.int64)
    nll[kept], tokens[kept] = score(pairs, "identifiers"), pairs.length
    losses = sample.losses(nll, tokens)[kept].reset_index(drop=True)
    if end_and_padding:
        eos_id, pad_id = inputs.tokenizer.eos_id, inputs.tokenizer.pad_id
        losses = losses.assign(**padded_losses(score, pairs, owner, nll[kept], eos_id=eos_id, pad_id=pad_id))
    return losses


def in_precision(model: Any, precision: str) -> Any:
    """Give the model itself, or a copy whose weights have half the precision."""
    return model if precision == "fp32" else copy.deepcopy(model).to(torch.bfloat16)


def _load(checkpoint: Path, precision: str, device: str) -> Any:
    return in_precision(load_model(checkpoint, device), precision)


def _first_negatives(sample: EvaluationSample, n: int | None) -> npt.NDArray[np.bool_]:
    """Choose the rows of the relevant documents and of the first N negatives."""
    if n is None or n == sample.n_negatives:
        return np.ones(len(sample.owner), bool)
    if not 1 <= n < sample.n_negatives:
        raise BadInput(
            f"n_negatives is {n}, but the evaluation sample {sample.key} has {sample.n_negatives} per query; "
            "ask for at most these, or draw a larger sample."
        )
    stride = int(max(sample.pairs.document.max(), sample.negatives.max())) + 1
    wanted = (np.arange(len(sample))[:, None] * stride + sample.negatives[:, :n]).reshape(-1)
    return sample.positive | np.isin(sample.owner.astype(np.int64) * stride + sample.pairs.document, wanted)


def evaluate_search(model: Any, inputs: CellInputs, evaluation: SearchEval, folder: Path) -> dict[str, Any]:
    """Search a sample's queries and write `searches.parquet`, `per_query.parquet` and `eval.json`.

    `written.parquet` keeps, for `WRITTEN` of the queries, the identifiers that weighed most.

    Returns
    -------
    dict
        What `eval.json` says: ranking metrics as [value, standard error]; C as `flops.query_flops`, and what
        rescoring and other sources of keys compute besides, where they are switched on; the items of both in
        `flops`; `seconds` are per query and hold the search and the ranking of documents, not the opening of
        the index. Of these `model_seconds` are the model's passes, `index_seconds` look-ups in the index
        while searching and `scoring_seconds` the ranking of documents; the rest chooses among candidates and
        keeps the beams.
    """
    sample = inputs.sample(evaluation.sample)
    if evaluation.n_queries > len(sample):
        raise BadInput(
            f"n_queries of a search is {evaluation.n_queries}, but the evaluation sample {sample.key} has "
            f"{len(sample)}; ask for at most these, or draw a larger sample."
        )
    queries = np.asarray(sample.queries[: evaluation.n_queries])
    texts, index = list(inputs.corpus.query_texts(queries)), inputs.index()
    clock = SearchClock()
    began = time.perf_counter()
    with clock.listening(model):
        found = find_keys(model, inputs, evaluation, texts, clock.watching(index))
    searched = time.perf_counter()
    ranking = rank_hypotheses(found.keys, index, evaluation, len(texts))
    ended = time.perf_counter()
    per_query = per_query_metrics(inputs.corpus, queries, ranking)
    means = mean_metrics(per_query).set_index("metric")
    report = {
        "kind": "search",
        "split": evaluation.split,
        "n_negatives": None,
        "beam": evaluation.beam,
        "C": found.C,
        "C_no_head": found.C_no_head,
        "flops": found.flops(),
        "seconds": (ended - began) / len(queries),
        "model_seconds": clock.model / len(queries),
        "index_seconds": clock.index / len(queries),
        "scoring_seconds": (ended - searched) / len(queries),
        "n_queries": len(queries),
        "note": found.keys.hypotheses.note(),
        "metrics": {
            str(name): _pair(row["value"], row["stderr"]) for name, row in means.to_dict("index").items()
        },
        "created": _now(),
        "provenance": provenance(),
    }
    documents = ranking.to_frame()
    documents.insert(0, "query", queries[documents.pop("query").to_numpy()])
    with atomic_folder(folder) as part:
        documents[["query", "rank", "document", "score"]].to_parquet(part / "searches.parquet", index=False)
        heaviest(found.keys, index, evaluation, queries).to_parquet(part / "written.parquet", index=False)
        per_query.to_parquet(part / "per_query.parquet", index=False)
        write_json(part / "eval.json", report)
    return report


def heaviest(
    found: KeySet, index: Any, evaluation: SearchEval, queries: npt.NDArray[np.int32]
) -> pd.DataFrame:
    """Keep what was written for some queries, so that a search can be looked at without its model.

    Returns
    -------
    DataFrame
        `query` (corpus row), `ids` (tokens), `log_prob`, `count` (occurrences in the corpus), `final`
        (written to its end) and `weight`: of n-grams their key score, of codes their log-probability. The
        `KEPT` heaviest and the `KEPT` likeliest final ones of `WRITTEN` queries, spread evenly over the
        sample.
    """
    hypotheses = found.hypotheses
    if isinstance(index, TextIndex):
        weight = found.weights(index.n_tokens, Scoring.of(evaluation.scoring))
    else:
        hypotheses = hypotheses.select(hypotheses.final)
        weight = hypotheses.score
    chosen = np.unique(np.linspace(0, len(queries) - 1, min(WRITTEN, len(queries))).astype(np.int64))
    kept = np.isin(hypotheses.query, chosen)
    heavy = _first(hypotheses.query, weight, np.flatnonzero(kept))
    likely = _first(hypotheses.query, hypotheses.score, np.flatnonzero(kept & hypotheses.final))
    rows = np.union1d(heavy, likely)
    rows = rows[np.lexsort((-weight[rows], hypotheses.query[rows]))]
    return pd.DataFrame(
        {
            "query": queries[hypotheses.query[rows]],
            "ids": [hypotheses.tokens(int(row)) for row in rows],
            "log_prob": hypotheses.score[rows],
            "count": hypotheses.count[rows],
            "final": hypotheses.final[rows],
            "weight": weight[rows],
        }
    )


def _first(
    query: npt.NDArray[np.int32], value: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Choose the `KEPT` rows of largest value of each query."""
    rows = rows[np.lexsort((-value[rows], query[rows]))]
    place = np.arange(len(rows)) - np.searchsorted(query[rows], query[rows])
    return rows[place < KEPT]


def search_prompts(
    model: Any, inputs: CellInputs, evaluation: SearchEval, prompts: Any, index: Any
) -> Hypotheses:
    """Search identifiers for prompts with the beam that `evaluation` asks for; no other source of keys."""
    return search_beams(model, inputs, evaluation, prompts, index)


def rank_hypotheses(
    found: Hypotheses | KeySet, index: Any, evaluation: SearchEval, n_queries: int
) -> Ranking:
    """Rank the documents that identifiers name, as `evaluation` says."""
    if isinstance(index, TextIndex):
        return rank_ngrams(found, index, n_queries, k=evaluation.k, **evaluation.scoring)
    return rank_codes(KeySet.of(found).hypotheses, index, n_queries, k=evaluation.k)


def _pair(value: float, stderr: float) -> list[float | None]:
    return [float(value), None if math.isnan(stderr) else float(stderr)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
