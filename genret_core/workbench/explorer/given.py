"""The ways in: what a command or a notebook was given, as points and as the code that opens them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genret_core.errors import BadInput

if TYPE_CHECKING:
    from genret_core.workbench.explorer.sources import Source

COLUMNS = ("x", "y", "x2", "by")
HEIGHT = "862px"  # of a page of its own: a window of 900 pixels, without scrolling


@dataclass(frozen=True)
class Given:
    """Where the points come from; all empty: the published ones.

    Attributes
    ----------
    points : str
        A CSV file.
    study : str
        A study's folder or name.
    x, y, x2, by : str or None
        Columns of the file; those that are not named are guessed.
    """

    points: str = ""
    study: str = ""
    x: str | None = None
    y: str | None = None
    x2: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        named = [column for column in COLUMNS if getattr(self, column)]
        if self.points and self.study:
            raise BadInput("Points come from a file or from a study: give one of the two.")
        if named and not self.points:
            raise BadInput(f"--{named[0]} names a column of a file of points, and no file is given.")

    @property
    def _opener(self) -> tuple[str, list[str], dict[str, str]]:
        """Name of the function in `sources`, and what it is given."""
        if self.points:
            file = Path(self.points).expanduser().resolve()
            columns = {column: named for column in COLUMNS if (named := getattr(self, column))}
            return "csv_source", [str(file)], columns
        if self.study:
            from genret_core.workbench.runs import find_study

            return "study_source", [str(find_study(self.study).folder)], {}
        return "published_source", [], {}

    def source(self) -> Source:
        """Read the points.

        Raises
        ------
        BadInput
            If the file or the study cannot be used.
        """
        from genret_core.workbench.explorer import sources

        name, places, columns = self._opener
        if self.points and not Path(places[0]).is_file():
            raise BadInput(f"There is no file {self.points}.", code="no_file")
        source: Source = getattr(sources, name)(*places, **columns)
        return source

    def code(self) -> str:
        """Write the cell that shows these points in the explorer."""
        name, places, columns = self._opener
        handed = ", ".join([repr(place) for place in places] + [f"{k}={v!r}" for k, v in columns.items()])
        return "\n".join(
            [
                "from genret_core.workbench.explorer.explorer import Explorer",
                f"from genret_core.workbench.explorer.sources import {name}",
                "",
                f"Explorer({name}({handed}), height={HEIGHT!r})",
            ]
        )
