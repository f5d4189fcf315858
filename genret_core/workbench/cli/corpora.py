"""`genret corpus`: what a corpus holds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genret_core.retrieval.corpus_report import CorpusReport


def mount(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("corpus")(corpus)


def corpus(
    source: Annotated[str, typer.Argument(help="A folder in BEIR's layout, a corpus folder, or a study.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="Documents shown with their queries.")] = 3,
) -> None:
    """Say what a corpus holds: counts, lengths, splits, overlap, examples."""
    report = _report(source, examples)
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if as_json else report)


def _report(source: str, examples: int) -> CorpusReport:
    """Describe what goes by that name; a collection of the user's is read into a passing folder."""
    from genret_core.retrieval.corpus_report import describe
    from genret_core.retrieval.readers import read_corpus
    from genret_core.workbench.study.prepare import find_corpus

    if not any((Path(source) / name).is_file() for name in ("corpus.jsonl", "corpus.jsonl.gz")):
        return describe(find_corpus(source), n_examples=examples)
    with tempfile.TemporaryDirectory() as passing:
        corpus = read_corpus("beir", Path(passing) / "corpus", {"path": source})
        return describe(corpus, n_examples=examples)
