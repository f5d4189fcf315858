"""Text of an upload as a table of cells."""

from __future__ import annotations

import csv
import io

import pandas as pd

from genret_core.errors import BadInput

MOST_BYTES = 5 * 10**6
DELIMITERS = ",;\t"


def read_text(name: str, content: str | bytes) -> pd.DataFrame:
    """Read CSV, separated by commas, semicolons or tabs, with a header.

    Parameters
    ----------
    name : str
        What the upload is called in complaints.
    content : str or bytes
        UTF-8.

    Raises
    ------
    BadInput
        In one sentence.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"{name} holds more than {MOST_BYTES // 10**6} MB; choose the rows you need.")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content.removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadInput(f"{name} is not a table in UTF-8 text; export it as CSV in UTF-8.")
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        records = csv.reader(
            io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count), strict=True
        )
        lines = [[cell.strip() for cell in record] for record in records]
    except csv.Error as error:
        raise BadInput(f"{name} cannot be read as a table ({error}); correct it.") from None
    lines = [cells for cells in lines if any(cells)]
    if not lines:
        raise BadInput(f"{name} is empty; give a header and a row per point.")
    header, *below = lines
    if len(set(header)) < len(header):
        twice = next(cell for cell in header if header.count(cell) > 1)
        raise BadInput(f"{name} has two columns {twice!r}; rename one.")
    for row, cells in enumerate(below, 1):
        if any(cells[len(header) :]):
            raise BadInput(
                f"{name}, row {row}: it has {len(cells)} cells, but the header has {len(header)}; put cells "
                "that hold the separator in quotes."
            )
    padded = [(cells + [""] * len(header))[: len(header)] for cells in below]
    return pd.DataFrame(padded, columns=header, dtype=object)
