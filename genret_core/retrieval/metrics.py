"""Ranking metrics per query, from relevance judgements (Eq. 11 and Fig. 3 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.ranking import Ranking

MEASURES = ("R@1", "R@5", "R@20", "R@100", "nDCG@10", "RR@10", "AP@10")
LARGEST_PART = 0.05  # of the corpus that k may be


def per_query_metrics(
    corpus: Corpus, queries: npt.ArrayLike, ranking: Ranking, measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Compute ranking metrics of every query.

    Relevant are the documents with a relevance above 0 in any split; nDCG takes the relevance as gain. The
    order of the ranking is kept as it is: equal scores are not ordered anew.

    Parameters
    ----------
    corpus : Corpus
    queries : int[Q]
        Rows of the queries that were searched; `ranking.query` points into them.
    ranking : Ranking
    measures : sequence of str
        Names that `ir_measures` knows. Each ``R@k`` also gives ``MR@k`` = 1 - R@k, the miss rate (Eq. 11).

    Returns
    -------
    DataFrame
        `query` (row of the corpus), `metric`, `value`: all metrics of the first query, then those of the
        second. A query for which nothing was found counts as a miss: 0, and 1 for MR@k.

    Raises
    ------
    BadInput
        A query without relevant documents, an unknown measure, or a ranking of another number of queries.
    """
    rows = np.asarray(queries, np.int64).reshape(-1)
    if ranking.n_queries != len(rows):
        raise BadInput(
            f"The ranking is of {ranking.n_queries} queries and {len(rows)} are given; give those searched."
        )
    names = [name for name in measures if not name.startswith("MR@")]
    names += [name[1:] for name in measures if name.startswith("MR@") and name[1:] not in names]
    values = _evaluate(names, _judgements(corpus, rows), _run(ranking))
    for name in names:
        if name.startswith("R@"):
            values[f"M{name}"] = 1 - values[name]
    table = {"query": np.repeat(rows.astype(np.int32), len(values)), "metric": list(values) * len(rows)}
    return pd.DataFrame({**table, "value": np.stack(list(values.values()), axis=1).ravel()})


def mean_metrics(per_query: pd.DataFrame) -> pd.DataFrame:
    """Average metrics over queries.

    Returns
    -------
    DataFrame
        A row per metric, in the order of the table: `metric`, `value`, `stderr` (of the mean, from
        per-query values; nan for a single query), `n_queries`.
    """
    groups = per_query.groupby("metric", sort=False)["value"]
    table = groups.agg(value="mean", stderr="sem", n_queries="count")
    return table.reset_index()


def trusted_k(k: int, n_documents: int, returned: int) -> tuple[bool, str]:
    """Tell whether a metric at depth k means something, and if not, why not.

    Parameters
    ----------
    k : int
    n_documents : int
        Documents of the corpus. Among more than 5 % of them a random ranking finds much too.
    returned : int
        Documents that the search returned, e.g. `returned_documents`. Beyond them k changes nothing.

    Returns
    -------
    bool
        False: grey the value and do not fit it.
    str
        The reason; empty if True.
    """
    if k > LARGEST_PART * n_documents:
        return False, f"k = {k} is more than {LARGEST_PART:.0%} of the {n_documents} documents of the corpus"
    if k > returned:
        return False, f"k = {k} is more than the {returned} documents that the search returned"
    return True, ""


def returned_documents(ranking: Ranking) -> int:
    """Count the documents that a search returned for the middle one of its queries (median, rounded down)."""
    if ranking.n_queries == 0:
        return 0
    return math.floor(np.median(np.bincount(ranking.query, minlength=ranking.n_queries)))


def _judgements(corpus: Corpus, rows: npt.NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """Give the judgements of each query, by its position; queries may stand twice."""
    query, document, relevance = (
        corpus.qrels.column(name).to_numpy() for name in ("query", "document", "relevance")
    )
    first, last = np.searchsorted(query, rows), np.searchsorted(query, rows, side="right")
    judged = {}
    for position, (begin, end) in enumerate(zip(first, last, strict=True)):
        own = dict(zip(map(str, document[begin:end]), relevance[begin:end].tolist(), strict=True))
        if not any(value > 0 for value in own.values()):
            raise BadInput(
                f"Query {corpus.query_id(int(rows[position]))!r} has no relevant document; "
                "give queries of a split, which all have one."
            )
        judged[str(position)] = own
    return judged


def _run(ranking: Ranking) -> dict[str, dict[str, float]]:
    run: dict[str, dict[str, float]] = {}
    rows = zip(ranking.query.tolist(), ranking.document.tolist(), ranking.rank.tolist(), strict=True)
    for query, document, rank in rows:
        run.setdefault(str(query), {})[str(document)] = -float(rank)
    return run


def _evaluate(
    names: Sequence[str], judged: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> dict[str, npt.NDArray[np.float64]]:
    import ir_measures

    try:
        measures = [ir_measures.parse_measure(name) for name in names]
        evaluator = ir_measures.evaluator(measures, judged)
    except (NameError, ValueError, TypeError, AssertionError) as error:
        raise BadInput(f"A ranking metric is unknown ({error}); use such as {', '.join(MEASURES)}.") from None
    values: dict[str, npt.NDArray[np.float64]] = {name: np.zeros(len(judged)) for name in names}
    of: dict[Any, str] = dict(zip(measures, names, strict=True))
    for found in evaluator.iter_calc(run):
        values[of[found.measure]][int(found.query_id)] = found.value
    return values
