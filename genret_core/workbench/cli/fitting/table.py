"""A file of points as columns of cells, read without pandas: the shell waits for every import."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from genret_core.errors import BadInput

Cell = str | int | float | bool | None
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """Columns of cells, as they stand in a file.

    Attributes
    ----------
    source : str
        The path as it was given; `-` is standard input.
    sha256 : str
        Of the file's bytes.
    columns : dict
        Cells by column; text where the format knows nothing else (CSV).
    rows : tuple of int
        Numbers of the rows, from 1 below the header; blank lines are not rows.
    """

    source: str
    sha256: str
    columns: dict[str, list[Cell]]
    rows: tuple[int, ...]

    def column(self, name: str) -> list[Cell]:
        """Give a column by its name.

        Raises
        ------
        BadInput
            With code `no_column`; the nearest name is told.
        """
        if name not in self.columns:
            near = get_close_matches(name, self.columns, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.columns)}."
            raise BadInput(f"{self.source} has no column {name}; {hint}", code="no_column")
        return self.columns[name]

    def take(self, places: Sequence[int]) -> Table:
        """Keep the rows at `places` (from 0), with the numbers that they have in the file."""
        columns = {name: [cells[i] for i in places] for name, cells in self.columns.items()}
        return Table(self.source, self.sha256, columns, tuple(self.rows[i] for i in places))

    def groups(self, name: str) -> list[tuple[Cell, Table]]:
        """Split by the cells of a column, in the order in which they first stand there."""
        places: dict[Cell, list[int]] = {}
        for i, cell in enumerate(self.column(name)):
            places.setdefault(cell, []).append(i)
        return [(cell, self.take(where)) for cell, where in places.items()]


def number(cell: Cell) -> float | None:
    """Read a cell as a number; None if it is none."""
    if cell is None or isinstance(cell, bool):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def read_table(source: str) -> Table:
    """Read CSV (separated by commas, semicolons or tabs), TSV, JSON lines or parquet.

    Parameters
    ----------
    source : str
        A path, or `-` for standard input. What has no telling suffix is told by its first bytes.

    Raises
    ------
    BadInput
        With code `no_file` or `bad_file`.
    """
    content = _content(source)
    suffix = Path(source).suffix.lower()
    if suffix in (".parquet", ".pq") or content.startswith(b"PAR1"):
        columns = _parquet(source, content)
    else:
        text = _text(source, content)
        lines = suffix in (".jsonl", ".ndjson") or text.lstrip().startswith("{")
        columns = _json_lines(source, text) if lines else _csv(source, text, tabs=suffix == ".tsv")
    n = len(next(iter(columns.values()), []))
    return Table(source, hashlib.sha256(content).hexdigest(), columns, tuple(range(1, n + 1)))


def _content(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    if not path.exists():
        there = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        near = get_close_matches(path.name, there, n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "check the path."
        raise BadInput(f"There is no file {source}; {hint}", code="no_file")
    if path.is_dir():
        raise BadInput(f"{source} is a folder; name a file of points in it.", code="no_file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}.", code="no_file") from None


def _text(source: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadInput(f"{source} is not a table in UTF-8 text; export it as CSV in UTF-8.", code="bad_file")
    return text


def _csv(source: str, text: str, *, tabs: bool) -> dict[str, list[Cell]]:
    header_line = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if tabs else max(DELIMITERS, key=header_line.count)
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [[cell.strip() for cell in record] for record in records if record]
    except csv.Error as error:
        raise BadInput(
            f"{source} cannot be read as a table ({error}); correct it.", code="bad_file"
        ) from None
    lines = [cells for cells in lines if cells != [""]]  # of blanks alone
    if not lines:
        raise BadInput(f"{source} is empty; give a header and a row per point.", code="bad_file")
    header, *records_below = lines
    for row, cells in enumerate(records_below, 1):
        if any(cells[len(header) :]):
            raise BadInput(
                f"{source}, row {row}: it has {len(cells)} cells, but the header has {len(header)}; "
                "put cells that hold the separator in quotes.",
                code="bad_file",
            )
    width = len(header)
    padded = [(cells + [""] * width)[:width] for cells in records_below]
    return _named(source, header, [[cells[j] for cells in padded] for j in range(width)])


def _json_lines(source: str, text: str) -> dict[str, list[Cell]]:
    records: list[dict[str, Cell]] = []
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadInput(
                f"{source}, line {place}: not JSON ({error}); correct it.", code="bad_file"
            ) from None
        if not isinstance(record, dict):
            raise BadInput(f"{source}, line {place}: not an object; give one per line.", code="bad_file")
        records.append({str(key): _scalar(value) for key, value in record.items()})
    names = list(dict.fromkeys(key for record in records for key in record))
    return {name: [record.get(name) for record in records] for name in names}


def _parquet(source: str, content: bytes) -> dict[str, list[Cell]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        told = str(error).splitlines()[0]
        raise BadInput(f"{source} cannot be read as parquet ({told}).", code="bad_file") from None
    cells = [[_scalar(value) for value in column.to_pylist()] for column in table.columns]
    return _named(source, table.column_names, cells)


def _scalar(value: object) -> Cell:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _named(source: str, names: Iterable[str], cells: Sequence[Sequence[Cell]]) -> dict[str, list[Cell]]:
    """Put columns under their names; columns without a name are passed over, a name must be single."""
    columns: dict[str, list[Cell]] = {}
    for name, column in zip((name.strip() for name in names), cells, strict=True):
        if name in columns:
            raise BadInput(f"{source} has two columns {name}; rename one.", code="bad_file")
        if name:
            columns[name] = list(column)
    return columns
