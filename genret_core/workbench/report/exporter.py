"""Notebooks as single HTML pages that need nothing from outside.

nbconvert's own page asks three servers for scripts and shows neither figures nor formulas without them. Here
plotly.js comes once with the page (or lies once beside many pages), formulas are drawings, widgets have
stand-ins, code is folded, and the page says where its numbers come from.
"""

from __future__ import annotations

import functools
import html
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from jinja2 import pass_context
from nbconvert.exporters.html import HTMLExporter
from traitlets import Unicode, default

from genret_core.files import atomic
from genret_core.readable import readable
from genret_core.workbench.notebook.record import answer_of, title_of
from genret_core.workbench.report import outputs, prose
from genret_core.workbench.report.facts import facts, pairs, strip
from genret_core.workbench.report.policy import policy
from genret_core.workbench.report.sentences import message_to_html, sentence_to_html

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("save.js", "report.js")
HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)(?:<a class="anchor-link".*?)?</h2>', re.S)


class ReportExporter(HTMLExporter):
    """nbconvert exporter `genret`: `jupyter nbconvert --to genret notebook.ipynb`."""

    export_from_notebook = "genret report"
    theme = Unicode("", help="light, dark, or empty for the reader's own").tag(config=True)
    shared_js = Unicode("", help="address of a plotly.min.js beside the page; empty: inside it").tag(
        config=True
    )

    @default("template_name")
    def _template_name_default(self) -> str:
        return "report"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATES)]

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Turn markdown into HTML, formulas into drawings."""
        return prose.to_html(source, context.get("cell", {}).get("attachments", {}))

    def from_notebook_node(  # type: ignore[override] # as HTMLExporter does
        self, nb: Any, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Make the page of an executed notebook (or of one that was not executed)."""
        nb = nbformat.from_dict(nb)  # a deep copy: the notebook itself is not touched
        nb.metadata.pop("widgets", None)
        figures = outputs.prepare(nb.cells)
        resources = dict(resources or {})
        own = page_script()
        plotly = _plotly() if figures and not self.shared_js else ""
        allowed = policy([own, plotly] if plotly else [own], beside=bool(figures and self.shared_js))
        resources["report"] = {**self._page(nb, resources), "policy": allowed}
        page, resources = super().from_notebook_node(nb, resources, **kw)
        page = _under_title(page, resources["report"]["answer"])
        # put in last: what is allowed by its hash must stay as it is to the letter
        page = _before(page, "</body>", f"<script>{own}</script>\n")
        if plotly:
            page = page.replace("</head>", f"<script>{plotly}</script>\n</head>", 1)
        elif figures:
            address = html.escape(self.shared_js, quote=True)
            page = page.replace("</head>", f'<script src="{address}"></script>\n</head>', 1)
        resources["figures"] = figures
        return page, resources

    def _page(self, nb: Any, resources: dict[str, Any]) -> dict[str, Any]:
        run = dict(nb.metadata.get("genret", {}))
        name = resources.get("metadata", {}).get("name", "")
        return {
            "title": title_of(nb.cells) or name or "notebook",
            "answer": answer_of(nb.cells),
            "theme": self.theme if self.theme in ("light", "dark") else "",
            "strip": strip(run, name),
            "state": run.get("state", "not run"),
            "reason": message_to_html(run.get("reason") or ""),
            "note": readable(run["note"]) if run.get("note") else None,
            "facts": facts(run),
            "parameters": pairs(run.get("parameters", {}), run.get("parameter_order")),
            "inputs": pairs(run.get("inputs", {})),
            "versions": pairs(run.get("provenance", {}).get("versions", {})),
        }


def render(
    notebook_path: str | os.PathLike[str],
    html_path: str | os.PathLike[str],
    *,
    shared_js: str | os.PathLike[str] | None = None,
    theme: str | None = None,
) -> Path:
    """Write the page of a notebook.

    Parameters
    ----------
    notebook_path : path-like
        An executed notebook.
    html_path : path-like
        The page; it appears whole or not at all.
    shared_js : path-like, optional
        A `plotly.min.js` that several pages share, written if it is not there. Without it the page holds
        its own and can be sent around alone.
    theme : str, optional
        `light` or `dark`; by default the reader's system decides.

    Returns
    -------
    Path
        The page.
    """
    html_path = Path(html_path)
    address = ""
    if shared_js is not None:
        write_plotly_js(shared_js)
        address = quote(Path(os.path.relpath(shared_js, html_path.parent)).as_posix())
    nb = nbformat.read(notebook_path, as_version=4)
    exporter = ReportExporter(theme=theme or "", shared_js=address)
    page, _ = exporter.from_notebook_node(nb, {"metadata": {"name": Path(notebook_path).stem}})
    with atomic(html_path) as part:
        part.write_text(page, encoding="utf-8")
    return html_path


def write_plotly_js(path: str | os.PathLike[str]) -> None:
    """Write plotly.js where pages share it, unless the same is there."""
    from plotly.offline import get_plotlyjs

    text = get_plotlyjs().encode()
    path = Path(path)
    if not path.is_file() or path.stat().st_size != len(text):
        with atomic(path) as part:
            part.write_bytes(text)


@functools.cache
def page_script() -> str:
    """Give the script of a report, as it stands in the page."""
    return "".join((TEMPLATES / "report" / name).read_text(encoding="utf-8") for name in SCRIPTS)


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _before(page: str, tag: str, more: str) -> str:
    """Put something before the last of a tag."""
    head, found, tail = page.rpartition(tag)
    return head + more + found + tail if found else page + more


def _under_title(page: str, answer: str) -> str:
    """Put the answer and the list of contents under the first heading."""
    below = ""
    if answer:
        below += f'<p class="answer" role="note"><b>Answer</b> {sentence_to_html(answer)}</p>'
    body = page.partition("</main>")[0]
    found = [(anchor, re.sub(r"<[^>]+>", "", text).strip()) for anchor, text in HEADING.findall(body)]
    if len(found) >= 3:
        items = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in found)
        below += f'<nav class="contents" aria-label="contents"><ul>{items}</ul></nav>'
    for place in ("</h1>", '<main class="jp-Notebook">'):
        if place in page:
            return page.replace(place, place + below, 1)
    return page
