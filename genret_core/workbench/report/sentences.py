"""Single sentences to HTML: answers, reasons. Texts are shown, never obeyed; nothing heavy is imported."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable
from typing import Any

from genret_core.readable import readable
from genret_core.workbench.report import maths

PARAGRAPH = re.compile(r"^<p>(.*)</p>$", re.S)


def sentence_to_html(text: str) -> str:
    """Turn a sentence with a little markdown into HTML for within a line; HTML in it is shown as text."""
    shown = _markdown()(readable(text)).strip()
    found = PARAGRAPH.match(shown)
    return found[1] if found else shown


def message_to_html(text: str) -> str:
    """Turn an error's message into HTML: as it is, with commands in backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(readable(text)))


def indices_low(escaped: str) -> str:
    """Set the index of a Greek symbol low: λ_P; the text is HTML already."""
    return re.sub(r"([Α-Ωα-ω])_(\w+)", r"\1<sub>\2</sub>", escaped)


@functools.cache
def _markdown() -> Callable[[str], str]:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        """Formulas are drawn; a picture is its description, as nothing is fetched."""

        def inline_math(self, text: str) -> str:
            return maths.inside(text)

        def block_math(self, text: str) -> str:
            return maths.inside(text)

        def text(self, text: str) -> str:
            return indices_low(super().text(text))

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return text

    return _to_text(mistune.create_markdown(renderer=Renderer(escape=True), plugins=["math"]))


def _to_text(markdown: Any) -> Callable[[str], str]:
    return lambda text: str(markdown(text))
