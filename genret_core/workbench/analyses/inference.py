"""08: what more inference compute buys (Eqs 11-12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.errors import BadInput
from genret_core.files import read_table
from genret_core.scaling import published
from genret_core.scaling.beyond.crossing import Crossings, crossing
from genret_core.scaling.intervals import Interval
from genret_core.workbench import claims, tables
from genret_core.workbench.analyses.baseline import bm25_value
from genret_core.workbench.analyses.fitted import Fitted, fit_series, published_rows
from genret_core.workbench.analyses.law_question import (
    LawQuestion,
    conditions,
    learning_rates,
    listed,
    rows_of,
    series_of,
)
from genret_core.workbench.figures import style
from genret_core.workbench.study.collect import evaluation_folder

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study

DEEPEST = 0.05  # share of the corpus above which k says little
TREND = {
    "falls": "fall with compute for",
    "rises": "rise with compute for",
    "unclear": "show no clear trend for",
}
EXTRAPOLATED = "; extrapolated: not where both were measured"


def inference_compute(
    study: Study,
    *,
    split: str = "seen",
    ks: Sequence[int] = (5, 20, 100),
    methods: Sequence[str] = ("ngram", "codebook"),
    draws: int = 1000,
    level: float = 0.95,
) -> LawQuestion:
    """Fit Eq. 12 to the miss rates of beams, by k, method and family.

    Parameters
    ----------
    study : Study
    split : str
        Evaluation queries.
    ks : sequence of int
        Depths of MR@k.
    methods : sequence of str
        Whose beams.
    draws, level : int, float
        Of the joint replicates and the intervals.
    """
    fits = []
    for k in ks:
        rows = beams_of(study, f"MR@{k}", split=split)
        rows = rows[rows["method"].isin(list(methods))]
        rows = told_apart(study, rows.sort_values("method", key=lambda m: m != "ngram", kind="stable"), k)
        fits += [
            fit_series(study, part, "inference", x="C", panel=f"MR@{k}", draws=draws, level=level)
            for _, part in rows.groupby(["method", "family"], sort=False)
        ]
    if not fits:
        raise BadInput(
            f"{study.folder} holds no search of {split} queries by {' or '.join(methods)}; add one to "
            f"`search` in its study file. {study.missing()}"
        )
    return LawQuestion(
        tuple(fits),
        x="C",
        y="miss rate",
        title=f"Miss rate against inference compute ({conditions(study, rows, split)})",
        subtitle=_subtitle(study, fits),
        n_negatives=None,
        published=published_rows("inference"),
        sentence=_sentence(study, fits, draws=draws, level=level),
        shared_y=False,
        bm25=_bm25(study, ks, split),
    )


def _bm25(study: Study, ks: Sequence[int], split: str) -> dict[str, float]:
    found = {f"MR@{k}": bm25_value(study, f"MR@{k}", split) for k in ks}
    return {metric: value for metric, value in found.items() if value is not None}


def beams_of(study: Study, metric: str, *, split: str) -> pd.DataFrame:
    """Take, of each method and family, the cell searched with most beams (the larger among equals)."""
    rows = rows_of(study, metric, split=split)
    rows = rows[
        rows["beam"].notna() & (rows["method"] != "bm25")
    ]  # BM25's rows carry the metric, but no beam
    kept = []
    for _, part in rows.groupby(["method", "family"], sort=False):
        counted = (
            part.groupby("cell").agg(beams=("beam", "nunique"), P=("P", "max")).sort_values(["beams", "P"])
        )
        kept.append(part[part["cell"] == counted.index[-1]])
    return pd.concat(kept, ignore_index=True) if kept else rows


def returned(study: Study, run_id: str) -> float:
    """Count the documents that a search returned, the median over its queries."""
    found = read_table(evaluation_folder(study.folder, run_id) / "searches.parquet", columns=["query"])
    per_query = found.groupby("query").size()
    n_queries = int(study.results.loc[study.results["run_id"] == run_id, "n_queries"].iloc[0])
    counts = np.zeros(max(n_queries, len(per_query)))
    counts[: len(per_query)] = per_query.to_numpy()
    return float(np.median(counts))


def told_apart(study: Study, rows: pd.DataFrame, k: int) -> pd.DataFrame:
    """Mark the points at which k is too deep for the corpus or for the search; these are not fitted."""
    n_documents = study.corpus.n_documents
    told = []
    for row in rows.to_dict("records"):
        why = ""
        if k > DEEPEST * n_documents:
            why = f"k is {100 * k / n_documents:.0f} % of {n_documents:,} documents"
        elif (count := returned(study, row["run_id"])) < k:
            why = f"the search returned {count:g} document{'' if count == 1 else 's'}"
        told.append((f"beam {int(row['beam'])}", why))
    note = [f"{beam}, not fitted: {why}" if why else beam for beam, why in told]
    return rows.assign(note=note, used=[not why for _, why in told])


def _subtitle(study: Study, fits: Sequence[Fitted]) -> str:
    backbones = listed(list(dict.fromkeys(str(one.rows["backbone"].iloc[0]) for one in fits)))
    return f"{backbones}; {learning_rates(study, [(one.method, one.family) for one in fits])}"


def _sentence(study: Study, fits: Sequence[Fitted], *, draws: int, level: float) -> str:
    told = []
    for method in dict.fromkeys(one.method for one in fits):
        own = [one for one in fits if one.method == method and one.rows["used"].sum() >= 2]
        if own:
            told.append(_method_words(study, method, own, draws=draws, level=level))
    unfitted = [panel for panel in dict.fromkeys(one.panel for one in fits) if not _any_used(fits, panel)]
    if unfitted:
        told.append(f"{listed(unfitted)} {'is' if len(unfitted) == 1 else 'are'} too deep here to be fitted")
    return ". ".join(part[0].upper() + part[1:] for part in told) + "."


def _any_used(fits: Sequence[Fitted], panel: str) -> bool:
    return any(one.rows["used"].any() for one in fits if one.panel == panel)


def _method_words(study: Study, method: str, own: Sequence[Fitted], *, draws: int, level: float) -> str:
    """Say of one method which misses fall with compute, from where to where, and which floors are known."""
    told: dict[str, list[str]] = {}
    for one in own:
        rows = one.rows[one.rows["used"]].sort_values("x")
        name = _name(one)
        if len(rows) < 2:
            continue
        series = series_of(study, rows, x="x", draws=draws)
        how = TREND[claims.trend(series, level=level)]
        told.setdefault(how, []).append(
            f"{name} ({rows['value'].iloc[0]:.3f} to {rows['value'].iloc[-1]:.3f})"
        )
    whole = f"{style.WITH.get(method, method)}, misses " + ", and ".join(
        f"{h} {listed(w)}" for h, w in told.items()
    )
    known = [
        f"{_name(one)} {one.fit.params['lambda_C']:.3f}" for one in own if one.fit is not None and one.held
    ]
    fitted = [one for one in own if one.fit is not None]
    if known:
        whole += f"; floors: {', '.join(known)}"
    if len(fitted) > len(known):
        left = len(fitted) - len(known)
        whole += f"; {left} of {len(fitted)} floors {'is' if left == 1 else 'are'} not identified"
    return whole


def _name(one: Fitted) -> str:
    return f"{style.FAMILY_NAMES.get(one.family, one.family)} {one.panel}"


def points(found: LawQuestion) -> Styler:
    """List the miss rates by beam, a column per k; grey where k is too deep to be fitted."""
    rows = pd.concat([one.rows for one in found.fits], ignore_index=True)
    rows["order"] = rows["method"] != "ngram"
    keys = ["order", "method", "backbone", "beam", "C"]
    wide = rows.pivot_table(
        index=keys, columns="metric", values=["value", "stderr", "used"], sort=True
    ).reset_index()
    ks = list(dict.fromkeys(rows["metric"]))
    shown = pd.DataFrame(
        {
            "identifiers": wide["method"].map(style.METHOD_NAMES),
            "backbone": wide["backbone"],
            "beam": wide["beam"].astype(int),
            "C": wide["C"].astype(float),
        }
    )
    grey = pd.DataFrame("", index=shown.index, columns=[*shown.columns, *ks])
    for k in ks:
        pairs = zip(wide[("value", k)], wide[("stderr", k)], strict=True)
        shown[k] = [f"{value:.3f} ± {stderr:.3f}" for value, stderr in pairs]
        grey.loc[~wide[("used", k)].astype(bool).to_numpy(), k] = tables.GREY
    caption = f"{found.title}; ± 1 standard error, grey: not fitted"
    styled = tables.styled(shown, caption=caption, formats={"C": style.short}, tight=ks)
    return styled.apply(lambda _: grey, axis=None)


def why_grey(found: LawQuestion) -> str:
    """Say in Markdown why some points are not fitted."""
    rows = pd.concat([one.rows for one in found.fits], ignore_index=True)
    told: dict[str, list[str]] = {}
    for row in rows[~rows["used"]].to_dict("records"):
        beam, _, why = str(row["note"]).partition(", not fitted: ")
        who = row["metric"] if why.startswith("k is") else f"{row['metric']} of {row['backbone']} at {beam}"
        told.setdefault(why, []).append(str(who))
    return "\n".join(f"- {listed(list(dict.fromkeys(who)))}: {why}." for why, who in told.items())


def crossings(found: LawQuestion, *, level: float = 0.95) -> Styler:
    """List where the families' curves meet, by method and k; a row per place."""
    rows, names = [], (style.FAMILY_NAMES["llama"], style.FAMILY_NAMES["t5"])
    for panel in dict.fromkeys(one.panel for one in found.fits):
        for method in dict.fromkeys(one.method for one in found.fits):
            pair = {one.family: one.fit for one in found.fits if (one.panel, one.method) == (panel, method)}
            a, b = pair.get("llama"), pair.get("t5")
            if a is not None and b is not None:
                row = {"": panel, "identifiers": style.METHOD_NAMES.get(method, method)}
                rows += [row | told for told in _told(crossing(a, b, level=level, names=names))]
    empty = [{"": "–", "where they meet": "fewer than two families have a law to compare"}]
    return tables.styled(
        pd.DataFrame(rows or empty), caption="Where LLaMA and T5 miss equally often, in FLOPs per query"
    )


def published_crossings(ks: Sequence[int]) -> str:
    """Say where the curves of Table 3 meet, from the printed coefficients."""
    told = []
    for k in ks:
        pair = [law for law in published.laws(law="inference") if law.metric == f"MR@{k}"]
        if len(pair) == 2:
            met = crossing(*pair, low=1e9, high=1e16)
            places = " and ".join(f"{place.at:.2g}" for place in met.places)
            told.append(f"k = {k} at {places or 'no place'}")
    if not told:
        return "The paper prints no law for these k."
    return f"The published curves (Table 3) meet, in FLOPs: {', '.join(told)}; no intervals were printed."


def _told(met: Crossings) -> list[dict[str, str]]:
    """Write a row for each place at which two curves meet, or the one that says that they do not."""
    interval = f"{met.level:.0%} interval"
    refits = "–" if met.share is None else f"{100 * met.share:.0f} %"
    if not met.places:
        lower = "" if met.lower_first is None else f"{met.lower_first} misses less"
        looked = f"nowhere from {style.short(met.looked[0])} to {style.short(met.looked[1])}"
        return [{"where they meet": looked, interval: "–", "refits that cross": refits, "note": lower}]
    return [
        {
            "where they meet": style.short(one.at),
            interval: "–" if one.interval is None else _span(one.interval),
            "refits that cross": refits,
            "note": f"beyond it {one.lower_beyond} misses less" + ("" if one.inside else EXTRAPOLATED),
        }
        for one in met
    ]


def _span(interval: Interval) -> str:
    """Write an interval of FLOPs; an end that the range looked at does not show is open."""
    low, high = (None if end is None else style.short(end) for end in (interval.lo, interval.hi))
    if low is None:
        return "open on both sides" if high is None else f"up to {high}"
    return f"{low} and more" if high is None else f"{low} to {high}"
