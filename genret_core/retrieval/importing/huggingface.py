"""Data sets of the package `datasets` (extra `hub`): on disk, or by name from the hub."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.retrieval.id_table import hash_texts
from genret_core.retrieval.importing.items import Aside, Item, LeftOut, Passage, Question
from genret_core.retrieval.importing.json_stream import text_of, texts_of
from genret_core.retrieval.importing.sources import split_of
from genret_core.retrieval.qrels import Qrel, relevance_of

_ID = ("_id", "id", "docid", "doc_id", "passage_id", "pid", "corpus-id", "corpus_id")
_TEXT = ("text", "contents", "passage", "body")
_QUERY_ID = ("query-id", "query_id", "qid")
_QUERY = ("query", "question")
_DOCUMENT_ID = ("corpus-id", "corpus_id", "docid", "doc_id", "passage_id", "pid")
_SCORE = ("score", "relevance", "label")
_SAVED = ("dataset_info.json", "dataset_dict.json", "state.json")
_FILES = {".parquet": "parquet", ".arrow": "arrow"}


def is_dataset(path: Path) -> bool:
    """Whether `path` is a data set on disk: what `save_to_disk` wrote, or files of Parquet or Arrow."""
    if path.is_file():
        return path.suffix in _FILES
    return any((path / name).is_file() for name in _SAVED) or any(
        next(path.rglob(f"*{ending}"), None) for ending in _FILES
    )


def tables(name: str, *, config: str | None, online: bool) -> Iterator[tuple[str, str, Iterable[Any]]]:
    """Open a data set.

    Parameters
    ----------
    name : str
        A folder or file, or a name on the hub.
    config : str, optional
        A configuration of the data set; by default all of them, or the only one.
    online : bool
        Whether the hub may be asked; otherwise only what lies on this machine is used.

    Yields
    ------
    where : str
        What a row is named by in complaints.
    part : str
        Its own name of the table: configuration, file and split.
    rows : iterable of mappings
    """
    path = Path(name).expanduser()
    if not path.exists() and not online:
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    datasets = _datasets()
    try:
        if path.exists():
            yield from _on_disk(datasets, path)
        else:
            yield from _of_hub(datasets, name, config, online)
    except (OSError, ValueError, LookupError) as error:
        if isinstance(error, BadInput):
            raise
        hint = "" if path.exists() or online else "; --hub lets it be fetched from the hub"
        told = " ".join(str(error).split())[:200].rstrip(".")
        raise BadInput(f"the data set {name!r} cannot be opened ({told}){hint}.") from None


def _on_disk(datasets: Any, path: Path) -> Iterator[tuple[str, str, Iterable[Any]]]:
    if path.is_dir() and any((path / file).is_file() for file in _SAVED):
        found = datasets.load_from_disk(str(path))
        parts = found.items() if isinstance(found, Mapping) else [(path.name, found)]
        yield from ((f"{path}, {part}", part, rows) for part, rows in parts)
        return
    files = [path] if path.is_file() else sorted(p for end in _FILES for p in path.rglob(f"*{end}"))
    for file in files:
        rows = datasets.load_dataset(_FILES[file.suffix], data_files=str(file), split="train", streaming=True)
        yield str(file), f"{file.parent.name}/{file.name}", rows


def _of_hub(
    datasets: Any, name: str, config: str | None, online: bool
) -> Iterator[tuple[str, str, Iterable[Any]]]:
    for one in [config] if config else datasets.get_dataset_config_names(name):
        parts = datasets.load_dataset(name, one, streaming=online)  # a stream would ask the hub again
        for split, rows in parts.items():
            yield f"{name} ({one}), {split}", f"{one}/{split}", rows


def _datasets() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise BadInput(
            "data sets of Hugging Face need the package `datasets`: pip install 'genret[hub]'."
        ) from None


def read(
    where: str, part: str, rows: Iterable[Any], *, default_split: str, seen: dict[str | int, str]
) -> Iterator[Item]:
    """Read a table, by the names of its columns.

    Known are documents (an id and `text`), queries (an id and `query` or, in a table called queries,
    `text`), judgements (`query-id`, `corpus-id`, `score`), Tevatron's (`query`, `positive_passages`) and
    SQuAD's (`context`, `question`, `answers`). `seen` notes the passages given.
    """
    split = split_of(Path(part)) or default_split
    reader = None
    for number, row in enumerate(rows):
        at = f"{where}, row {number}"
        reader = reader or _reader(row, where, part)
        if reader == "documents":
            others = {k: v for k, v in row.items() if k not in (*_ID, *_TEXT, "title")}
            more = {key: value for key, value in others.items() if _is_plain(value)}
            title = text_of(row, ("title",), at, default="")
            yield Passage(text_of(row, _ID, at), title, text_of(row, _TEXT, at), at, more)
            yield from (LeftOut(f"values of the column {key!r}") for key in others.keys() - more.keys())
        elif reader == "queries":
            yield Question(text_of(row, (*_QUERY_ID, *_ID), at), text_of(row, (*_QUERY, "text"), at), at)
            yield from _answers(row, text_of(row, (*_QUERY_ID, *_ID), at), at)
        elif reader == "judgements":
            query, document = text_of(row, _QUERY_ID, at), text_of(row, _DOCUMENT_ID, at)
            yield Qrel(query, document, _score(row, at), split, at)
        elif reader == "tevatron":
            yield from _tevatron(row, at, split, seen)
        else:
            yield from _squad(row, at, split, seen)


def _reader(row: Mapping[str, Any], where: str, part: str) -> str:
    columns = set(row)
    if {"context", "question"} <= columns:
        return "squad"
    if "positive_passages" in columns:
        return "tevatron"
    if columns & set(_QUERY_ID) and columns & set(_DOCUMENT_ID):
        return "judgements"
    if columns & {*_ID, *_QUERY_ID} and (
        columns & set(_QUERY) or (columns & {"text"} and "quer" in part.lower())
    ):
        return "queries"
    if columns & set(_ID) and columns & set(_TEXT):
        return "documents"
    raise BadInput(
        f"{where}: the columns {', '.join(map(str, row))} are of no known kind; rename them as BEIR "
        "does: _id, title and text, or query-id, corpus-id and score."
    )


def _score(row: Mapping[str, Any], where: str) -> int:
    return relevance_of(next((row[key] for key in _SCORE if key in row), 1), where)


def _answers(row: Mapping[str, Any], name: str, where: str) -> Iterator[Item]:
    found = row.get("answers", row.get("answer"))
    if isinstance(found, Mapping):
        found = found.get("text")
    if found:
        answers = texts_of([found] if isinstance(found, str) else list(found), "'answers'", where)
        yield Aside("answers", "query", name, {"answers": list(dict.fromkeys(answers))}, where)


def _tevatron(row: Mapping[str, Any], at: str, split: str, seen: dict[str | int, str]) -> Iterator[Item]:
    name = text_of(row, _QUERY_ID, at)
    if not row["positive_passages"]:
        yield LeftOut("questions without a positive passage")
        return
    yield Question(name, text_of(row, _QUERY, at), at)
    yield from _answers(row, name, at)
    for key in ("positive_passages", "negative_passages"):
        for passage in row.get(key) or ():
            document = text_of(passage, _ID, at)
            if document not in seen:
                seen[document] = ""
                title = text_of(passage, ("title",), at, default="")
                yield Passage(document, title, text_of(passage, _TEXT, at), at)
            if key == "positive_passages":
                yield Qrel(name, document, 1, split, at)


def _squad(row: Mapping[str, Any], at: str, split: str, seen: dict[str | int, str]) -> Iterator[Item]:
    name = text_of(row, ("id",), at)
    given = list(_answers(row, name, at))
    if not given:
        yield LeftOut("questions without an answer")
        return
    context = text_of(row, ("context",), at)
    (known,) = hash_texts([context]).tolist()
    if known not in seen:
        seen[known] = f"{split}-{len(seen)}"
        title = text_of(row, ("title",), at, default="").replace("_", " ")
        yield Passage(seen[known], title, context, at)
    yield Question(name, text_of(row, ("question",), at), at)
    yield from given
    yield Qrel(name, seen[known], 1, split, at)


def _is_plain(value: Any) -> bool:
    """Whether a value is worth keeping in a record: vectors and pictures are not."""
    if isinstance(value, list):
        return all(isinstance(one, (str, int)) for one in value)
    return value is None or isinstance(value, (str, int, float, dict))
