"""What the fit holds and what it does not: parameters with their 68 and 95 % intervals drawn as bars."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.scaling.intervals import AMPLITUDE, Interval
from genret_core.scaling.wording import number
from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.prose import UNITS, readable
from genret_core.workbench.figures import style

if TYPE_CHECKING:
    from genret_core.scaling import Fit

INNER = 0.68  # level of the thick part of a bar
DECADE = 10  # an interval that spans more than this factor is drawn on a logarithmic scale
WIDTH, HEIGHT, MARGIN = 150, 16, 16  # of a bar, in pixels


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    symbol, meaning : str
        As HTML; plain.
    value : float
        Best estimate.
    inner, outer : Interval or None
    identified : bool
    """

    symbol: str
    meaning: str
    value: float
    inner: Interval | None
    outer: Interval | None
    identified: bool


class ParameterTable:
    """The parameters of the fit in focus; always visible on the first tab.

    Parameters
    ----------
    desk : Desk
    """

    tab = "fit"

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.widget = widgets.HTML(layout=widgets.Layout(width="100%", margin="0"))

    def show(self, shown: Any) -> None:
        """Write the table of the fit in focus, or why there is none."""
        self.widget.value = html_of(shown)


def html_of(shown: Any) -> str:
    """Give the table as HTML."""
    fit = shown.fit
    if fit is None:
        return f'<p class="gx-hint">No parameters: {escape(shown.why)}</p>'
    colour = style.BLUE
    body = "".join(_row_html(row, colour) for row in rows(fit, shown.state.level))
    head = (
        "<tr><th></th><th></th><th style='text-align:right'>estimate</th>"
        f"<th title='{escape(fit.covers, quote=True)}'>{100 * INNER:g} and {100 * shown.state.level:g} % "
        "interval</th></tr>"
    )
    return f'<table class="gx-params">{head}{body}</table><p class="gx-facts">{facts_html(shown)}</p>'


def facts_html(shown: Any) -> str:
    """Say how many points are used, what freedom they leave, and how much the law explains."""
    points = shown.points(shown.state.focus)
    used = f"<b>{int(points['used'].sum())} of {len(points)}</b> points used"
    return used if shown.fit is None else f"{used} · {_facts(shown.fit)}"


def rows(fit: Fit, level: float) -> list[Row]:
    """Give what the table tells, the height at the centre of the data first, scales (derived) last."""
    return [
        Row(
            symbol, meaning, value, fit.interval(name, INNER), fit.interval(name, level), fit.identified(name)
        )
        for name, symbol, meaning, value in _entries(fit)
    ]


def _entries(fit: Fit) -> Iterator[tuple[str, str, str, float]]:
    names = fit.points.names
    if AMPLITUDE in fit.derived:
        centre = f"{names['x']} = {style.short(fit.derived['centre'])}"
        if "centre_2" in fit.derived:
            centre += f", {names['x2']} = {style.short(fit.derived['centre_2'])}"
        yield AMPLITUDE, "height", f"falling term at {centre}", fit.derived[AMPLITUDE]
    for p in sorted(fit.law.parameters, key=lambda p: p.role == "scale"):
        meaning = p.meaning.replace("{x}", names["x"]).replace("{x2}", names.get("x2", ""))
        if p.role == "scale" and AMPLITUDE in fit.derived:
            meaning = f"scale, derived: {meaning}"
        yield p.name, theme.symbol_html(p.symbol), meaning, fit.params[p.name]


def _row_html(row: Row, colour: str) -> str:
    value = number(row.value, _width(row.outer))
    if row.identified:
        shown = f'<td class="gx-number">{readable(value)}</td>'
    else:
        why = escape(f"Least squares puts it at {readable(value)}, but the data do not hold it.", quote=True)
        shown = f'<td class="gx-number gx-no" title="{why}">not identified</td>'
    bar = _bar(row, colour if row.identified else theme.FAINT)
    return (
        f"<tr><td>{row.symbol}</td><td><small>{escape(row.meaning)}</small></td>{shown}"
        f"<td>{bar}<small style='white-space:nowrap'>{_ends(row)}</small></td></tr>"
    )


def _ends(row: Row) -> str:
    if row.outer is None:
        return "no interval"
    known = [abs(end - row.value) for end in (row.outer.lo, row.outer.hi) if end is not None]
    width = _width(row.outer) or max(known, default=None)
    low, high = ("" if end is None else number(end, width) for end in (row.outer.lo, row.outer.hi))
    power = high.partition("e")[2]
    if power and low.partition("e")[2] == power and 3 * (int(power) // 3) not in UNITS:
        low = low.partition("e")[0]  # the power of ten is said once
    low, high = readable(low), readable(high)
    if not (low and high):
        return f"above {low}" if low else f"below {high}" if high else "no limits"
    return f"{low} to {high}"


def _width(interval: Interval | None) -> float | None:
    return None if interval is None else interval.width or None


def _bar(row: Row, colour: str) -> str:
    """Draw the intervals on a scale of their own: thin 95 %, thick 68 %, a dot at the estimate."""
    if row.outer is None or not math.isfinite(row.value):
        return ""
    place = _scale(row)
    middle = HEIGHT / 2
    told = escape(f"{row.outer.level:.0%} interval {row.outer}; {INNER:.0%} interval {row.inner}", quote=True)
    drawn = [_line(row.outer, place, colour, 1.6)]
    if row.inner is not None:
        drawn.append(_line(row.inner, place, colour, 5))
    for end, tip, back in ((row.outer.lo, 2, 9), (row.outer.hi, WIDTH - 2, WIDTH - 9)):
        if end is None:
            drawn.append(
                f'<path d="M{tip} {middle} L{back} {middle - 4.5} L{back} {middle + 4.5} Z" fill="{colour}"/>'
            )
        else:
            at = place(end)
            drawn.append(
                f'<path d="M{at:.1f} {middle - 4} V{middle + 4}" stroke="{colour}" stroke-width="1.4"/>'
            )
    if row.identified:
        drawn.append(
            f'<circle cx="{place(row.value):.1f}" cy="{middle}" r="3.6" fill="#fff" stroke="{colour}" '
            'stroke-width="2"/>'
        )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{told}" style="display:block"><title>{told}</title>{"".join(drawn)}</svg>'
    )


def _scale(row: Row) -> Any:
    """Lay closed ends near the sides of the bar; an open side reaches as far as the other, or the inner."""
    assert row.outer is not None
    ends = [row.outer.lo, row.outer.hi, *((row.inner.lo, row.inner.hi) if row.inner else ())]
    known = [end for end in (*ends, row.value) if end is not None and math.isfinite(end)]
    lo, hi = row.outer.lo, row.outer.hi
    if lo is not None and hi is not None and 0 < DECADE * lo < hi:
        least, factor = math.log(lo), math.log(hi / lo)
        return lambda value: MARGIN + (WIDTH - 2 * MARGIN) * (math.log(value) - least) / factor
    low, high = min(known), max(known)
    room = (high - low) or abs(high) or 1.0
    if row.outer.lo is None:
        low -= 0.25 * room
    if row.outer.hi is None:
        high += 0.25 * room
    if low == high:
        low, high = low - room, high + room

    def place(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / (high - low)

    return place


def _line(interval: Interval, place: Any, colour: str, thick: float) -> str:
    from_ = 6 if interval.lo is None else place(interval.lo)
    to = WIDTH - 6 if interval.hi is None else place(interval.hi)
    return (
        f'<path d="M{from_:.1f} {HEIGHT / 2} H{to:.1f}" stroke="{colour}" stroke-width="{thick}" '
        'stroke-linecap="butt"/>'
    )


def _facts(fit: Fit) -> str:
    free = f"<b>{fit.dof}</b> degree{'' if fit.dof == 1 else 's'} of freedom"
    if math.isnan(fit.R2):
        return f"{free} · R² says nothing here"
    left = number(fit.R2, abs(1 - fit.R2) or None)
    spans = f"span × {fit.x.max() / fit.x.min():,.3g}"
    return f"{free} · R² <b>{left}</b> · {spans}"
