"""`genret runs`, `genret reproduce`: what there is, what differs, what can go, what comes out again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
RunName = Annotated[
    str, typer.Argument(help="A study (demo), or one of its cells or notebook runs (demo/02aab0).")
]


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    runs = typer.Typer(help="Studies that were run.", no_args_is_help=True, rich_markup_mode=None)
    runs.command("ls")(ls)
    runs.command("show")(show)
    runs.command("diff")(diff)
    runs.command("gc")(gc)
    app.add_typer(runs, name="runs")
    app.command("reproduce")(reproduce)


def ls(
    out: Annotated[str, typer.Option("--out", help="Where study folders lie.")] = "runs",
    sort: Annotated[str, typer.Option(help="By updated, name, state, cells or size.")] = "updated",
    sizes: Annotated[bool, typer.Option("--sizes", help="Add up the files of each.")] = False,
    as_json: AsJson = False,
) -> None:
    """List studies, the latest first."""
    from genret_core.readable import readable
    from genret_core.workbench.history.listing import list_runs

    found = list_runs(out, sort=sort, sizes=sizes)
    if as_json:
        _print_json([asdict(run) for run in found])
        return
    for run in found:
        when = (run.updated or "").replace("T", " ")[:16]
        cells = f"{run.done:4d} of {run.cells:4d} cells"
        size = "" if run.bytes is None else f"{run.bytes / 1e6:10,.1f} MB  "
        told = f"{run.name:20s} {run.state:10s} {cells}  {size}{when:16s}  {readable(run.note or '')}"
        print(told.rstrip())
    if not found:
        print(f"no studies in {out}: `genret study demo` makes one")


def show(
    run: RunName,
    part: Annotated[
        str | None, typer.Argument(help="The beginning of a cell's key or notebook run, or a cell's name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a study, or one cell or notebook run of it: parameters, origin, files, the end of its log."""
    from genret_core.workbench.history.found import find_run
    from genret_core.workbench.history.shown import show as gather

    found = find_run(run, part)
    shown = gather(found)
    if as_json:
        _print_json(shown.to_dict())
        return
    print(shown)
    if found.kind == "study":
        print(found.study.missing() or "every cell of the study is there")


def diff(a: RunName, b: RunName, as_json: AsJson = False) -> None:
    """Compare two studies, cells or notebook runs: parameters, versions, machines, metrics."""
    from genret_core.workbench.history.diff import diff as compare
    from genret_core.workbench.history.found import find_run

    found = compare(find_run(a), find_run(b))
    _print_json(found.to_dict()) if as_json else print(found)


def gc(
    studies: Annotated[list[str], typer.Argument(help="Studies.", metavar="STUDY...")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this nothing is removed.")] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="With --yes: only this kind (several times for more); checkpoints only go so."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what can go from a study's folder and how much that frees; --yes removes it."""
    from genret_core.workbench.history.leftovers import chosen_kinds, collect_garbage, leftovers
    from genret_core.workbench.runs import find_study

    kinds = chosen_kinds(kind or ())
    found = [collect_garbage(study, kinds) if yes else leftovers(study) for study in map(find_study, studies)]
    if as_json:
        _print_json([one.to_dict() for one in found])
        return
    print(*found, sep="\n")
    going = [item for one in found for item in one.items if item.kind in kinds]
    freed = sum(item.bytes for item in going) / 1e6
    if yes:
        print(f"{freed:,.1f} MB freed")
    elif going:
        print(f"nothing was removed: --yes frees {freed:,.1f} MB")


def reproduce(
    run: RunName,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="A fresh folder.  [default: reproduced/ beside the studies]", show_default=False
        ),
    ] = None,
    cells: Annotated[
        int | None, typer.Option(min=1, help="Of a study: only so many cells, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of that draw.")] = 0,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Relative difference that counts as the same.")
    ] = 1e-6,
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers.  [default: as many as cores]")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a study, a cell or a notebook again as recorded, and compare; exit status 1 if it differs."""
    import sys

    from genret_core.workbench.history.found import find_run
    from genret_core.workbench.history.reproduce import reproduce as again

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout)

    found = again(find_run(run), out=out, cells=cells, seed=seed, tolerance=tolerance, jobs=jobs, say=say)
    _print_json(found.to_dict()) if as_json else print(found)
    raise typer.Exit(0 if found.reproduced else 1)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))
