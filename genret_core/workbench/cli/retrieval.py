"""`genret search`: a trained retriever from the shell; `genret index` is beside it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genret_core.workbench.cli import index

if TYPE_CHECKING:
    from genret_core.workbench.retriever.ask import Answer, Hit
    from genret_core.workbench.retriever.led import Key

KEYS, PLACES = 8, 6  # of a document, of a key
PUBLISHED: dict[str, Any] = {"scoring": {}, "rescore": False, "query_keys": False, "unigrams": False}

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
    print(_asked(answer))
    width = _width()
    for hit in answer.hits:
        _show(hit, width)
        if explain:
            _show_keys(hit.keys or ())
    if not answer.hits:
        print("nothing found")


def _asked(answer: Answer) -> str:
    """Say who was asked, with what switches, and what it cost."""
    from genret_core.workbench.figures.style import short
    from genret_core.workbench.study.variants import Switches

    search = answer.search
    words = Switches.of(search).told_from(Switches.of(replace(search, **PUBLISHED)))
    flops = sum(items["without_head"] + items["head"] for items in answer.flops.values())
    told = [answer.retriever, f"beam {answer.beam}", words, f"{1000 * answer.seconds:.0f} ms"]
    return ", ".join(part for part in [*told, f"{short(flops)} FLOPs"] if part)


def _show(hit: Hit, width: int) -> None:
    """Print a document: rank, score and title, below it the stretch of its text with the heaviest keys."""
    name = hit.document if hit.title in ("", hit.document) else f"{hit.title}  ({hit.document})"
    print(f"{hit.rank:3d}  {_bold(name)}  {hit.score:.3f}")
    print(f"     {_marked(hit, width - 5)}")


def _show_keys(keys: Sequence[Key]) -> None:
    for key in keys[:KEYS]:
        print(f"       {_key(key)}")
    if len(keys) > KEYS:
        rest = sum(key.contribution for key in keys[KEYS:])
        print(f"       {rest:+8.3f}  {len(keys) - KEYS} more (--json tells all)")


def _width() -> int:
    """Give the columns of the terminal; of a file, those that a page has."""
    return min(shutil.get_terminal_size((100, 24)).columns, 140) if sys.stdout.isatty() else 100


def _in_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if _in_colour() else text


def _marked(hit: Hit, width: int) -> str:
    """Write a stretch of a text; what was matched is underlined in a terminal, else in [brackets]."""
    from genret_core.workbench.retriever.led import marked_text

    begin, end = ("\x1b[1;4m", "\x1b[0m") if _in_colour() else ("[", "]")
    pieces = marked_text(hit.text, hit.keys or (), max(width - 4, 20))
    return "".join(f"{begin}{piece}{end}" if marked else piece for piece, marked in pieces)


def _key(key: Key) -> str:
    weight = "" if key.weight is None else f"weight {key.weight:.2f}, "
    places = ", ".join(str(place) for place in key.places[:PLACES])
    more = f" and {len(key.places) - PLACES} more" if len(key.places) > PLACES else ""
    where = f", at token {places}{more}" if places else ""
    return (
        f"{key.contribution:+8.3f}  {key.text!r} ({weight}ln p {key.log_prob:.2f}, "
        f"{key.count:,} in the corpus, {key.source}{where})"
    )
