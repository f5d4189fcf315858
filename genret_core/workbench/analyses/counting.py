"""A study whose CGL is counted otherwise, from the same recorded losses: other positives, means, N."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from genret_core.files import read_table
from genret_core.retrieval.cgl import cgl_per_query, summarise
from genret_core.workbench.runs import Study
from genret_core.workbench.study.collect import evaluation_folder

RECOUNTED = ("CGL", "rho")
POSITIVES = {"mean": "", "min": "least L⁺", "each": "each L⁺"}  # short: they stand in titles
REDUCTIONS = {"sum": "", "token_mean": "token means", "ngram_mean": "means of token means"}


@dataclass(frozen=True, eq=False)
class CountedStudy(Study):
    """A study whose rows of CGL and rho are recounted; all else is the study's.

    Parameters
    ----------
    folder, spec
        As of `Study`.
    positives, reduction : str
        As of `cgl.cgl_per_query`.
    n_negatives : int, optional
        N, by which the mean recorded negative is multiplied; None: the sum of the recorded negatives.
    """

    positives: str = "mean"
    reduction: str = "sum"
    n_negatives: int | None = None

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row per cell, evaluation and metric; CGL and rho are recounted."""
        found = super().results.copy()
        for row in found.index[found["metric"].isin(RECOUNTED)]:
            run, metric = str(found.loc[row, "run_id"]), str(found.loc[row, "metric"])
            summary = summarise(self._recounted(run))
            value, stderr = (
                (summary.CGL, summary.CGL_stderr) if metric == "CGL" else (summary.rho, summary.rho_stderr)
            )
            found.loc[row, ["value", "stderr", "n_negatives"]] = value, stderr, summary.N
        return found

    def _recounted(self, run_id: str) -> pd.DataFrame:
        cache = self.__dict__.setdefault("_counted", {})
        if run_id not in cache:
            losses = read_table(evaluation_folder(self.folder, run_id) / "losses.parquet")
            cache[run_id] = cgl_per_query(
                losses, n_negatives=self.n_negatives, positives=self.positives, reduction=self.reduction
            )
        return cache[run_id]

    def by_query(self, run_id: str, metric: str) -> pd.Series[float]:
        """Give the value of every query in one evaluation, CGL counted as chosen here."""
        if metric not in RECOUNTED:
            return super().by_query(run_id, metric)
        return self._recounted(run_id).set_index("query")["CGL"].sort_index()

    def seed_sd(self, metric: str) -> tuple[float | None, str]:
        """Give the spread between seeds; a declared one is of the N of the study and goes with 1/N."""
        sd, source = super().seed_sd(metric)
        declared = self.spec.seed_noise.get(metric)
        if metric != "CGL" or self.n_negatives is None or declared is None or source != declared.source:
            return sd, source
        ratio = self.spec.evaluation.n_negatives / self.n_negatives
        return declared.sd * ratio, f"{source}; carried over to N = {self.n_negatives} in proportion to 1/N"


def counted(
    study: Study, *, positives: str = "mean", reduction: str = "sum", n_negatives: int | None = None
) -> Study:
    """Give the study as it is, or with its CGL counted otherwise.

    Parameters
    ----------
    study : Study
    positives : {"mean", "min", "each"}
        L⁺ of several relevant documents; `min` is the published code's.
    reduction : {"sum", "token_mean", "ngram_mean"}
        A document's loss from those of its identifiers; `token_mean` is the published code's.
    n_negatives : int, optional
        N, by which the mean recorded negative is multiplied.

    Raises
    ------
    BadInput
        When rows are asked for: no such `positives` or `reduction`, or N below 1.
    """
    if (positives, reduction, n_negatives) == ("mean", "sum", None):
        return study
    return CountedStudy(study.folder, study.spec, positives, reduction, n_negatives)


def counting_words(study: Study) -> str:
    """Say how CGL is counted where it is not as everywhere else, for behind the conditions in a title."""
    if not isinstance(study, CountedStudy):
        return ""
    told = [POSITIVES.get(study.positives, ""), REDUCTIONS.get(study.reduction, "")]
    return "".join(f", {part}" for part in told if part)


def other_split(study: Study, split: str) -> str | None:
    """Name queries of another kind on which CGL was measured, too: unseen documents first."""
    found = study.results.loc[study.results["metric"] == "CGL", "split"].dropna().unique()
    order = [name for name in ("unseen", "seen", "test", "validation") if name in found and name != split]
    return order[0] if order else None


ONE_SPLIT = (
    "CGL was measured on one kind of queries. `splits: [seen, unseen]` under `evaluation` in the study "
    "file makes a second one of the queries whose documents no training query names, if the corpus has such."
)


def beside(rows: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Set CGL and rho of the same cells on other queries beside each other.

    Returns
    -------
    DataFrame
        `rows` with `other_value`, `other_stderr` and `other_rho`; cells without the other are left out.
    """
    n = float(other["n_negatives"].iloc[0])
    values = other.set_index("cell")[["value", "stderr"]].add_prefix("other_")
    values["other_rho"] = n * np.expm1(values["other_value"])
    return rows.join(values, on="cell", how="inner")
