"""`genret report`: pages made anew, and a study packed to hand on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from genret_core.errors import BadInput


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


def report(
    study: Annotated[str, typer.Argument(help="A study's folder or name.")],
    bundle: Annotated[
        Path | None,
        typer.Option(help="Pack the study into this zip; `genret study FILE.zip` reads it back."),
    ] = None,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="--bundle: the models' weights too.")
    ] = False,
    corpus: Annotated[
        bool, typer.Option("--corpus/--no-corpus", help="--bundle: the corpus, which notebooks need to run.")
    ] = True,
) -> None:
    """Make the reports and the index page of a study anew, without running anything."""
    from genret_core.workbench.study.rebuild import rebuild

    if bundle is None and (checkpoints or not corpus):
        raise BadInput("--checkpoints and --no-corpus go with --bundle; add it or leave them out.")
    if bundle is not None and bundle.suffix != ".zip":
        raise BadInput(f"--bundle is {str(bundle)!r}; a bundle is a zip: {bundle.name}.zip, say.")
    made, failures = rebuild(study)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(Path(made))
    if bundle is not None:
        from genret_core.workbench.runs import find_study
        from genret_core.workbench.study.bundle import write_bundle

        print(write_bundle(find_study(study), bundle, checkpoints=checkpoints, corpus=corpus))
    raise typer.Exit(1 if failures else 0)


def opened(bundle: str, out: Path | None) -> str:
    """Read a bundle into its folder and make its pages; give the folder, for `genret study` to go on with."""
    from genret_core.workbench.study.rebuild import rebuild
    from genret_core.workbench.study.unbundle import read_bundle

    found = read_bundle(bundle, out)
    print(f"{bundle} is in {found.folder}" if found.new else f"{found.folder} holds this bundle already")
    for sentence in found.lacks:
        print(sentence)
    if found.new:
        rebuild(str(found.folder))  # its own pages are not taken over
    return str(found.folder)
