r"""The prose of a docstring: summary, description and parameters, without code, tables and markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Prose(NamedTuple):
    """Clean text of a docstring.

    `summary` is its first sentence, `sentences` the description (summary included), `parameters` what is
    said of each parameter, by name.
    """

    summary: str
    sentences: list[str]
    parameters: dict[str, str]

    def passage(self, max_words: int) -> list[str]:
        """Sentences, then parameters (``name: description``), as many as fit into `max_words` words."""
        kept: list[str] = []
        room = max_words
        for piece in [*self.sentences, *(f"{name}: {text}" for name, text in self.parameters.items())]:
            room -= len(piece.split())
            if room < 0:
                break
            kept.append(piece)
        return kept


_DESCRIPTION, _PARAMETERS, _NUMPYDOC, _OTHER = "description", "parameters", "numpydoc parameters", "other"
_SECTIONS = {
    **dict.fromkeys(
        ("parameters", "other parameters", "args", "arguments", "params", "attributes", "keyword args"),
        _PARAMETERS,
    ),
    **dict.fromkeys(
        (
            "returns", "return", "return value", "yields", "receives", "raises", "warns", "see also", "notes",
            "note", "references", "examples", "example", "methods", "usage", "todo", "output", "warnings",
        ),
        _OTHER,
    ),
}  # fmt: skip
_RULE = re.compile(r"([-=~^*])\1{2,}\s*$")
_FIELD = re.compile(
    r":(param|parameter|arg|argument|keyword|type|returns?|rtype|raises?|ivar|var)\b([^:]*):\s*(.*)"
)
_NUMPY_PARAMETER = re.compile(r"(\*{0,2}[A-Za-z_]\w*(?:\s*,\s*\*{0,2}[A-Za-z_]\w*)*)\s*(?::.*)?$")
_GOOGLE_PARAMETER = re.compile(r"(\*{0,2}[A-Za-z_]\w*)\s*(?:\([^)]*\))?\s*(?::|--)\s+(\S.*)$")
_CODE = re.compile(r"\s*(>>>|\.\.\. |\.\.\.$|\$ |# |In \[|def |import |from \w+ import|@)")

_MARKUP = (
    (
        re.compile(r":\w+(?::\w+)*:`[~!]?([^`<]+?)(?:\s*<[^>]*>)?`"),
        r"\1",
    ),  # :func:`name`, :ref:`text <target>`
    (re.compile(r"``(.+?)``"), r"\1"),
    (re.compile(r"(?<!\S)`(\w[^`']*)'(?!\w)"), r"'\1'"),  # `old quotes'
    (re.compile(r"`[~!]?([^`<]+?)(?:\s*<[^>]*>)?`_{0,2}"), r"\1"),
    (re.compile(r"\*\*([^*\s][^*]*)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])"), r"\1"),
    (re.compile(r"(\b(?:[Ss]ee|in|of|from|by|to|and|e\.g\.),?)\s*\[(?:\d+\]_?|\w+\]_)"), r"\1 \\cite"),
    (re.compile(r"\s*\[(?:\d+\]_?|\w+\]_)"), ""),  # footnotes
)
_BULLET = re.compile(r"^(?:[-*+•]|\(?\d{1,2}[.)])\s+")
_END = re.compile(r"[.!?][)\"']*$")
_NO_PROSE = re.compile(r"%\(|\\[a-zA-Z]|https?:|>>>|[{}|=<>]{2}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_WORD = re.compile(r"[(\"'\[]*[A-Za-z][A-Za-z'’/-]*[)\"'\].,;:!?]*$")


def prose(docstring: str) -> Prose:
    """Take the prose out of a docstring.

    Sections in numpydoc, Google and reStructuredText style are told apart; examples, returns, references and
    the like are left out, as are code, tables, directives and sentences that are mostly symbols.

    Parameters
    ----------
    docstring : str
        Without its indentation (`inspect.cleandoc`).
    """
    description: list[str] = []
    parameters: dict[str, str] = {}
    for kind, lines in _sections(docstring.expandtabs().splitlines()):
        if kind == _DESCRIPTION:
            fields, rest = _fields(lines)
            description += rest
            parameters.update(fields)
        elif kind != _OTHER:
            parameters.update(_described(lines, typed=kind == _NUMPYDOC))
    sentences = [sentence for text in _paragraphs(description) for sentence in _sentences(text)]
    told = {}
    for name, text in parameters.items():
        kept = _sentences(text, fewest=2)[:2]
        if kept:
            told[name] = " ".join(kept)
    return Prose(sentences[0] if sentences else "", sentences, told)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    kind, body = _DESCRIPTION, list[str]()
    depth = -1  # indentation of a Google-style heading; its section ends where the text is no deeper
    for number, line in enumerate(lines):
        below = lines[number + 1].strip() if number + 1 < len(lines) else ""
        title = line.strip().lower()
        indent = len(line) - len(line.lstrip())
        underlined = bool(title) and bool(_RULE.match(below)) and not _RULE.match(title)
        if underlined or (title.endswith(":") and title[:-1].strip() in _SECTIONS):
            yield kind, body
            unknown = _OTHER if underlined and number else _DESCRIPTION
            kind, body, depth = _SECTIONS.get(title.rstrip(": "), unknown), [], -1 if underlined else indent
            kind = _NUMPYDOC if kind == _PARAMETERS and underlined else kind
            continue
        if depth >= 0 and title and indent <= depth:
            yield kind, body
            kind, body, depth = _DESCRIPTION, [], -1
        if not _RULE.match(title.replace(" ", "")):
            body.append(line)
    yield kind, body


def _fields(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """Take ``:param name: text`` out of a description; other fields are dropped."""
    parameters: dict[str, list[str]] = {}
    rest: list[str] = []
    current: list[str] | None = None
    for line in lines:
        match = _FIELD.match(line.strip())
        if match:
            current = [match[3]]
            if match[1] in ("param", "parameter", "arg", "argument", "keyword") and match[2].strip():
                parameters[match[2].split()[-1]] = current
        elif current is not None and line[:1].isspace():
            current.append(line)
        else:
            current = None
            rest.append(line)
    return {name: " ".join(text) for name, text in parameters.items()}, rest


def _described(lines: list[str], *, typed: bool) -> dict[str, str]:
    """Read the body of a section of parameters: what is indented below a name, or behind its colon.

    In numpydoc (`typed`) the colon is followed by a type, and nothing but what is below is told.
    """
    parameters: dict[str, list[str]] = {}
    current: list[str] = []
    filled = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    depth = min(filled, default=0)
    for line in lines:
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) > depth:
            current.append(_BULLET.sub("", line.strip(), count=1))
            continue
        numpy, google = _NUMPY_PARAMETER.match(line.strip()), _GOOGLE_PARAMETER.match(line.strip())
        current = []
        if google and not typed:
            parameters[google[1].lstrip("*")] = current
            current.append(google[2])
        elif numpy:
            parameters[numpy[1].split(",")[0].strip().lstrip("*")] = current
    return {name: " ".join(_until_code(text)) for name, text in parameters.items() if text}


def _until_code(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if _CODE.match(line) or line.startswith(".. "):
            return
        yield line


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Join lines to paragraphs, without code, directives and what is indented below them."""
    paragraph: list[str] = []
    hidden = -1  # below a directive, or a line that ends in "::": what is deeper than this is no prose
    for line in [*lines, ""]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if hidden >= 0 and text:
            if indent > hidden:
                continue
            hidden = -1
        bullet = _BULLET.match(text)
        if paragraph and (not text or bullet or text.startswith(".. ")):
            yield " ".join(paragraph)
            paragraph = []
        if text.startswith(".. "):
            hidden = indent
        elif text.endswith("::"):
            hidden = indent
            paragraph.append(text[:-1])
        elif text:
            paragraph.append(text[bullet.end() :] if bullet else text)


def _sentences(text: str, fewest: int = 3) -> list[str]:
    """Split clean text into sentences, keeping those that are prose."""
    if _CODE.match(text):
        return []
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    pieces = (" ".join(piece.split()) for piece in _SENTENCE.split(text))
    return [piece if _END.search(piece) else f"{piece}." for piece in pieces if _is_prose(piece, fewest)]


def _is_prose(sentence: str, fewest: int) -> bool:
    words = sentence.split()
    if len(words) < fewest or sentence[-1] in ":,;" or words[0] == "where" or _NO_PROSE.search(sentence):
        return False  # an introduction or a rest of something that was left out
    return sum(bool(_WORD.match(word)) for word in words) >= 0.75 * len(words)
