"""06: the law in training data (Eq. 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.workbench import claims
from genret_core.workbench.analyses.counting import counting_words
from genret_core.workbench.analyses.fitted import Fitted, fit_series, published_rows
from genret_core.workbench.analyses.law_question import (
    LawQuestion,
    by_backbone,
    conditions,
    law_words,
    learning_rates,
    rows_of,
    series_of,
    trend_words,
)
from genret_core.workbench.analyses.sizes import PANELS
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study


def data_size(
    study: Study,
    *,
    split: str = "seen",
    backbone: str | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> LawQuestion:
    """Fit Eq. 7 to one backbone trained on nested fractions of the queries, by method.

    Parameters
    ----------
    study : Study
    split : str
        Evaluation queries.
    backbone : str, optional
        Whose cells; by default the one trained on most fractions by most methods.
    draws : int
        Joint replicates behind the intervals.
    level : float
        Of the intervals.
    """
    rows = rows_of(study, "CGL", split=split)
    chosen = backbone or most_fractions(rows)
    rows = rows[rows["backbone"] == chosen]
    if rows.empty:
        raise BadInput(f"{study.folder} holds no cell of the backbone {chosen!r}. {study.missing()}")
    rows = rows.assign(note=[f"{100 * f:g} % of the training queries" for f in rows["fraction"]])
    fits = tuple(
        fit_series(study, part, "data_size", x="D", panel=PANELS[method], draws=draws, level=level)
        for method in ("ngram", "codebook")
        if len(part := rows[rows["method"] == method])
    )
    told = conditions(study, rows, split) + counting_words(study)
    return LawQuestion(
        fits,
        x="D",
        y="CGL",
        title=f"CGL of {chosen} against training data ({told})",
        subtitle=learning_rates(study, [(one.method, one.family) for one in fits]),
        n_negatives=int(rows["n_negatives"].iloc[0]),
        published=published_rows("data_size"),
        sentence=_sentence(study, fits, draws=draws, level=level),
        shared_x=False,
        noted=False,
    )


def most_fractions(rows: pd.DataFrame) -> str:
    """Give the backbone with the most (method, fraction) cells; the larger one among equals."""
    counted = rows.groupby("backbone").agg(cells=("fraction", "size"), P=("P", "max"))
    distinct = rows.drop_duplicates(["backbone", "method", "fraction"]).groupby("backbone").size()
    counted["cells"] = distinct
    return str(counted.sort_values(["cells", "P"]).index[-1])


def equal_queries(study: Study, fits: Sequence[Fitted], *, draws: int) -> claims.Outcome:
    """Compare the methods where they learned from the same queries: n-gram CGL is lower at every fraction."""
    by_method = {one.method: one.rows for one in fits}
    if set(by_method) != {"ngram", "codebook"}:
        return claims.unknown("only one method has cells")
    means = {method: rows.groupby("fraction")["value"].mean() for method, rows in by_method.items()}
    shared = sorted(set(means["ngram"].index) & set(means["codebook"].index))
    columns = {}
    for method, rows in by_method.items():
        own = series_of(study, rows, x="x", draws=draws).columns()
        columns[method] = _mean_by(rows["fraction"].to_numpy(), own, shared)
    names = [f"{100 * f:g} %" for f in shared]
    return claims.pairwise_below(
        columns["ngram"], columns["codebook"], names, what="n-gram minus codebook CGL at equal queries"
    )


def _mean_by(keys: np.ndarray, columns: np.ndarray, wanted: Sequence[float]) -> np.ndarray:
    return np.stack([columns[keys == key].mean(axis=0) for key in wanted])


def _sentence(study: Study, fits: Sequence[Fitted], *, draws: int, level: float) -> str:
    told = []
    for one in fits:
        trend = trend_words(study, [one], draws=draws, level=level, name=by_backbone)
        law = law_words([one], "beta", "lambda_D", ("β", "λ_D"), name=by_backbone)
        told.append(f"{style.WITH[one.method]}, CGL {trend} as data grow; {law}")
    outcome = equal_queries(study, fits, draws=draws)
    if outcome.probability is not None:
        verdict = claims.decide(outcome.probability, level=level)
        word = {"holds here": "is lower", "does not hold here": "is not the lower one throughout"}.get(
            verdict, "cannot be told from the codebook's at every fraction"
        )
        told.append(f"at equal queries the n-gram CGL {word} ({outcome.evidence.partition(': ')[2]})")
    return ". ".join(part[0].upper() + part[1:] for part in told) + "."
