"""Queries looked at closely: what was written for each, what was found, and what BM25 found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from genret_core.workbench.figures import style
from genret_core.workbench.figures.diagram import BOX, Diagram, chip

SMALL = "font-size:11px;color:#7f7f7f;margin-bottom:3px"


@dataclass(frozen=True)
class Found:
    """A document that a search returned."""

    title: str
    relevant: bool


@dataclass(frozen=True)
class Card:
    """One query.

    Attributes
    ----------
    query, wanted : str
        The query, and the document that it asks for.
    written, heavy : sequence of str
        The likeliest identifiers that were written to their end, and those that weighed most in the ranking;
        empty where they were not kept.
    found, words : sequence of Found
        What the search returned first, and what BM25 did.
    """

    query: str
    wanted: str
    written: Sequence[str]
    heavy: Sequence[str]
    found: Sequence[Found]
    words: Sequence[Found]


def cards(shown: Sequence[Card], *, caption: str) -> Diagram:
    """Lay out queries one below the other, each with what was written and found side by side."""
    parts = [f'<div style="font-weight:600;margin:4px 0 8px">{escape(caption)}</div>']
    for card in shown:
        asks = '<span style="color:#7f7f7f">asks for</span>'
        head = f"<b>{escape(card.query)}</b> {asks} {_breakable(card.wanted)}"
        chips = "".join(chip(text, style.GREEN) for text in card.written) or "not kept"
        if card.heavy:
            chips += f'<div style="{SMALL};margin-top:5px">what weighed most</div>'
            chips += "".join(chip(text, style.SKY) for text in card.heavy)
        boxes = [
            ("written, the likeliest first", chips, 2.2),
            ("found", _list(card.found), 1.5),
            ("BM25", _list(card.words), 1.5),
        ]
        row = "".join(
            f'<div style="{BOX}flex:{grow:g} 1 180px"><div style="{SMALL}">{label}</div>{inside}</div>'
            for label, inside, grow in boxes
        )
        parts.append(
            f'<div style="margin:0 0 4px">{head}</div>'
            f'<div style="display:flex;gap:8px;flex-wrap:wrap;margin:0 0 16px">{row}</div>'
        )
    look = f"font-family:{style.FONT};font-size:13px;line-height:1.45"
    text = "\n".join(
        f"{card.query} (asks for {card.wanted})\n  written: {'; '.join(card.written)}\n"
        f"  found: {'; '.join(f.title for f in card.found)}\n  BM25: {'; '.join(f.title for f in card.words)}"
        for card in shown
    )
    return Diagram(f'<div style="{escape(look, quote=True)}">{"".join(parts)}</div>', text)


def _list(found: Sequence[Found]) -> str:
    if not found:
        return "nothing"
    mark = f' <b style="color:{style.GREEN}">✓</b>'
    return "<br>".join(
        f"{i}. {_breakable(one.title)}{mark if one.relevant else ''}" for i, one in enumerate(found, start=1)
    )


def _breakable(title: str) -> str:
    """Let a dotted name break after its dots."""
    return escape(title).replace(".", ".<wbr>")
