"""The paper's Fig. 2 with a real document: how n-grams and codes name it, and how a query finds it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from genret_core.workbench.figures import style

BOX = "border:1px solid rgba(127,127,127,.55);border-radius:8px;padding:8px 10px;overflow-wrap:anywhere;"
ARROW = (
    '<div style="flex:0 0 auto;align-self:center;text-align:center;font-size:11px;color:#7f7f7f;'
    'line-height:1.25;max-width:92px">{}<br><span style="font-size:17px">→</span></div>'
)


@dataclass(frozen=True)
class Diagram:
    """A drawing that notebooks and reports show as HTML.

    Attributes
    ----------
    html : str
        Inline styles only, no script: it looks the same in JupyterLab and in an exported page.
    text : str
        The same in words, where HTML cannot be shown.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def two_methods(
    *,
    title: str,
    document: str,
    spans: Sequence[tuple[int, int]],
    query: str,
    ngrams: Sequence[str],
    codes: Sequence[int],
    vector: str,
) -> Diagram:
    """Draw Fig. 2: (1) n-grams cut out of the document, (2) codes of a learned codebook.

    Parameters
    ----------
    title, document, query : str
        The document and one of its training queries.
    spans : sequence of (start, end)
        Characters of `document` that the drawn n-grams cover; may overlap.
    ngrams : sequence of str
        The n-grams as text.
    codes : sequence of int
        The document's codes.
    vector : str
        What the document is embedded with, e.g. `TF-IDF, 64 dimensions`.
    """
    code_text = " ".join(f"c<sub>{code}</sub>" for code in codes)
    chips = "".join(chip(text, style.GREEN) for text in ngrams)
    first = [
        _box("document", f"<b>{escape(title)}</b><br>{_marked(document, spans)}", grow=3),
        ARROW.format("cut out, by overlap with the query"),
        _box("identifiers: n-grams", chips, grow=2),
        ARROW.format("learned by a language model"),
        _box("query → n-grams", f"<i>{escape(query)}</i>", grow=1.4),
    ]
    second = [
        _box("document", f"<b>{escape(title)}</b>", grow=1.4),
        ARROW.format("embed"),
        _box("vector", escape(vector), grow=1),
        ARROW.format("quantise, residual by residual"),
        _box("identifier: codes", chip_html(code_text, style.PURPLE), grow=2),
        ARROW.format("learned by a language model"),
        _box("query → codes", f"<i>{escape(query)}</i>", grow=1.4),
    ]
    look = f"font-family:{style.FONT};font-size:13px;line-height:1.4;max-width:900px"
    html = (
        f'<div style="{escape(look, quote=True)}">'
        f"{_row('(1) n-grams of its text', first)}{_row('(2) codes of a learned codebook', second)}</div>"
    )
    text = (
        f"{title}\n(1) n-grams: {'; '.join(ngrams)}\n(2) codes: {' '.join(map(str, codes))}\nquery: {query}"
    )
    return Diagram(html, text)


def _row(name: str, parts: Sequence[str]) -> str:
    inside = "".join(parts)
    head = f'<div style="font-weight:600;margin:10px 0 4px">{escape(name)}</div>'
    return f'{head}<div style="display:flex;gap:8px;align-items:stretch;flex-wrap:wrap">{inside}</div>'


def _box(label: str, inside: str, *, grow: float) -> str:
    head = f'<div style="font-size:11px;color:#7f7f7f;margin-bottom:3px">{escape(label)}</div>'
    return f'<div style="{BOX}flex:{grow:g} 1 110px">{head}{inside}</div>'


def chip(text: str, colour: str) -> str:
    """Draw a short text as a rounded label; the text is escaped."""
    return chip_html(escape(text), colour)


def chip_html(inside: str, colour: str) -> str:
    """Draw HTML as a rounded label."""
    look = f"background:{style.faded(colour, 0.16)};border-radius:5px;padding:1px 6px;margin:2px 3px 2px 0"
    return f'<span style="{look};display:inline-block">{inside}</span>'


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Mark the union of the spans in the text."""
    covered = [False] * len(text)
    for start, end in spans:
        covered[start:end] = [True] * (min(end, len(text)) - start)
    out, i = [], 0
    while i < len(text):
        j = i
        while j < len(text) and covered[j] == covered[i]:
            j += 1
        piece = escape(text[i:j])
        shade = f"background:{style.faded(style.GREEN, 0.22)};color:inherit;border-radius:3px"
        out.append(f'<mark style="{shade}">{piece}</mark>' if covered[i] else piece)
        i = j
    return "".join(out)
