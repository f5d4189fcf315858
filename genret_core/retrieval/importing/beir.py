"""Collections in BEIR's layout, checked line by line; fields that BEIR does not know are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Aside, Codes, Item, Passage, Question
from genret_core.retrieval.importing.json_stream import json_lines, text_of
from genret_core.retrieval.importing.ripor import codes_of
from genret_core.retrieval.importing.sources import Source
from genret_core.retrieval.readers.jsonl import find

SPLITS = {"train": "train", "dev": "validation", "test": "test"}
ASIDES = {"answers": "query", "negatives": "query", "pseudo_queries": "document"}


def files(root: Path) -> list[tuple[str, Path]]:
    """List what lies in a folder: what it is (as `beir_files` calls it) and the file."""
    wanted = [("beir-documents", "corpus.jsonl"), ("beir-queries", "queries.jsonl")]
    wanted += [("judgements", f"qrels/{split}.tsv") for split in SPLITS]
    wanted += [("beside", f"{name}.jsonl") for name in ASIDES] + [("beside-codes", "codes.jsonl")]
    found = [(name, path) for name, file in wanted if (path := find(root / file)) is not None]
    for name, file in wanted[:2]:
        if name not in dict(found):
            raise BadInput(f"{root} has no {file} (or {file}.gz); it is no collection in BEIR's layout.")
    return found


def documents(source: Source) -> Iterator[Item]:
    """Read `corpus.jsonl`: `_id`, `title`, `text` and whatever else."""
    for where, record in json_lines(source):
        more = {key: value for key, value in record.items() if key not in ("_id", "title", "text")}
        title = text_of(record, ("title",), where, default="")
        yield Passage(text_of(record, ("_id",), where), title, text_of(record, ("text",), where), where, more)


def queries(source: Source) -> Iterator[Item]:
    """Read `queries.jsonl`: `_id`, `text` and whatever else."""
    for where, record in json_lines(source):
        more = {key: value for key, value in record.items() if key not in ("_id", "text")}
        yield Question(text_of(record, ("_id",), where), text_of(record, ("text",), where), where, more)


def beside(source: Source) -> Iterator[Item]:
    """Read what an earlier import kept beside a collection."""
    name = source.path.name.split(".")[0]
    for where, record in json_lines(source):
        values = {key: value for key, value in record.items() if key != "_id"}
        of = "document" if ASIDES.get(name) == "document" else "query"
        yield Aside(name, of, text_of(record, ("_id",), where), values, where)  # type: ignore[arg-type]


def beside_codes(source: Source) -> Iterator[Item]:
    """Read the codes that an earlier import kept beside a collection."""
    for where, record in json_lines(source):
        name = text_of(record, ("_id",), where)
        yield Codes(name, codes_of(record.get("codes"), name, where), where)
