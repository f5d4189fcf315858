"""The standard error of a difference between two runs that were measured on the same queries.

Queries differ far more from each other than two models do on one query: what is easy for one is easy for the
other. The difference is therefore taken query by query, and its SE is that of the mean of these.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.workbench.runs import Study


def with_paired_errors(rows: pd.DataFrame, a: Study, b: Study) -> pd.DataFrame:
    """Give measurements of two studies the SE of their difference.

    Parameters
    ----------
    rows : DataFrame
        As `diff.matched` gives them, with the `run_id` of both sides.
    a, b : Study
        Where they are from.

    Returns
    -------
    DataFrame
        `stderr` of the difference, `z` in units of it, and `paired`: whether both were measured on the same
        queries and have kept the value of each. Where they have not, queries count as independent
        (√(SE_a² + SE_b²)), which is rather too large.
    """
    rows = rows.assign(paired=False)
    if _corpus(a) is not None and _corpus(a) == _corpus(b):
        columns = ("metric", "run_id_a", "run_id_b", "n_negatives", "a", "b")
        for at, metric, run_a, run_b, n, mean_a, mean_b in rows[list(columns)].itertuples():
            values = _values(a, run_a, metric), _values(b, run_b, metric)
            if values[0] is None or values[1] is None or not values[0].index.equals(values[1].index):
                continue
            each = values[1].to_numpy(np.float64) - values[0].to_numpy(np.float64)
            if len(each) < 2 or not np.isfinite(each).all():
                continue
            # rho = N (e^CGL - 1) follows CGL with the slope N e^CGL = N + rho (delta method, at the middle)
            slope = n + (mean_a + mean_b) / 2 if metric == "rho" else 1.0
            rows.loc[at, ["stderr", "paired"]] = slope * each.std(ddof=1) / np.sqrt(len(each)), True
    with np.errstate(divide="ignore", invalid="ignore"):
        rows["z"] = np.where(rows["difference"] == 0, 0.0, rows["difference"] / rows["stderr"])
    return rows


def _corpus(study: Study) -> str | None:
    try:
        return study.inputs.corpus
    except BadInput:
        return None


def _values(study: Study, run_id: str, metric: str) -> pd.Series[float] | None:
    try:
        return study.by_query(run_id, metric)
    except (OSError, BadInput):
        return None
