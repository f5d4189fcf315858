"""JSON files of any size, read member by member: what is held is one member and a block of the file.

Python's own decoder does the work (no streaming library tells the line of a fault); a member that the block
cuts off is tried again with a block twice as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from genret_core.errors import BadInput
from genret_core.retrieval.importing.sources import Source, complaining, opened

BLOCK = 1 << 20
LONGEST = 1 << 28  # characters of one member
_MARGIN = 16  # a fault this near the end of the block may be the cut (`tru`, `-Infini`, `\ud83d\udc`)
_SPACE = " \t\r\n"
_OF_NUMBERS = ".eE+-0123456789"
_NAMES = {dict: "an object", list: "an array", str: "a text", int: "a number", float: "a number"}


@contextmanager
def json_stream(source: Source) -> Iterator[JsonStream]:
    """Open a JSON file."""
    stream: JsonStream | None = None
    with (
        complaining(source, lambda: stream.line if stream else 0),
        opened(source) as file,
    ):
        stream = JsonStream(source, file)
        yield stream


class JsonStream:
    """A place in a JSON file. `line` is its line, counted from 1."""

    def __init__(self, source: Source, file: TextIO, block: int = BLOCK) -> None:
        self.source = source
        self.line = 1
        self._file = file
        self._block = block
        self._text = ""
        self._at = 0  # how much of the text is done
        self._over = False
        self._decode = json.JSONDecoder().raw_decode

    @property
    def where(self) -> str:
        """File and line."""
        return self.source.at(self.line)

    def peek(self) -> str:
        """Give the next character that is no space; empty at the end."""
        while True:
            text, at, n = self._text, self._at, len(self._text)
            while at < n and text[at] in _SPACE:
                at += 1
            self._move(at)
            if at < n or not self._more():
                return self._text[self._at : self._at + 1]

    def array(self) -> Iterator[tuple[str, Any]]:
        """Give the items of the array that begins here, with file and line."""
        yield from ((where, self.value()) for where in self.places())

    def places(self) -> Iterator[str]:
        """Stop at each item of the array that begins here; the caller reads it before going on."""
        self._take("[", "an array")
        if self._ends("]"):
            return
        while True:
            self.peek()
            yield self.where
            if not self._another("]"):
                return

    def object(self) -> Iterator[tuple[str, str]]:
        """Give file and line and key of the object's members; the caller reads the value before going on."""
        self._take("{", "an object")
        if self._ends("}"):
            return
        while True:
            if self.peek() != '"':
                raise self._fault("a key in double quotes is expected")
            where, key = self.where, self.value()
            if self.peek() != ":":
                raise self._fault(f"a colon is expected behind the key {key!r}")
            self._move(self._at + 1)
            self.peek()
            yield where, key
            if not self._another("}"):
                return

    def value(self) -> Any:
        """Read one value whole."""
        if not self.peek():
            raise self._fault("the file ends where a value is expected")
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._may_be_cut(error) or not self._more():
                    raise self._no_json(error) from None
            except RecursionError:
                raise self._fault("brackets are nested too deeply to be read") from None
            except ValueError:  # Python's guard against numbers that take long to convert
                raise self._fault("a number has thousands of digits") from None
            else:
                if self._is_whole(value, end) or not self._more():
                    self._move(end)
                    return value

    def end(self) -> None:
        """Refuse anything but space behind here."""
        if found := self.peek():
            raise self._fault(f"the JSON is over, but {found!r} follows")

    def _another(self, close: str) -> bool:
        found = self.peek()
        if found not in (",", close) or not found:
            told = f"{found!r} stands" if found else "the file ends"
            raise self._fault(f"{told} where a comma or {close!r} is expected")
        self._move(self._at + 1)
        return found == ","

    def _take(self, opening: str, named: str) -> None:
        if self.peek() != opening:
            raise self._fault(f"{named} is expected, which begins with {opening!r}")
        self._move(self._at + 1)

    def _ends(self, close: str) -> bool:
        if self.peek() != close:
            return False
        self._move(self._at + 1)
        return True

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        if self._over:
            return False
        left = len(self._text) - self._at
        if left > LONGEST:
            raise self._fault(f"a value is longer than {LONGEST:,} characters")
        added = self._file.read(max(self._block, left))
        self._over = not added
        self._text = self._text[self._at :] + added
        self._at = 0
        return True

    def _is_whole(self, value: Any, end: int) -> bool:
        """Whether a value that ends here cannot go on: `1` of `1.5e-7` could."""
        if end == len(self._text) or not isinstance(value, (int, float)):
            return end < len(self._text)
        return self._text[end] not in _OF_NUMBERS or len(self._text) - end >= _MARGIN

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        unclosed = error.msg.startswith("Unterminated string")
        return unclosed or len(self._text) - error.pos < _MARGIN

    def _no_json(self, error: json.JSONDecodeError) -> BadInput:
        self._move(min(error.pos, len(self._text)))
        reason = error.msg.removesuffix(" at").removesuffix(" starting at")
        if self._over and not self._text[self._at :].strip():
            reason = "the file ends within a value"
        return self._fault(f"this is no JSON ({reason})")

    def _fault(self, told: str) -> BadInput:
        return BadInput(f"{self.where}: {told}; mend the file or fetch it again.")


def json_lines(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read JSON lines: an object on every line that is not empty."""
    from genret_core.retrieval.importing.sources import full_lines

    for number, line in full_lines(source):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{source.at(number)}: this is no JSON ({why(error)}); mend the line.") from None
        if not isinstance(record, dict):
            raise BadInput(f"{source.at(number)}: an object is expected, not {kind(record)}; mend the line.")
        yield source.at(number), record


def why(error: ValueError | RecursionError) -> str:
    """Say in words why a line cannot be decoded."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "brackets nested too deeply" if isinstance(error, RecursionError) else "a number too long"


def kind(value: Any) -> str:
    """Say in words what a value is."""
    return "nothing" if value is None else _NAMES.get(type(value), type(value).__name__)


def text_of(record: Any, keys: tuple[str, ...], where: str, *, default: str | None = None) -> str:
    """Give the text under the first of the keys that is there; whole numbers count as texts.

    With a default, null counts as not being there.

    Raises
    ------
    BadInput
        If there is none (and no default), or it is no text.
    """
    if not isinstance(record, dict):
        raise BadInput(f"{where}: an object is expected, not {kind(record)}; mend the file.")
    for key in keys:
        if key in record:
            value = record[key]
            if type(value) is int:
                return str(value)
            if value is None and default is not None:
                continue
            if not isinstance(value, str):
                raise BadInput(f"{where}: {key!r} must be a text, not {kind(value)}; mend the file.")
            return value
    if default is None:
        raise BadInput(f"{where}: {' or '.join(map(repr, keys))} is missing; add it.")
    return default


def texts_of(value: Any, name: str, where: str) -> list[str]:
    """Give a list of texts; whole numbers count as texts.

    Raises
    ------
    BadInput
        If it is something else.
    """
    if isinstance(value, list) and all(isinstance(one, str) or type(one) is int for one in value):
        return [str(one) for one in value]
    raise BadInput(f"{where}: {name} must be a list of texts, not {str(value)[:60]!r}; mend it.")
