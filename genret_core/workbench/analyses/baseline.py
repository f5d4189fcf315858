"""What BM25 reaches on the same queries: the line in every figure of retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study


def bm25_rows(study: Study, split: str) -> pd.DataFrame:
    """Give the rows of BM25 on the queries of a split, a row per metric; empty if it was not measured."""
    found = study.results
    return found[(found["method"] == "bm25") & (found["split"] == split)]


def bm25_value(study: Study, metric: str, split: str) -> float | None:
    """Give BM25's value of a metric; None if it was not measured."""
    rows = bm25_rows(study, split)
    own = rows.loc[rows["metric"] == metric, "value"]
    return float(own.iloc[0]) if len(own) else None
