from __future__ import annotations

import time
from pathlib import Path

import pytest

from genret_core.readable import cut, last_lines, readable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("null\x00byte\x08\x7f", "nullbyte"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("one\r\ntwo\x0bthree", "one two three"),
        ("שלום\u200f مرحبا", "שלום مرحبا"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("end\x1b", "end"),
        (None, "None"),
    ],
)
def test_what_is_no_text_is_left_out(given: object, shown: str) -> None:
    assert readable(given) == shown


def test_long_texts_end_and_are_quick() -> None:
    began = time.perf_counter()
    shown = readable("x" * 10_000_000, 100)
    assert len(shown) == 100 and shown.endswith("…")
    hostile = readable("\x1b]" * 5_000_000, 100)
    assert hostile == "" and time.perf_counter() - began < 5
    assert readable("a" * 50 + "\n" + "b" * 50, 10, lines=True).split("\n") == [
        cut("a" * 50, 10),
        cut("b" * 50, 10),
    ]


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"first\n" + b"y" * 10_000_000 + b"\n\x1b[31mError: \xff no\x1b[0m\n\n")
    lines = last_lines(log, 2, 80)
    assert lines[-1] == "Error: \ufffd no" and all(len(line) <= 80 for line in lines)
    assert last_lines(tmp_path / "none.txt") == []
