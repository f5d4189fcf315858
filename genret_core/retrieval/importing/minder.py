"""MINDER's training files: lines of questions and identifiers, and pseudo-questions of passages.

They name no documents. A question's document is found in the collection that is imported with them: its title
is that of the question's title lines, and its text holds all of the question's body lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.retrieval.importing.items import Aside, Item, LeftOut, Pair, Passage, Question
from genret_core.retrieval.importing.json_stream import json_stream, texts_of
from genret_core.retrieval.importing.sources import Source, lines
from genret_core.retrieval.qrels import Qrel

VIEWS = ("title", "body", "query", "code")
UNSUPERVISED = "p"
_TITLE_ENDS = (" @@", " <extra_id_99>")


@dataclass
class _Wanted:
    """A question and what its lines say of its document."""

    id: str
    split: str
    where: str
    titles: set[str] = field(default_factory=set)
    bodies: set[str] = field(default_factory=set)
    found: bool = False


@dataclass
class Lines:
    """The questions of `.source` and `.target` files, and the documents that they were made of."""

    questions: dict[tuple[str, str], _Wanted] = field(default_factory=dict)
    _by_title: dict[str, list[_Wanted]] | None = None

    def read(self, source: Source, target: Path) -> Iterator[Item]:
        """Read two files whose lines belong together.

        A line of the source is ``QUESTION || VIEW || MARK``; the mark `p` stands on lines whose question was
        made of the passage, which only become pairs.
        """
        aim = Source(target, source.label, source.split)
        first = len(self.questions)
        for n, asked, answer in _together(source, aim):
            where = source.at(n)
            question, view, mark = _parts(asked, where)
            if not answer.strip():
                raise BadInput(f"{aim.at(n)}: this line is empty, its source is not; mend or remove both.")
            values = {"text": question, "view": view, "mark": mark, "target": answer.strip()}
            if mark == UNSUPERVISED:
                yield Pair({"query": None, **values}, where)
                continue
            known = self.questions.get((source.label, question))
            if known is None:
                known = _Wanted(f"{source.label}-{len(self.questions) - first}", source.split, where)
                self.questions[source.label, question] = known
                yield Question(known.id, question, where)
            _note(known, view, answer)
            yield Pair({"query": known.id, **values}, where)

    def judge(self, passage: Passage) -> Iterator[Item]:
        """Give the judgements of a document: for the questions whose lines were made of it."""
        if self._by_title is None:
            self._by_title = {}
            for wanted in self.questions.values():
                for title in wanted.titles if wanted.bodies else ():
                    self._by_title.setdefault(title, []).append(wanted)
        candidates = self._by_title.get(" ".join(passage.title.split()))
        if not candidates:
            return
        text = " ".join(passage.text.split())
        for wanted in candidates:
            if all(body in text for body in wanted.bodies):
                wanted.found = True
                yield Qrel(wanted.id, passage.id, 1, wanted.split, wanted.where)

    def missed(self) -> Iterator[Item]:
        """Count the questions whose document was not found."""
        for wanted in self.questions.values():
            if not wanted.found:
                yield LeftOut("judgements of questions whose passage was not found by its title and words")


def pseudo_queries(source: Source) -> Iterator[Item]:
    """Read `pid2query` as JSON: `{passage id: [pseudo-question, …]}`."""
    with json_stream(source) as stream:
        for where, name in stream.object():
            found = texts_of(stream.value(), f"the pseudo-questions of {name!r}", where)
            yield Aside("pseudo_queries", "document", name, {"queries": found}, where)
        stream.end()


def _together(source: Source, target: Source) -> Iterator[tuple[int, str, str]]:
    ends: Iterable[tuple[tuple[int, str] | None, tuple[int, str] | None]]
    ends = zip_longest(lines(source), lines(target))
    for one, other in ends:
        if one is None or other is None:
            longer, line = (target, other) if one is None else (source, one)
            shorter = source if one is None else target
            assert line is not None
            if not line[1].strip():
                continue
            raise BadInput(
                f"{longer.at(line[0])}: {shorter.path} has no such line; both files must have equally many."
            )
        if one[1].strip() or other[1].strip():
            yield one[0], one[1], other[1]


def _parts(line: str, where: str) -> tuple[str, str, str]:
    parts = [part.strip() for part in line.rsplit(" || ", 2)]
    if len(parts) != 3 or not parts[0] or parts[1] not in VIEWS:
        raise BadInput(
            f"{where}: 'QUESTION || VIEW || MARK' is expected, with one of {', '.join(VIEWS)} in the middle, "
            f"not {line.strip()[:80]!r}; mend or remove the line in both files."
        )
    return parts[0], parts[1], parts[2]


def _note(wanted: _Wanted, view: str, answer: str) -> None:
    text = " ".join(answer.split())
    if view == "title":
        for end in _TITLE_ENDS:
            text = text.removesuffix(end)
        wanted.titles.add(text)
    elif view == "body":
        wanted.bodies.add(text)
