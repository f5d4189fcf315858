"""`genret fit`: a law through the points of a file."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genret_core.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def fit_command(
    points: Annotated[Path, typer.Argument(help="Points: a .csv or .parquet file with a header.")],
    law: Annotated[
        str,
        typer.Option(
            help="model_size (Eq. 6), data_size (Eq. 7), inference (Eq. 12), joint (Eq. 8), power, "
            "log_linear or constant."
        ),
    ] = "model_size",
    x: Annotated[
        str | None, typer.Option(help="Column of the argument; default the law's symbol: P, D, C.")
    ] = None,
    y: Annotated[str | None, typer.Option(help="Column of the value; default the law's: CGL, MR.")] = None,
    x2: Annotated[
        str | None, typer.Option(help="Column of a joint law's second argument; default D.")
    ] = None,
    sd: Annotated[
        str | None, typer.Option(help="Known standard deviation of y: a column, or a number.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help='Rows to take, e.g. "family=t5"; may be repeated.')
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    negatives: Annotated[
        int | None, typer.Option(help="N of the CGL: tells points that are at chance.")
    ] = None,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows without a value.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all digits.")] = False,
) -> None:
    """Fit a scaling law to points, with intervals and what they cannot tell."""
    from genret_core.scaling import fit, get_law

    found = get_law(law)
    columns = {"x": x or found.x, "y": y or found.y}
    if found.x2 or x2:
        columns["x2"] = x2 or str(found.x2)
    table = _chosen(read_table(points), where or [], points)
    values = {key: _numbers(table, column, points) for key, column in columns.items()}
    try:
        result = fit(
            found,
            values["x"],
            values["y"],
            values.get("x2"),
            sd=_spread(table, sd, points),
            names=columns,
            level=level,
            n_negatives=negatives,
            drop_missing=drop_missing,
        )
    except BadInput as error:
        # the fit counts the rows that it was given; the reader looks for them in the file
        told = re.sub(r"^Row (\d+)", lambda m: f"{points}:{table.index[int(m[1]) - 1]}", str(error))
        raise BadInput(told.replace("drop_missing=True", "--drop-missing")) from None
    if as_json:
        print(json.dumps(result.to_dict(), ensure_ascii=False, indent=1, allow_nan=False))
    else:
        print(result)


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or parquet file, its cells as they stand, indexed by line (CSV) or row (parquet, from 1).

    Raises
    ------
    BadInput
        If there is no such file, or it is not a table.
    """
    import pandas as pd

    if not path.is_file():
        near = get_close_matches(
            path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [], n=1
        )
        hint = f"did you mean {path.parent / near[0]}?" if near else "check the path."
        raise BadInput(f"There is no file {path}; {hint}")
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            first = 1
        elif path.suffix in (".csv", ".tsv"):
            # text, so that a cell that is not a number can be shown as it stands
            table = pd.read_csv(
                path,
                sep="\t" if path.suffix == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
            )
            first = 2
        else:
            raise BadInput(f"{path} is neither .csv, .tsv nor .parquet; convert it to one of these.")
    except (ValueError, OSError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{path} cannot be read as a table ({str(error).splitlines()[0]}); correct it."
        ) from None
    table = table.set_axis(range(first, first + len(table)), axis=0)
    table = table[~(table == "").all(axis=1)]  # blank lines
    if table.empty:
        raise BadInput(f"{path} holds no points; give a header and a row per point.")
    return table


def _column(table: pd.DataFrame, name: str, path: Path) -> pd.Series:
    if name in table:
        return table[name]
    there = [str(column) for column in table]
    near = get_close_matches(name, there, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}."
    raise BadInput(f"{path} has no column {name}; {hint}")


def _chosen(table: pd.DataFrame, where: list[str], path: Path) -> pd.DataFrame:
    """Take the rows whose column equals a value, as text or as a number, for each condition."""
    for condition in where:
        name, equals, value = condition.partition("=")
        name, value = name.strip(), value.strip()
        if not (equals and name):
            raise BadInput(f"--where {condition!r} is not understood; write column=value.")
        column = _column(table, name, path).astype(str).str.strip()
        kept = table[[_same(cell, value) for cell in column]]
        if kept.empty:
            there = ", ".join(dict.fromkeys(column[:1000]))
            raise BadInput(f"{path} has no row with {name} = {value}; there are {there[:200]}.")
        table = kept
    return table


def _same(cell: str, value: str) -> bool:
    if cell == value:
        return True
    try:
        return float(cell) == float(value)
    except ValueError:
        return False


def _numbers(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    """Take a column as numbers; an empty cell is NaN, anything else is refused with its line."""
    import numpy as np

    column = _column(table, name, path)
    values = np.full(len(column), np.nan)
    for i, (line, cell) in enumerate(column.items()):
        if cell is None or cell == "":
            continue
        try:
            values[i] = float(cell)
        except (TypeError, ValueError):
            raise BadInput(f"{path}:{line}: {name} is {cell!r}, not a number; correct it.") from None
    return values


def _spread(table: pd.DataFrame, sd: str | None, path: Path) -> np.ndarray | float | None:
    if sd is None:
        return None
    if sd not in table:
        try:
            return float(sd)
        except ValueError:
            pass
    return _numbers(table, sd, path)
