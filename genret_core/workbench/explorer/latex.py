"""Fits as rows of a LaTeX table (booktabs)."""

from __future__ import annotations

import re

from genret_core.scaling import Fit, get_law
from genret_core.scaling.intervals import AMPLITUDE, Interval
from genret_core.scaling.wording import number
from genret_core.workbench.explorer.shown import Shown

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex_row(shown: Shown) -> str:
    """Give the row of the fit in focus, below a comment that names the columns."""
    if shown.fit is None:
        return f"% {_comment(shown.source.label(shown.state.focus))}: {_comment(shown.why)}\n"
    return f"% {_head(shown)}\n{_row(shown, shown.state.focus, shown.fit)}\n"


def latex_table(shown: Shown) -> str:
    """Give a table of all series that are shown and have a fit; it needs the package booktabs."""
    rows = [_row(shown, series, one) for series, one in shown.fits.items() if isinstance(one, Fit)]
    columns = "l" + "r" * (len(get_law(shown.state.law).parameters) + 3)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _head(shown), r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _head(shown: Shown) -> str:
    names = [f"${p.latex}$" for p in get_law(shown.state.law).parameters]
    level = f"{100 * shown.state.level:g}" + r"\,\%"
    return " & ".join([f"series ({level} intervals)", *names, "height", "$R^2$", "$n$"]) + r" \\"


def _row(shown: Shown, series: str, found: Fit) -> str:
    names = [p.name for p in found.law.parameters] + [AMPLITUDE]
    values = {**found.params, **found.derived}
    cells = [escaped(shown.source.label(series))]
    cells += [_cell(found, name, values[name]) if name in values else "--" for name in names]
    r2 = found.R2
    cells.append("--" if r2 != r2 else f"${number(r2, abs(1 - r2) or None)}$")
    return " & ".join([*cells, str(found.n)]) + r" \\"


def _cell(found: Fit, name: str, value: float) -> str:
    """Write an estimate with its interval; an open end leaves an inequality, two leave nothing."""
    interval = found.interval(name)
    if value != value or not found.identified(name):
        return _bound(interval) if interval is not None else "--"
    return f"${_number(value, interval)}\\ {_between(interval)}$" if interval else f"${_number(value, None)}$"


def _bound(interval: Interval) -> str:
    if interval.lo is None and interval.hi is None:
        return "--"
    if interval.lo is None:
        return f"$< {_number(interval.hi, interval)}$"
    if interval.hi is None:
        return f"$> {_number(interval.lo, interval)}$"
    return f"${_between(interval)}$"


def _between(interval: Interval) -> str:
    return f"[{_number(interval.lo, interval)},\\,{_number(interval.hi, interval)}]"


def _number(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return r"\text{open}"
    text = number(value, None if interval is None else interval.width or None)
    return re.sub(r"e([+-])0*(\d+)", lambda m: rf" \times 10^{{{m[1].replace('+', '')}{m[2]}}}", text)


def escaped(text: str) -> str:
    """Write a text so that LaTeX shows it as it is."""
    return "".join(SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


def _comment(text: str) -> str:
    return " ".join(text.split())
