"""The imported collection on disk, in BEIR's layout, written as it comes and checked at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Aside, Codes, Item, LeftOut, Pair, Passage, Question
from genret_core.retrieval.importing.seen import Hashes
from genret_core.retrieval.qrels import SPLITS, Qrel

FILES = {"train": "train", "validation": "dev", "test": "test"}
_text = json.JSONEncoder(ensure_ascii=False).encode
_BREAKS = ("\t", "\n", "\r")


class Writer:
    """Writes items to a folder; ids are held as hashes of 8 bytes, on disk.

    Attributes
    ----------
    hashes : dict of str to Hashes
        Of `documents`, `queries`, `codes`, each aside, and both columns of the judgements of each split.
    left_out : Counter of str
        Pieces left out, by reason.
    L_c, N_c : int
        Of the codes; 0 if there are none.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.left_out: Counter[str] = Counter()
        self.pairs = 0
        self.L_c = self.N_c = 0
        self.hashes: dict[str, Hashes] = {}
        self._scratch = scratch
        self._files: dict[str, TextIO] = {}
        self._open = ExitStack()
        self._add: dict[type, Callable[[Any], None]] = {
            Passage: self._passage,
            Question: self._question,
            Qrel: self._judgement,
            Codes: self._codes,
            Aside: self._aside,
            Pair: self._pair,
            LeftOut: self._left_out,
        }

    def __enter__(self) -> Writer:
        for name in ("corpus.jsonl", "queries.jsonl"):
            self._file(name)
        self._hashes("documents")
        self._hashes("queries")
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]

    def write(self, items: Iterable[Item]) -> None:
        """Write items of any kind, in any order."""
        add = self._add
        for item in items:
            try:
                add[type(item)](item)
            except UnicodeEncodeError:
                raise BadInput(
                    f"{getattr(item, 'where', '')}: a text holds half a surrogate pair, which is no "
                    "character; mend it."
                ) from None

    def n(self, name: str) -> int:
        """Count what has hashes."""
        return self.hashes[name].n if name in self.hashes else 0

    def _passage(self, item: Passage) -> None:
        name, title, text, where, more = item
        if not name:
            raise BadInput(f"{where}: a document has no id; give it one or remove it.")
        if not text.strip() and not title.strip():
            raise BadInput(f"{where}: the document {name!r} has no words; give it a text or remove it.")
        rest = f", {_text(more)[1:-1]}" if more else ""
        self._file("corpus.jsonl").write(
            f'{{"_id": {_text(name)}, "title": {_text(title)}, "text": {_text(text)}{rest}}}\n'
        )
        self.hashes["documents"].add(name)

    def _question(self, item: Question) -> None:
        name, text, where, more = item
        if not name:
            raise BadInput(f"{where}: a query has no id; give it one or remove it.")
        if not text.strip():
            raise BadInput(f"{where}: the query {name!r} has no words; give it a text or remove it.")
        rest = f", {_text(more)[1:-1]}" if more else ""
        self._file("queries.jsonl").write(f'{{"_id": {_text(name)}, "text": {_text(text)}{rest}}}\n')
        self.hashes["queries"].add(name)

    def _judgement(self, item: Qrel) -> None:
        query, document, relevance, split, where = item
        for name in (query, document):
            if any(sign in name for sign in _BREAKS):
                raise BadInput(
                    f"{where}: the id {name!r} holds a tab or a line end, which judgements cannot; change it."
                )
        file = f"qrels/{FILES[split]}.tsv"
        if file not in self._files:
            self._file(file).write("query-id\tcorpus-id\tscore\n")
        self._file(file).write(f"{query}\t{document}\t{relevance}\n")
        self._hashes(f"{split} queries").add(query)
        self._hashes(f"{split} documents").add(document)

    def _codes(self, item: Codes) -> None:
        name, codes, where = item
        if not codes or self.L_c not in (0, len(codes)):
            before = f"those before have {self.L_c}" if self.L_c else "one or more are needed"
            raise BadInput(
                f"{where}: the document {name!r} has {len(codes)} codes, {before}; all must have the same."
            )
        self.L_c = len(codes)
        self.N_c = max(self.N_c, max(codes) + 1)
        joined = ", ".join(map(str, codes))
        self._file("codes.jsonl").write(f'{{"_id": {_text(name)}, "codes": [{joined}]}}\n')
        self._hashes("codes").add(name)
        self._hashes("identifiers").add(joined)

    def _aside(self, item: Aside) -> None:
        record = _text({"_id": item.id, **item.values})
        self._file(f"{item.name}.jsonl").write(f"{record}\n")
        self._hashes(f"{item.name} of {item.of}").add(item.id)

    def _pair(self, item: Pair) -> None:
        self._file("pairs.jsonl").write(f"{_text(item.values)}\n")
        self.pairs += 1

    def _left_out(self, item: LeftOut) -> None:
        self.left_out[item.reason] += 1

    def _file(self, name: str) -> TextIO:
        file = self._files.get(name)
        if file is None:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            file = path.open("w", encoding="utf-8", newline="\n", buffering=1 << 20)
            self._files[name] = self._open.enter_context(file)
        return file

    def _hashes(self, name: str) -> Hashes:
        found = self.hashes.get(name)
        if found is None:
            found = Hashes(self._scratch / f"{len(self.hashes)}.npy")
            self.hashes[name] = self._open.enter_context(found)
        return found


def check(writer: Writer, again: Callable[[], Iterable[Item]], notes: list[str]) -> None:
    """Check the ids of what was written: unique, and known where they are named.

    Parameters
    ----------
    writer : Writer
        Closed.
    again : callable
        Gives all items once more: only read when something is amiss, to name file and line.
    notes : list of str
        Gets what is no fault but worth knowing.

    Raises
    ------
    BadInput
        Naming the place of the first fault.
    """
    hashes = writer.hashes
    if not writer.n("documents"):
        raise BadInput(
            "these files hold no document: add the collection that they speak of (such as psgs_w100.tsv, "
            "collection.tsv, corpus.jsonl)."
        )
    for name, kind, told in (
        ("documents", Passage, "document"),
        ("queries", Question, "query"),
        ("codes", Codes, "document with codes"),
    ):
        if name in hashes:
            twins = hashes[name].twins()
            if len(twins):
                _refuse_twin(again(), kind, told, set(twins.tolist()))
    for split in SPLITS:
        for of in ("queries", "documents"):
            named = f"{split} {of}"
            first = hashes[named].first_not_in(hashes[of]) if named in hashes else None
            if first is not None:
                _refuse_unknown(again(), split, of, first)
    _check_splits(hashes, again)
    _check_beside(writer, notes)


def _check_splits(hashes: dict[str, Hashes], again: Callable[[], Iterable[Item]]) -> None:
    present = [split for split in SPLITS if f"{split} queries" in hashes]
    for i, split in enumerate(present):
        for other in present[i + 1 :]:
            both = hashes[f"{split} queries"].shared(hashes[f"{other} queries"])
            if both is None:
                continue
            first: dict[str, str] = {}
            for item in again():
                if type(item) is Qrel and Hashes.of(item.query_id) == both:
                    first.setdefault(item.split, item.where)
            raise BadInput(
                f"{first[other]}: this query is judged in {FILES[other]}, and at {first[split]} in "
                f"{FILES[split]} too; a query belongs to one split."
            )


def _check_beside(writer: Writer, notes: list[str]) -> None:
    """Tell how far codes and asides cover the collection; refuse those that are of another one."""
    hashes = writer.hashes
    asides = [name for name in hashes if name == "codes" or " of " in name]
    for name in asides:
        of = "queries" if name.endswith(" of query") else "documents"
        told = name.split(" of ")[0].replace("_", "-")
        strange = hashes[name].count_not_in(hashes[of])
        if strange == hashes[name].n:
            raise BadInput(
                f"none of the {strange:,} {of} with {told} is in the collection; these files do not belong "
                "together."
            )
        if strange:
            notes.append(f"{strange:,} of {hashes[name].n:,} {of} with {told} are not in the collection")
    if "codes" in hashes:
        lacking = hashes["documents"].count_not_in(hashes["codes"])
        if lacking:
            n = writer.n("documents")
            notes.append(f"{lacking:,} of {n:,} documents have no codes (coded_only leaves them out)")


def _refuse_twin(items: Iterable[Item], kind: type, told: str, twins: set[int]) -> None:
    seen: dict[str, str] = {}
    for item in items:
        if type(item) is kind and Hashes.of(item.id) in twins:  # type: ignore[union-attr]
            name, where = item.id, item.where  # type: ignore[union-attr]
            if name in seen:
                raise BadInput(
                    f"{where}: the {told} {name!r} occurs twice, first at {seen[name]}; ids must be unique: "
                    "remove or rename one."
                )
            seen[name] = where


def _refuse_unknown(items: Iterable[Item], split: str, of: str, number: int) -> None:
    judged = (item for item in items if type(item) is Qrel and item.split == split)
    item = next(item for place, item in enumerate(judged) if place == number)
    name, told = (item.query_id, "query") if of == "queries" else (item.document_id, "document")
    raise BadInput(
        f"{item.where}: there is no {told} with the id {name!r}; give the file that holds it, or remove the "
        "judgement."
    )
