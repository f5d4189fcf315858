"""The answer in one sentence, and where the numbers are from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.scaling import Fit, published
from genret_core.scaling.published.judging import times
from genret_core.workbench import tables
from genret_core.workbench.analyses.law_question import listed
from genret_core.workbench.analyses.published_story.misses import KS, SAID, Misses, ten
from genret_core.workbench.analyses.published_story.sets import Refits, RefittedSet, exponent
from genret_core.workbench.figures import style

FACTOR = 2.0  # an exponent is held if its interval spans less than this factor, for either size of the noise


def sources() -> Styler:
    """List where the points and the printed laws are from."""
    table = published.points()
    rows = []
    for note, part in table.groupby("source_note", sort=False):
        first = part.iloc[0]
        series = style.series_name(str(first["method"]), str(first["family"]))
        what = (
            f"{len(part)} points over {'data' if first['study'] == 'data_size' else 'model size'}: {series}"
        )
        rows.append({"what": what, "source": str(note)})
    places = list(dict.fromkeys(law.where for law in published.laws()))
    citation = published.laws()[0].described.citation
    rows.append({"what": f"coefficients of {listed(places)}", "source": citation})
    return tables.styled(pd.DataFrame(rows), caption="Where the numbers are from")


def sentence(refits: Refits, misses: Misses) -> str:
    """Answer in one sentence, from the numbers."""
    sets, joint = refits.of_one_argument, refits.joint
    back = [one for one in sets if one.held.rounding_share > 0.99]
    same = [one for one in sets if f"{one.fit.R2:.3f}" == one.law.printed_R2]
    order = "belong to Eq. 8 with P and D exchanged, and there they " if joint.held.swapped else ""
    met = [f"MR@{k} at {tables.significant(misses.meetings[k][0].at)}" for k in KS]
    whole = "all" if len(back) == len(sets) else f"{len(back)} of"
    told = [
        f"The released points give back the printed coefficients of {whole} {len(sets)} fits in one "
        f"argument, but {_count(len(same))} of their R²",
        _exponents([one for one in sets if _held(one)]),
        f"the coefficients of {joint.law.where} {order}leave {times(joint.held.ratio)} times the squared "
        "error of the optimum",
        f"the curves of Table 3 cross for {listed(met)} FLOPs, beyond the {ten(SAID)} of the text",
    ]
    return "; ".join(told) + "."


def _held(one: RefittedSet) -> bool:
    """Whether the exponent is known to within a factor, by the residuals and for each size of the noise."""
    fits = (one.fit, *one.noisy)
    return all(_spans(found, exponent(one)) < FACTOR for found in fits)


def _spans(found: Fit, name: str) -> float:
    interval = found.interval(name)
    if interval is None or interval.lo is None or interval.hi is None:
        return np.inf
    return interval.hi / interval.lo


def _exponents(held: list[RefittedSet]) -> str:
    if not held:
        return "they hold no exponent"
    told = []
    for one in held:
        name = exponent(one)
        symbol = next(p.symbol for p in one.fit.law.parameters if p.name == name)
        told.append(f"{one.name} ({symbol} {tables.estimate(one.fit.params[name], one.fit.interval(name))})")
    return f"they hold {'one exponent only, that' if len(held) == 1 else 'the exponents'} of {listed(told)}"


def _count(n: int) -> str:
    return "none" if n == 0 else str(n)
