"""DPR's files: passages, questions with answers, and questions with their passages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Aside, Item, LeftOut, Passage, Question
from genret_core.retrieval.importing.json_stream import json_lines, json_stream, kind, text_of, texts_of
from genret_core.retrieval.importing.sources import Source, rows
from genret_core.retrieval.qrels import Qrel

HEADER = ("id", "text", "title")
_CONTEXTS = ("positive_ctxs", "hard_negative_ctxs", "negative_ctxs")


def passages(source: Source) -> Iterator[Item]:
    """Read `psgs_w100.tsv`: `id`, `text` and `title` with tabs between them, in the order of the header.

    Without a header the order is that one. Rows are csv: a field that holds a quote stands in quotes, the
    inner ones doubled.
    """
    order: tuple[str, ...] = HEADER
    places = (0, 1, 2)
    for number, (line, fields) in enumerate(rows(source)):
        if number == 0 and _is_header(fields):
            order = tuple(name.strip().lower() for name in fields)
            places = tuple(order.index(name) if name in order else -1 for name in HEADER)  # type: ignore[assignment]
            continue
        if len(fields) != len(order):
            raise BadInput(
                f"{source.at(line)}: {', '.join(order)} are expected, with tabs between them; this row has "
                f"{len(fields)} field{'s' * (len(fields) != 1)}; mend or remove it."
            )
        name, text, title = (fields[place] if place >= 0 else "" for place in places)
        yield Passage(name, title, text, source.at(line))


def _is_header(fields: list[str]) -> bool:
    names = [name.strip().lower() for name in fields]
    return {"id", "text"} <= set(names) <= set(HEADER) and len(set(names)) == len(names)


def questions(source: Source) -> Iterator[Item]:
    """Read `nq-test.csv`: a question, a tab, and its answers as Python writes a list.

    There are no ids: rows are numbered from 0.
    """
    for number, (line, fields) in enumerate(rows(source)):
        where = source.at(line)
        if len(fields) != 2:
            raise BadInput(
                f"{where}: a question and a list of answers are expected, with a tab between them; this row "
                f"has {len(fields)} field{'s' * (len(fields) != 1)}; mend or remove it."
            )
        yield from _asked(f"{source.label}-{number}", fields[0], _literal(fields[1], where), where)


def _literal(text: str, where: str) -> list[str]:
    try:
        return texts_of(ast.literal_eval(text), "the answers", where)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{where}: the answers are no list as Python writes it, such as ['one', \"two's\"], but "
            f"{text[:60]!r}; mend them."
        ) from None


def open_questions(source: Source) -> Iterator[Item]:
    """Read NQ-open's JSON lines, `question` and `answer`; rows are numbered from 0."""
    for number, (where, record) in enumerate(json_lines(source)):
        question = text_of(record, ("question",), where)
        answers = texts_of(record.get("answer", record.get("answers")), "'answer'", where)
        yield from _asked(f"{source.label}-{number}", question, answers, where)


def _asked(name: str, question: str, answers: list[str], where: str) -> Iterator[Item]:
    yield Question(name, question, where)
    yield Aside("answers", "query", name, {"answers": answers}, where)


def contexts(
    source: Source, *, positives: int | None = None, seen: dict[bytes, bytes] | None = None
) -> Iterator[Item]:
    """Read `biencoder-nq-*.json`: questions with answers, positive, negative and hard negative passages.

    Parameters
    ----------
    source : Source
    positives : int, optional
        Judge only this many of each question's positive passages; the first is the annotated one.
    seen : dict, optional
        Give the passages too, each once; what was given is noted here.
    """
    with json_stream(source) as stream:
        for number, (where, item) in enumerate(stream.array()):
            name = f"{source.label}-{number}"
            question = text_of(item, ("question",), where)
            found = {key: _passages(item, key, where) for key in _CONTEXTS}
            if not found["positive_ctxs"]:
                yield LeftOut("questions without a positive passage")
                continue
            yield from _asked(name, question, texts_of(item.get("answers", []), "'answers'", where), where)
            ids = {key: list(dict.fromkeys(passage.id for passage in found[key])) for key in _CONTEXTS}
            others = {key.removesuffix("_ctxs"): ids[key] for key in _CONTEXTS[1:] if ids[key]}
            if others:
                yield Aside("negatives", "query", name, others, where)
            if seen is not None:
                for key in _CONTEXTS:
                    yield from _new(found[key], seen)
            for document in ids["positive_ctxs"][:positives]:
                yield Qrel(name, document, 1, source.split, where)
        stream.end()


def _passages(item: dict[str, Any], key: str, where: str) -> list[Passage]:
    given = item.get(key, [])
    if not isinstance(given, list):
        raise BadInput(f"{where}: {key!r} must be a list, not {kind(given)}; mend the file.")
    return [
        Passage(
            text_of(one, ("passage_id", "psg_id"), where),
            text_of(one, ("title",), where, default=""),
            text_of(one, ("text",), where),
            where,
        )
        for one in given
    ]


def _new(passages: list[Passage], seen: dict[bytes, bytes]) -> Iterator[Item]:
    for passage in passages:
        name, text = _short(passage.id), _short(passage.text)
        if name not in seen:
            seen[name] = text
            yield passage
        elif seen[name] != text:
            yield LeftOut("passages that had another text when their id came first")


def _short(text: str) -> bytes:
    return blake2b(text.encode(errors="replace"), digest_size=8).digest()
