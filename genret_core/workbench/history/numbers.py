"""The numbers that an executed notebook shows: those of its answer and of its tables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from genret_core.workbench.notebook.record import answer_of

NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class ShownNumbers:
    """The numbers of one place in a notebook.

    Attributes
    ----------
    what : str
        `answer`, or `table 3`.
    words : str
        The text with its numbers taken out.
    numbers : tuple of float
        In the order in which they stand.
    """

    what: str
    words: str
    numbers: tuple[float, ...]


def shown_numbers(notebook: Path) -> list[ShownNumbers]:
    """Read the numbers of a notebook's answer and of all tables in its outputs, in their order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    found = [_read("answer", answer_of(cells))]
    tables = [
        text
        for cell in cells
        for output in cell.get("outputs", ())
        for text in _tables("".join(output.get("data", {}).get("text/html", "")))
    ]
    return found + [_read(f"table {i}", text) for i, text in enumerate(tables, start=1)]


def numbers_in(text: str) -> tuple[float, ...]:
    """Read the numbers of a text: `-0.12`, `1,234`, `3e-5`."""
    return tuple(float(word.replace(",", "").replace("\u2212", "-")) for word in NUMBER.findall(text))


def _read(what: str, text: str) -> ShownNumbers:
    return ShownNumbers(what, " ".join(NUMBER.sub("#", text).split()), numbers_in(text))


class _Cells(HTMLParser):
    """Collects the text of each table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        self.inside = tag in ("td", "th", "caption") or (self.inside and tag not in ("tr", "table"))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "caption", "tr", "table"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside and self.tables:
            self.tables[-1].append(data)


def _tables(html: str) -> list[str]:
    reader = _Cells()
    reader.feed(html)
    return [" ".join(cells) for cells in reader.tables]
