"""Tables 1 and 2 refitted: against the printed digits, how sure they are, what each fit says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import Fit, Interval, Verdict, fit, published
from genret_core.scaling.laws.law import Parameter
from genret_core.workbench import tables
from genret_core.workbench.analyses.law_question import listed
from genret_core.workbench.analyses.published_story.sets import (
    N,
    Refits,
    RefittedSet,
)
from genret_core.workbench.figures import style
from genret_core.workbench.figures.published import sizes_figure

PANELS = {"ngram": "n-gram identifiers", "codebook": "codebook identifiers"}
PLACES = 80  # at which a curve is drawn


def sizes(refits: Refits) -> style.Figure:
    """Draw the released points over model size, our curves and the printed ones (Fig. 4)."""
    rows = published.points(study="model_size")
    points = pd.DataFrame(
        {
            "panel": rows["method"].map(PANELS),
            "method": rows["method"],
            "family": rows["family"].replace({"llama2": "llama"}),
            "name": rows["model"],
            "x": rows["n_params"].astype(float),
            "value": rows["cgl"],
            "stderr": np.nan,
        }
    )
    ours, printed = [], []
    for one in (refits.t5, refits.llama):
        x = np.geomspace(one.fit.x.min(), one.fit.x.max(), PLACES)
        low, high = one.noisy[0].band(x)
        family = "llama" if one.law.family == "llama2" else one.law.family
        series = {"panel": PANELS["ngram"], "method": "ngram", "family": family}
        ours.append(pd.DataFrame({**series, "x": x, "y": one.fit.predict(x), "lo": low, "hi": high}))
        printed.append(pd.DataFrame({**series, "x": x, "y": one.law.predict(x)}))
    return sizes_figure(
        points,
        pd.concat(ours, ignore_index=True),
        pd.concat(printed, ignore_index=True),
        n_negatives=N,
        title="The released points over model size, refitted",
        subtitle=f"band: {refits.level:.0%}, noise SD {tables.significant(refits.noises[0].sd, 2)}; "
        "dotted: the printed coefficients",
    )


def refit_table(refits: Refits) -> Styler:
    """Set our optimum beside the printed coefficients, with R² of both and as printed."""
    rows: list[dict[str, Any]] = []
    for one in refits.of_one_argument:
        scale, power, floor = one.fit.law.parameters
        ours, printed = one.fit.params, one.law.printed
        rows.append(
            {
                "points": f"{one.name}, {one.fit.n} points, {one.fit.dof} free",
                "whose": "refitted",
                "scale γ or η": tables.significant(ours[scale.name], 5),
                "exponent": tables.significant(ours[power.name], 5),
                "floor": f"{ours[floor.name]:.10f}",
                "R²": "undefined" if np.isnan(one.fit.R2) else f"{one.fit.R2:.6f}",
                "squared error": _power(one.fit.sse) if one.fit.dof else "0",
            }
        )
        rows.append(
            {
                "points": "",
                "whose": f"{one.law.where}, as printed",
                "scale γ or η": printed[scale.name],
                "exponent": printed[power.name],
                "floor": printed[floor.name],
                "R²": one.law.printed_R2,
                "squared error": "",
            }
        )
        rows.append(
            {
                "points": "",
                "whose": "these digits on the points",
                "R²": f"{one.held.R2:.4f}",
                "squared error": _power(one.held.sse),
            }
        )
    shown = pd.DataFrame(rows).fillna("")
    return tables.styled(
        shown,
        caption="Tables 1 and 2 from their own points: least squares, global optimum",
        tight=list(shown.columns)[1:],
        left=list(shown.columns),
    )


def _power(value: float) -> str:
    return tables.significant(value, 4)


def refit_words(refits: Refits) -> str:
    """Say what agrees with the printed digits and what does not, and what rounding has to do with it."""
    lines = []
    for one in refits.of_one_argument:
        told = (
            "within one unit of the last printed digits some coefficients fit as well as the optimum"
            if one.held.rounding_share > 0.99
            else f"rounding explains {one.held.rounding_share:.0%} of the excess error"
        )
        lines.append(f"- **{one.name}**: {told}; {_R2_words(one)}.")
    lines += _moved_words(refits)
    curve = refits.t5
    drop, step = float(np.ptp(curve.fit.y)), 10.0 ** -len(curve.law.printed["lambda_P"].split(".")[1])
    lines.append(
        f"- **Digits of a floor.** The T5 curve spans {tables.significant(drop)}, so one unit in the last "
        f"printed digit of its floor, {tables.significant(step, 1)}, is {step / drop:.0%} of all there is to "
        f"explain: our own optimum, rounded in the same way, is left with R² {curve.held.R2_rounded:.4f}. "
        "Ten digits of a floor, or the fitted values themselves, would be enough."
    )
    return "\n".join(lines)


def _moved_words(refits: Refits) -> list[str]:
    """Say which small move of one point, if any, leads to the printed R²."""
    by, lines = refits.noises[1].sd, []
    for one in refits.of_one_argument:
        f = one.fit
        if not f.dof:
            continue
        Y = f.y + by * np.concatenate([np.eye(f.n), -np.eye(f.n)])
        left = Y - f.refit(Y=Y).predict(*f.points.centred(f.x, None))
        R2 = 1 - (left**2).sum(axis=1) / ((Y - Y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        told = f"R² lies between {R2.min():.4f} and {R2.max():.6f}"
        # digits may have been cut as well as rounded
        near = [i for i, v in enumerate(R2) if one.law.printed_R2 in (f"{v:.3f}", f"{v:.5f}"[:5])]
        where = [
            f"{one.points.rows['model'].iloc[i % f.n]} {'up' if i < f.n else 'down'} (R² {R2[i]:.5f})"
            for i in near
        ]
        told += f"; the printed {one.law.printed_R2} comes with {listed(where)}" if where else ""
        lines.append(f"- **{one.name}, one point moved** by {tables.significant(by, 2)} up or down: {told}.")
    return lines


def _R2_words(one: RefittedSet) -> str:
    if np.isnan(one.fit.R2):
        return f"the printed R² of {one.law.printed_R2} has no degree of freedom to stand on"
    same = f"{one.fit.R2:.3f}" == one.law.printed_R2
    own = f"R² of the optimum is {one.fit.R2:.5f}, of the printed digits {one.held.R2:.4f}"
    return f"{own}, and {one.law.printed_R2} was printed" + ("" if same else ", which is neither")


def verdict_table(refits: Refits) -> Styler:
    """List the verdicts on every fit, and on the printed coefficients of its points."""
    told: dict[tuple[str, str], list[str]] = {}
    for one in (*refits.of_one_argument, refits.joint):
        for verdict in (*one.held.verdicts, *one.fit.verdicts):
            message = verdict.message + _named(one, verdict)
            told.setdefault((verdict.code, message), []).append(one.name)
    for family in ("t5", "llama2"):
        points = published.points(study="model_size", method="codebook", family=family)
        found = fit("model_size", points["n_params"], points["cgl"], n_negatives=N, level=refits.level)
        for verdict in found.verdicts:
            name = style.series_name("codebook", family)
            told.setdefault((verdict.code, verdict.message), []).append(name)
    rows = [
        {"points": "; ".join(who), "verdict": code, "what it says": message}
        for (code, message), who in told.items()
    ]
    return tables.styled(pd.DataFrame(rows), caption="Verdicts", tight=["verdict"])


def _named(one: RefittedSet, verdict: Verdict) -> str:
    """Name the rows that a verdict is about."""
    told = []
    for row in verdict.rows:
        point = one.points.rows.iloc[row - 1]
        pairs = f" at D = {point['n_pairs']:,.0f}" if point["study"] == "data_size" else ""
        told.append(f"row {row} is {point['model']}{pairs}")
    text = "; ".join(told)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def interval_table(refits: Refits) -> Styler:
    """Set out the intervals of every parameter: from the residuals, and for each size of the noise."""
    rows = []
    for one in refits.of_one_argument:
        for p, value, intervals in _intervals(one):
            row = {"points": one.name, "parameter": p, "estimate": value}
            row["from the residuals"] = intervals[0] or "none"
            for noise, interval in zip(refits.noises, intervals[1:], strict=True):
                row[f"noise SD {tables.significant(noise.sd, 2)}"] = interval or "none"
            rows.append(row)
    shown = pd.DataFrame(rows)
    shown["points"] = shown["points"].where(~shown["points"].duplicated(), "")
    caption = (
        f"{refits.level:.0%} intervals: profile with F from the residuals, with chi-square for known noise"
    )
    return tables.styled(shown, caption=caption, tight=list(shown.columns))


def _intervals(one: RefittedSet) -> Iterator[tuple[str, str, list[str | None]]]:
    scale, power, floor = one.fit.law.parameters
    fits = (one.fit, *one.noisy)
    for p in (power, floor):
        what = "floor" if p.role == "floor" else f"exponent {p.symbol}"
        yield what, _estimate(one.fit, p), [_ends(f.interval(p.name), p) for f in fits]
    logs = [_log_ends(f.interval(scale.name)) for f in fits]
    value = f"{np.log10(one.fit.params[scale.name]):.2f}".replace("-", "−")
    yield f"log₁₀ {scale.symbol}", value, logs


def _estimate(found: Fit, p: Parameter) -> str:
    return f"{found.params[p.name]:.8f}" if p.role == "floor" else f"{found.params[p.name]:.4f}"


def _ends(interval: Interval | None, p: Parameter) -> str | None:
    if interval is None:
        return None
    digits = 7 if p.role == "floor" else 3
    low, high = ("open" if end is None else f"{end:.{digits}f}" for end in (interval.lo, interval.hi))
    return f"{low} to {high}"


def _log_ends(interval: Interval | None) -> str | None:
    if interval is None:
        return None
    low, high = (
        "open" if end is None or end <= 0 else f"{np.log10(end):.1f}".replace("-", "−")
        for end in (interval.lo, interval.hi)
    )
    return f"{low} to {high}"
