"""`genret search`: a trained retriever from the shell; `genret index` is beside it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from genret_core.workbench.cli import index

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    index.mount(app)
    app.command("search")(search)


def search(
    study: Annotated[str, typer.Argument(help="A study's folder or name.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    beam: Annotated[int, typer.Option(min=1, help="Width of the beam.")] = 10,
    k: Annotated[int, typer.Option("-k", min=1, help="Documents shown.")] = 10,
    cell: Annotated[
        str | None, typer.Option(help="A backbone's name or a cell's key.  [default: the best CGL]")
    ] = None,
    method: Annotated[str | None, typer.Option(help="ngram or codebook.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a trained retriever."""
    from genret_core.workbench.retriever.ask import ask

    answer = ask(study, query, beam=beam, k=k, cell=cell, method=method)
    if as_json:
        print(json.dumps(answer.to_dict(), ensure_ascii=False, indent=1))
        return
    print(f"{answer.retriever}, beam {beam}, {answer.seconds:.2f} s")
    for hit in answer.hits:
        print(f"{hit.rank:3d}  {hit.score:8.3f}  {hit.document}  {hit.text}")
    if not answer.hits:
        print("nothing found")
