"""Which columns of a table are the points: those that are named, else by their usual names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from genret_core.errors import BadInput

SIZES = ("p", "n_params", "params", "parameters", "n", "model_size", "size")
PAIRS = ("d", "n_pairs", "pairs", "tokens", "n_tokens", "data_size")
COMPUTE = ("c", "flops", "compute", "c_flops", "flops_per_query")
VALUES = ("cgl", "loss", "val_loss", "mr", "miss_rate", "error", "y", "value")
NOISE = ("sd", "std", "noise_sd")
SERIES = ("series", "family", "group", "method", "model")
NAMES = ("name", "model", "backbone", "label", "run")


@dataclass(frozen=True)
class Columns:
    """Columns of the points by their part; None where there is none.

    Attributes
    ----------
    x, y, x2, by, sd, name : str or None
        Arguments, value, series, known standard deviation, and what a point is called.
    guessed : tuple of str
        Parts that nobody named.
    """

    x: str | None = None
    y: str | None = None
    x2: str | None = None
    by: str | None = None
    sd: str | None = None
    name: str | None = None
    guessed: tuple[str, ...] = ()

    @property
    def numbers(self) -> dict[str, str]:
        """Columns that hold numbers, by their part."""
        parts = {"x": self.x, "y": self.y, "x2": self.x2, "sd": self.sd}
        return {part: column for part, column in parts.items() if column is not None}

    def told(self) -> str:
        """Say which columns were taken for what."""
        what = {"x": "x", "y": "y", "x2": "second argument", "by": "series", "sd": "noise of y"}
        parts = [
            f"{called} is {getattr(self, part)}{' (guessed)' if part in self.guessed else ''}"
            for part, called in what.items()
            if getattr(self, part) is not None
        ]
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}."

    def law(self, table: pd.DataFrame) -> str:
        """Give the law to begin with: by what x is called; of miss rates only for rates."""
        if self.x2 is not None:
            return "joint_exchanged"
        x, rates = str(self.x).lower(), table["y"].dropna().between(0, 1).all()
        if x in COMPUTE and rates and str(self.y).lower().startswith(("mr", "miss")):
            return "inference"
        return "data_size" if x in PAIRS else "model_size"


def guess(df: pd.DataFrame, given: Columns, source: str) -> Columns:
    """Complete the columns that were named.

    Parameters
    ----------
    df : DataFrame
    given : Columns
    source : str
        What the table is called in complaints.

    Raises
    ------
    BadInput
        For a named column that is not there, or without two columns of numbers.
    """
    for column in (given.x, given.y, given.x2, given.by, given.sd):
        if column is not None and column not in df:
            near = get_close_matches(str(column), list(df.columns), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(df.columns)}."
            raise BadInput(f"{source} has no column {column}; {hint}")
    numeric = [column for column in df.columns if _is_numeric(df[column])]
    free = [column for column in numeric if column not in (given.x, given.y, given.x2, given.sd, given.by)]
    found: dict[str, str | None]
    found = {"x": given.x, "y": given.y, "x2": given.x2, "by": given.by, "sd": given.sd}
    if found["y"] is None:
        found["y"] = _named(free, VALUES) or next((c for c in free if c.lower().startswith("mr")), None)
        free = [column for column in free if column != found["y"]]
    if found["x"] is None:
        varied = [column for column in free if len(df[column].unique()) > 1]
        found["x"] = _named(varied, SIZES) or _named(varied, PAIRS) or _named(varied, (*COMPUTE, "x"))
        data = _named(varied, PAIRS)
        if found["x2"] is None and found["x"] is not None and found["x"].lower() in SIZES and data:
            found["x2"] = data
        found["x"] = found["x"] or next(iter(varied or free), None)
        free = [column for column in free if column not in (found["x"], found["x2"])]
    found["y"] = found["y"] or next(iter(free), None)
    if found["x"] is None or found["y"] is None:
        raise BadInput(f"{source} has not two columns of numbers, one for x and one for y; name them.")
    if found["sd"] is None:
        found["sd"] = _named([column for column in free if column != found["y"]], NOISE)
    if found["by"] is None:
        found["by"] = _series(df, str(found["x"]), tuple(map(str, found.values())))
    guessed = tuple(
        part for part, column in found.items() if column is not None and getattr(given, part) is None
    )
    text = [column for column in df.columns if column not in numeric and column != found["by"]]
    return replace(given, **found, name=_named(text, NAMES), guessed=guessed)


def _named(columns: list[str], names: tuple[str, ...]) -> str | None:
    """Give the column with the first of these names, in whatever case."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def _is_numeric(column: pd.Series) -> bool:
    """Whether more than half of the cells that are not empty hold a number, and one does."""
    cells = column[[cell is not None and cell == cell and cell != "" for cell in column]]
    if not len(cells) or cells.map(lambda cell: isinstance(cell, bool | np.bool_)).any():
        return False
    return bool(pd.to_numeric(cells, errors="coerce").notna().mean() > 0.5)


def _series(df: pd.DataFrame, x: str, taken: tuple[str, ...]) -> str | None:
    """Give a column that splits the points into series of several sizes each."""
    lower = {column.lower(): column for column in reversed(list(df.columns))}
    for name in SERIES:
        column = lower.get(name)
        if column is None or column in taken:
            continue
        sizes = df.groupby(column)[x].nunique()
        if len(sizes) > 1 and (sizes > 1).all():
            return column
    return None
