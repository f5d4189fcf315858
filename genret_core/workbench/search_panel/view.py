"""The outcome of a query as HTML: inline styles only, so that it looks the same live and in a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from genret_core.workbench.figures import style
from genret_core.workbench.figures.diagram import chip
from genret_core.workbench.search_panel.marked import breakable, excerpt, marked
from genret_core.workbench.search_panel.outcome import Document, Outcome, Side, Wanted, Written
from genret_core.workbench.search_panel.pieces import Piece, pieces, words_of

EXCERPT, WANTED_EXCERPT = 115, 330  # characters of a text that are shown
MOST_WANTED = 2
SOFT = "color:#7f7f7f;font-size:11px;font-weight:400"
CELL = (
    "font-size:13px;line-height:1.4;color:inherit;text-align:left;vertical-align:top;white-space:normal;"
    "padding:5px 10px 5px 0;border:0;background:none;overflow-wrap:anywhere;max-width:none"
)
TIGHT = (
    "text-align:left;vertical-align:baseline;padding:1px 8px 1px 0;border:0;background:none;font-size:12px"
)
NUMBER = TIGHT.replace("text-align:left", "text-align:right") + ";white-space:nowrap"
TABLE = "border-collapse:collapse;border:0;margin:0;table-layout:"
ROW = ' style="background:none"'
LINE = "1px solid rgba(127,127,127,.35)"
HINTS = {
    "weight": "how much it adds to the score of each document that holds it: the more, the likelier the "
    "model finds it and the rarer it is in the corpus",
    "ln p": "natural logarithm of the probability that the model gives it",
    "places": "how often it stands in the corpus",
    "documents": "how many documents have these codes",
}

SOURCES = {"query": "from the query", "unigram": "a likely first token"}
NO_WEIGHT = "weighs nothing: the model finds it hardly likelier than its share of the corpus"


def colours(outcome: Outcome) -> list[str]:
    """Give each ranking its colour: the family's, another one where both are of one family, BM25's grey."""
    found: list[str] = []
    for side in outcome.rankings:
        own = style.colour(side.family)
        found.append(style.PURPLE if own in found else own)
    return found


def verdict(outcome: Outcome) -> str:
    """Say in one sentence who finds what the query asks for."""
    if outcome.wanted is None:
        return "A query of your own: which document it asks for is not known."
    if not outcome.wanted:
        return "No document is judged relevant to this query."
    it = "the document asked for" if len(outcome.wanted) == 1 else "the first document asked for"
    told = []
    for side in outcome.rankings:
        who = side.name.partition(",")[0] if _told_apart(outcome) else side.name
        rank = side.relevant_rank
        told.append(f"{who} puts {it} at rank {rank}" if rank else f"{who} does not find {it}")
        it = "it"
    return f"{'; '.join(told)}."


def to_html(outcome: Outcome) -> str:
    """Draw a query: what it asks for, what was written for it, and the documents that leads to."""
    sides, shades = outcome.rankings, colours(outcome)
    heads = "".join(
        f'<th scope="col" style="{CELL};width:{_width(side, sides):.1f}%;border-top:3px solid {shade}">'
        f"{_head(outcome, side)}</th>"
        for side, shade in zip(sides, shades, strict=True)
    )
    wrote = "".join(
        f'<td style="{CELL}">{_wrote(outcome.query, side, shade)}</td>'
        for side, shade in zip(sides, shades, strict=True)
    )
    depth = max(len(side.documents) for side in sides)
    found = "".join(
        f"<tr{ROW}>{''.join(_found(side, shade, i) for side, shade in zip(sides, shades, strict=True))}</tr>"
        for i in range(depth)
    )
    look = f"font-family:{style.FONT};font-size:13px;line-height:1.4"
    return (
        f'<div style="{escape(look, quote=True)}">{_asked(outcome)}'
        f'<table style="{TABLE}fixed;width:100%"><thead><tr{ROW}>{heads}</tr></thead><tbody>'
        f"{_section('1. What the beams wrote: only what stands in the corpus is allowed', len(sides))}"
        f"<tr{ROW}>{wrote}</tr>"
        f"{_section('2. The documents that this leads to: what was matched is marked', len(sides))}{found}"
        f'</tbody></table><div style="{SOFT};margin-top:4px">{escape(outcome.origin)}</div></div>'
    )


def _width(side: Side, sides: Sequence[Side]) -> float:
    """Give a column its share of the page in per cent; BM25 has less to say."""
    shares = [0.85 if one.method == "bm25" else 1.0 for one in sides]
    return 100 * (0.85 if side.method == "bm25" else 1.0) / sum(shares)


def _told_apart(outcome: Outcome) -> bool:
    """Whether the backbones' names alone tell the rankings apart."""
    names = [side.name.partition(",")[0] for side in outcome.rankings]
    return len(set(names)) == len(names)


def _asked(outcome: Outcome) -> str:
    """Write the query, who finds what it asks for, and that document."""
    head = (
        f'<div style="font-size:17px;font-weight:650;margin:2px 0">“{escape(outcome.query)}”</div>'
        f'<div style="margin:0 0 6px">{escape(verdict(outcome))}</div>'
    )
    wanted = outcome.wanted or ()
    boxes = "".join(_wanted(one) for one in wanted[:MOST_WANTED])
    if len(wanted) > MOST_WANTED:
        boxes += f'<div style="{SOFT}">and {len(wanted) - MOST_WANTED} more</div>'
    return head + boxes


def _wanted(one: Wanted) -> str:
    text, _ = excerpt(one.text, (), WANTED_EXCERPT)
    look = f"border-left:3px solid {style.GREEN};padding:2px 0 2px 10px;margin:0 0 8px"
    return (
        f'<div style="{look}"><span style="{SOFT}">asked for, by the relevance judgements</span> '
        f"{_tick()} <b>{breakable(one.title)}</b><br>{escape(text)}</div>"
    )


def _tick() -> str:
    return f'<b style="color:{style.GREEN}" title="asked for">✓</b>'


def _section(title: str, columns: int) -> str:
    look = f"{CELL};border-top:{LINE};font-weight:600;padding-top:7px"
    return f'<tr{ROW}><th colspan="{columns}" scope="colgroup" style="{look}">{title}</th></tr>'


def _head(outcome: Outcome, side: Side) -> str:
    facts = [f"beam {side.beam}"] if side.beam else ["ranks by the words of the query"]
    if side.seconds is not None:
        facts.append(f"{1000 * side.seconds:.0f} ms")
    if side.flops is not None:
        facts.append(f"{style.short(side.flops)} FLOPs")
    facts += [side.note] if side.note else []
    name = f'<b style="font-size:14px">{escape(side.name)}</b>'
    told = f'{name} <span style="{SOFT}">{escape(", ".join(facts))}</span>'
    if not outcome.wanted:
        return told
    rank = side.relevant_rank
    where = f"{_tick()} at rank <b>{rank}</b>" if rank else f"✗ not among the {side.n_found} found"
    return f'{told}<div style="font-weight:400">{where}</div>'


def _wrote(query: str, side: Side, shade: str) -> str:
    if side.method == "bm25":
        chips = "".join(chip(word, shade) for word in words_of(query))
        return f'<div style="{SOFT};margin-bottom:3px">writes nothing; looks for</div>{chips}'
    if not side.written:
        return f'<span style="{SOFT}">what was written was not kept</span>'
    shown = pieces(side)
    if side.method != "ngram":
        likeliest = max(math.exp(piece.written.log_prob) for piece in shown.heavy)
        rows = [_code_row(piece, likeliest, shade) for piece in shown.heavy]
        return _inner(("codes", "ln p", "documents"), rows)
    heaviest = _heaviest(side)
    rows = [_ngram_row(piece, heaviest, shade) for piece in shown.heavy]
    if not rows:
        rows = [f'<tr{ROW}><td colspan="4" style="{TIGHT}">nothing that weighs anything</td></tr>']
    if shown.final:
        rows.append(
            f'<tr{ROW}><td colspan="4" style="{TIGHT};{SOFT};padding-top:4px">'
            "written to the end, likeliest first</td></tr>"
        )
        rows += [_ngram_row(piece, heaviest, shade) for piece in shown.final]
    return _inner(("n-gram", "weight", "ln p", "places"), rows)


def _inner(heads: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(
        f'<th scope="col" title="{escape(HINTS.get(name, ""), quote=True)}" '
        f'style="{TIGHT if i == 0 else NUMBER};{SOFT}">{name}</th>'
        for i, name in enumerate(heads)
    )
    return (
        f'<table style="{TABLE}auto;width:100%"><thead><tr{ROW}>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _ngram_row(piece: Piece, heaviest: float, shade: str) -> str:
    one = piece.written
    onwards = ""
    if piece.onwards:
        hint = "how the beams went on, in the same places of the corpus"
        onwards = f'<span style="color:#7f7f7f" title="{hint}">{escape(piece.onwards)}</span>'
    text = f'<b style="font-weight:600">{escape(one.text)}</b>{onwards}{_source(one)}'
    if one.weight:
        bar = _bar(one.weight / heaviest, shade)
        cells = f'<td style="{TIGHT}">{text}</td><td style="{NUMBER}">{bar}{one.weight:.1f}</td>'
    else:
        cells = f'<td colspan="2" style="{TIGHT}" title="{NO_WEIGHT}">{text}</td>'
    return (
        f'<tr{ROW}>{cells}<td style="{NUMBER}">{_signed(one.log_prob)}</td>'
        f'<td style="{NUMBER}">{one.count:,}</td></tr>'
    )


def _source(one: Written) -> str:
    """Say where a key comes from that no beam wrote."""
    if "beam" in one.source:
        return ""
    told = SOURCES.get(one.source, one.source)
    return f' <span style="{SOFT}">{escape(told)}</span>'


def _code_row(piece: Piece, likeliest: float, shade: str) -> str:
    one = piece.written
    bar = _bar(math.exp(one.log_prob) / likeliest, shade)
    return (
        f'<tr{ROW}><td style="{TIGHT}">{_codes(one.text)}</td>'
        f'<td style="{NUMBER}">{bar}{_signed(one.log_prob)}</td><td style="{NUMBER}">{one.count:,}</td></tr>'
    )


def _bar(share: float, shade: str) -> str:
    look = f"display:inline-block;height:8px;width:{round(44 * min(share, 1.0))}px;margin-right:5px"
    return f'<span style="{look};background:{style.faded(shade, 0.55)};border-radius:2px"></span>'


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _codes(text: str) -> str:
    return f'<code style="background:none;padding:0">{escape(text)}</code>'


def _heaviest(side: Side) -> float:
    return max((one.weight or 0.0 for one in side.written), default=0.0)


def _found(side: Side, shade: str, place: int) -> str:
    if place >= len(side.documents):
        nothing = "found nothing" if place == 0 else ""
        return f'<td style="{CELL}">{nothing}</td>'
    one = side.documents[place]
    gap = one.rank > place + 1
    look = f"{CELL};border-top:{LINE}" + (
        f";border-left:0;background:{style.faded(style.GREEN, 0.07)}" if gap else ""
    )
    return f'<td style="{look}">{_document(one, side, shade)}</td>'


def _document(one: Document, side: Side, shade: str) -> str:
    head = (
        f'<span style="{SOFT}">{one.rank}.</span> {f"{_tick()} " if one.relevant else ""}'
        f"<b>{breakable(one.title, one.title_spans, shade)}</b> "
        f'<span style="{SOFT}" title="score of the document">{_signed(one.score)}</span>'
    )
    if one.codes:
        text, _ = excerpt(one.text, (), EXCERPT)
        code = f'<mark style="background:{style.faded(shade, 0.3)};color:inherit">{_codes(one.codes)}</mark>'
        return f'{head} {code}<br><span style="font-size:12px">{escape(text)}</span>'
    text, spans = excerpt(one.text, one.spans, EXCERPT)
    ngrams = side.method == "ngram"
    if ngrams and not spans:
        why = "n-grams that were not kept" if side.seconds is None else "n-grams that weigh little"
        head += f' <span style="{SOFT}">by {why}</span>'
    inside = marked(text, spans, shade, _heaviest(side) if ngrams else 1.0, "weight" if ngrams else "")
    return f'{head}<br><span style="font-size:12px">{inside}</span>'
