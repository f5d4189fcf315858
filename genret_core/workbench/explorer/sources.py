"""Points from the published study, a file, an upload or a data frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genret_core.errors import BadInput
from genret_core.scaling import published
from genret_core.workbench.explorer.guessing import Columns, guess
from genret_core.workbench.explorer.reading import MOST_BYTES, read_text
from genret_core.workbench.explorer.source import Source, opening
from genret_core.workbench.explorer.study_source import study_source
from genret_core.workbench.figures import style

__all__ = ["Source", "csv_source", "frame_source", "opening", "published_source", "study_source"]

MOST_ROWS = 5_000


def published_source() -> Source:
    """Give the released points of the published study, a series for every law that they can hold."""
    every = published.points()
    parts = {
        "t5": ("model_size", "ngram", "t5", "table1:t5"),
        "llama": ("model_size", "ngram", "llama2", "table1:llama"),
        "llama_data": ("data_size", "ngram", "llama2", "table2:ngram"),
        "joint": (None, "ngram", "llama2", "eqs9-10"),
        "codebook_t5": ("model_size", "codebook", "t5", None),
        "codebook_llama": ("model_size", "codebook", "llama2", None),
    }
    labels = {
        "t5": "T5, n-grams",
        "llama": "LLaMA-2, n-grams",
        "llama_data": "LLaMA-2 7B, by data",
        "joint": "LLaMA-2, size and data",
        "codebook_t5": "T5, codebook",
        "codebook_llama": "LLaMA-2, codebook",
    }
    tables: list[pd.DataFrame] = []
    names: dict[str, dict[str, str]] = {}
    kin: dict[str, tuple[str, str]] = {}
    chosen: dict[str, dict[str, str | None]] = {}
    columns: dict[str, dict[str, str]] = {}
    for series, (study, method, family, _) in parts.items():
        rows = every[(every["method"] == method) & (every["family"] == family)]
        rows = rows if study is None else rows[rows["study"] == study]
        x = "n_pairs" if study == "data_size" else "n_params"
        part = pd.DataFrame({"series": series, "x": rows[x], "y": rows["cgl"], "name": rows["model"]})
        part["note"] = rows["source_note"]
        names[series] = {"x": "D" if study == "data_size" else "P", "y": "CGL"}
        if study is None:
            part["x2"] = rows["n_pairs"]
            names[series]["x2"] = "D"
        if study != "model_size":
            part["name"] = [
                f"{m}, {style.short(d)} pairs" for m, d in zip(rows["model"], rows["n_pairs"], strict=True)
            ]
        tables.append(part)
        chosen[series] = {"study": study, "method": method, "family": family}
        columns[series] = {"x": x, "y": "cgl"} | ({"x2": "n_pairs"} if study is None else {})
        kin[series] = (method, family.removesuffix("2"))
    table = pd.concat(tables, ignore_index=True)
    laws = {"llama_data": "data_size", "joint": "joint_exchanged"}
    return Source(
        name="published points",
        table=table.assign(row=np.arange(1, len(table) + 1)),
        x="P",
        y="CGL",
        n_negatives=published.N_NEGATIVES,
        labels=labels,
        laws={series: laws.get(series, "model_size") for series in parts},
        published={series: found for series, (*_, found) in parts.items() if found},
        names=names,
        kin=kin,
        origin={"kind": "published", "series": chosen, "columns": columns},
        note="Points released with the study; x is P (parameters) or D (pairs), y the CGL of 256 negatives.",
    )


def csv_source(path_or_text: str | Path, **columns: Any) -> Source:
    """Take points from a CSV file (or parquet, or JSON lines), or from the text of one.

    Parameters
    ----------
    path_or_text : path-like or str
        A path; or the text of an upload, told from a path by its line breaks.
    **columns
        See `frame_source`; `name` is what an upload is called.

    Raises
    ------
    BadInput
        In one sentence: which file, row or column, and what to do.
    """
    text = str(path_or_text)
    if isinstance(path_or_text, str) and ("\n" in text or "\r" in text):
        name = columns.pop("name", None) or "upload"
        if len(text) > MOST_BYTES:
            raise BadInput(f"{name} holds more than {MOST_BYTES // 10**6} MB; choose the rows you need.")
        return frame_source(read_text(name, text), name=name, **columns)
    from genret_core.workbench.cli.fitting.table import read_table

    path = Path(text).expanduser()
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise BadInput(f"{path.name} holds more than {MOST_BYTES // 10**6} MB; choose the rows you need.")
    cells = read_table(str(path)).columns
    origin = {"kind": "file", "path": text}
    return frame_source(
        pd.DataFrame(cells), name=columns.pop("name", None) or path.name, origin=origin, **columns
    )


def frame_source(
    df: pd.DataFrame,
    *,
    x: str | None = None,
    y: str | None = None,
    x2: str | None = None,
    by: str | None = None,
    sd: str | None = None,
    n_negatives: int | None = None,
    name: str = "data frame",
    origin: dict[str, Any] | None = None,
) -> Source:
    """Take points from a data frame, a row each.

    Parameters
    ----------
    df : DataFrame
    x, y, x2, by, sd : str, optional
        Columns of the arguments, the value, the series and the known standard deviation; those that are not
        named are guessed by their names, and `Source.note` says which were taken.
    n_negatives : int, optional
        N of the CGL; default the column `n_negatives`, where it holds one number.
    name : str
        What the source is called.
    origin : dict, optional
        Where the points can be read again.
    """
    if not len(df):
        raise BadInput(f"{name} holds no points below its header; add a row per point.")
    if len(df) > MOST_ROWS:
        raise BadInput(
            f"{name} has {len(df):,} rows, and {MOST_ROWS:,} can be shown; choose the rows you need."
        )
    df = df.reset_index(drop=True)
    df.columns = [str(column) for column in df.columns]
    taken = guess(df, Columns(x, y, x2, by, sd), name)
    ids = [str(cell) for cell in df[taken.by]] if taken.by else ["points"] * len(df)
    numbers = {part: pd.to_numeric(df[column], errors="coerce") for part, column in taken.numbers.items()}
    table = pd.DataFrame({"row": np.arange(1, len(df) + 1), "series": ids, **numbers})
    table["name"] = (
        [str(cell) for cell in df[taken.name]] if taken.name else [f"row {row}" for row in table["row"]]
    )
    table["note"] = _unreadable(df, taken)
    if not np.isfinite(table[["x", "y"]]).all(axis=1).any():
        raise BadInput(f"No row of {name} holds numbers in both {taken.x} and {taken.y}; name other columns.")
    if n_negatives is None and "n_negatives" in df and len(df["n_negatives"].unique()) == 1:
        found = pd.to_numeric(df["n_negatives"], errors="coerce").iloc[0]
        n_negatives = int(found) if np.isfinite(found) and found >= 1 else None
    series = list(dict.fromkeys(ids))
    return Source(
        name=name,
        table=table,
        x=str(taken.x),
        y=str(taken.y),
        x2=taken.x2,
        n_negatives=n_negatives,
        labels={one: one for one in series} if taken.by else {"points": name},
        laws=dict.fromkeys(series, taken.law(table)),
        kin={one: ("ngram", _family(one)) for one in series},
        origin={
            **(origin or {"kind": "frame"}),
            "columns": taken.numbers | ({"by": taken.by} if taken.by else {}),
        },
        note=taken.told(),
    )


def _family(series: str) -> str:
    """Tell the family from a name, so that T5 and LLaMA have the colours they have elsewhere."""
    return next((family for family in ("llama", "t5", "bm25") if family in series.lower()), series)


def _unreadable(df: pd.DataFrame, taken: Columns) -> list[str]:
    """Quote the cells that hold no number."""
    told = [""] * len(df)
    for column in taken.numbers.values():
        bad = pd.to_numeric(df[column], errors="coerce").isna()
        for i in np.flatnonzero(bad.to_numpy()):
            cell = df[column].iloc[i]
            empty = cell is None or cell == "" or cell != cell
            what = f"{column} is empty" if empty else f"{column} is {str(cell)[:40]!r}, not a number"
            told[i] = "; ".join(filter(None, (told[i], what)))
    return told
