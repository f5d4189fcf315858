"""`genret explore`: the fit explorer in a browser."""

from __future__ import annotations

from typing import Annotated

import typer


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("explore")(explore)


def explore(
    points: Annotated[
        str | None, typer.Argument(metavar="[POINTS.csv]", help="A file with a header.", show_default=False)
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="DIR", help="The points of a study: its folder or name.")
    ] = None,
    x: Annotated[str | None, typer.Option(metavar="COL", help="What the law is a function of.")] = None,
    y: Annotated[str | None, typer.Option(metavar="COL", help="What it predicts.")] = None,
    x2: Annotated[
        str | None, typer.Option(metavar="COL", help="The second argument of a law of two.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="COL", help="One series for each value of it.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: 8866, or one that is free]")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open the fit explorer: published points, a study's or your own, until Ctrl-C."""
    from genret_core.workbench.explorer.app import serve
    from genret_core.workbench.explorer.given import Given

    given = Given(points or "", study or "", x=x, y=y, x2=x2, by=by)
    source = given.source()  # what cannot be used is refused before anything starts
    print(f"{source.name}: {len(source.table)} points")
    serve(given.code(), port=port, browser=browser, say=lambda told: print(told, flush=True))
    print("stopped")
