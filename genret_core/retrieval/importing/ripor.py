"""RIPOR's and SLGR's JSON: codes of documents, questions of documents, judgements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Codes, Item, LeftOut, Question
from genret_core.retrieval.importing.json_stream import json_lines, json_stream, kind, text_of, texts_of
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.qrels import Qrel, relevance_of

LARGEST_CODE = 65_535
_JOINED = re.compile(r"(-1_)?\d+(_\d+)*")


def codes(source: Source) -> Iterator[Item]:
    """Read `docid_to_smtid.json`: `{docid: [-1, c1, …, cM]}`; a leading -1 is no code and is cut off.

    Lists may also be texts, `c1_c2_…`.
    """
    with json_stream(source) as stream:
        for where, name in stream.object():
            yield Codes(name, codes_of(stream.value(), name, where), where)
        stream.end()


def codes_of(value: Any, name: str, where: str) -> list[int]:
    """Give codes without a leading -1.

    Raises
    ------
    BadInput
        If they are no list of whole numbers, or too large.
    """
    if isinstance(value, str) and _JOINED.fullmatch(value):
        value = [int(code) for code in value.split("_")]
    if not isinstance(value, list) or any(type(code) is not int for code in value):
        raise BadInput(
            f"{where}: the codes of {name!r} must be a list of whole numbers, not {str(value)[:60]!r}."
        )
    value = value[1:] if value[:1] == [-1] else value
    for code in value:
        if not 0 <= code <= LARGEST_CODE:
            raise BadInput(
                f"{where}: the document {name!r} has the code {code}; codes lie between 0 and "
                f"{LARGEST_CODE}, behind an optional first -1."
            )
    return value


def questions_of_lines(source: Source) -> Iterator[Item]:
    """Read RIPOR's `query_to_docid.train.json`, JSON lines of `docid` and `query`, numbered from 0."""
    for number, (where, record) in enumerate(json_lines(source)):
        name = f"{source.label}-{number}"
        yield Question(name, text_of(record, ("query",), where), where)
        yield Qrel(name, text_of(record, ("docid",), where), 1, source.split, where)


def questions_of_object(source: Source) -> Iterator[Item]:
    """Read SLGR's `filtered_query_to_docid.json`, `{question: [docid, …]}`, numbered from 0."""
    with json_stream(source) as stream:
        for number, (where, question) in enumerate(stream.object()):
            name = f"{source.label}-{number}"
            found = texts_of(stream.value(), f"the documents of {question[:60]!r}", where)
            if not found:
                yield LeftOut("questions without a document")
                continue
            yield Question(name, question, where)
            for document in dict.fromkeys(found):
                yield Qrel(name, document, 1, source.split, where)
        stream.end()


def judgements(source: Source) -> Iterator[Item]:
    """Read `dev_qrel.json`: `{qid: {docid: relevance}}`."""
    with json_stream(source) as stream:
        for where, query in stream.object():
            found = stream.value()
            if not isinstance(found, dict):
                raise BadInput(
                    f"{where}: the judgements of {query!r} must be an object of documents and relevances, "
                    f"not {kind(found)}; mend the file."
                )
            for document, relevance in found.items():
                number = relevance_of(relevance, f"{where}, {document!r} for {query!r}")
                yield Qrel(query, document, number, source.split, where)
        stream.end()


def scores(source: Source) -> Iterator[Item]:
    """Leave out `qid_smtids_scores_*.json`: what a model of RIPOR's found, no part of a collection."""
    for where, record in json_lines(source):
        text_of(record, ("qid",), where)
        yield LeftOut("lists of scored prefixes (a model's output, from which nothing is imported)")
