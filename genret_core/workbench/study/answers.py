"""Whether what was found holds an answer, where the corpus has answers: measured from the rankings on disk.

It needs no model, so a study whose searches are finished gets it, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.files import atomic, read_json, read_table, write_json
from genret_core.modeling import StudyFolder
from genret_core.retrieval.answer_match import (
    DEPTHS,
    normalise,
    per_query_answer_hits,
    read_answers,
)
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.metrics import mean_metrics
from genret_core.retrieval.ranking import Ranking
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.inputs import Inputs

PREFIX = "answer_hit@"
Answers = Mapping[str, Sequence[str]]


def keep_answers(folder: Path, spec: StudySpec, inputs: Inputs) -> None:
    """Copy the answers to the queries of a corpus beside it, where its source has any.

    The source is read once; a study whose source is gone by then has none.
    """
    kept = StudyFolder(folder).answers(inputs.corpus)
    source = Path(os.path.expandvars(str(spec.corpus.parameters.get("path", "")))).expanduser()
    if kept.is_file() or spec.corpus.reader != "beir" or not source.is_dir():
        return
    try:
        found = read_answers(source)
    except BadInput:
        found = {}  # a collection of judgements alone
    corpus = Corpus.open(StudyFolder(folder).corpus(inputs.corpus))
    known = corpus.queries.column("id").to_pylist() if found else []
    rows = [(name, answer) for name in known for answer in found.get(name, ())]
    with atomic(kept) as part:
        pd.DataFrame(rows, columns=["query", "answer"], dtype="string").to_parquet(part, index=False)


def kept_answers(folder: Path, inputs: Inputs) -> dict[str, list[str]]:
    """Read the answers to the queries of a study's corpus, by query id; empty where there are none."""
    kept = StudyFolder(folder).answers(inputs.corpus)
    if not kept.is_file():
        return {}
    table = read_table(kept)
    table = table[np.array([bool(normalise(answer)) for answer in table["answer"]], bool)]
    return {str(query): part.tolist() for query, part in table.groupby("query", sort=False)["answer"]}


def match_answers(folder: Path, inputs: Inputs, evaluations: Iterable[Path]) -> None:
    """Add `answer_hit@k` to searches that lack it: to `per_query.parquet`, then to `eval.json`.

    Only queries that have answers count; how many these are stands in `eval.json` as `answered_queries`.
    """
    answers = kept_answers(folder, inputs)
    if not answers:
        return
    corpus = Corpus.open(StudyFolder(folder).corpus(inputs.corpus))
    for path in evaluations:
        found = read_json(path / "eval.json")
        if "answered_queries" not in found and (path / "searches.parquet").is_file():
            _match(path, found, corpus, answers)


def _match(path: Path, found: dict[str, Any], corpus: Corpus, answers: Answers) -> None:
    per_query = read_table(path / "per_query.parquet")
    per_query = per_query[~per_query["metric"].str.startswith(PREFIX)]
    queries = np.sort(per_query["query"].unique())
    queries = queries[[corpus.query_id(int(row)) in answers for row in queries]]
    hits = per_query.head(0)
    if len(queries):
        ranking = _ranking(read_table(path / "searches.parquet"), queries)
        hits = per_query_answer_hits(corpus, queries, ranking, answers, DEPTHS)
    with atomic(path / "per_query.parquet") as part:
        pd.concat([per_query, hits], ignore_index=True).to_parquet(part, index=False)
    means = mean_metrics(hits).set_index("metric").to_dict("index")
    own = {str(name): [row["value"], _known(row["stderr"])] for name, row in means.items()}
    found["metrics"] = {**found["metrics"], **own}
    write_json(path / "eval.json", {**found, "answered_queries": len(queries)})


def _known(stderr: float) -> float | None:
    return None if np.isnan(stderr) else float(stderr)


def _ranking(found: pd.DataFrame, queries: np.ndarray) -> Ranking:
    """Take the rankings of some queries, which are then counted from 0."""
    found = found[found["query"].isin(queries)].sort_values(["query", "rank"], kind="stable")
    return Ranking(
        query=np.searchsorted(queries, found["query"].to_numpy()).astype(np.int32),
        document=found["document"].to_numpy(),
        score=found["score"].to_numpy(),
        rank=found["rank"].to_numpy(),
        n_queries=len(queries),
    )
