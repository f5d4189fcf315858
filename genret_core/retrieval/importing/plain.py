"""Plain tables with tabs, in which quotes are data: documents, queries and judgements."""

from __future__ import annotations

from collections.abc import Iterator

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Item, Passage, Question
from genret_core.retrieval.importing.sources import Source, full_lines
from genret_core.retrieval.qrels import Qrel, is_header, relevance_of


def documents(source: Source) -> Iterator[Item]:
    """Read `id<TAB>text` as documents."""
    return (Passage(name, "", text, where) for name, text, where in _pairs(source))


def queries(source: Source) -> Iterator[Item]:
    """Read `id<TAB>text` as queries."""
    return (Question(name, text, where) for name, text, where in _pairs(source))


def _pairs(source: Source) -> Iterator[tuple[str, str, str]]:
    for line, text in full_lines(source):
        fields = text.split("\t")
        if len(fields) != 2:
            raise _wrong(source, line, "an id and a text", len(fields))
        yield fields[0], fields[1], source.at(line)


def titled_documents(source: Source) -> Iterator[Item]:
    """Read `id<TAB>title<TAB>text` (SEAL's and MINDER's `--format kilt`), split at the first two tabs."""
    for line, text in full_lines(source):
        fields = text.split("\t", 2)
        if len(fields) != 3:
            raise _wrong(source, line, "an id, a title and a text", len(fields))
        if line == 1 and [field.strip().lower() for field in fields] == ["id", "title", "text"]:
            continue
        yield Passage(fields[0], fields[1], fields[2], source.at(line))


def judgements(source: Source) -> Iterator[Item]:
    """Read judgements: `query<TAB>document<TAB>relevance`, or TREC's four columns with a 0 or Q0 second."""
    for line, text in full_lines(source):
        fields = text.split("\t") if "\t" in text else text.split()
        if len(fields) not in (3, 4):
            raise _wrong(source, line, "a query, a document and a relevance", len(fields))
        if line == 1 and is_header(fields):
            continue
        where = source.at(line)
        yield Qrel(fields[0], fields[-2], relevance_of(fields[-1], where), source.split, where)


def _wrong(source: Source, line: int, expected: str, n: int) -> BadInput:
    hint = "; are there spaces where tabs belong?" if n == 1 else "; mend or remove it."
    return BadInput(
        f"{source.at(line)}: {expected} are expected, with tabs between them; this line has {n} "
        f"field{'s' * (n != 1)}{hint}"
    )
