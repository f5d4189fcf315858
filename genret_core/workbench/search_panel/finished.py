"""What a finished search kept of a query: read from its folder, without a model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genret_core.files import read_table
from genret_core.workbench.search_panel.outcome import Written
from genret_core.workbench.search_panel.sides import Trace, in_words

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study


class Finished:
    """A search whose identifiers were kept for some of its queries.

    Parameters
    ----------
    study : Study
    method : str
        Kind of identifier.
    folder : Path
        Of the evaluation.
    """

    def __init__(self, study: Study, method: str, folder: Path) -> None:
        self.study, self.method, self.folder = study, method, folder

    @cached_property
    def written(self) -> pd.DataFrame:
        """A row per query and identifier."""
        return read_table(self.folder / "written.parquet")

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """A row per query and document."""
        return read_table(self.folder / "searches.parquet").sort_values(["query", "rank"])

    @property
    def queries(self) -> list[int]:
        """Rows of the queries whose identifiers were kept."""
        return sorted({int(query) for query in self.written["query"]})

    def rank_of(self, query: int, relevant: set[int]) -> int | None:
        """Rank of the first relevant document, from 1."""
        own = self.ranking[self.ranking["query"] == query]
        hits = own.loc[own["document"].isin(relevant), "rank"]
        return int(hits.min()) + 1 if len(hits) else None

    def trace(self, query: int) -> Trace:
        """Give what was written and found for a query."""
        kept = self.written[self.written["query"] == query].to_dict("records")
        weighs = self.method == "ngram"
        written = tuple(
            Written(
                ids=tuple(int(i) for i in one["ids"]),
                text=in_words(self.study, self.method, one["ids"]),
                log_prob=float(one["log_prob"]),
                count=int(one["count"]),
                weight=float(one["weight"]) if weighs else None,
                final=bool(one["final"]),
            )
            for one in kept
        )
        own = self.ranking[self.ranking["query"] == query]
        return Trace(written, own["document"].to_numpy(np.int32), own["score"].to_numpy(np.float64))
