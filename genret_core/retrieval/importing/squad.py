"""SQuAD's JSON: articles, paragraphs, questions and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Aside, Item, LeftOut, Passage, Question
from genret_core.retrieval.importing.json_stream import json_stream, kind, text_of
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.qrels import Qrel


def squad(source: Source) -> Iterator[Item]:
    """Read SQuAD v1.1 (or 2.0): a paragraph is a document, and relevant to its questions.

    Documents are numbered, `train-v1.1-0-3` being the fourth paragraph of the first article. Titles are read
    as the web addresses that they were: "Beyonc%C3%A9_Knowles" is Beyoncé Knowles. Questions without an
    answer (2.0) are left out.
    """
    there = False
    with json_stream(source) as stream:
        for _, key in stream.object():
            if key != "data":
                stream.value()
                continue
            there = True
            for number, (where, article) in enumerate(stream.array()):
                yield from _article(source, article, f"{source.label}-{number}", where)
        stream.end()
    if not there:
        raise BadInput(f"{source.path}: there is no 'data' in it; it is no file of SQuAD's.")


def _article(source: Source, article: Any, label: str, where: str) -> Iterator[Item]:
    title = unquote(text_of(article, ("title",), where, default="")).replace("_", " ")
    for number, paragraph in enumerate(_list(article, "paragraphs", where)):
        document = f"{label}-{number}"
        yield Passage(document, title, text_of(paragraph, ("context",), where), where)
        for asked in _list(paragraph, "qas", where):
            name, question = text_of(asked, ("id",), where), text_of(asked, ("question",), where)
            answers = [text_of(answer, ("text",), where) for answer in _list(asked, "answers", where)]
            if asked.get("is_impossible") or not answers:
                yield LeftOut("questions without an answer")
                continue
            yield Question(name, question, where)
            yield Aside("answers", "query", name, {"answers": list(dict.fromkeys(answers))}, where)
            yield Qrel(name, document, 1, source.split, where)


def _list(record: Any, key: str, where: str) -> list[Any]:
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, list):
        raise BadInput(f"{where}: {key!r} must be a list, not {kind(value)}; mend the file.")
    return value
