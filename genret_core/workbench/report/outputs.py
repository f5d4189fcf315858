"""What outputs become on a page: figures as data for plotly.js, stand-ins for what needs a kernel."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from genret_core.readable import BIDI, ESCAPES, cut
from genret_core.workbench.report import maths

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
LINE, LINES = 2_000, 2_000  # characters of a line and lines of an output that a page shows
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")  # all controls but tab and escape
STAND_IN = "Interactive controls were here: open the notebook in JupyterLab to use them."


def prepare(cells: Iterable[Any]) -> int:
    """Rewrite the outputs of code cells for a page without a kernel, in place.

    - a plotly figure becomes a `<figure class="plot">` with its data; plotly.js draws it in the browser;
    - a widget that brought something else along is shown as that, one that did not as a plain sentence;
    - LaTeX becomes a drawing.

    Returns
    -------
    int
        How many figures there are.
    """
    figures = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        for output in cell.get("outputs", ()):
            if "data" in output:
                figures += _rewrite(output["data"])
            elif "text" in output:
                output["text"] = _bounded(_text(output["text"]))
            elif "traceback" in output:
                output["traceback"] = [_bounded(str(line)) for line in output["traceback"]]
    return figures


def _rewrite(data: dict[str, Any]) -> int:
    widget = data.pop(WIDGET, None)
    if "text/plain" in data:
        data["text/plain"] = _bounded(_text(data["text/plain"]))
    if PLOTLY in data:
        figure = data.pop(PLOTLY)
        data.clear()
        data["text/html"] = _figure(figure)
        return 1
    if widget is not None and not set(data) - {"text/plain"}:
        data.clear()
        data["text/html"] = f'<p class="stand-in">{STAND_IN}</p>'
    elif "text/latex" in data and "text/html" not in data:
        data["text/html"] = maths.from_output(_text(data.pop("text/latex")))
    elif "text/html" in data:
        data["text/html"] = _text(data["text/html"])
    return 0


def _figure(figure: dict[str, Any]) -> str:
    layout = figure.get("layout", {})
    height = layout.get("height") or layout.get("template", {}).get("layout", {}).get("height") or 450
    content = {key: figure[key] for key in ("data", "layout", "frames", "config") if key in figure}
    text = (
        json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        .replace("</", "<\\/")
        .replace("<!", "<\\u0021")
    )
    title = layout.get("title", {})
    title = title.get("text", "") if isinstance(title, dict) else title
    label = html.escape(f"Figure: {title}" if title else "Figure", quote=True)
    return (
        f'<figure class="plot" role="group" aria-label="{label}" style="min-height:{float(height):g}px">'
        f'<script type="application/json">{text}</script><p></p>'
        "<noscript><p>The figure is drawn by JavaScript, which is off.</p></noscript></figure>"
    )


def _bounded(text: str) -> str:
    """Cut what was printed to what a page can hold: long lines, and the middle of very many.

    Colours stay (the page shows them); other control characters, and marks that turn the text around, go.
    """
    lines = [cut(_line(line), LINE) for line in text.split("\n")]
    if len(lines) > LINES:
        lines = [*lines[: LINES // 2], f"… {len(lines) - LINES:,} lines …", *lines[-LINES // 2 :]]
    return "\n".join(lines)


def _line(line: str) -> str:
    shown = line.rstrip("\r").rpartition("\r")[2]  # a line that was written over shows its last state
    return BIDI.sub("", UNSEEN.sub("", ESCAPES.sub(_colour, shown[: 4 * LINE])))


def _colour(found: re.Match[str]) -> str:
    return found[0] if COLOUR.fullmatch(found[0]) else ""


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
