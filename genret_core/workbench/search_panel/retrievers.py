"""The trained cells that can be asked, and the two that the panel opens with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, SearchEval
from genret_core.workbench.figures import style
from genret_core.workbench.search_panel.options import Options
from genret_core.workbench.study.collect import evaluation_folder, is_trained
from genret_core.workbench.study.variants import plain_rows, plain_search

if TYPE_CHECKING:
    from pathlib import Path

    from genret_core.workbench.runs import Study

OPENING_BEAM = 10


@dataclass(frozen=True)
class Retriever:
    """A trained cell.

    Attributes
    ----------
    cell : CellSpec
    name : str
        Told apart from all others of its study: `llama-d64, n-grams, 40 % of the queries`.
    """

    cell: CellSpec
    name: str

    @property
    def key(self) -> str:
        """Key of the cell."""
        return self.cell.key

    @property
    def family(self) -> str:
        """Family of the backbone."""
        return self.cell.backbone.family

    @property
    def method(self) -> str:
        """Kind of identifier."""
        return self.cell.method


@dataclass(frozen=True, eq=False)
class Retrievers:
    """Those of a study.

    Parameters
    ----------
    study : Study
    split : str
        Queries that finished searches are looked up for.
    """

    study: Study
    split: str

    @cached_property
    def all(self) -> tuple[Retriever, ...]:
        """Trained cells, in the order of the study.

        Raises
        ------
        BadInput
            If nothing is trained yet.
        """
        trained = [cell for cell in self.study.plan if is_trained(cell)]
        if not trained:
            raise BadInput(f"{self.study.name} has no trained cell to ask. {self.study.missing()}".strip())
        seeds = len({cell.seed for cell in trained}) > 1
        return tuple(Retriever(cell, _name(cell, seeds)) for cell in trained)

    def of(self, key: str) -> Retriever:
        """Find a retriever by the key of its cell."""
        return next(one for one in self.all if one.key == key)

    @cached_property
    def finished(self) -> pd.DataFrame:
        """Searches that kept what was written: `cell`, `method`, `family`, `beam`, `run_id` and RR@10."""
        rows = self.study.results
        rows = rows[(rows["metric"] == "RR@10") & (rows["split"] == self.split) & rows["beam"].notna()]
        rows = plain_rows(rows[rows["cell"].isin([one.key for one in self.all])])
        kept = [(self.folder(str(run)) / "written.parquet").is_file() for run in rows["run_id"]]
        return rows.loc[kept, ["cell", "method", "family", "beam", "run_id", "value"]].astype({"beam": int})

    def folder(self, run_id: str) -> Path:
        """Folder of a finished search."""
        return evaluation_folder(self.study.folder, run_id)

    def opening(self) -> tuple[int, list[tuple[Retriever, str]]]:
        """Choose the beam and the retrievers to open with: the best finished n-gram search of each family.

        Returns
        -------
        beam : int
        chosen : list of (Retriever, run_id)
            At most two; where there is but one family, the best search with another kind of identifier is
            the second. Empty if no search is finished.
        """
        found = self.finished
        if found.empty:
            return OPENING_BEAM, []
        common = found.groupby("beam")["cell"].nunique()
        beam = int(min(common.index, key=lambda b: (-int(common[b]), abs(int(b) - OPENING_BEAM))))
        found = found[found["beam"] == beam].sort_values("value", ascending=False, kind="stable")
        first = found[found["method"] == "ngram"].drop_duplicates("family").sort_values("family")
        others = found[found["method"] != "ngram"].drop_duplicates("method")
        chosen = pd.concat([first, others]).head(2)
        return beam, [
            (self.of(str(cell)), str(run)) for cell, run in zip(chosen["cell"], chosen["run_id"], strict=True)
        ]

    @cached_property
    def options(self) -> Options:
        """The switches of the study's own searches."""
        methods = {one.method for one in self.all}
        return Options.of(plain_search(self.study.spec, "ngram" if "ngram" in methods else methods.pop()))

    def search_of(self, retriever: Retriever, beam: int, options: Options | None = None) -> SearchEval:
        """Describe a search of one query as the study's tables search, but for `options` if given."""
        search = replace(plain_search(self.study.spec, retriever.method), beam=beam)
        return search if options is None else options.put_into(search, retriever.method)


def _name(cell: CellSpec, seeds: bool) -> str:
    parts = [cell.backbone.name, style.METHOD_NAMES[cell.method]]
    if cell.fraction < 1:
        parts.append(f"{100 * cell.fraction:g} % of the queries")
    if seeds:
        parts.append(f"seed {cell.seed}")
    return ", ".join(parts)
