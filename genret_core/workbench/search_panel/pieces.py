"""Which of many n-grams are worth showing: beams write hundreds, most of them beginnings of one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genret_core.retrieval import bm25
from genret_core.workbench.search_panel.outcome import Side, Written

HEAVY, FINAL = 5, 3


@dataclass(frozen=True)
class Piece:
    """Something written, and how the beams went on with it without leaving the places where it stands."""

    written: Written
    onwards: str = ""


@dataclass(frozen=True)
class Pieces:
    """What is shown of a side.

    Attributes
    ----------
    heavy : tuple of Piece
        Those that weigh most; of codes the likeliest.
    final : tuple of Piece
        The likeliest that were written to their end and are not among `heavy`; none for codes.
    """

    heavy: tuple[Piece, ...]
    final: tuple[Piece, ...]


def pieces(side: Side) -> Pieces:
    """Choose what is shown of a side.

    Of n-grams that begin one another and stand in the same places, the heaviest is shown, with the others
    as its way onwards: they lead to the same documents.
    """
    if side.method != "ngram":
        likely = sorted(side.written, key=lambda one: -one.log_prob)
        return Pieces(tuple(Piece(one) for one in likely[: HEAVY + FINAL]), ())
    ordered = sorted((one for one in side.written if one.weight), key=lambda one: -(one.weight or 0.0))
    heavy: list[Written] = []
    folded: dict[tuple[int, ...], Written] = {}
    for one in ordered:
        like = next((kept for kept in heavy if _same(kept, one)), None)
        if like is not None:
            longest = folded.get(like.ids, like)
            folded[like.ids] = max(longest, one, key=lambda w: len(w.ids))
        elif len(heavy) < HEAVY:
            heavy.append(one)
    told = {one.ids for one in heavy} | {one.ids for one in folded.values()}
    ends = sorted((one for one in side.written if one.final), key=lambda one: -one.log_prob)
    final = [one for one in ends if one.ids not in told][:FINAL]
    return Pieces(tuple(_piece(one, folded) for one in heavy), tuple(Piece(one) for one in final))


def _same(kept: Written, other: Written) -> bool:
    """Whether one begins the other and both stand in the same places."""
    short, long = sorted((kept.ids, other.ids), key=len)
    return kept.count == other.count and long[: len(short)] == short


def _piece(one: Written, folded: dict[tuple[int, ...], Written]) -> Piece:
    longest = folded.get(one.ids, one)
    goes_on = longest.text.startswith(one.text)
    return Piece(one, longest.text[len(one.text) :] if goes_on else "")


def words_of(query: str) -> Sequence[str]:
    """Give the different words of a query, as BM25 takes them."""
    return tuple(dict.fromkeys(bm25.words_of(query)))
