"""`genret study`, `genret cells`, `genret run`: what computes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from genret_core.errors import BadInput

Source = Annotated[
    str,
    typer.Argument(
        help="A preset (demo, gpu, paper/minder-t5, …), a study.yaml, a study's folder or bundle."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Where study folders lie.  [default: runs]", show_default=False)
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only cells for which this holds: \"family == 'llama' and seed == 0\". Columns: name, method, "
        "family, backbone, P, fraction, seed. May be given several times.",
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try again what failed before, as it is now.")
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Run also what, by estimate, does not fit into memory or onto disk.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Workers, one thread each.  [default: as many as cores]")
]

FAILURES = 12  # that a command tells in full


class _Pairs(TyperCommand):
    """A command whose `-p` takes a name and a value, as papermill's does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined: list[str] = []
        rest = iter(args)
        for word in rest:
            joined.append(word)
            if word in ("-p", "--parameter"):
                name = next(rest, "")
                joined.append(name if "=" in name else f"{name}={next(rest, '')}")
        result: list[str] = super().parse_args(ctx, joined)
        return result


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("study")(study)
    app.command("run", cls=_Pairs)(run)
    app.command("cells")(cells)


def study(
    source: Source,
    out: Out = None,
    engine: Annotated[
        str, typer.Option(metavar="local|parsl", help="Who runs the cells: this machine, or a site's nodes.")
    ] = "local",
    site: Annotated[
        str | None,
        typer.Option(
            help="For parsl: a site file, or slurm, pbs, … of params/sites.  [default: this machine]"
        ),
    ] = None,
    jobs: Jobs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and what they take; change nothing.")
    ] = False,
    flops_rate: Annotated[
        str | None,
        typer.Option(
            "--flops-rate",
            help="--dry-run: FLOP/s of a GPU (400e12), or one by name and the share of its peak (h200:0.3).",
        ),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="--dry-run: GB of the device.  [default: the named one's, or this machine's]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="--dry-run: for programs.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove what an earlier run of it made, first.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this notebook (may be given several times).")
    ] = None,
    where: Where = None,
    retry_failed: RetryFailed = False,
    anyway: Anyway = False,
    notebooks: Annotated[bool, typer.Option(help="Run the notebooks after the cells.")] = True,
) -> None:
    """Run a whole study, from text to index.html; started again, it does what is left."""
    from genret_core.workbench.pool.progress import duration
    from genret_core.workbench.study.choice import Choice

    choice = Choice(tuple(where or ()), retry_failed)
    if dry_run and source.lower().endswith(".zip"):
        raise BadInput(f"--dry-run changes nothing, and {source} must be unpacked first: leave it out.")
    if dry_run:
        from genret_core.workbench.study.dry_run import dry_run as describe

        found = describe(
            source, out=out, choice=choice, only=only if notebooks else [], fresh=fresh,
            jobs=jobs, flops_rate=flops_rate, memory=memory,
        )  # fmt: skip
        print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) if as_json else found)
        if found.plan.refused:
            raise BadInput(found.plan.refused)
        return
    if flops_rate or memory or as_json:
        raise BadInput("--flops-rate, --memory and --json go with --dry-run; add it or leave them out.")
    from genret_core.workbench.study import run_study

    if source.lower().endswith(".zip"):
        from genret_core.workbench.cli.reports import opened

        source = opened(source, out)
    chosen = only if notebooks else []
    try:
        outcome = run_study(
            source,
            out=out,
            engine=engine,
            site=site,
            jobs=jobs,
            fresh=fresh,
            only=chosen,
            choice=choice,
            anyway=anyway,
        )
    except KeyboardInterrupt:
        again = source if out is None else f"{source} --out {out}"
        again += "" if engine == "local" else f" --engine {engine}" + (f" --site {site}" if site else "")
        print(f"stopped; `genret study {again}` goes on where it stopped", file=sys.stderr)
        raise typer.Exit(130) from None
    _print_failures(outcome.failures)
    trained = f"{outcome.cells_done} of {outcome.cells} cells"
    ran = f"{outcome.notebooks_done} of {outcome.notebooks} notebooks"
    print(f"{trained} and {ran} are done, {duration(outcome.seconds)}")
    print(outcome.index)
    raise typer.Exit(0 if outcome.ok else 1)


def cells(
    source: Source,
    out: Out = None,
    jobs: Jobs = None,
    shard: Annotated[
        str, typer.Option(help="i/n: the i-th of n equal parts of the cells.", metavar="i/n")
    ] = "1/1",
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long; go on later.")] = None,
    where: Where = None,
    retry_failed: RetryFailed = False,
    anyway: Anyway = False,
) -> None:
    """Train, score and search the cells of a study, without Jupyter."""
    from genret_core.workbench.study import run_cells
    from genret_core.workbench.study.choice import Choice

    choice = Choice(tuple(where or ()), retry_failed)
    failures = run_cells(
        source, out=out, jobs=jobs, shard=_shard(shard), max_seconds=max_seconds, choice=choice, anyway=anyway
    )
    _print_failures(failures)
    raise typer.Exit(1 if failures else 0)


def _print_failures(failures: Sequence[str]) -> None:
    """Tell what did not come through: the first few, and how many more there are."""
    for failure in failures[:FAILURES]:
        print(failure, file=sys.stderr)
    if len(failures) > FAILURES:
        print(f"… and {len(failures) - FAILURES} more: `genret runs show` lists them", file=sys.stderr)


def _shard(text: str) -> tuple[int, int]:
    part, _, of = text.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise BadInput(f"--shard is {text!r}; write i/n with i from 1 to n, such as 2/4.")
    return int(part), int(of)


def run(
    notebook: Annotated[str, typer.Argument(help="A notebook's name (05_model_size) or file.")],
    file: Annotated[Path | None, typer.Option("-f", "--file", help="YAML with its parameters.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME VALUE", help="One parameter.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder.", show_default=False)] = None,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds for the whole notebook.")] = None,
    show_parameters: Annotated[
        bool, typer.Option("--parameters", help="List the notebook's parameters and leave.")
    ] = False,
) -> None:
    """Run one notebook and make its report."""
    from genret_core.workbench.pool import told_end
    from genret_core.workbench.study.one_notebook import parameter_help, run_one

    if show_parameters:
        print(parameter_help(notebook))
        return
    record = run_one(notebook, file=file, assignments=parameter or [], out=out, timeout=timeout)
    if record.reason:
        print(told_end(record.name, record.state, record.reason), file=sys.stderr)
    print(record.report)
    raise typer.Exit(0 if record.done else 2 if record.error == "BadInput" else 1)
