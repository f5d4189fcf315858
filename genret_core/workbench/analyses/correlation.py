"""04: whether CGL follows the ranking metrics, beyond what size alone explains (Fig. 3)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.files import read_table
from genret_core.retrieval.cgl import cgl_per_query
from genret_core.scaling import correlation
from genret_core.scaling.correlation import Kind
from genret_core.workbench import tables
from genret_core.workbench.analyses.baseline import bm25_value
from genret_core.workbench.analyses.law_question import joint_replicates, listed, rows_of
from genret_core.workbench.figures import style
from genret_core.workbench.figures.correlation import scatter_panels
from genret_core.workbench.study.collect import evaluation_folder

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

METRICS = ("R@100", "nDCG@10", "RR@10", "AP@10")  # the paper's panels
LEAST = 4  # cells that a correlation needs
Columns = tuple[np.ndarray, np.ndarray]  # values of the cells, and their replicates [cells, draws]


@dataclass(frozen=True)
class Correlation:
    """CGL and ranking metrics of the same cells.

    Attributes
    ----------
    points : DataFrame
        A row per cell and metric: `metric`, `method`, `family`, `name`, `P`, `CGL`, `CGL_stderr`, `value`,
        `stderr`, `positive` (mean loss of the relevant documents, nats).
    table : DataFrame
        A row per metric and group of cells: `metric`, `group`, `cells`, and the value and interval of
        `pearson`, `spearman`, `partial` (Pearson given ln P) and `rival` (Pearson of the positive loss
        alone).
    beam : int
        Width of the beam of the searches.
    level : float
    bm25 : mapping of str to float
        BM25's value of the metrics, where it was measured.
    """

    points: pd.DataFrame
    table: pd.DataFrame
    beam: int
    level: float
    bm25: Mapping[str, float] = field(default_factory=dict)

    def figure(self) -> style.Figure:
        """Draw Fig. 3 with our cells."""
        whole = self.table[self.table["group"] == "all cells"].set_index("metric")
        notes = {
            str(metric): f"Pearson {row['pearson']:+.3f}, Spearman {row['spearman']:+.3f}"
            for metric, row in whole.iterrows()
        }
        told = {metric: note.replace("-", "−") for metric, note in notes.items()}
        return scatter_panels(self.points, told, bm25=self.bm25)

    def styled(self) -> Styler:
        """Lay out the correlations with their intervals."""
        names = {
            "pearson": "Pearson",
            "spearman": "Spearman",
            "partial": "given ln P",
            "rival": "positive loss alone",
        }
        shown = self.table[["metric", "group", "cells"]].copy()
        for name, title in names.items():
            shown[title] = [self._told(row, name) for row in self.table.to_dict("records")]
        caption = f"Correlation with CGL across cells, beam {self.beam} [{self.level:.0%} interval]"
        return tables.styled(shown, caption=caption, tight=list(shown.columns))

    def _told(self, row: Mapping[Hashable, Any], name: str) -> str:
        """Write a correlation with its interval: `−0.83 [−1.00, +0.12]`."""
        values = [float(row[name]), float(row[f"{name}_lo"]), float(row[f"{name}_hi"])]
        if not np.isfinite(values[0]):
            return "–"
        value, low, high = (f"{v:+.2f}" if np.isfinite(v) else "open" for v in values)
        return f"{value} [{low}, {high}]".replace("-", "−")

    @property
    def sentence(self) -> str:
        """The answer."""
        whole = self.table[self.table["group"] == "all cells"]
        n = int(whole["cells"].iloc[0])
        if whole["pearson"].isna().all():
            return f"{n} cells with both measures are too few to tell."
        order = whole.loc[whole["pearson"].abs().sort_values().index].to_dict("records")
        best, worst = order[-1], order[0]
        told = (
            f"over {n} cells CGL correlates with {best['metric']} at {self._told(best, 'pearson')} and with "
            f"{worst['metric']} at {self._told(worst, 'pearson')} (strongest and weakest of "
            f"{len(whole)} metrics)"
        )
        partial = whole["partial"].dropna()
        kept = whole[(whole["partial_lo"] > 0) | (whole["partial_hi"] < 0)]["metric"].tolist()
        if len(partial):
            told += (
                f"; given ln P it still correlates with {listed(kept)}"
                if kept
                else "; given ln P no correlation can be told from none"
            )
        stronger = whole[whole["rival"].abs() >= whole["pearson"].abs()]["metric"].tolist()
        told += (
            f"; the positive loss alone does as well for {listed(stronger)}"
            if stronger
            else "; the positive loss alone correlates less with every metric"
        )
        return told[0].upper() + told[1:] + "."


def correlate(
    study: Study,
    *,
    split: str = "seen",
    method: str = "ngram",
    metrics: Sequence[str] = METRICS,
    beam: int | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Correlation:
    """Correlate CGL with ranking metrics across the cells of one method, and within each family.

    Parameters
    ----------
    study : Study
    split, method : str
        Which queries and cells.
    metrics : sequence of str
    beam : int, optional
        Width of the beam; by default that with which most cells were searched.
    draws : int
        Joint resamplings of the queries: CGL and metrics of one replicate come from the same queries.
    level : float
        Of the intervals.
    """
    cgl = rows_of(study, "CGL", split=split, method=method)
    found = rows_of(study, list(metrics), split=split, method=method)
    beam = int(found.groupby("beam")["cell"].nunique().sort_values().index[-1]) if beam is None else beam
    found = found[(found["beam"] == beam) & found["cell"].isin(cgl["cell"])]
    found = found.sort_values("n_queries").drop_duplicates(["cell", "metric"], keep="last")
    cells = [cell for cell in cgl["cell"] if cell in set(found["cell"])]
    if not cells:
        raise BadInput(f"no {method} cell has both CGL and a search with beam {beam}. {study.missing()}")
    cgl = cgl.set_index("cell").loc[cells].reset_index()
    positive = _positive_loss(study, cgl, draws)
    log_P = np.log(cgl["P"].to_numpy(float))
    x: Columns = (cgl["value"].to_numpy(float), joint_replicates(study, cgl, draws=draws))
    points, table = [], []
    for metric in metrics:
        own = found[found["metric"] == metric].set_index("cell").reindex(cells).reset_index()
        y: Columns = (own["value"].to_numpy(float), joint_replicates(study, own, draws=draws))
        points.append(_points(cgl, own, positive[0], metric))
        for group, mask in _groups(cgl):
            row = _row(_some(x, mask), _some(y, mask), _some(positive, mask), log_P[mask], level)
            table.append({"metric": metric, "group": group, "cells": int(mask.sum()), **row})
    words = {metric: bm25_value(study, metric, split) for metric in metrics}
    known = {metric: value for metric, value in words.items() if value is not None}
    return Correlation(pd.concat(points, ignore_index=True), pd.DataFrame(table), beam, level, known)


def _some(columns: Columns, mask: np.ndarray) -> Columns:
    return columns[0][mask], columns[1][mask]


def _groups(cgl: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    families = [f for f in cgl["family"].unique() if (cgl["family"] == f).sum() >= LEAST]
    groups = [("all cells", np.ones(len(cgl), dtype=bool))]
    if len(set(cgl["family"])) > 1:
        groups += [(style.FAMILY_NAMES.get(f, f), (cgl["family"] == f).to_numpy()) for f in families]
    return groups


def _points(cgl: pd.DataFrame, own: pd.DataFrame, positive: np.ndarray, metric: str) -> pd.DataFrame:
    names = [
        backbone if fraction == 1.0 else f"{backbone}, {100 * fraction:g} % of the queries"
        for backbone, fraction in zip(cgl["backbone"], cgl["fraction"], strict=True)
    ]
    same = {"method": cgl["method"], "family": cgl["family"], "name": names, "P": cgl["P"]}
    measured = {
        "CGL": cgl["value"],
        "CGL_stderr": cgl["stderr"],
        "value": own["value"],
        "stderr": own["stderr"],
    }
    return pd.DataFrame({"metric": metric, **same, **measured, "positive": positive})


def _positive_loss(study: Study, cgl: pd.DataFrame, draws: int) -> Columns:
    """Average the loss of the relevant documents over queries, and over the joint resamplings."""
    from genret_core.workbench.replicates.resampling import replicate_means

    per_query = []
    for run_id in cgl["run_id"]:
        losses = read_table(evaluation_folder(study.folder, str(run_id)) / "losses.parquet")
        per_query.append(cgl_per_query(losses)["positive"].to_numpy())
    values = np.array(per_query)
    return values.mean(axis=1), replicate_means(values, draws, 0)


def _row(x: Columns, y: Columns, rival: Columns, log_P: np.ndarray, level: float) -> dict[str, float]:
    """Correlate one group of cells; what has too few cells or does not vary stays NaN."""
    row: dict[str, float] = {}
    questions: tuple[tuple[str, Columns, Kind, dict[str, Any]], ...] = (
        ("pearson", x, "pearson", {}),
        ("spearman", x, "spearman", {}),
        ("partial", x, "pearson", {"ln P": log_P}),
        ("rival", rival, "pearson", {}),
    )
    for name, first, kind, given in questions:
        value, low, high = np.nan, np.nan, np.nan
        if len(log_P) >= LEAST + len(given) and (not given or np.ptp(log_P) > 0):
            found = correlation(
                first[0], y[0], kind=kind, given=given, a_replicates=first[1], b_replicates=y[1], level=level
            )
            value = found.value
            if found.interval is not None:
                low, high = (np.nan if end is None else end for end in (found.interval.lo, found.interval.hi))
        row |= {name: value, f"{name}_lo": low, f"{name}_hi": high}
    return row
