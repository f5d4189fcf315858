"""One line of words under the title: what holds and what does not, each with a hover that explains."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from genret_core.workbench.explorer import theme
from genret_core.workbench.explorer.prose import readable

if TYPE_CHECKING:
    from genret_core.scaling import Fit, Verdict

ROWS_NAMED = 3  # so many rows are named; more are counted
LONGEST = 36  # characters of names in the strip
# code: tone and words; {rows}, {symbol} and {factor} are filled in
WORDS = {
    "saturated": ("bad", "0 degrees of freedom"),
    "wrong_sign": ("bad", "does not fall"),
    "no_trend": ("bad", "no trend"),
    "at_edge": ("bad", "{symbol} at the edge of the search"),
    "collinear": ("bad", "arguments move together"),
    "lack_of_fit": ("bad", "law misses the points"),
    "exponent_open": ("warn", "exponent {symbol} open"),
    "floor_not_identified": ("warn", "floor open"),
    "no_interaction_tested": ("warn", "interaction untested"),
    "outside_bounds": ("warn", "leaves the possible range"),
    "near_chance": ("warn", "{count} at chance"),
    "outlier": ("warn", "outlier: {rows}"),
    "influential": ("warn", "rests on {rows}"),
    "extrapolation": ("warn", "extrapolating × {factor}"),
    "swapped_arguments": ("bad", "published law: arguments exchanged"),
    "worse_than_published": ("bad", "worse than published"),
    "better_than_published": ("note", "better than published"),
    "rows_dropped": ("note", "dropped: {rows}"),
    "duplicates": ("note", "repeated: {rows}"),
    "aicc_undefined": ("note", "AICc undefined"),
}
GRAVITY = {"bad": 0, "warn": 1, "good": 2, "note": 3}


class VerdictStrip:
    """The verdicts of the fit in focus; always visible.

    Parameters
    ----------
    desk : Desk
    """

    tab = None

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.widget = widgets.HTML(layout=widgets.Layout(width="100%", margin="2px 0"))

    def show(self, shown: Any) -> None:
        """Write the verdicts of the fit in focus."""
        self.widget.value = html_of(shown)


class Findings:
    """The same in sentences, with what would help; on the first tab.

    Parameters
    ----------
    desk : Desk
    """

    tab = "fit"

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.widget = widgets.HTML(layout=widgets.Layout(width="100%", margin="0"))

    def show(self, shown: Any) -> None:
        """Write the verdicts, the gravest first."""
        told = sorted(shown.verdicts, key=lambda verdict: GRAVITY[WORDS.get(verdict.code, ("note",))[0]])
        self.widget.value = f'<ul class="gx-found">{"".join(map(_sentence_html, told))}</ul>' if told else ""


def _sentence_html(verdict: Verdict) -> str:
    sign, ink, _ = theme.TONES[WORDS.get(verdict.code, ("note",))[0]]
    said = theme.symbol_html(readable(verdict.message))
    return (
        f'<li><b aria-hidden="true" style="color:{ink}">{sign}</b>{said} '
        f"<span>{escape(readable(verdict.help))}</span></li>"
    )


def html_of(shown: Any) -> str:
    """Give the strip as HTML, the gravest first."""
    inner = "".join(_word_html(*word) for word in words(shown))
    return f'<div class="gx-strip" role="list" aria-label="verdicts">{inner}</div>'


def words(shown: Any) -> list[tuple[str, str, str]]:
    """Give tone, words and hover of everything that is to be told, the gravest first."""
    return sorted(_told(shown), key=lambda word: GRAVITY[word[0]])


def _told(shown: Any) -> Iterator[tuple[str, str, str]]:
    fit = shown.fit
    if fit is None:
        yield "bad", "no fit", shown.why
        return
    yield from _held(fit, shown.verdicts)
    for verdict in shown.verdicts:
        tone, said = WORDS.get(verdict.code, ("note", verdict.code.replace("_", " ")))
        yield tone, said.format(**_filled(shown, verdict)), f"{verdict.message} {verdict.help}".strip()
    points = shown.points(shown.state.focus)
    out = points[points["left_out"]]
    if len(out):
        told = "; ".join(f"row {row}: {why}" for row, why in zip(out["row"], out["reason"], strict=True))
        yield "note", f"{len(out)} left out", f"Not fitted: {told}."
    held = points["row"][points["target"] & ~points["left_out"]]
    if len(held):
        hover = f"Not fitted, so that the law has to predict them: rows {', '.join(map(str, held))}."
        yield "note", f"{len(held)} held out", hover


def _held(fit: Fit, verdicts: tuple[Verdict, ...]) -> Iterator[tuple[str, str, str]]:
    if {"wrong_sign", "no_trend"} & {verdict.code for verdict in verdicts}:
        return
    named = [
        (p.name, "floor" if p.role == "floor" else f"exponent {p.symbol}")
        for role in ("exponent", "floor")
        for p in fit.law.with_role(role)
    ]
    held = [told for name, told in named if fit.identified(name)]
    if held:
        hover = f"The 95 % interval is closed for: {', '.join(held)}. {fit.covers}"
        yield "good", f"identified: {', '.join(held)}", hover
    open_codes = {verdict.param for verdict in verdicts}
    free = [told for name, told in named if not fit.identified(name) and name not in open_codes]
    if free and fit.dof > 0:
        yield "warn", f"not identified: {', '.join(free)}", "The 95 % interval is open or of no use."


def _filled(shown: Any, verdict: Verdict) -> dict[str, str]:
    symbol = next(
        (p.symbol for p in shown.fit.law.parameters if p.name == verdict.param), verdict.param or ""
    )
    count = f"{len(verdict.rows)} point{'' if len(verdict.rows) == 1 else 's'}"
    factor = verdict.factor or 1.0
    return {
        "symbol": symbol,
        "rows": _named(shown, verdict.rows) if 0 < len(verdict.rows) <= ROWS_NAMED else count,
        "count": count,
        "factor": f"{factor:,.0f}" if factor >= 100 else f"{factor:.2g}",
    }


def _named(shown: Any, rows: tuple[int, ...]) -> str:
    """Name points as the table does, short; else by their rows."""
    table = shown.points(shown.state.focus)
    names = dict(zip(table["row"], table["name"], strict=True))
    told = [str(names.get(row) or f"row {row}") for row in rows]
    if any("," in name for name in told) or len(", ".join(told)) > LONGEST:
        return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}"
    return ", ".join(told)


def _word_html(tone: str, words: str, hover: str) -> str:
    sign, ink, wash = theme.TONES[tone]
    said = theme.symbol_html(words)
    return (
        f'<span class="gx-word" role="listitem" tabindex="0" title="{escape(readable(hover), quote=True)}" '
        f'style="color:{ink};background:{wash};border-color:{ink}40"><b aria-hidden="true">{sign}</b>'
        f"{said}</span>"
    )
