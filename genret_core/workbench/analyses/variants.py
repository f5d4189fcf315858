"""03 and 08: what the switches of a search change, query by query, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.workbench import tables
from genret_core.workbench.analyses.baseline import bm25_value
from genret_core.workbench.figures import style
from genret_core.workbench.figures.variants import against_compute
from genret_core.workbench.study.variants import DEFAULT

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

METRICS = ("MR@5", "MR@20", "RR@10")
TWIN = ["cell", "split", "beam", "n_queries"]
ALIKE = "all searches of this study have the same switches"


def differences(study: Study, split: str, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Set every search with other switches beside the plain one of the same cell and beam.

    Returns
    -------
    DataFrame
        `method`, `family`, `backbone`, `fraction`, `seed`, `beam`, `variant`, `metric`; `value`, `plain` and
        their `difference` with the standard error of its mean over queries, `stderr` (paired: both answered
        the same queries); `C` and `seconds` of the search and of the plain one (`plain_C`, `plain_seconds`).
        Empty without such pairs.
    """
    rows = study.rows(list(metrics), split=split)
    rows = rows[rows["beam"].notna() & (rows["method"] != "bm25")]
    plain, others = rows[rows["variant"] == DEFAULT], rows[rows["variant"] != DEFAULT]
    pairs = others.merge(plain, on=[*TWIN, "metric"], suffixes=("", "_plain"))
    found = []
    for pair in pairs.to_dict("records"):
        both = pd.DataFrame(
            {"run_id": [pair["run_id"], pair["run_id_plain"]], "metric": [pair["metric"]] * 2}
        )
        own, other = study.per_query(both)
        apart = own - other
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.nan
        found.append(
            {
                **{str(name): pair[name] for name in pair if not str(name).endswith("_plain")},
                "plain": pair["value_plain"],
                "difference": float(apart.mean()),
                "stderr": float(error),
                "plain_C": pair["C_plain"],
                "plain_seconds": pair["seconds_plain"],
            }
        )
    return pd.DataFrame(found)


def table(study: Study, split: str, metrics: Sequence[str] = METRICS) -> Styler:
    """List what the switches change: differences to the plain search ± 1 standard error, paired."""
    found = differences(study, split, metrics)
    if found.empty:
        return tables.styled(pd.DataFrame([{"switches": "–", "what they change": ALIKE}]))
    keys = ["method", "backbone", "fraction", "seed", "beam", "variant"]
    rows = []
    for _, own in _in_order(found, metrics).groupby(keys, sort=False):
        first = own.iloc[0]
        row: dict[str, Any] = {
            "identifiers": style.METHOD_NAMES.get(first["method"], first["method"]),
            "backbone": first["backbone"],
            "beam": int(first["beam"]),
            "switches": first["variant"],
        }
        for one in own.to_dict("records"):
            row[str(one["metric"])] = f"{one['difference']:+.3f} ± {one['stderr']:.3f}".replace("-", "−")
        row |= {"C": first["C"] / first["plain_C"], "time": first["seconds"] / first["plain_seconds"]}
        rows.append(row)
    frame = pd.DataFrame(rows)
    caption = "Differences to the plain search of the same cell and beam, paired ± 1 standard error"
    shown = [name for name in metrics if name in frame]
    formats = {"C": "× {:.2f}", "time": "× {:.2f}"}
    return tables.styled(frame, caption=caption, formats=formats, tight=[*shown, "backbone", "switches"])


def _in_order(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Sort rows: n-grams before codes, plain searches before others, then by beam and metric."""
    order = rows.assign(
        codes=rows["method"] != "ngram",
        other=rows["variant"] != DEFAULT,
        place=rows["metric"].map(list(metrics).index),
    )
    by = ["codes", "family", "backbone", "fraction", "seed", "other", "variant", "beam", "place"]
    return rows.loc[order.sort_values(by, kind="stable").index]


def figure(study: Study, *, split: str, ks: Sequence[int], methods: Sequence[str]) -> style.Figure | Styler:
    """Draw misses over C for searches with other switches, beside the plain ones of the same cells."""
    metrics = [f"MR@{k}" for k in ks]
    rows = study.rows(metrics, split=split, method=list(methods))
    rows = rows[rows["beam"].notna()]
    searched = set(rows.loc[rows["variant"] != DEFAULT, "cell"])
    rows = _in_order(rows[rows["cell"].isin(searched)], metrics)
    if rows.empty:
        return tables.styled(pd.DataFrame([{"switches": "–", "what they change": ALIKE}]))
    words = {metric: bm25_value(study, metric, split) for metric in metrics}
    return against_compute(
        rows,
        title="What the switches of a search buy",
        subtitle="bars: 95 %; C holds what rescoring computes",
        bm25={metric: value for metric, value in words.items() if value is not None},
    )
