"""Files as lines and rows, plain or gzipped, with file and line in every complaint."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from genret_core.errors import BadInput

_BOM = b"\xef\xbb\xbf"
_SPLITS = {
    "train": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(_SPLITS)})(?![a-z])")
_ENDINGS = re.compile(r"(\.(gz|json|jsonl|jsonlines|csv|tsv|txt|qa|source|target))+$")
LONGEST_FIELD = 1 << 24


@dataclass
class Meter:
    """Counts the bytes read."""

    before: int = 0
    _position: Callable[[], int] | None = field(default=None, repr=False)

    @property
    def bytes(self) -> int:
        """Bytes read of all files, as they lie on disk."""
        return self.before + (self._position() if self._position else 0)


@dataclass(frozen=True)
class Source:
    """A file to be read.

    Attributes
    ----------
    path : Path
    label : str
        What its rows are numbered under when they have no ids.
    split : str
        Where its judgements go; of `SPLITS`.
    meter : Meter
    """

    path: Path
    label: str
    split: str
    meter: Meter = field(default_factory=Meter)

    def at(self, line: int) -> str:
        """Name a line of it."""
        return f"{self.path}:{line}"


def split_of(path: Path) -> str | None:
    """Read the split off a file's name, or the name of its folder."""
    for name in (path.name, path.parent.name):
        found = _SPLIT.findall(name.lower())
        if found:
            return _SPLITS[found[-1]]
    return None


def label_of(path: Path) -> str:
    """Give the name of a file without its endings."""
    return _ENDINGS.sub("", path.name) or path.name


@contextmanager
def opened(source: Source) -> Iterator[TextIO]:
    """Open a text file; line ends stay as they are."""
    with source.path.open("rb") as raw:
        source.meter._position = raw.tell
        file: BinaryIO = gzip.open(raw) if source.path.suffix == ".gz" else raw  # type: ignore[assignment]  # noqa: SIM115
        if file.peek(3)[:3] == _BOM:  # type: ignore[attr-defined]
            file.read(3)
        yield io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        source.meter.before += raw.seek(0, 2)
        source.meter._position = None


@contextmanager
def complaining(source: Source, line: Callable[[], int]) -> Iterator[None]:
    """Turn what a damaged file raises into a sentence; `line` gives the last line that was read."""
    try:
        yield
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        kind = (
            "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "the file is cut off or damaged"
        )
        raise BadInput(
            f"{source.path}: {kind} somewhere behind line {line()} ({error}); fetch or write the file again."
        ) from None


def lines(source: Source) -> Iterator[tuple[int, str]]:
    """Give all lines with their numbers, without line ends; empty ones too."""
    number = 0
    with complaining(source, lambda: number), opened(source) as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip("\r\n")


def full_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Give the lines that are not empty."""
    return ((number, line) for number, line in lines(source) if line and not line.isspace())


def rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    r"""Give the rows of a file as Python's csv writes it with tabs: ``"`` quotes, ``""`` is one inside.

    Yields
    ------
    line : int
        Where the row begins.
    fields : list of str

    Raises
    ------
    BadInput
        If quotes are not as csv writes them: reading on would change texts or join rows.
    """
    reader = None
    begin = 0
    with complaining(source, lambda: begin), _long_fields(), opened(source) as file:
        file.reconfigure(newline="")  # type: ignore[attr-defined]
        reader = csv.reader(file, delimiter="\t", quotechar='"', strict=True)
        while True:
            begin = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise BadInput(f"{source.at(begin)}: {_told(error)}") from None
            if fields is None:
                return
            if fields and (len(fields) > 1 or fields[0].strip()):
                yield begin, fields


def _told(error: csv.Error) -> str:
    text = str(error)
    mend = 'write the field with quotes around it and each quote inside doubled (""), as csv does'
    if "expected after" in text:
        return f"a field begins with a quote, and goes on behind the one that closes it; {mend}."
    if "end of data" in text or "field limit" in text or "field larger" in text:
        return f"a quote that opens a field in this row is never closed; {mend}."
    return f"this row is no csv ({text}); {mend}."


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
