"""`genret index`: build the index of a corpus, count and locate words in it, check its files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Text = Annotated[str, typer.Argument(help="Some words, as they stand in a document.")]
Where = Annotated[str, typer.Argument(help="A study's folder or name, or a folder that `index build` made.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

_SAID_EVERY = 10.0  # seconds


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    index = typer.Typer(help="The index over a corpus' tokens.", no_args_is_help=True, rich_markup_mode=None)
    for verb in (build, count, locate, check):
        index.command(verb.__name__)(verb)
    app.add_typer(index, name="index")


def build(
    corpus: Annotated[
        str, typer.Argument(help="A corpus folder, a collection in BEIR's layout, or a study.")
    ],
    out: Annotated[Path, typer.Argument(help="A new folder for tokenizer, tokens and index.")],
    vocab_size: Annotated[int, typer.Option(min=64, help="Tokens of the tokenizer that is trained.")] = 1024,
    max_depth: Annotated[int, typer.Option(min=1, help="Longest run of tokens that can be asked for.")] = 64,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that sort, about 0.4 GB each.")] = 1,
    shard_tokens: Annotated[
        int | None, typer.Option(min=1, help="Cut the index into files of so many tokens.  [default: one]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tokenise a corpus and index it. Memory stays small, however large the corpus."""
    from genret_core.workbench.retriever.index_folder import build_index

    began = time.monotonic()
    with _bar() as progress:
        index = build_index(
            corpus, out, vocab_size=vocab_size, max_depth=max_depth, jobs=jobs,
            tokens_per_shard=shard_tokens, progress=progress,
        )  # fmt: skip
    seconds = time.monotonic() - began
    if as_json:
        told = {
            "folder": str(out),
            "tokens": index.n_tokens,
            "documents": index.n_documents,
            "vocab_size": index.vocab_size,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(told, ensure_ascii=False))
        return
    print(
        f"{out}: {index.n_tokens:,} tokens of {index.n_documents:,} documents, {index.vocab_size:,} different"
        f", in {seconds:.1f} s"
    )


def count(where: Where, text: Text, as_json: AsJson = False) -> None:
    """Count how often words stand in the corpus, in this order."""
    from genret_core.workbench.retriever.index_folder import open_index

    times = open_index(where).count(text)
    print(json.dumps({"text": text, "count": times}, ensure_ascii=False) if as_json else times)


def locate(
    where: Where,
    text: Text,
    limit: Annotated[int, typer.Option(min=1, help="Places shown at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Say which documents words stand in, and where."""
    from genret_core.workbench.retriever.index_folder import open_index

    index = open_index(where)
    places = index.locate(text, limit)
    if as_json:
        print(json.dumps([place.__dict__ for place in places], ensure_ascii=False, indent=1))
        return
    for place in places:
        print(f"{place.document}  token {place.token}  {place.around}")
    more = index.count(text) - len(places)
    if more:
        print(f"… and {more:,} more places (--limit)")


def check(where: Where, as_json: AsJson = False) -> None:
    """Read every byte of an index and compare it with the checksums of its building."""
    from genret_core.workbench.retriever.index_folder import check_index

    index = check_index(where)
    said = {"tokens": index.n_tokens, "documents": index.n_documents, "sound": True}
    print(
        json.dumps(said)
        if as_json
        else f"sound: {index.n_tokens:,} tokens of {index.n_documents:,} documents"
    )


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far the stages are: a bar on a terminal, otherwise a line now and then."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def say(stage: str, done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _SAID_EVERY:
                last = time.monotonic()
                print(f"  {stage}: {done / max(total, 1):.0%}", file=sys.stderr, flush=True)

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading", total=None)
        stages = [""]

        def show(stage: str, done: int, total: int) -> None:
            if stage != stages[-1]:
                stages.append(stage)
                bars.reset(task, description=stage, total=total)
            bars.update(task, completed=done)

        yield show
