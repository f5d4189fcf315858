from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs
from toy_notebooks import executed

from genret_core.workbench.notebook.record import ANSWER_MIME
from genret_core.workbench.report import maths
from genret_core.workbench.report.exporter import ReportExporter, render
from genret_core.workbench.report.sentences import sentence_to_html

PAPER = [  # the formulas of the paper, as the notebooks write them
    r"p(d \mid q) = \prod_{t=1}^{T} p(w_t \mid q, w_{<t})",
    r"d = (c_1, c_2, \dots, c_{L_c}), \quad c_i \in \{1, \dots, N_c\}",
    r"\mathcal{L}(q, d) = -\frac{1}{|\mathcal{G}_d|} \sum_{g \in \mathcal{G}_d} \sum_{t} \log p(g_t \mid q)",
    r"\mathcal{L}_{\mathrm{CGL}} = \ln\left(1+\frac{L^+}{\sum_{d\in\mathcal{N}} L^-}\right)",
    r"\hat{\mathcal{L}}(P) = \left(\frac{\gamma}{P}\right)^{\alpha} + \lambda_P",
    r"\hat{\mathcal{L}}(D) = \left(\frac{\eta}{D}\right)^{\beta} + \lambda_D",
    r"\left[\left(\frac{\gamma}{P}\right)^{\frac{\alpha}{\beta}} + \frac{\eta}{D}\right]^{\beta} + \delta",
    r"\mathrm{MR@}k = 1 - \frac{1}{|Q|}\sum_{q\in Q} \mathrm{R@}k(q)",
    r"\widehat{\mathrm{MR}}(C) = \left(\frac{\mu}{C}\right)^{\sigma} + \lambda_C",
    r"\arg\min_{\theta} \sum_i \left(y_i - f_\theta(x_i)\right)^2",
    r"\rho = N\,(e^{\mathcal{L}} - 1)",
    r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
]  # fmt: skip


def figure(**layout: Any) -> dict[str, Any]:
    made = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="</script><b>x"), layout=layout)
    return {"application/vnd.plotly.v1+json": json.loads(made.to_json()), "text/html": "<div>old</div>"}


WIDGET = {
    "application/vnd.jupyter.widget-view+json": {"model_id": "a", "version_major": 2, "version_minor": 0}
}
TABLE = '<table border="1" class="dataframe"><tr><th>P</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
ANSWER = "It is **α = 0.31** <i>&</i> $x^2$."
CELLS: list[tuple[str, list[dict[str, Any]]]] = [
    ("%md # Is there a law?\n\nWith $N$ and\n\n$$\\frac{L^+}{\\sum_d L^-} \\tag{5}$$", []),
    ("%md ## Method\n\n\\begin{align} a &= b \\\\ c &= d \\end{align}\n\nA price of \\$5.", []),
    ("x = '<script>alert(1)</script>'", [{"data": figure(title={"text": "First"}, height=400)}]),
    ("%md ## Data\n\n| a | b |\n|:--|--:|\n| $P$ | 1 |", []),
    ("df", [{"data": {"text/html": TABLE, "text/plain": "no"}}]),
    ("slider", [{"data": {**WIDGET, "text/plain": "IntSlider(value=3)"}}]),
    ("both", [{"data": {**WIDGET, **figure(), "text/plain": "FigureWidget"}}]),
    ("tabular", [{"data": {**WIDGET, "text/html": "<p>kept</p>", "text/plain": "w"}}]),
    ("Math", [{"data": {"text/latex": "$\\displaystyle \\alpha = 0.31$", "text/plain": "<Math>"}}]),
    ("print", [{"output_type": "stream", "name": "stdout", "text": "a <b> \x1b[31mred\x1b[0m"}]),
    ("warn", [{"output_type": "stream", "name": "stderr", "text": "careful"}]),
    ("%md ## What this does not show\n\nMuch.", []),
    ("answer(…)", [{"data": {"text/markdown": f"**Answer.** {ANSWER}", ANSWER_MIME: {"answer": ANSWER}}}]),
]
RUN = {
    "name": "05_model_size", "state": "done", "note": "Half <only>.",
    "ended": "2025-03-12T14:05:00+00:00", "seconds": 200.4,
    "parameters": {"draws": 200, "study_dir": "runs/demo"}, "parameter_order": ["study_dir", "draws"],
    "inputs": {"results": "0123abcd"},
    "provenance": {"commit": "0123456789abcdef", "dirty": True, "python": "3.11.7", "os": "Linux",
                   "cpu": "A <cpu>", "cores": 2, "gpu": None, "versions": {"numpy": "2.4.6"}},
}  # fmt: skip


class Page(HTMLParser):
    """What a browser would load, and the text of the page by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        given = dict(attrs)
        for name in ("src", "srcset", "data", "poster"):
            if given.get(name):
                self.loads.append(str(given[name]))
        if tag == "link":
            self.loads.append(str(given.get("href")))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    state = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    book = executed(folder / "toy.ipynb", CELLS, genret=RUN, widgets=state)
    before = book.read_bytes()
    text = render(book, folder / "report.html").read_text()
    assert book.read_bytes() == before
    return text


def test_nothing_is_loaded(page: str) -> None:
    seen = Page(page)
    assert seen.loads == []
    assert not re.search(r"@import|url\(\s*['\"]?http", page.replace(get_plotlyjs(), ""))
    assert page.index("Content-Security-Policy") < page.index("<script")


def test_only_its_own_scripts_may_run(page: str) -> None:
    found = re.search(r'<meta content="([^"]*)" http-equiv="Content-Security-Policy"', page)
    assert found and "unsafe-inline" not in found[1].split("style-src")[0] and "unsafe-eval" not in found[1]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 2  # plotly.js and the page's own
    for text in scripts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in html.unescape(found[1])


def test_what_was_printed_has_an_end_and_no_codes(tmp_path: Path) -> None:
    text = "a\x00b\u202ec\n" + "x" * 2_000_000 + "\n" + "10%\r20%\r100%\n" + "line\n" * 9_000
    cells = [("p", [{"output_type": "stream", "name": "stdout", "text": text}])]
    shown = render(executed(tmp_path / "a.ipynb", cells), tmp_path / "a.html").read_text()
    assert len(shown) < 120_000 and "abc\n" in shown and "x…\n100%\nline" in shown
    assert "… 7,004 lines …" in shown


def test_a_record_is_shown_whole(tmp_path: Path) -> None:
    run = {**RUN, "seeds": [0, 1], "parents": {"cell": "0f"}, "peak_memory": 1234.5, "odd": "z" * 10_000}
    foot = render(executed(tmp_path / "a.ipynb", CELLS[:1], genret=run), tmp_path / "a.html").read_text()
    for words in ("seeds", "[0, 1]", "parents", "1,234 MB", "z…"):
        assert words in foot
    assert len(foot) < 80_000


def test_plotly_once_and_every_figure_as_data(page: str) -> None:
    assert page.count(get_plotlyjs()) == 1
    places = re.findall(
        r'<figure[^>]*class="plot"[^>]*><script type="application/json">(.*?)</script>', page, re.S
    )
    assert len(places) == 2
    first, second = (json.loads(text) for text in places)
    assert first["layout"]["title"]["text"] == "First" and first["layout"]["height"] == 400
    assert first["data"][0]["name"] == "</script><b>x" and second["data"][0]["type"] == "scatter"
    assert "<div>old</div>" not in page and 'aria-label="Figure: First"' in page


def test_a_page_without_figures_has_no_plotly(tmp_path: Path) -> None:
    text = render(executed(tmp_path / "a.ipynb", [("%md # Only words", [])]), tmp_path / "a.html").read_text()
    assert len(text) < 60_000 and "Plotly" in text and "newPlot" in text and get_plotlyjs()[:200] not in text


def test_formulas_are_drawings(page: str) -> None:
    assert maths.failures(page) == []
    labels = re.findall(r'<svg[^>]*aria-label="([^"]*)"[^>]*role="img"', page)
    assert (
        "N" in labels
        and r"\frac{L^+}{\sum_d L^-}" in labels
        and r"\alpha = 0.31" in labels
        and "x^2" in labels
    )
    assert len(labels) == 7  # the answer's stands twice
    body = Page(page.partition("<main")[2].partition("</main>")[0])
    prose = " ".join(
        " ".join(texts) for tag, texts in body.words.items() if tag not in ("script", "code", "pre")
    )
    assert "$$" not in prose and "\\begin" not in prose and "\\frac" not in prose
    assert "A price of $5." in prose
    assert "(5)" in prose  # the number of the equation


def test_indices_of_symbols_stand_low_in_sentences_and_nothing_else_does() -> None:
    shown = sentence_to_html("the floor λ_P, *not* `λ_P` nor a file_name or <b>λ_D</b>")
    assert shown == (
        "the floor λ<sub>P</sub>, <em>not</em> <code>λ_P</code> nor a file_name or "
        "&lt;b&gt;λ<sub>D</sub>&lt;/b&gt;"
    )


def test_widgets_have_stand_ins(page: str) -> None:
    assert page.count("Interactive controls were here") == 1
    assert "IntSlider(" not in page and "<p>kept</p>" in page
    assert "widget-view" not in page.replace(get_plotlyjs(), "") and "widget-state" not in page


def test_the_person_s_view(page: str) -> None:
    assert "<title>Is there a law?</title>" in page
    assert page.count('<details class="code">') == 9  # every code cell is folded
    assert page.index("<h1") < page.index('class="answer"') < page.index("<h2")
    assert "It is <strong>α = 0.31</strong> &lt;i&gt;&amp;&lt;/i&gt; " in page
    assert re.findall(r'<li><a href="#[^"]+">([^<]*)</a></li>', page) == [
        "Method",
        "Data",
        "What this does not show",
    ]
    assert "&lt;b&gt;" in page and 'class="ansi-red-fg"' in page
    assert "<script>alert(1)</script>" not in page


def test_where_it_comes_from(page: str) -> None:
    foot = page.partition('<footer class="provenance"')[2]
    facts = ("05_model_size", "commit 0123456789 and changes that were not committed", "3 min 20 s", "3.11.7",
             "12 March 2025, 14:05 UTC", "A &lt;cpu&gt;, 2 cores", "numpy 2.4.6", "0123abcd")  # fmt: skip
    for words in facts:
        assert words in foot, words
    assert foot.index("study_dir") < foot.index("draws")  # the order of the cell, not of the alphabet
    assert "Half &lt;only&gt;." in page
    strip = page.partition('<header class="strip">')[2].partition("</header>")[0]
    assert all(word in strip for word in ("demo", "05_model_size", "done"))


def test_shared_plotly_is_written_once_beside_the_pages(tmp_path: Path) -> None:
    shared = tmp_path / "plotly.min.js"
    for name in ("one run", "two"):
        (tmp_path / "notebooks" / name).mkdir(parents=True)
        book = executed(tmp_path / "notebooks" / name / "executed.ipynb", CELLS[:3])
        text = render(book, book.with_name("report.html"), shared_js=shared).read_text()
        assert Page(text).loads == ["../../plotly.min.js"] and len(text) < 200_000
        written = shared.stat().st_mtime_ns
        assert shared.read_text() == get_plotlyjs()
    render(book, tmp_path / "up.html", shared_js=tmp_path / "with space" / "plotly.min.js")
    assert shared.stat().st_mtime_ns == written
    assert Page((tmp_path / "up.html").read_text()).loads == ["with%20space/plotly.min.js"]


def test_a_theme_can_be_chosen(tmp_path: Path) -> None:
    book = executed(tmp_path / "a.ipynb", CELLS[:1])
    for theme in ("light", "dark"):
        assert (
            f'<html data-theme="{theme}" lang="en">'
            in render(book, tmp_path / "a.html", theme=theme).read_text()
        )
    assert '<html lang="en">' in render(book, tmp_path / "a.html").read_text()


def test_nbconvert_knows_it_by_name(tmp_path: Path) -> None:
    from nbconvert.exporters import get_exporter

    assert get_exporter("genret") is ReportExporter
    nb = nbformat.read(executed(tmp_path / "a.ipynb", CELLS[:2]), as_version=4)
    text, resources = ReportExporter().from_notebook_node(nb)
    assert resources["figures"] == 0 and "Is there a law?" in text


def test_a_notebook_that_was_not_run_renders(tmp_path: Path) -> None:
    text = render(executed(tmp_path / "a.ipynb", [("x = 1", [])]), tmp_path / "a.html").read_text()
    assert "<title>a</title>" in text and "not run" in text


@pytest.mark.parametrize("tex", PAPER)
@pytest.mark.parametrize("inline", [False, True])
def test_the_paper_s_formulas(tex: str, inline: bool) -> None:
    drawn = ET.fromstring(maths.svg(tex, inline))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    assert 8 < width < 800 and 8 < height < 120, (width, height)
    assert drawn.attrib["aria-label"] == " ".join(tex.split())
    colours = {el.attrib["fill"] for el in drawn.iter() if "fill" in el.attrib}
    assert colours <= {"currentColor"}, colours  # follows the text, also on a dark page


def test_brackets_fit_what_they_hold() -> None:
    """Brackets around a sum came out 2000 px tall; they must be as tall as the sum, and not less."""
    sum_alone = ET.fromstring(maths.svg(r"\sum_{d} L"))
    around = ET.fromstring(maths.svg(r"\left(\sum_{d} L\right)"))
    assert (
        float(sum_alone.attrib["height"])
        <= float(around.attrib["height"])
        < 2 * float(sum_alone.attrib["height"])
    )


@pytest.mark.parametrize(("tex", "words"), [(r"\foo x", r"\foo"), (r"\frac{", "NoAvailableTokens")])
def test_what_cannot_be_drawn_is_shown_and_found(tex: str, words: str) -> None:
    with pytest.raises(maths.CannotDraw, match=re.escape(words)):
        maths.svg(tex)
    assert maths.failures(f"<p>{maths.inside(tex)}</p>{maths.block('x')}") == [tex]


BOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("book", BOOKS, ids=lambda path: path.stem)
def test_every_formula_of_our_notebooks_is_drawn(book: Path) -> None:
    cells = json.loads(book.read_text())["cells"]
    for tex in maths.formulas(cells):
        assert maths.failures(maths.block(tex)) == [], tex


def test_formulas_of_a_notebook_are_listed() -> None:
    given = [
        (r"$a$ and `$b$` and $$c$$", "markdown"),
        ("$d$", "code"),
        (r"\begin{align*}e\end{align*}", "markdown"),
    ]
    cells = [{"cell_type": kind, "source": source} for source, kind in given]
    assert maths.formulas(cells) == ["a", "c", r"\begin{aligned}e\end{aligned}"]
