"""What the files of other systems hold, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from genret_core.retrieval.qrels import Qrel

NOTHING: Mapping[str, Any] = {}


class Passage(NamedTuple):
    """A document. `more` holds what else its record says."""

    id: str
    title: str
    text: str
    where: str
    more: Mapping[str, Any] = NOTHING


class Question(NamedTuple):
    """A query. `more` holds what else its record says."""

    id: str
    text: str
    where: str
    more: Mapping[str, Any] = NOTHING


class Codes(NamedTuple):
    """The codes that somebody gave to a document."""

    id: str
    codes: Sequence[int]
    where: str


class Aside(NamedTuple):
    """What is kept beside the collection: `<name>.jsonl` gets a record with the `id` and `values`.

    `of` says what the id belongs to.
    """

    name: str
    of: Literal["query", "document"]
    id: str
    values: Mapping[str, Any]
    where: str


class Pair(NamedTuple):
    """A training pair of a text and an identifier, as it was written; kept in `pairs.jsonl`."""

    values: Mapping[str, Any]
    where: str


class LeftOut(NamedTuple):
    """One piece that is left out, and why (counted by reason)."""

    reason: str


Item = Passage | Question | Qrel | Codes | Aside | Pair | LeftOut
