"""The import itself: files in, a folder in BEIR's layout out, whole or not at all."""

from __future__ import annotations

import shutil
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.retrieval.build_folder import build_folder
from genret_core.retrieval.id_table import hash_texts
from genret_core.retrieval.importing import dpr, huggingface
from genret_core.retrieval.importing.items import Aside, Codes, Item, Passage
from genret_core.retrieval.importing.minder import Lines
from genret_core.retrieval.importing.planning import COLLECTIONS, READERS, Input, plan
from genret_core.retrieval.importing.sources import Meter, Source
from genret_core.retrieval.importing.writing import Writer, check
from genret_core.retrieval.qrels import SPLITS, Qrel

_TOLD_EVERY = 4_096
Progress = Callable[[int, int, int], None]
"""Called with bytes read, bytes in all, and items so far."""


@dataclass(frozen=True)
class Choices:
    """How files are read.

    Attributes
    ----------
    format : str, optional
        By default it is told from each file.
    split : {"train", "validation", "test"}
        Where the judgements of files go whose names tell nothing.
    positives : int, optional
        Of DPR's questions, judge only the first so many positive passages.
    coded_only : bool
        Leave out documents without given codes, and their judgements.
    config : str, optional
        Of a data set of Hugging Face.
    online : bool
        Whether the hub may be asked.
    """

    format: str | None = None
    split: str = "train"
    positives: int | None = None
    coded_only: bool = False
    config: str | None = None
    online: bool = False


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes
    ----------
    folder : Path
    counts : dict
        `documents`, `queries`, judgements by split, and what is kept beside.
    codes : dict
        `L_c`, `N_c` and `distinct` (different code sequences), if there are codes.
    notes : tuple of str
    files : tuple of dict
    """

    folder: Path
    counts: dict[str, int]
    codes: dict[str, int]
    notes: tuple[str, ...]
    files: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-like mapping."""
        return {**asdict(self), "folder": str(self.folder)}


def import_corpus(
    files: Sequence[str],
    out: str | Path,
    choices: Choices | None = None,
    *,
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda done, total, items: None,
) -> Imported:
    """Write a collection in BEIR's layout from files of other systems.

    Texts are streamed; of every id 8 bytes are kept, on disk. Beside the collection lie what else was given
    (`answers.jsonl`, `pseudo_queries.jsonl`, `negatives.jsonl`, `codes.jsonl`, `pairs.jsonl`) and
    `import.json`, which says what was read.

    Parameters
    ----------
    files : sequence of str
        See `plan`.
    out : path-like
        A folder that is empty or does not exist.
    choices : Choices, optional
    say : callable
        Told what is read as what.
    progress : callable

    Returns
    -------
    Imported

    Raises
    ------
    BadInput
        If a file or line cannot be used, or the folder is in use. Nothing is written then.
    """
    chosen = choices or Choices()
    out = Path(out)
    _refuse_used(out)
    inputs = plan(files, format=chosen.format, split=chosen.split)
    for one in inputs:
        say(one.told())
    if chosen.positives is not None and chosen.positives < 1:
        raise BadInput(f"positives is {chosen.positives}; give 1 or more.")
    if chosen.coded_only and not any(one.kind in ("codes", "beside-codes") for one in inputs):
        raise BadInput("coded_only needs given codes; name the file that holds them.")
    with build_folder(out) as part:
        scratch = part / ".ids"
        scratch.mkdir()
        reading = Reading(inputs, chosen)
        with Writer(part, scratch) as writer:
            writer.write(_told(reading.items(), reading.meter, sum(one.bytes for one in inputs), progress))
        notes: list[str] = []
        check(writer, lambda: Reading(inputs, chosen).items(), notes)
        imported = _describe(out, part, writer, inputs, notes)
        shutil.rmtree(scratch)
        write_json(part / "import.json", {key: v for key, v in imported.to_dict().items() if key != "folder"})
        _refuse_used(out)
    return imported


@dataclass
class Reading:
    """One reading of the files."""

    inputs: Sequence[Input]
    choices: Choices
    meter: Meter = field(default_factory=Meter)

    def items(self) -> Iterator[Item]:
        """Give everything that the files hold."""
        return _coded_only(self._all()) if self.choices.coded_only else self._all()

    def _all(self) -> Iterator[Item]:
        lines = Lines()
        alone = not any(one.kind in (*COLLECTIONS, "hf", "squad") for one in self.inputs)
        seen: dict[bytes, bytes] | None = {} if alone else None
        of_tables: dict[str | int, str] = {}
        for one in self.inputs:
            source = Source(one.path, one.label, one.split, self.meter)
            items: Iterator[Item]
            if one.kind == "source" and one.target is not None:
                items = lines.read(source, one.target)
            elif one.kind == "contexts":
                items = dpr.contexts(source, positives=self.choices.positives, seen=seen)
            elif one.kind == "hf":
                items = self._tables(one, of_tables)
            else:
                items = READERS[one.kind](source)
            yield from _judged(items, lines) if lines.questions and one.kind != "source" else items
        yield from lines.missed()

    def _tables(self, one: Input, seen: dict[str | int, str]) -> Iterator[Item]:
        opened = huggingface.tables(str(one.path), config=self.choices.config, online=self.choices.online)
        for where, part, rows in opened:
            yield from huggingface.read(where, part, rows, default_split=one.split, seen=seen)


def _judged(items: Iterable[Item], lines: Lines) -> Iterator[Item]:
    for item in items:
        yield item
        if type(item) is Passage:
            yield from lines.judge(item)


def _coded_only(items: Iterator[Item]) -> Iterator[Item]:
    """Leave out what belongs to documents without codes; codes come first."""
    coded = array("Q")
    table = np.zeros(0, np.uint64)
    while block := list(islice(items, _TOLD_EVERY)):
        new = [item.id for item in block if type(item) is Codes]
        if new:
            coded.frombytes(hash_texts(new).tobytes())
        named = [(item, name) for item in block if (name := _document_of(item)) is not None]
        if named and len(table) != len(coded):
            table = np.sort(np.frombuffer(coded.tobytes(), np.uint64))
        known = np.isin(hash_texts([name for _, name in named]), table)
        dropped = {id(item) for (item, _), kept in zip(named, known.tolist(), strict=True) if not kept}
        yield from (item for item in block if id(item) not in dropped)


def _document_of(item: Item) -> str | None:
    if type(item) is Passage:
        return item.id
    if type(item) is Qrel:
        return item.document_id
    return item.id if type(item) is Aside and item.of == "document" else None


def _told(items: Iterator[Item], meter: Meter, total: int, progress: Progress) -> Iterator[Item]:
    done = 0
    while block := list(islice(items, _TOLD_EVERY)):
        yield from block
        done += len(block)
        progress(meter.bytes, total, done)


def _describe(out: Path, part: Path, writer: Writer, inputs: Sequence[Input], notes: list[str]) -> Imported:
    notes += [f"left out: {n:,} {reason}" for reason, n in writer.left_out.items()]
    counts = {"documents": writer.n("documents"), "queries": writer.n("queries")}
    counts |= {f"judgements, {split}": n for split in SPLITS if (n := writer.n(f"{split} queries"))}
    counts |= {name.replace(" of ", ", by "): writer.n(name) for name in writer.hashes if " of " in name}
    counts |= {"pairs": writer.pairs} if writer.pairs else {}
    judged = Counter({split: writer.n(f"{split} queries") for split in SPLITS})
    if judged["validation"] and not judged["train"] and not judged["test"]:
        (part / "qrels" / "dev.tsv").rename(part / "qrels" / "test.tsv")
        notes.append("the only judgements were of a dev split: they are the test split here")
    if not judged.total():
        notes.append("there are no judgements: enough to index and search, not to train or measure")
    codes = {}
    if writer.L_c:
        n = writer.n("codes")
        counts["codes, by document"] = n
        codes = {"L_c": writer.L_c, "N_c": writer.N_c, "distinct": writer.hashes["identifiers"].distinct()}
        if codes["distinct"] < n:
            notes.append(f"{n:,} documents have {codes['distinct']:,} different codes: some share theirs")
    files = tuple(
        {"path": str(one.path), "kind": one.kind, "split": one.split, "bytes": one.bytes} for one in inputs
    )
    return Imported(out, counts, codes, tuple(notes), files)


def _refuse_used(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadInput(f"{out} is in use; name an empty or new folder, or remove it first.")
