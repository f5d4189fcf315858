"""A fit in words and as a table: every number with the digits that its interval allows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from genret_core.scaling.intervals import AMPLITUDE, Interval
from genret_core.scaling.laws.law import Parameter
from genret_core.scaling.verdicts import arguments, floor_open

if TYPE_CHECKING:
    from genret_core.scaling.results import Fit


def number(value: float, width: float | None = None) -> str:
    """Write a number with two digits of its uncertainty (`width`), or with four of its own without one."""
    if not np.isfinite(value):
        return "undefined"
    if value == 0:
        return "0"
    size = int(np.floor(np.log10(abs(value))))
    digits = 4
    if width is not None and width > 0:
        digits = int(np.clip(size - np.floor(np.log10(width)) + 2, 1, 12))
    if -5 < size < 6:
        return f"{value:.{max(0, digits - 1 - size)}f}"
    return f"{value:.{digits - 1}e}"


def interval_text(interval: Interval, value: float) -> str:
    """Write an interval; an open end says so."""
    width = _width(interval, value)
    low = "(open" if interval.lo is None else f"[{number(interval.lo, width)}"
    high = "open)" if interval.hi is None else f"{number(interval.hi, width)}]"
    return f"{low}, {high}"


def value_text(value: float, interval: Interval | None) -> str:
    """Write an estimate, with its interval if there is one."""
    if interval is None:
        return number(value)
    return f"{number(value, _width(interval, value))} {interval_text(interval, value)}"


def sentence(fit: Fit) -> str:
    """Answer in one sentence, from the numbers: what falls with what, how steeply, to which floor."""
    y, x = fit.points.names["y"], arguments(fit.points)
    codes = {verdict.code for verdict in fit.findings}
    if "wrong_sign" in codes:
        return f"{y} does not fall with {x}, so the law {fit.law.name} does not apply."
    if "no_trend" in codes:
        return f"{y} shows no trend in {x} that stands out of the noise: a constant fits as well."
    told = _floor_and_exponents(fit) or _levels(fit)
    if fit.law.amplitude == "none":
        return f"{y} does not depend on {x} under this law: {told}."
    if "saturated" in codes and not fit.intervals:
        n, k = fit.dof + len(fit.law.parameters), len(fit.law.parameters)
        return (
            f"{y} falls with {x} through all {n} points ({told}), but {n} points cannot test {k} parameters."
        )
    verb = "rises" if _rises(fit) else "falls"
    return f"{y} {verb} with {x}: {told}."


def _rises(fit: Fit) -> bool:
    """Whether the curve is higher where its arguments are largest."""
    if fit.x2 is None:
        ends = fit.predict([fit.x.min(), fit.x.max()], clip=False)
    else:
        ends = fit.predict([fit.x.min(), fit.x.max()], [fit.x2.min(), fit.x2.max()], clip=False)
    return bool(ends[1] > ends[0])


def _floor_and_exponents(fit: Fit) -> str:
    exponents = fit.law.with_role("exponent")
    parts = [_exponent(fit, p, alone=len(exponents) == 1) for p in exponents]
    parts += [
        f"{p.symbol} {value_text(fit.params[p.name], fit.intervals.get(p.name))}"
        for p in fit.law.with_role("shape")
    ]
    joined = ", ".join(parts)
    if not joined:
        return ""
    for p in fit.law.with_role("floor"):
        value, interval = fit.params[p.name], fit.intervals.get(p.name)
        if floor_open(fit, p):
            joined += "; the floor is not identified (the data are compatible with 0)"
        else:
            joined += f", floor {value_text(value, interval)}"
    return joined


def _exponent(fit: Fit, p: Parameter, *, alone: bool) -> str:
    name = "exponent" if alone else f"exponent {p.symbol}"
    value, interval = fit.params[p.name], fit.intervals.get(p.name)
    at_edge = any(u.name == p.name and fit.best.edge[0, j] for j, u in enumerate(fit.law.nonlinear))
    if interval is not None and len(interval.open) == 2:
        return f"the {name} is not identified"
    if interval is not None and interval.hi is None and interval.lo is not None:
        return f"{name} above {number(interval.lo, _width(interval, value))} (no upper limit)"
    if interval is not None and interval.lo is None and interval.hi is not None:
        return f"{name} below {number(interval.hi, _width(interval, value))} (no lower limit)"
    return f"the {name} is not identified" if at_edge else f"{name} {value_text(value, interval)}"


def _levels(fit: Fit) -> str:
    return ", ".join(
        f"{p.symbol} {value_text(fit.params[p.name], fit.intervals.get(p.name))}" for p in fit.law.parameters
    )


def _width(interval: Interval, value: float) -> float | None:
    if interval.width is not None:
        return interval.width or None
    ends = [abs(end - value) for end in (interval.lo, interval.hi) if end is not None]
    return max(ends, default=0.0) or None


def rows(fit: Fit) -> list[tuple[str, str, str, str]]:
    """Give the table: symbol, meaning, estimate, interval."""
    table = []
    entries = [(p.name, p.symbol, _meaning(fit, p), fit.params[p.name]) for p in fit.law.parameters]
    if AMPLITUDE in fit.derived:
        centre = f"{fit.points.names['x']} = {fit.derived['centre']:.3g}"
        if "centre_2" in fit.derived:
            centre += f", {fit.points.names['x2']} = {fit.derived['centre_2']:.3g}"
        entries.append((AMPLITUDE, "height", f"of the falling term at {centre}", fit.derived[AMPLITUDE]))
    entries.append(("R2", "R²", f"rmse {fit.rmse:.3g}; {fit.n} points, {fit.dof} free", fit.R2))
    for name, symbol, meaning, value in entries:
        interval = fit.intervals.get(name)
        width = None if interval is None else _width(interval, value)
        if name == "R2":
            width = abs(1 - value) or None  # two digits of what is left, so that 0.99998 is not written as 1
        estimate = number(value, width)
        table.append((symbol, meaning, estimate, "" if interval is None else interval_text(interval, value)))
    return table


def _meaning(fit: Fit, p: Parameter) -> str:
    meaning = p.meaning
    for key in ("x", "x2"):
        meaning = meaning.replace(f"{{{key}}}", fit.points.names.get(key, ""))
    return meaning


def arguments_text(fit: Fit) -> str:
    """Say which column stands for which symbol of the equation, where their names differ; else nothing."""
    symbols = {"x": fit.law.x, "x2": fit.law.x2, "y": fit.law.y}
    names = {key: name for key, name in fit.points.names.items() if symbols.get(key) not in (None, name)}
    return ", ".join(f"{symbols[key]} is {name}" for key, name in names.items())


def as_text(fit: Fit) -> str:
    """Write the fit as a plain table."""
    table = [("", "", "estimate", f"{fit.level:.0%} interval"), *rows(fit)]
    widths = [max(len(row[j]) for row in table) for j in range(4)]
    where = arguments_text(fit)
    lines = [f"{fit.law.title}: {fit.law.equation}" + (f", where {where}" if where else "")]
    lines += [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table
    ]
    lines += [fit.sentence(), fit.covers]
    lines += [str(verdict) for verdict in fit.verdicts]
    return "\n".join(lines)


def as_html(fit: Fit) -> str:
    """Write the fit as an HTML table; everything but the law's own equation is escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in ("", "", "estimate", f"{fit.level:.0%} interval"))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(fit)
    )
    notes = "".join(
        f"<li><code>{escape(v.code)}</code> {escape(v.message)} {escape(v.help)}</li>" for v in fit.verdicts
    )
    where = arguments_text(fit)
    equation = fit.law.html + (f", where {escape(where)}" if where else "")
    return (
        f'<div class="genret-fit"><p><strong>{escape(fit.law.title)}</strong>: {equation}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>{escape(fit.sentence())}</p><p>{escape(fit.covers)}</p>"
        f"{f'<ul>{notes}</ul>' if notes else ''}</div>"
    )
