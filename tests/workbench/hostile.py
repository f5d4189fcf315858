"""Texts that want to be more than text: for tests of pages, terminals and folders."""

from __future__ import annotations

HOSTILE = {
    "script": "<script>window.hacked=1;alert(1)</script>",
    "handler": "<img src=x onerror='window.hacked=2;alert(2)'>",
    "out of it": "</script></style></title></textarea><svg onload=window.hacked=3>",
    "attribute": '" onmouseover="window.hacked=4" x=\'',
    "link": "[a](javascript:window.hacked=5) ![b](http://evil.example/b) <a href=javascript:hacked=6>c</a>",
    "terminal": "\x1b[2J\x1b[31mred\x1b[0m\x1b]0;owned\x07\x9b31m",
    "path": "../../../../tmp/genret-hostile",
    "right to left": "abc \u202egnp.exe",
    "null": "nu\x00ll\x08\x7f",
    "template": "{{ 7*7 }}{% raw %}${7*7}",
    "maths": "$\\def\\x{\\x\\x}\\x$ $$\\frac{1}{2$$",
    "formula": "=cmd|' /C calc'!A0",
    "long": "long" * 2_500_000,
    "odd ends": "\u2028 \u0085 \uffff \ufeff",
}
PLACES = ("http://evil.example", "/tmp/genret-hostile")
