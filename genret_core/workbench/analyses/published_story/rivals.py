"""Other laws on the released points, judged by points that they did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import published
from genret_core.scaling.comparison.compare import Comparison, compare
from genret_core.scaling.comparison.criteria import Judged
from genret_core.workbench import tables
from genret_core.workbench.analyses.published_story.sets import Refits
from genret_core.workbench.figures import style

RIVALS = ("constant", "log_linear", "power", "exponential")
NAMES = {
    "constant": "constant",
    "log_linear": "straight line in ln x",
    "power": "power law without a floor",
    "exponential": "exponential with a floor",
    "model_size": "power law with a floor",
    "data_size": "power law with a floor",
}


def comparisons(refits: Refits) -> dict[str, Comparison]:
    """Compare laws on each set of points that leaves a degree of freedom, by the set's name."""
    codes = published.points(study="model_size", method="codebook", family="t5")
    return {
        refits.t5.name: compare(refits.t5.points.x, refits.t5.points.y, laws=(*RIVALS, "model_size")),
        refits.data.name: compare(refits.data.points.x, refits.data.points.y, laws=(*RIVALS, "data_size")),
        style.series_name("codebook", "t5"): compare(
            codes["n_params"], codes["cgl"], laws=(*RIVALS, "model_size")
        ),
    }


def comparison_table(compared: dict[str, Comparison]) -> Styler:
    """Set out, for each set and law, R², the errors on points left out, AICc, and the test of the floor."""
    rows: list[dict[str, Any]] = []
    for name, found in compared.items():
        for i, one in enumerate(found.laws):
            rows.append({"points": "" if i else name, **_row(one)})
    shown = pd.DataFrame(rows)
    caption = (
        "Laws on the same points, the best predictor of left-out points first; errors in 10⁻⁶, k parameters"
    )
    return tables.styled(shown, caption=caption, tight=list(shown.columns), left=list(shown.columns))


def comparison_words(compared: dict[str, Comparison]) -> str:
    """Say which law predicts best on each set, and what the criteria cannot say."""
    return "\n".join(f"- **{name}**: {_best(found)}" for name, found in compared.items())


def _row(one: Judged) -> dict[str, Any]:
    floor = one.test_against("power")
    return {
        "law": NAMES[one.law],
        "k": one.k,
        "R²": "undefined" if np.isnan(one.fit.R2) else f"{one.fit.R2:.5f}".replace("-", "−"),
        "left out, rms": _millionths(one.loo.rmse),
        "largest out": _millionths(None if one.largest.rmse is None else float(one.largest.errors[0])),
        "AICc": "undefined" if one.AICc is None else f"{one.AICc:.1f}".replace("-", "−"),
        "p of the floor": "" if floor is None else tables.significant(floor.p, 2),
    }


def _best(found: Comparison) -> str:
    best = found.best
    loo, largest = best["loo"], best["largest"]
    told = f"left-out points are predicted best by the {NAMES[loo]}" if loo else "no point can be left out"
    if largest:
        told += f", the largest by {'the same' if largest == loo else f'the {NAMES[largest]}'}"
    lacking = [NAMES[one.law] for one in found.laws if one.AICc is None]
    if lacking:
        low = min((one for one in found.laws if one.AICc is not None), key=lambda one: one.AICc or 0.0)
        told += (
            f"; AICc is undefined for laws of {len(found.laws[0].fit.x) - 2} parameters on "
            f"{len(found.laws[0].fit.x)} points, and a ranking by it would name the {NAMES[low.law]}"
        )
    return f"{told}."


def _millionths(value: float | None) -> str:
    if value is None or np.isnan(value):
        return "undefined"
    return f"{1e6 * value:.2f}".replace("-", "−")
