"""From the options of a verb to the points of a file, and to a law fitted through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from genret_core.errors import BadInput
from genret_core.workbench.cli.fitting.options import Columns
from genret_core.workbench.cli.fitting.table import Cell, Table, number, read_table
from genret_core.workbench.cli.fitting.where import rows_where

if TYPE_CHECKING:
    from genret_core.scaling import Fit, Law

LEVEL = 0.95  # of `ci95`
SHOWN = 5  # cells that are no number which a refusal quotes


@dataclass(frozen=True)
class Chosen:
    """Rows and columns of a file.

    Attributes
    ----------
    table : Table
        The chosen rows, all columns.
    names : dict
        The columns' names by their part: `x`, `y`, and as given `x2`, `sd`, `weights`.
    options : Columns
    by : str or None
        The column that splits them into groups.
    group : Cell
        What these rows share in that column.
    used : list of int
        Numbers of the rows that the last fit used, from 1 below the header.
    """

    table: Table
    names: dict[str, str]
    options: Columns
    by: str | None = None
    group: Cell = None
    used: list[int] = field(default_factory=list)

    def arguments_of_law(self) -> list[str]:
        """Name the columns that the law is a function of."""
        return [self.names[part] for part in ("x", "x2") if part in self.names]

    def values(self, part: str) -> list[float]:
        """Give a column as numbers; NaN where a cell holds none."""
        found = (number(cell) for cell in self.table.column(self.names[part]))
        return [float("nan") if value is None else value for value in found]

    def unreadable(self) -> dict[int, str]:
        """Say by row which cells hold no number, and what they hold."""
        told: dict[int, list[str]] = {}
        for name in self.names.values():
            for row, cell in zip(self.table.rows, self.table.column(name), strict=True):
                if number(cell) is None:
                    empty = cell is None or cell == ""
                    told.setdefault(row, []).append(f"{name} {'is empty' if empty else f'is {cell!r}'}")
        return {row: " and ".join(cells) for row, cells in told.items()}

    def arguments(self) -> dict[str, Any]:
        """Give the keyword arguments of `scaling.fit` that are about the points."""
        given: dict[str, Any] = {part: self.values(part) for part in self.names}
        if self.options.noise is not None:
            given["sd"] = self.options.noise
        called = {part: self.names[part] for part in ("x", "y", "x2") if part in self.names}
        return {**given, "names": called, "rows": list(self.table.rows), "drop_bad": self.options.drop_bad}

    def fit(self, law: Law, manner: dict[str, Any]) -> Fit:
        """Fit a law through the points.

        Raises
        ------
        BadInput
            As `scaling.fit` does, in the words of the command line.
        """
        from genret_core.scaling import fit

        try:
            found = fit(law, **self.arguments(), **manner)
        except BadInput as error:
            raise self.retold(error) from None
        self.used[:] = [int(row) for row in found.points.rows]
        return found

    def retold(self, error: BadInput) -> BadInput:
        """Tell a refusal in the words of the command line, with the cells that hold no number."""
        told = str(error).replace("drop_bad=True", "--drop-bad")
        if error.code == "bad_rows":
            cells = [f"row {row}: {what}" for row, what in sorted(self.unreadable().items())]
            more = "" if len(cells) <= SHOWN else f"; and {len(cells) - SHOWN} more"
            told += f" ({'; '.join(cells[:SHOWN])}{more})" if cells else ""
        where = "" if error.code == "bad_option" else f"{self.table.source}: "
        return BadInput(f"{where}{told}", code=error.code)

    def told(self, found: Fit) -> dict[str, Any]:
        """Give a fit as JSON-ready values; a dropped cell that held no number is quoted."""
        value = found.to_dict()
        unreadable = self.unreadable()
        for dropped in value["points"]["dropped"]:
            if dropped["row"] in unreadable:
                dropped["reason"] = f"{unreadable[dropped['row']]}, not a number"
        return value

    def in_short(self, found: Fit) -> dict[str, Any]:
        """Give what a plan or a crossing stands on; all of a fit is told by `genret fit`."""
        parameters = {}
        for name, value in found.params.items():
            interval = found.interval(name, LEVEL)
            parameters[name] = {
                "value": value if isfinite(value) else None,
                "ci95": [None, None] if interval is None else [interval.lo, interval.hi],
                "identified": found.identified(name),
            }
        return {
            "law": found.law.name,
            "equation": found.law.equation,
            "n": found.n,
            "dof": found.dof,
            "objective": found.objective,
            "params": parameters,
            "verdicts": [verdict.to_dict() for verdict in found.verdicts],
        }

    def grouped(self, by: str) -> Iterator[Chosen]:
        """Split by a column."""
        for cell, table in self.table.groups(by):
            yield Chosen(table, self.names, self.options, by, cell)


def choose(source: str, law: Law, options: Columns) -> Chosen:
    """Read a file and find the columns and rows that are asked for.

    Parameters
    ----------
    source : str
        A path, or `-`.
    law : Law
        Its symbols are the columns that are not named.

    Raises
    ------
    BadInput
        With code `no_file`, `bad_file`, `no_column`, `bad_where`, `no_rows` or `bad_option`.
    """
    if options.sd is not None and options.noise is not None:
        raise BadInput("--sd and --noise both say how noisy y is; give one.", code="bad_option")
    if options.noise is not None and not 0 < options.noise < inf:
        raise BadInput(
            f"--noise is {options.noise:g}, but a standard deviation must be positive.", code="bad_option"
        )
    if options.x2 is not None and law.x2 is None:
        raise BadInput(f"The law {law.name} has one argument; leave --x2 out.", code="bad_option")
    names = {"x": options.x or law.x, "y": options.y or law.y}
    if law.x2 is not None:
        names["x2"] = options.x2 or law.x2
    names |= {part: name for part, name in (("sd", options.sd), ("weights", options.weights)) if name}
    table = read_table(source)
    for part, name in names.items():
        _check_column(table, part, name)
    if not table.rows:
        raise BadInput(
            f"{source} holds no points below its header; add a row per point.", code="too_few_points"
        )
    return Chosen(rows_where(table, options.where or []), names, options)


def _check_column(table: Table, part: str, name: str) -> None:
    try:
        table.column(name)
    except BadInput as error:
        hint = ""
        if part == "sd" and number(name) is not None:
            hint = f" A number goes with --noise: --noise {name}."
        elif part not in ("sd", "weights"):
            hint = f" Name the column with --{part}."
        raise BadInput(f"{error}{hint}", code=error.code) from None
