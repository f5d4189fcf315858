"""Text from outside, made fit to be shown: on a page, in a terminal, in a log.

Documents, queries, names and messages may hold anything. What is shown of them has no codes that a terminal
obeys, no marks that turn the text around it, and an end.
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 2_000  # characters of a line that are shown
# ECMA-48: control sequences, strings (titles, links) up to their end, and other escapes
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks that reorder what stands beside
LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def readable(text: object, most: int = LONGEST, *, lines: bool = False) -> str:
    """Give a text without what is not text.

    Parameters
    ----------
    text : object
        Anything; `str` of it is taken.
    most : int
        Characters kept; what is cut ends in `…`.
    lines : bool
        Keep its lines (each of them cut); else it becomes one.

    Returns
    -------
    str
        Without terminal codes (ECMA-48), control characters, lone surrogates and directional marks.
    """
    found = str(text)
    if len(found) > 20 * most and not lines:
        found = found[: 20 * most]  # the rest would be cut anyway; ten million characters are slow to search
    found = CONTROLS.sub("", ESCAPES.sub("", LINE_ENDS.sub("\n", found)))
    found = BIDI.sub("", found).encode("utf-8", "replace").decode("utf-8")
    if lines:
        return "\n".join(cut(line, most) for line in found.split("\n"))
    return cut(" ".join(found.split()), most)


def cut(text: str, most: int = LONGEST) -> str:
    """Give the beginning of a long text, with `…` where it was cut."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def last_lines(path: Path, count: int = 12, most: int = 300) -> list[str]:
    """Give the last lines of a log, however long it or its lines are; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            begin = max(0, end - 4 * count * most)
            file.seek(begin)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    rows = [line.rstrip() for line in readable(text, most, lines=True).split("\n")]
    if begin and len(rows) > 1:
        rows = rows[1:]  # cut in its middle
    return [line for line in rows if line][-count:]
