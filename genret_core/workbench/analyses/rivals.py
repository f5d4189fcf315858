"""Would another law do as well? Rivals judged by the points that they did not see."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling.comparison.compare import compare_with
from genret_core.scaling.comparison.criteria import Judged
from genret_core.workbench import tables
from genret_core.workbench.analyses.fitted import Fitted

NAMES = {
    "constant": "constant",
    "log_linear": "a − b ln x",
    "power": "no floor",
    "exponential": "exponential",
    "model_size": "power + floor",
    "data_size": "power + floor",
    "inference": "power + floor",
}


def rival_table(fitted: Iterable[Fitted]) -> Styler:
    """Set the error at left-out points of the law and its rivals side by side, a row per series.

    The error is the root mean square over points that were each left out of the fit in turn: it needs no
    count of parameters, and is defined where AICc is not.
    """
    rows = []
    for one in fitted:
        if one.fit is None:
            continue
        found = compare_with(one.fit)
        row = {} if one.rows["metric"].iloc[0] == "CGL" else {"": one.panel}
        row |= {"series": one.name} | {NAMES.get(law.law, law.law): _error(law) for law in found.laws}
        row["predicts best"] = NAMES.get(str(found.best["loo"]), "–")
        row["floor, F test"] = _floor(found[one.fit.law.name])
        rows.append(row)
    order = [name for name in ("", "series", *dict.fromkeys(NAMES.values())) if any(name in r for r in rows)]
    frame = pd.DataFrame(rows, columns=[*order, "predicts best", "floor, F test"]).fillna("–")
    return tables.styled(
        frame,
        caption="Root mean square error at points left out in turn, by law",
        tight=list(frame.columns),
    )


def _error(law: Judged) -> str:
    return "–" if law.loo.rmse is None else tables.significant(law.loo.rmse, 2)


def _floor(law: Judged) -> str:
    test = next((test for test in law.tests if test.against == "power"), None)
    return "–" if test is None else f"p = {test.p:.2g}"
