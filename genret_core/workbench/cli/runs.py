"""`genret runs`: what there is."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    runs = typer.Typer(help="Studies that were run.", no_args_is_help=True, rich_markup_mode=None)
    runs.command("ls")(ls)
    runs.command("show")(show)
    app.add_typer(runs, name="runs")


def ls(
    out: Annotated[str, typer.Option("--out", help="Where study folders lie.")] = "runs",
    as_json: AsJson = False,
) -> None:
    """List studies, the latest first."""
    from genret_core.workbench.runs import list_runs

    found = list_runs(out)
    if as_json:
        print(json.dumps([asdict(run) for run in found], indent=1))
        return
    for run in found:
        when = (run.updated or "").replace("T", " ")[:16]
        cells = f"{run.done:3d} of {run.cells:3d} cells"
        print(f"{run.name:20s} {run.state:10s} {cells}  {when:16s}  {run.note or ''}".rstrip())
    if not found:
        print(f"no studies in {out}: `genret study demo` makes one")


def show(
    study: Annotated[str, typer.Argument(help="A study's folder or name.")], as_json: AsJson = False
) -> None:
    """Show one study: its cells, their state and what they measured."""
    from genret_core.workbench.runs import find_study

    found = find_study(study)
    table = found.overview()
    if as_json:
        print(table.to_json(orient="records", indent=1))
        return
    print(f"{found.name}: {found.folder}")
    print(table.drop(columns=["cell"]).to_string(index=False, na_rep="", float_format=lambda x: f"{x:.5g}"))
    print(found.missing() or "every cell of the study is there")
