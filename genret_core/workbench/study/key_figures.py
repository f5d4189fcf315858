"""The key figures of a study's page: points from its results, and the law through them where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.scaling import Fit, fit
from genret_core.workbench.figures import style
from genret_core.workbench.report.chart import Chart, Series

FEWEST = 3  # distinct sizes that a law of three parameters needs
MOST = 5  # series in a chart; more cannot be told apart
CROWD = 60  # points of a chart from which seeds are averaged
CURVE = 60  # places at which a curve is drawn
NOT_HELD = frozenset({"floor_not_identified", "saturated", "at_edge", "no_trend", "wrong_sign"})
Named = Callable[[str, str, str], str]  # method, family, backbone -> name of a series


def key_figures(results: pd.DataFrame, split: str) -> list[Chart]:
    """Draw CGL over model size and over data, and misses over inference compute, as far as there are points.

    Parameters
    ----------
    results : DataFrame
        As in `results.parquet`; may be empty.
    split : str
        Evaluation queries.

    Returns
    -------
    list of Chart
        Those in which some series has at least two sizes.
    """
    if results.empty or not {"variant", "P", "D", "C", "beam"} <= set(results.columns):
        return []
    rows = results[(results["split"] == split) & (results["variant"] == "default")]
    cgl, misses = rows[rows["metric"] == "CGL"], rows[rows["metric"] == "MR@5"]
    searched = misses[misses["method"] != "bm25"]
    charts = [
        _chart(
            "model-size",
            "CGL against model size",
            ("P", "non-embedding parameters"),
            ("CGL", ""),
            _groups(cgl[cgl["fraction"] == 1.0], ["method", "family"], "P"),
            law="model_size",
            says="Cells trained on all queries; Eq. 6",
        ),
        _chart(
            "data-size",
            "CGL against training data",
            ("D", "query-identifier pairs"),
            ("CGL", ""),
            _groups(cgl, ["method", "family", "backbone"], "D"),
            law="data_size",
            says="Eq. 7",
        ),
        _chart(
            "inference",
            "Misses against inference compute",
            ("C", "FLOPs per query"),
            ("MR@5", "miss rate at 5"),
            _groups(searched[searched["fraction"] == 1.0], ["method", "family", "backbone"], "C"),
            law="inference",
            says="One point per beam; Eq. 12",
            baseline=misses[misses["method"] == "bm25"],
        ),
    ]
    return [one for one in charts if one is not None]


def _groups(rows: pd.DataFrame, by: list[str], x: str) -> list[tuple[str, str, str, pd.DataFrame]]:
    """Give the series of at least two sizes, as (method, family, backbone, rows)."""
    found = []
    rows = rows[(rows[x] > 0) & rows["value"].notna()]
    if x == "D":  # the data of one backbone; a seed more is no size
        rows = rows.assign(D=rows.groupby([*by, "fraction"])["D"].transform("median"))
    for _, part in rows.groupby(by, sort=True):
        if part[x].nunique() >= 2:
            one = part.sort_values(x, kind="stable")
            first = one.iloc[0]
            backbone = str(first["backbone"]) if "backbone" in by else ""
            found.append((str(first["method"]), str(first["family"]), backbone, one))
    wide = max((part[x].nunique() for *_, part in found), default=0)
    full = [one for one in found if one[3][x].nunique() * 2 > wide]
    ranked = sorted(full, key=lambda one: (-one[3][x].nunique(), -float(one[3]["P"].max())))[:MOST]
    return sorted(ranked, key=lambda one: (one[0] != "ngram", one[1], one[2]))


def _chart(
    name: str,
    title: str,
    x: tuple[str, str],
    y: tuple[str, str],
    groups: list[tuple[str, str, str, pd.DataFrame]],
    *,
    law: str,
    says: str,
    baseline: pd.DataFrame | None = None,
) -> Chart | None:
    if not groups:
        return None
    series = []
    told: dict[str, list[str]] = {}
    crowd = sum(len(part) for *_, part in groups) > CROWD
    colours = _colours([(family, backbone) for _, family, backbone, _ in groups])
    for (method, family, backbone, part), colour in zip(groups, colours, strict=True):
        called = style.series_name(method, family) if not backbone else f"{backbone}, {_method(method)}"
        found = _law(law, part, x[0])
        told.setdefault(_verdict(found), []).append(called + _exponent(found))
        series.append(
            Series(
                called,
                colour,
                list(_points(part, x[0], crowd=crowd)),
                list(_curve(found, part[x[0]])),
                shape=style.FAMILY_SYMBOLS.get(family, "triangle"),
                hollow=method != "ngram",
                dashed=method != "ngram",
            )
        )
    if baseline is not None and not baseline.empty:
        level = float(baseline["value"].iloc[0])
        series.append(Series("BM25", style.GREY, [(1.0, level, "BM25")], level=True))
    words = [f"{verdict}: {'; '.join(who)}." for verdict, who in told.items()]
    return Chart(
        name, title, x, y, series, " ".join([f"{says}, by least squares on means over seeds.", *words])
    )


def _method(method: str) -> str:
    return style.METHOD_NAMES.get(method, method)


def _colours(series: list[tuple[str, str]]) -> list[str]:
    """Give each family its colour, and another to each further backbone of one family."""
    firsts = dict(reversed(series))
    others = [one for one in dict.fromkeys(series) if firsts[one[0]] != one[1]]
    spare = [colour for colour in style.SEQUENCE if colour not in style.FAMILY_COLOURS.values()]
    return [
        style.colour(family)
        if firsts[family] == backbone
        else spare[others.index((family, backbone)) % len(spare)]
        for family, backbone in series
    ]


def _law(law: str, part: pd.DataFrame, x: str) -> Fit | None:
    if part[x].nunique() < FEWEST:
        return None
    means = part.groupby(x)["value"].mean()  # of the seeds of one size: their scatter is not the law's
    try:
        return fit(law, means.index.to_numpy(float), means.to_numpy(float), bootstrap=0)
    except BadInput:
        return None


def _verdict(found: Fit | None) -> str:
    if found is None:
        return "Too few sizes for a law"
    if found.codes & {"wrong_sign", "no_trend"}:
        return "No clear trend"
    return "Falls, floor not identified" if found.codes & NOT_HELD else "Falls with an exponent"


def _exponent(found: Fit | None) -> str:
    """Give the exponent, if the data hold one."""
    if found is None or found.codes & NOT_HELD:
        return ""
    exponent = next(p for p in found.law.parameters if p.role == "exponent")
    return f" {exponent.symbol} = {found.params[exponent.name]:.3g}"


def _curve(found: Fit | None, x: pd.Series) -> Iterator[tuple[float, float]]:
    if found is None or found.codes & {"wrong_sign", "at_edge"}:
        return
    places = np.geomspace(float(x.min()), float(x.max()), CURVE)
    for place, value in zip(places, found.predict(places), strict=True):
        yield float(place), float(value)


def _points(part: pd.DataFrame, x: str, *, crowd: bool) -> Iterator[tuple[float, float, str]]:
    """Give the points; of a crowd, the means of equal sizes."""
    label = part["backbone"].astype(str)
    if x == "C":
        label += ", beam " + part["beam"].map("{:.0f}".format)
    elif x == "D":
        label += ", fraction " + part["fraction"].map("{:g}".format)
    part = part.assign(label=label)
    if crowd:
        part = part.groupby([x, "label"])["value"].mean().reset_index()
        part["label"] += ", mean over seeds"
    for place, value, called in zip(part[x], part["value"], part["label"], strict=True):
        yield float(place), float(value), f"{called}: {value:.4g}"
