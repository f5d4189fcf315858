"""Small charts as SVG: drawn once, in the page's own colours, with no script.

The index of a study shows its key figures even where nothing runs: in print, in a preview, with scripts off.
Text takes the colour of the page (`currentColor`), so that one drawing serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from genret_core.readable import readable

WIDTH, HEIGHT = 460, 330
LEFT, RIGHT, BOTTOM = 70, 14, 46
TITLE, ROW = 26, 18  # px: height of the title, and of a row of the legend
LETTER = 6.6  # px, the width of a letter at 12 px: generous, so that nothing touches
SHAPES = ("circle", "square", "diamond", "triangle")


@dataclass(frozen=True)
class Series:
    """Points that belong together, and the law through them.

    Attributes
    ----------
    name : str
        For the legend.
    colour : str
        Of points and curve, as CSS writes it.
    points : sequence of (x, y, label)
        The label is shown where one points.
    curve : sequence of (x, y)
        Empty where there is no law.
    shape : {"circle", "square", "diamond", "triangle"}
    hollow, dashed : bool
        How points and curve are told from another series of the colour.
    level : bool
        A horizontal line at the one point's y, such as a baseline.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float, str]]
    curve: Sequence[tuple[float, float]] = ()
    shape: str = "circle"
    hollow: bool = False
    dashed: bool = False
    level: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart with a logarithmic x: title, axes as (symbol, meaning), series, and what is said below."""

    name: str
    title: str
    x: tuple[str, str]
    y: tuple[str, str]
    series: Sequence[Series]
    words: str = ""
    link: str = ""


def svg(chart: Chart) -> str:
    """Draw a chart.

    Returns
    -------
    str
        An `<svg>` element without scripts or styles of its own; every text in it is escaped.
    """
    legend = _legend(chart.series)
    top = TITLE + ROW * (1 + max(row for row, _, _ in legend)) + 14
    floor = HEIGHT - BOTTOM
    shown = [one for one in chart.series if not one.level]
    xs = [math.log10(x) for one in shown for x in _x(one)]
    ys = [y for one in chart.series for y in (*(p[1] for p in one.points), *(c[1] for c in one.curve))]
    (x0, x1), ticks = _room(min(xs), max(xs), 0.05), _ticks(min(ys), max(ys))
    y0, y1 = min(ticks[0], min(ys)), max(ticks[-1], max(ys))

    def across(x: float) -> float:
        return LEFT + (math.log10(x) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return floor - (y - y0) / (y1 - y0) * (floor - top)

    parts = [f'<text x="0" y="15" font-size="14" font-weight="650">{_text(chart.title)}</text>']
    for row, left, one in legend:
        parts.append(_entry(one, left, TITLE + ROW * row + 12))
    parts += [_grid(up(y), _number(y, ticks)) for y in ticks]
    right = WIDTH - RIGHT
    parts.append(_line(LEFT, floor, right, floor, "currentColor"))
    for place, label in _decades(x0, x1):
        x = across(place)
        parts.append(_line(x, floor, x, floor + 4, "currentColor"))
        parts.append(f'<text x="{x:.1f}" y="{floor + 17}" text-anchor="middle">{label}</text>')
    middle = (LEFT + right) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle"><tspan font-style="italic">'
        f"{_text(chart.x[0])}</tspan>{_text(', ' + chart.x[1] if chart.x[1] else '')}</text>"
    )
    parts.append(
        f'<text transform="translate(11 {(top + floor) / 2:.1f}) rotate(-90)" text-anchor="middle">'
        f"{_text(', '.join(word for word in chart.y if word))}</text>"
    )
    for one in chart.series:
        if one.level and one.points:
            y = up(one.points[0][1])
            parts.append(_line(LEFT, y, right, y, one.colour, ' stroke-width="1.6" stroke-dasharray="2 3"'))
        elif one.curve:
            path = "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in one.curve)
            dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
            parts.append(
                f'<path d="{path}" fill="none" stroke="{escape(one.colour)}" stroke-width="1.8"{dashes}/>'
            )
    for one in chart.series:
        if not one.level:
            parts += [_mark(one, across(x), up(y), label) for x, y, label in one.points]
    said = escape(readable(f"{chart.title}: {_said(chart)}"), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{said}" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _x(one: Series) -> list[float]:
    return [p[0] for p in one.points] + [c[0] for c in one.curve]


def _said(chart: Chart) -> str:
    """Say for those who do not see it what each series does."""
    told = []
    for one in chart.series:
        ends = sorted(one.points)
        if one.level:
            told.append(f"{one.name} at {ends[0][1]:.4g}")
        elif ends:
            told.append(f"{one.name} from {ends[0][1]:.4g} to {ends[-1][1]:.4g}")
    return f"{chart.y[0]} over {chart.x[0]}; " + "; ".join(told)


def _legend(series: Sequence[Series]) -> list[tuple[int, float, Series]]:
    """Lay the names out in rows: (row, x, series)."""
    placed: list[tuple[int, float, Series]] = []
    row, x = 0, 0.0
    for one in series:
        wide = 24 + LETTER * len(readable(one.name, 40)) + 16
        if x and x + wide > WIDTH:
            row, x = row + 1, 0.0
        placed.append((row, x, one))
        x += wide
    return placed


def _entry(one: Series, x: float, y: float) -> str:
    line = _line(x, y - 4, x + 18, y - 4, one.colour, ' stroke-width="1.8"' + _dashes(one))
    mark = "" if one.level else _mark(one, x + 9, y - 4, "")
    return f'{line}{mark}<text x="{x + 24:.1f}" y="{y}">{_text(readable(one.name, 40))}</text>'


def _dashes(one: Series) -> str:
    if one.level:
        return ' stroke-dasharray="2 3"'
    return ' stroke-dasharray="6 4"' if one.dashed else ""


def _mark(one: Series, x: float, y: float, label: str) -> str:
    colour = escape(one.colour)
    look = f'fill="none" stroke="{colour}" stroke-width="1.8"' if one.hollow else f'fill="{colour}"'
    title = f"<title>{_text(label)}</title>" if label else ""
    if one.shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" {look}>{title}</circle>'
    corners = {
        "square": ((-3.8, -3.8), (3.8, -3.8), (3.8, 3.8), (-3.8, 3.8)),
        "diamond": ((0, -5.2), (5.2, 0), (0, 5.2), (-5.2, 0)),
    }.get(one.shape, ((0, -4.8), (4.6, 3.4), (-4.6, 3.4)))
    around = "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners)
    return f'<path d="M{around}Z" {look}>{title}</path>'


def _grid(y: float, label: str) -> str:
    line = _line(LEFT, y, WIDTH - RIGHT, y, "currentColor", ' stroke-opacity="0.16"')
    return f'{line}<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{escape(colour)}"{more}/>'


def _text(text: str) -> str:
    return escape(readable(text, 200))


def _room(low: float, high: float, share: float) -> tuple[float, float]:
    pad = max((high - low) * share, 0.04)
    return low - pad, high + pad


def _ticks(low: float, high: float) -> list[float]:
    """Lay four to seven round numbers over a range."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(by for by in (1, 2, 2.5, 5, 10) if span / (step * by) <= 5.5)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [n * step for n in range(first, last + 1)]


def _number(value: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(round(step, digits) - step) > step * 1e-6:
        digits += 1  # steps of 0.25
    return f"{value + 0.0:.{digits}f}".replace("-", "−")


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    """Lay ticks at 1, 2 and 5 times the powers of ten (as many as have room), written short."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        places = [s * 10.0**p for p in range(math.floor(low) - 1, math.ceil(high) + 1) for s in steps]
        places = [place for place in places if low <= math.log10(place) <= high]
        if len(places) <= 7 or steps == (1,):
            break
    while len(places) > 7:
        places = places[::2]
    return [(place, _short(place)) for place in places]


def _short(value: float) -> str:
    for power, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:g}{unit}"
    return f"{value:g}"
