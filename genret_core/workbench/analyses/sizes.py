"""05: the law in model size (Eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from genret_core.workbench.analyses.counting import counting_words, other_split
from genret_core.workbench.analyses.fitted import Fitted, fit_series, published_rows
from genret_core.workbench.analyses.law_question import (
    LawQuestion,
    conditions,
    law_words,
    learning_rates,
    rows_of,
    trend_words,
)
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

PANELS = {"ngram": "n-gram identifiers", "codebook": "codebook identifiers"}


def model_size(
    study: Study,
    *,
    split: str = "seen",
    exclude: Sequence[str] = (),
    draws: int = 1000,
    level: float = 0.95,
) -> LawQuestion:
    """Fit Eq. 6 to the cells trained on all queries, by method and family.

    Parameters
    ----------
    study : Study
    split : str
        Evaluation queries.
    exclude : sequence of str
        Backbones shown in grey and left out of the fits.
    draws : int
        Joint replicates behind the intervals.
    level : float
        Of the intervals.
    """
    rows = rows_of(study, "CGL", split=split, fraction=1.0)
    rows = rows.assign(used=~rows["backbone"].isin(list(exclude)))
    fits = tuple(
        fit_series(
            study,
            part,
            "model_size",
            x="P",
            panel=PANELS.get(str(method), str(method)),
            draws=draws,
            level=level,
        )
        for (method, _), part in by_series(rows)
    )
    told = conditions(study, rows, split) + counting_words(study)
    return LawQuestion(
        fits,
        x="P",
        y="CGL",
        title=f"CGL against model size, all training queries ({told})",
        subtitle=learning_rates(study, [(one.method, one.family) for one in fits]),
        n_negatives=int(rows["n_negatives"].iloc[0]),
        published=published_rows("model_size"),
        sentence=_sentence(study, fits, draws=draws, level=level),
    )


def elsewhere(
    study: Study,
    *,
    split: str = "seen",
    exclude: Sequence[str] = (),
    draws: int = 1000,
    level: float = 0.95,
) -> LawQuestion | None:
    """Ask the same on the study's other queries, such as those of unseen documents; None if it has none."""
    other = other_split(study, split)
    if other is None:
        return None
    return model_size(study, split=other, exclude=exclude, draws=draws, level=level)


def by_series(rows: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Group by method (n-grams first) and family."""
    order = rows.assign(rank=rows["method"].map({"ngram": 0, "codebook": 1}).fillna(2)).sort_values(
        ["rank", "family", "P"]
    )
    return [(key, part) for key, part in order.drop(columns="rank").groupby(["method", "family"], sort=False)]  # type: ignore[misc]


def _sentence(study: Study, fits: Sequence[Fitted], *, draws: int, level: float) -> str:
    told = []
    for method in dict.fromkeys(one.method for one in fits):
        own = [one for one in fits if one.method == method]
        trend = trend_words(study, own, draws=draws, level=level)
        law = law_words(own, "alpha", "lambda_P", ("α", "λ_P"))
        told.append(f"{style.WITH.get(method, method)}, CGL {trend} as models grow; {law}")
    whole = ". ".join(part[0].upper() + part[1:] for part in told)
    return f"{whole}."
