"""`genret corpus`: what a corpus holds."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("corpus")(corpus)


def corpus(
    source: Annotated[str, typer.Argument(help="A corpus folder, or a study's folder, name or preset.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="Documents shown with their queries.")] = 3,
) -> None:
    """Say what a corpus holds: counts, lengths, splits, overlap, examples."""
    from genret_core.retrieval.corpus_report import describe
    from genret_core.workbench.prepare import find_corpus

    report = describe(find_corpus(source), n_examples=examples)
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if as_json else report)
