"""Hostile texts in names, reasons, logs and parameters: they are shown as text, and leave no folder."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hostile import HOSTILE
from toy_notebooks import executed

from genret_core.errors import BadInput
from genret_core.readable import readable
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.report.chart import Chart, Series
from genret_core.workbench.report.exporter import render
from genret_core.workbench.report.index import write_index
from genret_core.workbench.study.file import load

ALLOWED = {"script", "style", "meta", "title"}


class Elements(HTMLParser):
    """Elements and attributes of a page that could run or fetch something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            told = str(value).strip().lower()
            leads = told.startswith(("javascript:", "http:", "https:", "//")) and name != "xmlns"
            if name.startswith("on") or leads:
                self.wrong.append(f"{tag} {name}={told[:60]}")
        if tag in ("img", "iframe", "object", "embed", "form", "base", "link", "textarea"):
            self.wrong.append(tag)


def hostile_index(folder: Path) -> Path:
    """Write a study's page with hostile text wherever text can be."""
    texts = list(HOSTILE.values())
    cells = pd.DataFrame(
        {
            "cell": [f"{i:016x}" for i in range(len(texts))],
            "method": texts,
            "backbone": texts,
            "now": texts,
            "state": ["failed", "running"] * (len(texts) // 2) + ["failed"] * (len(texts) % 2),
            "reason": texts,
        }
    )
    for i, text in enumerate(texts):
        log = folder / "cells" / f"{i:016x}" / "log.txt"
        log.parent.mkdir(parents=True)
        log.write_text(text, encoding="utf-8", errors="replace")
    cells["log"] = [f"cells/{key}/log.txt" for key in cells["cell"]]
    books = []
    for i, text in enumerate(texts):
        run = folder / "notebooks" / f"{i:02d}_book-01234567"
        run.mkdir(parents=True)
        (run / "report.html").touch()
        (run / "log.txt").write_text(text, encoding="utf-8", errors="replace")
        book = RunRecord(text[:200], run, "failed" if i % 2 else "done", reason=text, title=text, answer=text)
        books.append(book)
    points = [(1.0, 2.0, text[:300]) for text in texts]
    chart = Chart(
        "c", texts[0], (texts[1], texts[0]), (texts[2], ""), [Series(t, "#000", points) for t in texts[:4]]
    )
    return write_index(
        folder,
        title=texts[0] + texts[7],
        note=" ".join(texts[:8]),
        status={"state": "running", "written": "2025-01-01T00:00:00+00:00", "every": 10, "command": texts[0]},
        cells=cells,
        results=pd.DataFrame(),
        notebooks=books,
        summary={"sentences": texts, "figures": [(t[:50], t[:50], t[:50]) for t in texts]},
        charts=[chart],
    )


def hostile_report(folder: Path) -> Path:
    """Write a report whose record, outputs and failure are hostile."""
    texts = dict(HOSTILE)
    table = (
        "<table><tr><td>" + texts["script"] + texts["handler"] + "</td></tr></table>"
    )  # escaping was forgotten
    cells = [("%md # A title", [])]
    cells += [
        ("print", [{"output_type": "stream", "name": "stdout", "text": text}]) for text in texts.values()
    ]
    cells.append(("table", [{"data": {"text/html": table}}]))
    run = {
        "state": "failed",
        "reason": texts["script"] + texts["terminal"],
        "parameters": texts,
        "odd": texts,
    }
    run |= {"name": texts["script"], "note": texts["handler"], "inputs": texts}
    book = executed(folder / "executed.ipynb", cells, genret=run)
    return render(book, folder / "report.html")


def test_a_page_holds_no_element_that_came_with_a_text(tmp_path: Path) -> None:
    page = hostile_index(tmp_path).read_text(encoding="utf-8")
    found = Elements(page)
    assert found.wrong == [] and found.scripts == 2  # data and the page's own
    assert len(page) < 1_000_000 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert "&lt;script&gt;window.hacked=1" in page and "{{ 7*7 }}" in page
    assert {path.name for path in tmp_path.iterdir()} == {"cells", "notebooks", "index.html"}


def test_a_report_is_readable_and_lets_nothing_run(tmp_path: Path) -> None:
    page = hostile_report(tmp_path).read_text(encoding="utf-8")
    assert len(page) < 1_000_000 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert "'unsafe-inline'" not in page.partition("style-src")[0]  # what was not escaped does not run either
    foot = page.partition('<footer class="provenance"')[2]
    assert "&lt;script&gt;window.hacked=1" in foot and "<script>window" not in foot


@pytest.mark.parametrize(
    "name", ["../out", "/tmp/genret-hostile", "a\x00b", "<script>", "a\u202eb", "a/b", ""]
)
def test_a_study_s_name_stays_a_folder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"name: {readable(name)!r}\n" if name.isprintable() else f'name: "{name!r}"\n')
    with pytest.raises(BadInput) as told:
        load(file)
    assert "\x1b" not in str(told.value) and list(tmp_path.iterdir()) == [file]
