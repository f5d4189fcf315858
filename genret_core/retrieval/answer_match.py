"""Answer match: does a document that was found hold an answer? What DPR, SEAL and MINDER call recall.

It needs answers and no judgements, and is kept apart from recall: an answer may stand in many documents, also
in such that do not answer the question.
"""

from __future__ import annotations

import functools
import importlib
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.ranking import Ranking
from genret_core.retrieval.readers.jsonl import find, records

DEPTHS = (1, 3, 5, 20, 50, 100)
CUT = "||"  # behind it MINDER's texts hold pseudo-questions
NOT_FOUND = -1
_ASCII = {
    sign: " " if chr(sign).isspace() or not chr(sign).isprintable() else f" {chr(sign)} "
    for sign in range(128)
    if not chr(sign).isalnum()
}


def normalise(text: str) -> str:
    """Give the tokens of a text in lower case, with a space before, between and behind them.

    Unicode is decomposed (NFD); tokens are runs of letters, digits and marks, and single other characters
    that are neither space nor control. The tokens of an answer stand side by side in a text exactly if the
    one string is part of the other. A text without tokens gives an empty string.
    """
    if text.isascii():
        tokens = text.translate(_ASCII).split()
    else:
        tokens = _pattern().findall(unicodedata.normalize("NFD", text))
    return f" {' '.join(tokens)} ".lower() if tokens else ""


def answer_ranks(corpus: Corpus, ranking: Ranking, answers: Sequence[Sequence[str]]) -> npt.NDArray[np.int64]:
    """Give the rank (from 0) of the first document that holds an answer, per query; `NOT_FOUND` if none does.

    A document's title and its text before ``||`` are searched.

    Parameters
    ----------
    corpus : Corpus
    ranking : Ranking
    answers : sequence of sequences of str
        To each query of the ranking.

    Raises
    ------
    BadInput
        Answers to another number of queries, or a query without any.
    """
    if len(answers) != ranking.n_queries:
        raise BadInput(
            f"The ranking is of {ranking.n_queries} queries and there are answers to {len(answers)}; "
            "give those to the queries that were searched."
        )
    wanted = [list(filter(None, map(normalise, of_query))) for of_query in answers]
    for place, of_query in enumerate(wanted):
        if not of_query:
            raise BadInput(f"Query {place} of the ranking has no answer; leave it out or give it one.")
    order = np.argsort(ranking.document, kind="stable")  # a document found by many queries is read once
    rows, starts = np.unique(ranking.document[order], return_index=True)
    first = np.full(ranking.n_queries, np.iinfo(np.int64).max)
    for text, places in zip(_searched(corpus, rows), np.split(order, starts[1:]), strict=True):
        for query, rank in zip(ranking.query[places].tolist(), ranking.rank[places].tolist(), strict=True):
            if rank < first[query] and any(answer in text for answer in wanted[query]):
                first[query] = rank
    return np.where(first == np.iinfo(np.int64).max, NOT_FOUND, first)


def per_query_answer_hits(
    corpus: Corpus,
    queries: npt.ArrayLike,
    ranking: Ranking,
    answers: Mapping[str, Sequence[str]],
    depths: Sequence[int] = DEPTHS,
) -> pd.DataFrame:
    """Tell for every query whether its first k documents hold an answer.

    Parameters
    ----------
    corpus : Corpus
    queries : int[Q]
        Rows of the queries that were searched; `ranking.query` points into them.
    ranking : Ranking
    answers : mapping of str to sequence of str
        By query id, as `read_answers` gives them.
    depths : sequence of int

    Returns
    -------
    DataFrame
        `query` (row of the corpus), `metric` (``answer_hit@k``), `value` (1 or 0), as `per_query_metrics`
        gives its own. A query for which nothing was found counts as 0.

    Raises
    ------
    BadInput
        A query without answers, a depth below 1, or a ranking of another number of queries.
    """
    rows = np.asarray(queries, np.int64).reshape(-1)
    if ranking.n_queries != len(rows):
        raise BadInput(
            f"The ranking is of {ranking.n_queries} queries and {len(rows)} are given; give those searched."
        )
    if min(depths, default=0) < 1:
        raise BadInput(f"The depths are {list(depths)}; give one or more, each 1 or larger.")
    names = [corpus.query_id(row) for row in rows.tolist()]
    lacking = next((name for name in names if not answers.get(name)), None)
    if lacking is not None:
        raise BadInput(f"There is no answer to the query {lacking!r}; give queries that have answers.")
    first = answer_ranks(corpus, ranking, [answers[name] for name in names])
    hits = (first[:, None] >= 0) & (first[:, None] < np.asarray(depths))
    return pd.DataFrame(
        {
            "query": np.repeat(rows.astype(np.int32), len(depths)),
            "metric": [f"answer_hit@{depth}" for depth in depths] * len(rows),
            "value": hits.astype(np.float64).ravel(),
        }
    )


def read_answers(folder: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read the answers of a collection in BEIR's layout, by query id.

    They stand in `answers.jsonl`, or in `queries.jsonl` under `metadata`, `answers`.

    Raises
    ------
    BadInput
        If there are none.
    """
    root = Path(folder)
    found: dict[str, list[str]] = {}
    for name, within in (("answers", None), ("queries", "metadata")):
        path = find(root / f"{name}.jsonl")
        for where, record in records(path) if path and not found else ():
            holder = record.get(within) if within else record
            given = holder.get("answers") if isinstance(holder, dict) else None
            if given is None:
                continue
            if not isinstance(given, list) or not all(isinstance(answer, str) for answer in given):
                raise BadInput(f"{where}: the answers must be a list of texts, not {str(given)[:60]!r}.")
            found[str(record.get("_id"))] = given
    if not found:
        raise BadInput(f"{root} holds no answers: there is no answers.jsonl, nor any in queries.jsonl.")
    return found


def _searched(corpus: Corpus, rows: npt.NDArray[Any]) -> Iterator[str]:
    texts = zip(corpus.document_titles(rows), corpus.document_texts(rows), strict=True)
    return (normalise(f"{title} {text.split(CUT, 1)[0]}") for title, text in texts)


@functools.cache
def _pattern() -> Any:
    regex = importlib.import_module("regex")  # transformers needs it, so it is there
    return regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")
