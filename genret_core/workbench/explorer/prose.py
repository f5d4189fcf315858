"""How numbers and laws are written for people: 3.58G and 6.9 × 10⁻⁵ as on the axes, laws by their titles."""

from __future__ import annotations

import re

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {6: "M", 9: "G", 12: "T"}  # as the axes have them
POWER = re.compile(r"(?<![\w.])(?<!\w-)([-+−]?)(\d+)(?:\.(\d+))?e([+-]?\d+)(?!\w)")
TIMES = re.compile(r"(\d)×10")
MINUS = re.compile(r"(?<![\w)\].,–−-])-(?=\d)")


def readable(text: str) -> str:
    """Write the numbers of a sentence as the axes do: 3.578e+09 is 3.578G, 6.9e-05 is 6.9 × 10⁻⁵.

    Digits are neither added nor dropped. The result is plain text: it can stand in HTML, a hover or a figure.
    """
    return TIMES.sub(r"\1 × 10", MINUS.sub("−", POWER.sub(_written, text)))


def _written(found: re.Match[str]) -> str:
    sign, whole, rest, power = found[1].replace("-", "−"), found[2], found[3] or "", int(found[4])
    share = found.string[found.end() :].startswith(" times")
    unit = None if share else UNITS.get(3 * (power // 3))
    if unit is None or len(whole) > 1:
        raised = str(power).translate(RAISED)
        told = f"{whole}.{rest}" if rest else whole
        return f"{sign}10{raised}" if told == "1" else f"{sign}{told} × 10{raised}"
    shift = power % 3
    digits = (whole + rest).ljust(shift + 1, "0")
    whole, rest = digits[: shift + 1], digits[shift + 1 :]
    return f"{sign}{whole}.{rest}{unit}" if rest else f"{sign}{whole}{unit}"


def with_titles(text: str) -> str:
    """Call laws by their titles where a sentence has the names that a program calls them by."""
    from genret_core.scaling import get_law, law_names

    names = "|".join(sorted(map(re.escape, law_names()), key=len, reverse=True))

    def title(found: re.Match[str]) -> str:
        return in_sentence(get_law(found[0]).title)

    return re.sub(rf"\b(?:{names})\b(?! law)", title, text)


def in_sentence(title: str) -> str:
    """Write a title within a sentence: Power law is power law."""
    return title[:1].lower() + title[1:]


def short_title(title: str) -> str:
    """Shorten a title to what names the law: without what stands in brackets after it."""
    return re.sub(r"\s*\([^)]*\)$", "", title)
