"""`genret search`: a trained retriever from the shell; `genret index` is beside it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.workbench.cli import index

if TYPE_CHECKING:
    from genret_core.workbench.retriever.ask import Hit
    from genret_core.workbench.retriever.led import Key

SHOWN, PLACES = 90, 6  # characters of a document's text, places of a key

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
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell which keys led to each document, and where they stand.")
    ] = False,
    full_score: Annotated[
        bool | None,
        typer.Option(
            "--full-score/--first-stage",
            help="Match all keys in the text of the best documents.  [default: as the study]",
        ),
    ] = None,
    rescore: Annotated[
        bool | None,
        typer.Option(help="Score keys anew from the bare query.  [default: as the study]"),
    ] = None,
    query_keys: Annotated[
        bool | None,
        typer.Option(help="Let the query's own words be keys, too.  [default: as the study]"),
    ] = None,
    unigrams: Annotated[
        bool | None,
        typer.Option(help="Let likely first tokens be keys, too.  [default: as the study]"),
    ] = None,
    corpus_frequency: Annotated[
        bool | None,
        typer.Option(help="Weigh keys against their frequency in the corpus.  [default: as the study]"),
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Shrinks the log-probability of long keys.  [default: as the study]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a trained retriever. What led to a document is marked in its text."""
    from genret_core.workbench.retriever.ask import ask

    given = {
        "full_score": full_score, "rescore": rescore, "query_keys": query_keys, "unigrams": unigrams,
        "corpus_frequency": corpus_frequency, "length_penalty": length_penalty,
    }  # fmt: skip
    switches = {name: value for name, value in given.items() if value is not None}
    answer = ask(
        study, query, beam=beam, k=k, cell=cell, method=method,
        explain=explain or not as_json, switches=switches,
    )  # fmt: skip
    if as_json:
        print(json.dumps(answer.to_dict(), ensure_ascii=False, indent=1))
        return
    on = ", ".join(_in_words(name) for name, value in _flat(answer.switches) if value is True)
    print(f"{answer.retriever}, beam {beam}{', ' if on else ''}{on}, {answer.seconds:.2f} s")
    for hit in answer.hits:
        print(f"{hit.rank:3d}  {hit.score:8.3f}  {hit.document}  {_marked(hit)}")
        for key in (hit.keys or ()) if explain else ():
            print(f"       {_key(key)}")
    if not answer.hits:
        print("nothing found")


def _flat(switches: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [*((name, switches[name]) for name in switches if name != "scoring"), *switches["scoring"].items()]


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _marked(hit: Hit) -> str:
    """Write a stretch of a document's text; what was matched is bold in a terminal, else in [brackets]."""
    from genret_core.workbench.retriever.led import marked_text

    bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    begin, end = ("\x1b[1m", "\x1b[0m") if bold else ("[", "]")
    pieces = marked_text(hit.text, hit.keys or (), SHOWN)
    return "".join(f"{begin}{piece}{end}" if marked else piece for piece, marked in pieces)


def _key(key: Key) -> str:
    weight = "" if key.weight is None else f"weight {key.weight:.2f}, "
    places = ", ".join(str(place) for place in key.places[:PLACES])
    more = f" and {len(key.places) - PLACES} more" if len(key.places) > PLACES else ""
    where = f", at token {places}{more}" if places else ""
    return (
        f"{key.contribution:+8.3f}  {key.text!r} ({weight}ln p {key.log_prob:.2f}, "
        f"{key.count} in the corpus, {key.source}{where})"
    )
