"""Markdown to HTML, with formulas as drawings."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from genret_core.workbench.report import maths


class _Renderer(IPythonRenderer):
    def block_math(self, body: str) -> str:
        return maths.block(body)

    def inline_math(self, body: str) -> str:
        return maths.inside(body)

    def latex_environment(self, name: str, body: str) -> str:  # mistune calls by these names
        return maths.environment(name, body)


def to_html(source: str, attachments: Mapping[str, Any] | None = None) -> str:
    """Turn a markdown cell into HTML; HTML inside it is kept, as in JupyterLab."""
    renderer = _Renderer(escape=False, attachments=dict(attachments or {}), anchor_link_text="#")
    return MarkdownWithMath(renderer=renderer).render(source)


def sentence_to_html(text: str) -> str:
    """Turn a sentence with a little markdown into HTML for within a line; HTML in it is shown as text."""
    shown = MarkdownWithMath(renderer=_Renderer(escape=True)).render(text).strip()
    return shown.removeprefix("<p>").removesuffix("</p>")


def message_to_html(text: str) -> str:
    """Turn an error's message into HTML: as it is, with commands in backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
