"""Markdown to HTML, with formulas as drawings."""

from __future__ import annotations

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
