"""BM25 measured on the queries of a study: the same queries, the same metrics, no cell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.files import atomic, atomic_folder, read_json, write_json
from genret_core.provenance import provenance
from genret_core.retrieval.bm25 import Bm25Index
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.metrics import mean_metrics, per_query_metrics


def measure_bm25(
    index: Bm25Index, corpus: Corpus, split: str, queries: npt.NDArray[np.int32], target: Path
) -> None:
    """Write `searches.parquet`, `per_query.parquet` and `eval.json`, as a search of a cell has them.

    `seconds` are those of a query, `build_seconds` what building the index took. What is there already
    in this form is kept.

    Parameters
    ----------
    index : Bm25Index
    corpus : Corpus
    split : str
        Whose queries these are.
    queries : int32[Q]
        Rows of the corpus.
    target : Path
        Folder of the evaluation.
    """
    done = target / "eval.json"
    if done.is_file() and "build_seconds" in read_json(done):
        return
    texts = list(corpus.query_texts(queries))
    started = time.perf_counter()
    ranking = index.rank(texts)
    seconds = (time.perf_counter() - started) / len(queries)
    per_query = per_query_metrics(corpus, queries, ranking)
    means = mean_metrics(per_query).set_index("metric").to_dict("index")
    documents = ranking.to_frame()
    documents["query"] = queries[documents["query"].to_numpy()]
    found = {
        "kind": "search",
        "split": split,
        "n_queries": len(queries),
        "seconds": seconds,
        "build_seconds": index.seconds,
        "metrics": {str(name): [row["value"], row["stderr"]] for name, row in means.items()},
        "provenance": provenance(),
    }
    tables = {"searches": documents[["query", "rank", "document", "score"]], "per_query": per_query}
    if not target.is_dir():
        with atomic_folder(target) as part:
            _write(part, tables, found)
    else:
        _write(target, tables, found)


def _write(folder: Path, tables: Mapping[str, pd.DataFrame], found: Mapping[str, Any]) -> None:
    for name, table in tables.items():
        with atomic(folder / f"{name}.parquet") as part:
            table.to_parquet(part, index=False)
    write_json(folder / "eval.json", found)  # last: it tells in which form the others are
