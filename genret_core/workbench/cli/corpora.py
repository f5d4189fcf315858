"""`genret corpus`: what a corpus holds, and bringing one in."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from genret_core.errors import BadInput
from genret_core.workbench.pool import JobFailed

if TYPE_CHECKING:
    from genret_core.retrieval.corpus_report import CorpusReport
    from genret_core.retrieval.importing import Imported

_SAID_EVERY = 10  # seconds, where there is no terminal for a bar


class _SourceOrVerb(TyperGroup):
    """`genret corpus SOURCE` is `genret corpus show SOURCE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        result: list[str] = super().parse_args(ctx, args)
        return result


def mount(app: typer.Typer) -> None:
    """Add the verbs."""
    verbs = typer.Typer(
        cls=_SourceOrVerb,
        help="What a corpus holds (genret corpus SOURCE); bring one in (genret corpus import).",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    verbs.command("show")(show)
    verbs.command("import")(bring_in)
    app.add_typer(verbs, name="corpus")


def show(
    source: Annotated[str, typer.Argument(help="A folder in BEIR's layout, a corpus folder, or a study.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="Documents shown with their queries.")] = 3,
) -> None:
    """Say what a corpus holds: counts, lengths, splits, overlap, examples (`show` may be left out)."""
    report = _report(source, examples)
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if as_json else report)


def bring_in(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Files, or a folder in BEIR's layout. What each holds is seen from its name and beginning "
            "and said; where that cannot be, say it: documents=raw.tsv, queries=raw.tsv."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="dpr, minder, ripor, slgr, kilt, raw, squad, beir or hf (a folder, or a name on the hub).  "
            "[default: told from each file]",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, dev or test: for files whose names do not say it.")
    ] = "train",
    positives: Annotated[
        int | None,
        typer.Option(help="DPR's questions: judge this many passages each, the annotated one first."),
    ] = None,
    coded_only: Annotated[
        bool, typer.Option("--coded-only", help="Leave out documents that have no given codes.")
    ] = False,
    config: Annotated[
        str | None, typer.Option(help="hf: the configuration of the data set.  [default: all]")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="hf: may be fetched from the hub.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Write a collection in BEIR's layout from files of other systems; it appears whole or not at all."""
    from genret_core.retrieval.importing import Choices, import_corpus

    splits = {"train": "train", "dev": "validation", "validation": "validation", "test": "test"}
    if split not in splits:
        raise BadInput(f"--split is {split!r}; choose train, dev or test.")
    choices = Choices(format, splits[split], positives, coded_only, config, hub)
    started = time.monotonic()
    try:
        with _bar() as progress:
            found = import_corpus(files, out, choices, say=_to_stderr, progress=progress)
    except OSError as error:
        raise JobFailed(f"the import stopped, and nothing was written: {error}.") from None
    print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) if as_json else _told(found, started))


def _told(found: Imported, started: float) -> str:
    lines = [f"{name:32s} {n:>12,}" for name, n in found.counts.items()]
    if found.codes:
        lines.append("codes: " + ", ".join(f"{name} {n:,}" for name, n in found.codes.items()))
    lines += found.notes
    return "\n".join([*lines, f"{found.folder}, in {time.monotonic() - started:.1f} s"])


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _bar() -> Iterator[Callable[[int, int, int], None]]:
    """Show how far the files are read: a bar on a terminal, otherwise a line now and then."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def say(done: int, total: int, items: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _SAID_EVERY:
                last = time.monotonic()
                _to_stderr(f"  {done / max(total, 1):.0%} read, {items:,} records")

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[items]:,} records", markup=False), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, items=0)
        yield lambda done, total, items: bars.update(task, completed=done, total=total or None, items=items)


def _report(source: str, examples: int) -> CorpusReport:
    """Describe what goes by that name; a collection of the user's is read into a passing folder."""
    from genret_core.retrieval.corpus_report import describe
    from genret_core.retrieval.readers import is_collection, read_collection
    from genret_core.workbench.study.prepare import find_corpus

    if not is_collection(source):
        return describe(find_corpus(source), n_examples=examples)
    with tempfile.TemporaryDirectory() as passing:
        return describe(read_collection(Path(passing) / "corpus", source), n_examples=examples)
