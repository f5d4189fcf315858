"""10: ours beside the published numbers, and the paper's claims one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import rho_of
from genret_core.scaling import measured, published
from genret_core.workbench import tables
from genret_core.workbench.analyses import inference
from genret_core.workbench.analyses.baseline import bm25_value
from genret_core.workbench.analyses.evidence import judge_all
from genret_core.workbench.analyses.fitted import curves_of, points_of
from genret_core.workbench.analyses.law_question import learning_rates
from genret_core.workbench.analyses.sizes import PANELS, model_size
from genret_core.workbench.claims import Judgement
from genret_core.workbench.figures import style
from genret_core.workbench.figures.summary import beside_published
from genret_core.workbench.figures.summary import figure_1 as draw_figure_1

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

__all__ = ["claims_table", "figure_1", "judge_all", "published_figure", "published_table", "sentence"]
PUBLISHED_N = 256  # negatives of the published CGL


def figure_1(study: Study, *, split: str, k: int = 5, draws: int = 1000, level: float = 0.95) -> style.Figure:
    """Draw Fig. 1 with our n-gram cells: the law in model size beside that in inference compute."""
    sizes = model_size(study, split=split, draws=draws, level=level)
    size_fits = [one for one in sizes.fits if one.method == "ngram"]
    if not size_fits:
        raise BadInput(
            f"{study.folder} holds no n-gram cell at all data, of which Fig. 1 is made; take 10_summary out "
            "of its notebooks, or add such cells to its grid."
        )
    training = points_of(size_fits), curves_of(size_fits)
    rules = learning_rates(study, [(one.method, one.family) for one in size_fits])
    searched = pd.DataFrame(columns=["x"]), pd.DataFrame()
    try:
        misses = inference.inference_compute(
            study, split=split, ks=[k], methods=["ngram"], draws=draws, level=level
        )
        searched = points_of(misses.fits), curves_of(misses.fits)
    except BadInput:
        pass  # a study without searches still has its first panel
    words = bm25_value(study, f"MR@{k}", split)
    return draw_figure_1(training, searched, misses=f"MR@{k}", bm25=words, subtitle=rules)


def beside(study: Study, split: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Put our CGL at all data, the published points and measured studies on one scale, rho."""
    rows = study.rows("CGL", split=split, fraction=1.0)
    ours = pd.DataFrame(
        {
            "whose": "ours",
            "method": rows["method"],
            "family": rows["family"],
            "name": rows["backbone"],
            "x": rows["P"].astype(float),
            "CGL": rows["value"],
            "rho": [rho_of(v, int(n)) for v, n in zip(rows["value"], rows["n_negatives"], strict=True)],
        }
    )
    printed = published.points(study="model_size")
    theirs = pd.DataFrame(
        {
            "whose": "published",
            "method": printed["method"],
            "family": printed["family"].replace({"llama2": "llama"}),
            "name": printed["model"],
            "x": printed["n_params"].astype(float),
            "CGL": printed["cgl"],
            "rho": [rho_of(v, PUBLISHED_N) for v in printed["cgl"]],
        }
    )
    found = pd.concat([ours, theirs, *map(_measured, others)], ignore_index=True)
    return found.assign(panel=found["method"].map(PANELS))


def _measured(name: str) -> pd.DataFrame:
    """Give a study that comes with genret as rows of `beside`: all data, seen queries, mean of the seeds."""
    rows = measured.points(name, metric="CGL", split="seen")
    rows = rows[rows["fraction"] == 1.0]
    alike = ["method", "family", "backbone", "P", "n_negatives"]
    mean = rows.groupby(alike, as_index=False, sort=False)["value"].mean()
    return pd.DataFrame(
        {
            "whose": name,
            "method": mean["method"],
            "family": mean["family"],
            "name": mean["backbone"],
            "x": mean["P"],
            "CGL": mean["value"],
            "rho": [rho_of(v, int(n)) for v, n in zip(mean["value"], mean["n_negatives"], strict=True)],
        }
    )


def published_figure(study: Study, *, split: str, others: Sequence[str] = ()) -> style.Figure:
    """Draw our cells, the published ones and those of measured studies in rho."""
    return beside_published(beside(study, split, others), list(PANELS.values()))


def published_table(study: Study, *, split: str, others: Sequence[str] = ()) -> Styler:
    """Summarise all of them in rho: from the smallest to the largest model."""
    rows = []
    series = sorted(
        style.by_series(beside(study, split, others)), key=lambda one: (one[0] != "ngram", one[1])
    )
    for method, family, part in series:
        for whose, own in part.groupby("whose", sort=True):
            own = own.groupby("x", as_index=False)[["rho"]].mean()  # seeds of one backbone
            rows.append(
                {
                    "series": style.series_name(str(method), str(family)),
                    "whose": whose,
                    "models": len(own),
                    "P": f"{style.short(own['x'].iloc[0])} to {style.short(own['x'].iloc[-1])}",
                    "ρ, smallest": own["rho"].iloc[0],
                    "ρ, largest": own["rho"].iloc[-1],
                }
            )
    formats = {"ρ, smallest": "{:.4f}", "ρ, largest": "{:.4f}"}
    caption = f"ρ of ours, of the published points (N = {PUBLISHED_N}) and others, all training data"
    return tables.styled(pd.DataFrame(rows), caption=caption, formats=formats)


def claims_table(judgements: Sequence[Judgement]) -> Styler:
    """Lay out claims, verdicts and evidence."""
    rows = [
        {
            "statement": j.claim.statement,
            "where": j.claim.source,
            "verdict": j.verdict,
            "probability": _probability(j.probability),
            "evidence": j.evidence,
        }
        for j in judgements
    ]
    shown = tables.styled(pd.DataFrame(rows), caption="The paper's claims on these data")
    return shown.map(tables.verdict_cell, subset=["verdict"])


def _probability(value: float | None) -> str:
    if value is None:
        return "–"
    return {0.0: "< 0.001", 1.0: "> 0.999"}.get(round(value, 3), f"{value:.3f}")


def sentence(judgements: Sequence[Judgement]) -> str:
    """Count the verdicts and name what does not hold."""
    counts = {verdict: [j for j in judgements if j.verdict == verdict] for verdict in tables.VERDICT_COLOURS}
    told = [
        f"of {len(judgements)} statements {len(counts['holds here'])} hold here",
        f"{len(counts['does not hold here'])} do not",
        f"{len(counts['cannot be told'])} cannot be told",
    ]
    against = [f"“{j.claim.statement}”" for j in counts["does not hold here"]]
    tail = f"; refuted: {', '.join(against)}" if against else ""
    whole = f"{told[0]}, {told[1]} and {told[2]}{tail}."
    return whole[0].upper() + whole[1:]
