"""Recorded losses, as the published code and others write them, read into the losses table of `cgl`.

The published layout is ``{query: {"pos_loss": [...], "neg_loss": [...]}}``, with a number for each document.
The same may stand as a list of records or a line each (then with the query under `query`, and its id under
`query_id`), or turned around, ``{"pos_loss": {query: [...]}, "neg_loss": {...}}``. In place of a document's
number there may be a list of its identifiers' losses: numbers, or objects with `nll` and `tokens` and what
else is known of the identifier (see `OPTIONAL`). In place of a list there may be one number, as where one was
stored for a whole batch of negatives. Files are read query by query; a `.gz` is unpacked on the way.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import check_losses
from genret_core.retrieval.importing.json_stream import JsonStream, json_stream, kind
from genret_core.retrieval.importing.sources import Source

LISTS = ("pos_loss", "neg_loss")
QUERY_KEYS, ID_KEYS = ("query", "question"), ("query_id", "qid", "id")
OPTIONAL = ("eos_nll", "pad_nll", "pads", "kind", "text")
"""Columns that a losses table may have besides: the loss of the end token behind the identifier; the summed
loss of padding behind that, and how many pads there are; what the identifier is (`body`, `title`,
`pseudo_query`); the query's text."""
_NUMBERS = ("eos_nll", "pad_nll", "pads")


@dataclass(frozen=True, eq=False)
class RecordedLosses:
    """Losses as they were recorded, and in which way.

    Attributes
    ----------
    losses : DataFrame
        The losses table; `query` counts from 0 where they were named by a text. What else was recorded is in
        columns of `OPTIONAL`.
    queries : list of str
        Names of the queries, in the order of their numbers.
    published : bool
        Whether it is the published layout: a mean per document or batch, and L⁺, Σ L⁻ by its rule.
    layout : str
        What was found, in words.
    """

    losses: pd.DataFrame
    queries: list[str] = field(repr=False)
    published: bool
    layout: str

    @property
    def negatives(self) -> tuple[int, int]:
        """Give the least and the largest number of negatives recorded for a query."""
        kept = self.losses.loc[~self.losses["positive"].astype(bool), ["query", "document"]]
        counts = kept.drop_duplicates().groupby("query").size()
        return (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)


def read_recorded(path: str | os.PathLike[str]) -> RecordedLosses:
    """Read recorded losses: JSON or JSON lines (either may end in `.gz`), or a losses table in `.parquet`.

    Raises
    ------
    BadInput
        There is no such file; it is not what its name says; a query or key twice; an empty list; a loss that
        is no finite number of 0 or more; keys that are not known. The query is named.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file of losses; check the name.")
    if path.suffix == ".parquet":
        return _read_table(path)
    reader = _Reader(str(path))
    with json_stream(Source(path, path.name, "test")) as stream:
        if not stream.peek():
            raise BadInput(f"{path}: the file is empty; record the losses again.")
        while stream.peek():  # a value, or one on each line
            for where, name, record in _items(stream):
                reader.add(where, name, record)
    return reader.done()


def losses_from_records(records: Mapping[str, Mapping[str, Any]]) -> RecordedLosses:
    """Take records that are in memory, ``{query: {"pos_loss": [...], "neg_loss": [...]}}``.

    Raises
    ------
    BadInput
        As `read_recorded`.
    """
    reader = _Reader("the recorded losses")
    for name, record in records.items():
        reader.add("the recorded losses", str(name), record)
    return reader.done()


def _read_table(path: Path) -> RecordedLosses:
    import pyarrow as pa

    try:
        losses = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: this is no parquet file ({reason}); record the losses again.") from None
    try:
        check_losses(losses)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    names = [str(query) for query in np.unique(losses["query"].to_numpy())]
    more = [name for name in OPTIONAL if name in losses]
    told = "a losses table: a loss for each identifier, summed over its tokens"
    return RecordedLosses(losses, names, False, told + (f"; also {', '.join(more)}" if more else ""))


def _items(stream: JsonStream) -> Iterator[tuple[str, str | None, Any]]:
    """Give file and line, name and record of each query in the value that begins here."""
    if stream.peek() == "[":
        for where in stream.places():
            yield where, None, _object(stream)
        return
    own: dict[str, Any] = {}
    turned: dict[str, Any] = {}
    for where, key in stream.object():
        nested = stream.peek() == "{"
        if key in LISTS and nested:
            _put(turned, where, key, _object(stream))
        elif key in (*LISTS, *QUERY_KEYS, *ID_KEYS) and not nested:
            _put(own, where, key, stream.value())
        elif own or turned:
            raise BadInput(f"{where}: the key {key!r} is not known beside 'pos_loss'; take it out.")
        else:
            yield where, key, _object(stream)
    if own:
        yield stream.where, None, own
    for name in dict.fromkeys(name for part in turned.values() for name in part):
        yield stream.where, name, {key: part[name] for key, part in turned.items() if name in part}


def _object(stream: JsonStream) -> Any:
    """Read a value; if it is an object, one whose keys are all different."""
    if stream.peek() != "{":
        return stream.value()
    found: dict[str, Any] = {}
    for where, key in stream.object():
        _put(found, where, key, stream.value())
    return found


def _put(found: dict[str, Any], where: str, key: str, value: Any) -> None:
    if key in found:
        raise BadInput(f"{where}: the key {key!r} stands there twice; keep one of them.")
    found[key] = value


class _Reader:
    """Collects the losses of one query after another."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._names: dict[str, int] = {}
        self._texts: list[str] = []
        self._parts: list[dict[str, Any]] = []
        self._seen: set[str] = set()  # what was recorded beside the loss
        self._listed = False  # whether a document has a list of its own

    def add(self, where: str, name: str | None, record: Any) -> None:
        if not isinstance(record, Mapping):
            told = f"the query {name!r}" if name is not None else "a record"
            raise BadInput(
                f"{where}: {told} must be an object with 'pos_loss' and 'neg_loss', not {kind(record)}."
            )
        text = _first(record, QUERY_KEYS)
        name = name if name is not None else _first(record, ID_KEYS) or text
        if name is None:
            raise BadInput(f"{where}: a record says no query; give it 'query' or 'query_id'.")
        if name in self._names:
            raise BadInput(
                f"{where}: the query {name!r} stands there twice; keep one, or give each a 'query_id'."
            )
        for key in record:
            if key not in (*LISTS, *QUERY_KEYS, *ID_KEYS):
                raise BadInput(
                    f"{where}: the query {name!r} has the key {key!r}, which is not known; "
                    "a query has 'pos_loss' and 'neg_loss'."
                )
        row = self._names[name] = len(self._names)
        self._texts.append(text or name)
        first = 0
        for key in LISTS:
            told = f"{where}: {key!r} of the query {name!r}"
            if key not in record:
                raise BadInput(f"{told} is missing; record its losses again.")
            given = record[key] if isinstance(record[key], list) else [record[key]]
            if not given:
                raise BadInput(f"{told} is empty; record a loss at least.")
            part = self._part(told, given)
            if key == LISTS[1] and not np.any(part["nll"]):
                raise BadInput(f"{told} is zero throughout, so CGL is not defined; record its losses again.")
            part["document"] = part["document"] + first
            self._parts.append({"query": row, "positive": key == LISTS[0], **part})
            first = len(given)

    def _part(self, told: str, given: list[Any]) -> dict[str, Any]:
        """Turn a list of documents into columns."""
        if all(type(value) in (int, float) for value in given):
            nll = _losses(told, given)
            return {"document": np.arange(len(nll)), "identifier": 0, "nll": nll, "tokens": 1}
        rows = []
        for document, value in enumerate(given):
            self._listed |= isinstance(value, list)
            identifiers = value if isinstance(value, list) else [value]
            if not identifiers:
                raise BadInput(
                    f"{told} has an empty list for a document; record the losses of its identifiers."
                )
            for place, one in enumerate(identifiers):
                known = one if isinstance(one, dict) else {"nll": one}
                self._seen.update(known)
                rows.append({"document": document, "identifier": place, **_identifier(told, known)})
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: np.array([row.get(name) for row in rows]) for name in names}

    def done(self) -> RecordedLosses:
        if not self._names:
            raise BadInput(f"{self._where} holds no query; record some losses first.")
        sizes = [len(part["nll"]) for part in self._parts]
        names = ["query", "document", "positive", "identifier", "nll", "tokens"]
        names += [name for name in OPTIONAL if name in self._seen]
        columns = {name: np.concatenate([
            np.broadcast_to(np.asarray(part.get(name)), size)
            for part, size in zip(self._parts, sizes, strict=True)
        ]) for name in names}  # fmt: skip
        losses = pd.DataFrame(columns)
        if "kind" in losses:
            losses["kind"] = losses["kind"].fillna("body")
        queries = list(self._names)
        for name in _NUMBERS:
            if name in losses and losses[name].isna().any():
                query = queries[int(losses.loc[losses[name].isna(), "query"].iloc[0])]
                raise BadInput(
                    f"{self._where}: the query {query!r} has a loss without {name!r}, which others have; "
                    "record it for all or for none."
                )
            if name in losses:
                losses[name] = losses[name].astype(np.float64)
        if self._texts != queries:
            losses["text"] = np.array(self._texts, dtype=object)[losses["query"].to_numpy()]
        found = RecordedLosses(losses, queries, "tokens" not in self._seen, "")
        return RecordedLosses(losses, queries, found.published, self._layout(found.negatives))

    def _layout(self, negatives: tuple[int, int]) -> str:
        least, most = negatives
        counted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        if self._listed:
            told = "a list of its identifiers' losses for each document"
        elif most <= 2:
            told = "a number for each relevant document, and few for the negatives, as for batches of them"
        else:
            told = "a number for each document"
        return f"{told}; {counted} negative {'loss' if most == 1 else 'losses'} per query"


def _identifier(told: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Check what was recorded of an identifier."""
    strange = [key for key in known if key not in ("nll", "tokens", "kind", *_NUMBERS)]
    if strange or "nll" not in known:
        fault = f"has the key {strange[0]!r}, which is not known" if strange else "lacks 'nll' for a loss"
        raise BadInput(f"{told} {fault}; a loss is a number or {{'nll': …, 'tokens': …}}.")
    tokens = known.get("tokens", 1)
    if type(tokens) is not int or not 1 <= tokens < 2**31:
        raise BadInput(f"{told} has {tokens!r} tokens for a loss; give a whole number of 1 or more.")
    if not isinstance(known.get("kind", ""), str):
        raise BadInput(
            f"{told} has the kind {known['kind']!r}, which is no text; write body, title or pseudo_query."
        )
    numbers = {name: _loss(told, known[name]) for name in ("nll", *_NUMBERS) if name in known}
    return {"tokens": tokens, **numbers, **({"kind": known["kind"]} if "kind" in known else {})}


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    """Give the first of the keys that is there, as a text."""
    return next((str(record[key]) for key in keys if record.get(key) is not None), None)


def _losses(where: str, values: list[Any]) -> npt.NDArray[np.float64]:
    try:
        found = np.asarray(values, np.float64)
    except OverflowError:
        found = np.array([math.inf])
    if np.isfinite(found).all() and (found >= 0).all():
        return found
    return np.array([_loss(where, value) for value in values])


def _loss(where: str, value: Any) -> float:
    """Take a finite number of 0 or more."""
    number = type(value) in (int, float)
    if number and 0 <= value <= sys.float_info.max:
        return float(value)
    told = f"the loss {str(value)[:40]}" if number else f"{kind(value)} in place of a loss"
    raise BadInput(f"{where} has {told}; a loss is a finite number of 0 or more: record it again.")
