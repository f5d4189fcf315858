"""`genret points`: what a study measured, as two small files that can be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("points")(points)


def points(
    study: Annotated[str, typer.Argument(help="A study's folder or name.")],
    out: Annotated[Path, typer.Option("--out", help="The CSV; the record goes beside it (.json).")],
) -> None:
    """Write the points of a finished study, and beside them what was run on what."""
    from genret_core.workbench.runs import find_study
    from genret_core.workbench.study.points_file import write_points

    table, record = write_points(find_study(study), out)
    print(f"{table} and {record}")
