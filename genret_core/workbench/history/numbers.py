"""The numbers that an executed notebook shows: those of its answer, of its tables and of its figures."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.workbench.notebook.record import answer_of

PLOTLY = "application/vnd.plotly.v1+json"
PLACES = ("x", "y", "z")
ERRORS = ("array", "arrayminus")
NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class ShownNumbers:
    """The numbers of one place in a notebook.

    Attributes
    ----------
    what : str
        `answer`, `table 3` or `figure 1`.
    words : str
        The text with its numbers taken out; of a figure the names of its traces and of what they are over.
    numbers : tuple of float
        In the order in which they stand.
    """

    what: str
    words: str
    numbers: tuple[float, ...]


def shown_numbers(notebook: Path) -> list[ShownNumbers]:
    """Read the numbers of a notebook's answer, tables and figures: each kind in the order of its outputs."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    tables = [text for data in outputs for text in _tables("".join(data.get("text/html", "")))]
    figures = [data[PLOTLY] for data in outputs if PLOTLY in data]
    return [
        _read("answer", answer_of(cells)),
        *(_read(f"table {i}", text) for i, text in enumerate(tables, start=1)),
        *(_drawn(f"figure {i}", figure) for i, figure in enumerate(figures, start=1)),
    ]


def numbers_in(text: str) -> tuple[float, ...]:
    """Read the numbers of a text: `-0.12`, `1,234`, `3e-5`."""
    return tuple(float(word.replace(",", "").replace("\u2212", "-")) for word in NUMBER.findall(text))


def _read(what: str, text: str) -> ShownNumbers:
    return ShownNumbers(what, " ".join(NUMBER.sub("#", text).split()), numbers_in(text))


def _drawn(what: str, figure: dict[str, Any]) -> ShownNumbers:
    """Take what a figure draws: places and errors of its traces, not how it looks."""
    words: list[str] = []
    numbers: list[float] = []
    for trace in figure.get("data", ()):
        words += [str(trace.get("type", "scatter")), str(trace.get("name"))]
        errors = [trace.get(name, {}).get(side) for name in ("error_x", "error_y") for side in ERRORS]
        for values in (one for one in (*(trace.get(name) for name in PLACES), *errors) if one is not None):
            for value in _flat(values):
                if isinstance(value, str):
                    words.append(value)
                else:
                    numbers.append(math.nan if value is None else float(value))
    return ShownNumbers(what, " ".join(words), tuple(numbers))


def _flat(values: Any) -> Iterator[Any]:
    """Give the values of an array, as plotly keeps them: lists in lists, or bytes in base64."""
    if isinstance(values, dict) and "bdata" in values:
        yield from np.frombuffer(base64.b64decode(values["bdata"]), np.dtype(values["dtype"])).tolist()
    elif isinstance(values, list):
        for one in values:
            yield from _flat(one)
    elif isinstance(values, str | int | float):
        yield values
    else:
        yield None


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
