"""Texts with what was matched in them marked, cut to where most of it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import groupby

import numpy as np

from genret_core.workbench.figures import style
from genret_core.workbench.search_panel.outcome import Span

SHADES = 4
FAINT, STRONG = 0.13, 0.5  # opacity of the lightest and the heaviest mark


def excerpt(text: str, spans: Sequence[Span], length: int) -> tuple[str, tuple[Span, ...]]:
    """Cut a text, at spaces, to the stretch with the heaviest marks; the spans move along.

    Parameters
    ----------
    text : str
    spans : sequence of Span
    length : int
        Characters kept, about.
    """
    if len(text) <= length:
        return text, tuple(spans)
    heavy = np.concatenate([[0.0], np.cumsum(_weights(len(text), spans))])
    inside = heavy[length:] - heavy[:-length]
    best = np.flatnonzero(inside >= inside.max() - 1e-9)
    start = int(best[0] if inside.max() <= 0 else best[len(best) // 2])
    start = 0 if start < 12 else text.rfind(" ", 0, start + 1) + 1
    end = text.find(" ", min(start + length, len(text) - 1))
    end = len(text) if end < 0 else end
    before, after = "…\u00a0" if start else "", "\u00a0…" if end < len(text) else ""
    shift = len(before) - start
    kept = [
        Span(max(span.start, start) + shift, min(span.end, end) + shift, span.weight, span.by)
        for span in spans
        if span.start < end and span.end > start
    ]
    return f"{before}{text[start:end]}{after}", tuple(kept)


def marked(
    text: str,
    spans: Sequence[Span],
    colour: str,
    heaviest: float,
    told: str = "",
    write: Callable[[str], str] = escape,
) -> str:
    """Mark spans in a text, as escaped HTML; the heavier, the stronger.

    Parameters
    ----------
    text : str
    spans : sequence of Span
        May overlap: the heaviest shows.
    colour : str
        Of the palette.
    heaviest : float
        Weight that is marked strongest.
    told : str
        What a weight is called when one points at a mark; empty: marks say nothing.
    write : callable
        Turns a piece of the text into HTML.
    """
    owner = np.full(len(text), -1)
    for i in sorted(range(len(spans)), key=lambda i: spans[i].weight):
        owner[spans[i].start : spans[i].end] = i
    out = []
    for number, part in groupby(range(len(text)), key=lambda i: int(owner[i])):
        places = list(part)
        piece = write(text[places[0] : places[-1] + 1])
        out.append(piece if number < 0 else _mark(piece, spans[number], colour, heaviest, told))
    return "".join(out)


def breakable(title: str, spans: Sequence[Span] = (), colour: str = style.GREY) -> str:
    """Let a dotted name break after its dots, marks kept."""
    return marked(title, spans, colour, 1.0, write=_dots)


def _dots(title: str) -> str:
    return escape(title).replace(".", ".<wbr>")


def _mark(piece: str, span: Span, colour: str, heaviest: float, told: str) -> str:
    share = min(span.weight / heaviest, 1.0) if heaviest > 0 else 1.0
    step = np.ceil(share * SHADES) / SHADES
    shade = style.faded(colour, round(FAINT + (STRONG - FAINT) * float(step), 2))
    hint = f' title="{escape(f"{span.by}: {told} {span.weight:.1f}", quote=True)}"' if told else ""
    return f'<mark{hint} style="background:{shade};color:inherit">{piece}</mark>'


def _weights(length: int, spans: Iterable[Span]) -> np.ndarray:
    weight = np.zeros(length)
    for span in spans:
        weight[span.start : span.end] = np.maximum(weight[span.start : span.end], span.weight)
    return weight
