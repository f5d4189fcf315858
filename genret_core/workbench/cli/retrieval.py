"""`genret index`, `genret search`: the index and a trained retriever from the shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Text = Annotated[str, typer.Argument(help="Some words, as they stand in a document.")]
Where = Annotated[str, typer.Argument(help="A study's folder or name, or a folder that `index build` made.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    index = typer.Typer(help="The index over a corpus' tokens.", no_args_is_help=True, rich_markup_mode=None)
    index.command("build")(build)
    index.command("count")(count)
    index.command("locate")(locate)
    app.add_typer(index, name="index")
    app.command("search")(search)


def build(
    corpus: Annotated[str, typer.Argument(help="A corpus folder, or a study's folder, name or preset.")],
    out: Annotated[Path, typer.Argument(help="A new folder for tokenizer, tokens and index.")],
    vocab_size: Annotated[int, typer.Option(min=64, help="Tokens of the tokenizer that is trained.")] = 1024,
) -> None:
    """Tokenise a corpus and index it."""
    from genret_core.workbench.retriever.index_folder import build_index

    index = build_index(corpus, out, vocab_size=vocab_size)
    print(
        f"{out}: {index.n_tokens:,} tokens of {index.n_documents:,} documents, {index.vocab_size:,} different"
    )


def count(where: Where, text: Text, as_json: AsJson = False) -> None:
    """Count how often words stand in the corpus, in this order."""
    from genret_core.workbench.retriever.index_folder import open_index

    times = open_index(where).count(text)
    print(json.dumps({"text": text, "count": times}) if as_json else times)


def locate(
    where: Where,
    text: Text,
    limit: Annotated[int, typer.Option(min=1, help="Places shown at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Say which documents words stand in, and where."""
    from genret_core.workbench.retriever.index_folder import open_index

    places = open_index(where).locate(text)
    if as_json:
        print(json.dumps([place.__dict__ for place in places[:limit]], ensure_ascii=False, indent=1))
        return
    for place in places[:limit]:
        print(f"{place.document}  token {place.token}  {place.around}")
    if len(places) > limit:
        print(f"… and {len(places) - limit} more places (--limit)")


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
