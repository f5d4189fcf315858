"""Which files are read as what, and in which order: what later files depend on comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.retrieval.importing import beir, dpr, minder, plain, ripor, squad
from genret_core.retrieval.importing.detection import FORMATS, KINDS, kind_of
from genret_core.retrieval.importing.huggingface import is_dataset
from genret_core.retrieval.importing.items import Item
from genret_core.retrieval.importing.sources import Source, label_of, split_of

Reader = Callable[[Source], Iterator[Item]]

READERS: dict[str, Reader] = {
    "codes": ripor.codes,
    "beside-codes": beir.beside_codes,
    "pseudo-queries": minder.pseudo_queries,
    "beside": beir.beside,
    "passages": dpr.passages,
    "titled": plain.titled_documents,
    "documents": plain.documents,
    "beir-documents": beir.documents,
    "squad": squad.squad,
    "questions": dpr.questions,
    "open-questions": dpr.open_questions,
    "queries": plain.queries,
    "beir-queries": beir.queries,
    "query-lines": ripor.questions_of_lines,
    "query-object": ripor.questions_of_object,
    "qrels": ripor.judgements,
    "judgements": plain.judgements,
    "scores": ripor.scores,
}
"""Kinds of files that are read on their own; the others have a part in `collection`."""
COLLECTIONS = ("passages", "titled", "documents", "beir-documents")
_ORDER = ("codes", "beside-codes", "source", "hf", *COLLECTIONS, "squad", "contexts")


@dataclass(frozen=True)
class Input:
    """A file and what it holds. `target` is the second file of MINDER's pairs of files."""

    kind: str
    path: Path
    label: str
    split: str
    target: Path | None = None

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(path.stat().st_size for path in (self.path, self.target) if path and path.is_file())

    def told(self) -> str:
        """Say what is read as what."""
        beside = f" and {self.target.name}" if self.target else ""
        return f"{self.path.name}{beside}: {KINDS[self.kind]}"


def plan(files: Sequence[str], *, format: str | None, split: str) -> list[Input]:
    """Find out what the files hold.

    Parameters
    ----------
    files : sequence of str
        Files, folders in BEIR's layout, or `kind=file` where the kind cannot be seen.
    format : str, optional
        Of `FORMATS`.
    split : str
        Where the judgements of files go whose names tell nothing.

    Raises
    ------
    BadInput
        If a file is missing or is nothing that can be imported.
    """
    if format is not None and format not in FORMATS:
        raise BadInput(f"no format is called {format!r}; choose one of {', '.join(FORMATS)}.")
    found: list[tuple[str, Path]] = []
    for given in files:
        found += _kinds(given, format)
    if not found:
        raise BadInput("no file was named; name the files to import.")
    double = next(
        (path for path, times in Counter(path.resolve() for _, path in found).items() if times > 1), None
    )
    if double is not None:
        raise BadInput(f"{double} is named twice; name each file once.")
    inputs = list(_inputs(found, split))
    place = {kind: number for number, kind in enumerate(_ORDER)}
    return sorted(inputs, key=lambda one: place.get(one.kind, len(place)))


def _kinds(given: str, format: str | None) -> list[tuple[str, Path]]:
    kind, sign, rest = given.partition("=")
    if sign and kind in KINDS and not Path(given).exists():
        path = Path(rest).expanduser()
        if not path.is_file():
            raise BadInput(f"there is no file {path}.")
        return [(kind, path)]
    path = Path(given).expanduser()
    if format == "hf":
        return [("hf", Path(given) if not path.exists() else path)]
    if path.is_dir():
        if is_dataset(path) and not (path / "corpus.jsonl").is_file() and format is None:
            return [("hf", path)]
        if format in (None, "beir"):
            return beir.files(path)
        raise BadInput(f"{path} is a folder; name its files, such as {path}/*.")
    if not path.is_file():
        raise BadInput(f"there is no file {path} (data sets of Hugging Face: --format hf).")
    return [(kind_of(path, format), path)]


def _inputs(found: list[tuple[str, Path]], split: str) -> Iterator[Input]:
    labels = Counter(label_of(path) for kind, path in found if kind != "target")
    targets = {_stem(path): path for kind, path in found if kind == "target"}
    for kind, path in found:
        label = label_of(path)
        if labels[label] > 1:
            label = f"{path.parent.name}-{label}"
        target = None
        if kind == "source":
            target = targets.pop(_stem(path), None)
            if target is None:
                raise BadInput(f"{path} needs its lines' identifiers: name {_stem(path)}.target too.")
        if kind != "target":
            yield Input(kind, path, label, split_of(path) or split, target)
    for path in targets.values():
        raise BadInput(f"{path} needs its lines' questions: name {_stem(path)}.source too.")


def _stem(path: Path) -> str:
    return str(path).removesuffix(".gz").rsplit(".", 1)[0]
