"""03: what constrained beams retrieve, at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.workbench import tables
from genret_core.workbench.analyses.law_question import learning_rates
from genret_core.workbench.figures import style
from genret_core.workbench.figures.search import quality_and_cost

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

SHOWN = ("R@1", "R@5", "R@20", "R@100", "nDCG@10", "RR@10", "AP@10")


def searches(study: Study, split: str) -> pd.DataFrame:
    """Take every search of the study: a row per cell and beam, a column per metric.

    Raises
    ------
    BadInput
        If nothing was searched yet.
    """
    found = study.results
    found = found[found["beam"].notna() & (found["split"] == split) & (found["method"] != "bm25")]
    if found.empty:
        raise BadInput(f"{study.folder} holds no search of {split} queries. {study.missing()}")
    keys = [
        "method",
        "family",
        "backbone",
        "P",
        "fraction",
        "seed",
        "beam",
        "C",
        "C_no_head",
        "seconds",
        "n_queries",
        "run_id",
    ]
    wide = found.pivot_table(
        index=keys, columns="metric", values="value", dropna=False, observed=True
    ).dropna(how="all")
    wide = wide.reset_index().sort_values(["method", "family", "P", "fraction", "beam"], ignore_index=True)
    wide["ms"] = 1000 * wide["seconds"].astype(float)
    return wide


def table(study: Study, found: pd.DataFrame, split: str) -> Styler:
    """List what each search found and cost, BM25 at the end."""
    metrics = [name for name in SHOWN if name in found]
    shown = pd.DataFrame(
        {
            "identifiers": found["method"].map(style.METHOD_NAMES),
            "backbone": found["backbone"],
            "fraction": found["fraction"],
            "beam": found["beam"].astype(int).astype(str),
            **{name: found[name] for name in metrics},
            "C": found["C"].map(style.short),
            "without head": found["C_no_head"].map(style.short),
            "ms": found["ms"],
        }
    )
    words = study.results[(study.results["method"] == "bm25") & (study.results["split"] == split)]
    if len(words):
        line = {"identifiers": "BM25", "backbone": "–", "beam": "–", "C": "–", "without head": "–"}
        line |= dict(zip(words["metric"], words["value"], strict=True))
        shown = pd.concat([shown, pd.DataFrame([line])[[c for c in shown if c in line]]], ignore_index=True)
    formats = dict.fromkeys(metrics, "{:.3f}") | {"ms": "{:.1f}", "fraction": "{:g}"}
    return tables.styled(shown, caption="Searches; C in FLOPs and ms per query", formats=formats)


def figure(study: Study, found: pd.DataFrame, split: str, metric: str = "nDCG@10") -> style.Figure:
    """Draw quality and time against FLOPs."""
    rows = study.results
    errors = rows[rows["metric"] == metric].set_index("run_id")["stderr"]
    points = found.assign(
        name=found["backbone"],
        value=found[metric],
        stderr=[float(errors.get(run, np.nan)) for run in found["run_id"]],
    )
    words = rows[(rows["method"] == "bm25") & (rows["split"] == split) & (rows["metric"] == metric)]["value"]
    groups = list(points[["method", "family"]].drop_duplicates().itertuples(index=False, name=None))
    told = learning_rates(study, groups)
    return quality_and_cost(points, metric, float(words.iloc[0]) if len(words) else None, subtitle=told)


def sentence(study: Study, found: pd.DataFrame, split: str) -> str:
    """Answer the question from the numbers."""
    told = []
    for method, part in found.groupby("method", sort=False):
        best = part.sort_values("RR@10").iloc[-1]
        told.append(
            f"the best search {style.WITH.get(str(method), method)} ({best['backbone']}, beam "
            f"{int(best['beam'])}) has RR@10 {best['RR@10']:.3f} for {style.short(best['C'])}FLOPs and "
            f"{best['ms']:.0f} ms per query"
        )
    words = study.results[(study.results["method"] == "bm25") & (study.results["split"] == split)]
    rr = words.loc[words["metric"] == "RR@10", "value"]
    whole = "; ".join(told)
    if len(rr):
        whole += f"; BM25 has {float(rr.iloc[0]):.3f}"
    return whole[0].upper() + whole[1:] + "."
