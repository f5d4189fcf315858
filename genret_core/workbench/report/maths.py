r"""Formulas as drawings: the same in every browser, with no script and no font from outside.

Each formula becomes an SVG in the colour of the text, with its TeX as what a screen reader says. One that
cannot be drawn is shown as TeX and marked (`math-failed`): nothing is lost, and a test can see it.
"""

from __future__ import annotations

import functools
import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

SIZE = 17.0  # px, the size of the text around it
TALLEST = 20 * SIZE  # px; no formula is taller, and what came out so is a fault of the drawing
LARGE = tuple("∑∏∐⋀⋁⋂⋃⊎∫∬∭∮")
PLAIN = ("equation", "equation*", "displaymath", "math")
UNNUMBERED = {"align": "aligned", "align*": "aligned", "alignat": "aligned", "gather*": "gather"}
TAG = re.compile(r"\\tag\*?\{([^{}]*)\}")


class CannotDraw(ValueError):
    """A formula that has no drawing."""


@functools.lru_cache(maxsize=2048)
def svg(tex: str, inline: bool = False) -> str:
    """Draw a formula.

    Parameters
    ----------
    tex : str
        The formula without its delimiters.
    inline : bool
        Whether it stands in a line of text; then it is aligned on the baseline.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    CannotDraw
        If it has a command that is not known, or is not well formed.
    """
    drawing, offset = _drawn(tex.strip(), inline)
    label = html.escape(" ".join(tex.split()), quote=True)
    style = f' style="vertical-align:{offset:.2f}px"' if inline else ""
    return drawing.replace("<svg ", f'<svg aria-label="{label}" role="img"{style} ', 1)


def block(tex: str) -> str:
    """Give a formula as a line of its own."""
    number = TAG.search(tex)
    shown = _or_tex(TAG.sub("", tex), inline=False, tag="div", classes="math-block")
    if number is None:
        return shown
    return f'<div class="math-numbered">{shown}<span>({html.escape(number[1].strip())})</span></div>'


def inside(tex: str) -> str:
    """Give a formula within a line."""
    return _or_tex(tex, inline=True, tag="span", classes="math-inline")


def environment(name: str, body: str) -> str:
    """Give a LaTeX environment as a line of its own."""
    return block(_of_environment(name, body))


def from_output(text: str) -> str:
    """Give the drawing of a `text/latex` output, which comes with its delimiters."""
    text = text.strip()
    for opening, closing in (("$$", "$$"), (r"\[", r"\]"), ("$", "$"), (r"\(", r"\)")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            return block(text[len(opening) : -len(closing)].replace(r"\displaystyle", ""))
    found = re.fullmatch(r"\\begin\{([a-z]+\*?)\}(.*)\\end\{\1\}", text, re.S)
    return environment(found[1], found[2]) if found else block(text)


def failures(page: str) -> list[str]:
    """List the formulas of a page that could not be drawn."""
    return [
        html.unescape(found) for found in re.findall(r'class="math-failed"[^>]*>(.*?)</code>', page, re.S)
    ]


def formulas(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """List the formulas in the markdown of a notebook, as they are written there."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    found: list[str] = []

    class Collector(IPythonRenderer):
        def block_math(self, body: str) -> str:
            found.append(body)
            return ""

        def inline_math(self, body: str) -> str:
            found.append(body)
            return ""

        def latex_environment(self, name: str, body: str) -> str:
            found.append(_of_environment(name, body))
            return ""

    for cell in cells:
        if cell["cell_type"] == "markdown":
            MarkdownWithMath(renderer=Collector(escape=False)).render("".join(cell["source"]))
    return found


def _of_environment(name: str, body: str) -> str:
    name = UNNUMBERED.get(name, name)  # the drawing would count equations, which Jupyter does not
    return body if name in PLAIN else rf"\begin{{{name}}}{body}\end{{{name}}}"


def _or_tex(tex: str, *, inline: bool, tag: str, classes: str) -> str:
    try:
        return f'<{tag} class="{classes}">{svg(tex, inline)}</{tag}>'
    except CannotDraw as error:
        return f'<code class="math-failed" title="{html.escape(str(error))}">{html.escape(tex)}</code>'


def _drawn(tex: str, inline: bool) -> tuple[str, float]:
    """Give the drawing and how far below the baseline it reaches."""
    import ziamath
    from ziamath.tex import tex2mml

    try:
        formula = ET.fromstring(tex2mml(tex, inline=inline))
        for element in formula.iter():
            if element.text in LARGE:
                # taken for stretching, their height is lost, and brackets around them come out 2000 px tall
                element.set("stretchy", "false")
        formula.set("mathcolor", "currentColor")
        drawing = ziamath.Math(formula, size=SIZE)
        height = drawing.getsize()[1]
    except Exception as error:  # the parser and the drawing raise many kinds
        raise CannotDraw(f"{tex!r}: {type(error).__name__} {error}".strip()) from error
    unknown = [text for text in formula.itertext() if text.startswith("\\") and len(text) > 1]
    if unknown:
        raise CannotDraw(f"{tex!r}: the command {unknown[0]} is not known")
    if height > TALLEST:
        raise CannotDraw(f"{tex!r}: it came out {height:.0f} px tall")
    return drawing.svg(), drawing.getyofst()
