"""The outcome of a query as plain text, where no HTML can be shown."""

from __future__ import annotations

from genret_core.workbench.search_panel.marked import excerpt
from genret_core.workbench.search_panel.outcome import Document, Outcome, Side
from genret_core.workbench.search_panel.pieces import Piece, pieces
from genret_core.workbench.search_panel.view import EXCERPT, verdict


def to_text(outcome: Outcome) -> str:
    """Write a query, what was written for it and what was found; what was matched stands in [brackets]."""
    lines = [f"“{outcome.query}”", verdict(outcome)]
    for one in outcome.wanted or ():
        lines.append(f"asked for: {one.title}")
    for side in outcome.rankings:
        lines += ["", side.name + (f", beam {side.beam}" if side.beam else "")]
        lines += [f"  wrote {line}" for line in _written(side)]
        lines += [f"  {_document(document)}" for document in side.documents]
    return "\n".join([*lines, "", outcome.origin])


def _written(side: Side) -> list[str]:
    shown = pieces(side)
    return [_piece(piece) for piece in (*shown.heavy, *shown.final)]


def _piece(piece: Piece) -> str:
    one = piece.written
    weight = "" if one.weight is None else f"weight {one.weight:.1f}, "
    return f"{one.text!r} ({weight}ln p {one.log_prob:.1f}, {one.count} in the corpus)"


def _document(one: Document) -> str:
    tick = " (asked for)" if one.relevant else ""
    text, spans = excerpt(one.text, one.spans, EXCERPT)
    covered = [False] * (len(text) + 1)
    for span in spans:
        covered[span.start : span.end] = [True] * (span.end - span.start)
    out = ""
    for i, character in enumerate(text):
        opens, closes = covered[i] and not (i and covered[i - 1]), covered[i] and not covered[i + 1]
        out += f"{'[' if opens else ''}{character}{']' if closes else ''}"
    code = f" [{one.codes}]" if one.codes else ""
    return f"{one.rank}. {one.title}{tick}{code}: {out}"
