"""Lines of text, JSON and tab-separated files, gzipped or plain, with file and line in every complaint."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from genret_core.errors import BadInput
from genret_core.retrieval.text_table import SharedId


def find(path: Path) -> Path | None:
    """Find `path`, or `path` with ``.gz`` behind its name."""
    zipped = path.with_name(path.name + ".gz")
    return next((candidate for candidate in (path, zipped) if candidate.is_file()), None)


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read a text file (UTF-8).

    Yields
    ------
    where : str
        File and line, counted from 1.
    line : str
        Without its end; empty lines are left out.

    Raises
    ------
    BadInput
        If the file is damaged.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line.rstrip("\r\n")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: damaged after line {number}: {error}.") from None


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read JSON lines; every line must be an object.

    Yields
    ------
    where : str
    record : dict
    """
    for where, line in lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            told = (
                f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            )
            raise BadInput(f"{where}: this is no JSON ({told}).") from None
        if not isinstance(record, dict):
            raise BadInput(f"{where}: a JSON object is expected, not {type(record).__name__}.")
        yield where, record


@contextmanager
def naming_twins(**tables: Path | None) -> Iterator[None]:
    """Say in which lines of a file an id stands that two rows of a table share; by the table's name."""
    try:
        yield
    except SharedId as error:
        path = tables[error.table]
        if path is None:
            raise
        places = (where for where, record in records(path) if str(record.get("_id")) == error.id)
        first, second = islice(places, 2)
        raise BadInput(
            f"{second}: the id {error.id!r} occurs twice, first at {first}; ids must be unique: remove or "
            "rename one."
        ) from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")
