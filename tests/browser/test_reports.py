"""Reports and the study's page as people open them: from a file, in a browser, without network."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from genret_core.workbench.report.exporter import render
from genret_core.workbench.report.index import write_index

sys.path.insert(0, str(Path(__file__).parents[1] / "workbench"))
from toy_notebooks import executed

if TYPE_CHECKING:
    from conftest import Open, Visit

pytestmark = pytest.mark.browser
LAW = r"\left(\frac{\gamma}{P}\right)^{\alpha} \tag{6}"
DRAWN = (
    "[...document.querySelectorAll('figure.plot')].filter(f => f.querySelector('.scatterlayer path')).length"
)
HEIGHTS = "[...document.querySelectorAll('.math-block svg, .math-inline svg')].map(s => s.clientHeight)"
LOOK = """() => {
  const figure = document.querySelector('.js-plotly-plot'), style = (place) => getComputedStyle(place);
  return [style(document.body).backgroundColor, style(figure.querySelector('path.js-line')).stroke,
          style(figure.querySelector('.gtitle')).fill];
}"""
CHANGED = "getComputedStyle(document.querySelector('path.js-line')).stroke !== 'rgb(0, 0, 0)'"
SHOWN = (
    "[...document.querySelectorAll('#cells tbody tr')].filter(r => !r.hidden).map(r => r.cells[3].innerText)"
)


def plot(**layout: Any) -> list[dict[str, Any]]:
    line = go.Scatter(x=[1, 10, 100], y=[0.3, 0.2, 0.15], line={"color": "black"}, name="fit")
    made = go.Figure(line, layout={"height": 300, **layout})
    return [{"data": {"application/vnd.plotly.v1+json": json.loads(made.to_json())}}]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = [
        (f"%md # Is there a law?\n\nWith $\\alpha$ and\n\n$${LAW}$$", []),
        ("fig", plot(title={"text": "ℒ<sub>CGL</sub> of <i>P</i>"}, xaxis={"type": "log"})),
        ("%md ## Data", []),
        ("fig2", plot(template="plotly_white")),
        ("%md ## Fit\n\n" + "words " * 300, []),
        ("%md ## What this does not show", []),
    ]  # fmt: skip
    return executed(tmp_path_factory.mktemp("runs") / "executed.ipynb", cells, genret={"state": "done"})


def drawn(visit: Visit) -> int:
    visit.until("document.querySelectorAll('figure.plot .js-plotly-plot .main-svg').length > 2")
    return int(visit.page.evaluate(DRAWN))


def clean(visit: Visit, path: Path) -> None:
    assert visit.complaints == [] and visit.failed == []
    assert all(url.startswith(path.parent.as_uri()) for url in visit.requests), visit.requests


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_alone_draws_everything(book: Path, tmp_path: Path, visit: Open, scheme: str) -> None:
    path = render(book, tmp_path / "report.html")
    seen = visit(path, scheme=scheme)
    assert drawn(seen) == 2
    assert seen.requests == [path.as_uri()]
    sizes = seen.page.evaluate(HEIGHTS)
    assert len(sizes) == 2 and all(5 < size < 120 for size in sizes)
    clean(seen, path)


def test_figures_follow_the_page_s_colours(book: Path, tmp_path: Path, visit: Open) -> None:
    seen = visit(render(book, tmp_path / "report.html"), scheme="light")
    drawn(seen)
    light = seen.page.evaluate(LOOK)
    assert light[:2] == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    seen.page.click("#toggle-theme")
    seen.until(CHANGED)
    dark = seen.page.evaluate(LOOK)
    assert bright(dark[0]) < 0.15  # the page
    assert bright(dark[1]) > 0.75 and bright(dark[2]) > 0.6  # a black line and the title, readable on it
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.evaluate(LOOK)[:2] == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def bright(colour: str) -> float:
    red, green, blue = (float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_shared_plotly_works_from_a_file_and_its_absence_is_said(
    book: Path, tmp_path: Path, visit: Open
) -> None:
    folder = tmp_path / "notebooks" / "05"
    folder.mkdir(parents=True)
    path = render(book, folder / "report.html", shared_js=tmp_path / "plotly.min.js")
    seen = visit(path)
    assert drawn(seen) == 2
    assert seen.requests == [path.as_uri(), (tmp_path / "plotly.min.js").as_uri()]
    assert seen.complaints == [] and seen.failed == []
    shutil.copy(path, tmp_path / "alone.html")
    alone = visit(tmp_path / "alone.html")
    assert (
        "plotly.min.js is not where this page looks for it"
        in alone.page.locator("figure.plot").first.inner_text()
    )


def test_tables_and_figures_can_be_had_as_files(tmp_path: Path, visit: Open) -> None:
    table = "<table><caption>Fits</caption><thead><tr><th>law</th><th>P</th><th>α</th></tr></thead>"
    table += "<tbody><tr><td>one, two</td><td>1,234,567</td><td>−0.31</td></tr></tbody></table>"
    cells = [
        ("%md # A law", []),
        ("t", [{"data": {"text/html": table}}]),
        ("fig", plot(title={"text": "Points"})),
    ]
    book = executed(
        tmp_path / "executed.ipynb", cells, genret={"state": "done", "parameters": {"k": 5, "j": 1}}
    )
    seen = visit(render(book, tmp_path / "report.html"), scheme="dark")
    drawn(seen)
    with seen.page.expect_download() as started:
        seen.page.get_by_role("button", name="save as CSV: Fits").click()
    assert started.value.suggested_filename == "A-law-Fits.csv"
    text = Path(started.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines() == ["law,P,α", '"one, two",1234567,-0.31']
    with seen.page.expect_download() as started:
        seen.page.get_by_role("button", name="save as SVG: Points").click()
    drawing = Path(started.value.path()).read_text(encoding="utf-8")
    assert drawing.startswith("<svg") and "Points" in drawing and "rgb(255, 255, 255)" in drawing  # light
    assert seen.page.get_by_role("button", name="save as CSV: parameters").count() == 1
    clean(seen, tmp_path / "report.html")


def test_code_is_folded_and_nothing_is_wider_than_the_window(book: Path, tmp_path: Path, visit: Open) -> None:
    seen = visit(render(book, tmp_path / "report.html"))
    drawn(seen)
    code = seen.page.get_by_text("fig2", exact=True)
    assert not code.is_visible()
    seen.page.click("#toggle-code")
    assert code.is_visible()
    seen.page.click("#toggle-code")
    assert not code.is_visible()
    for width in (380, 1000, 1500):
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.until("document.documentElement.scrollWidth <= innerWidth")
        toc, head = (seen.page.locator(name).first.bounding_box() for name in (".contents", "h1"))
        assert (
            toc["x"] + toc["width"] <= head["x"] or toc["y"] >= head["y"] + head["height"]
        )  # beside or below


def test_the_study_s_page_sorts_and_filters(tmp_path: Path, visit: Open) -> None:
    cells = pd.DataFrame(
        {
            "cell": list("abcd"),
            "method": ["ngram", "ngram", "codebook", "codebook"],
            "family": ["t5", "llama", "t5", "llama"],
            "backbone": ["t5-d64", "llama-d128", "t5-d128", "llama-d16"],
            "P": [90_000.0, 1_000_000.0, 400_000.0, None],
            "state": ["done", "done", "done", "failed"],
            "reason": [None, None, None, "no <reason>"],
        }
    )
    path = write_index(
        tmp_path,
        title="demo",
        note="A note.",
        status={"state": "done"},
        cells=cells,
        results=pd.DataFrame(),
        notebooks=[],
        summary={"figures": [("cells", 4, None)]},
    )
    for scheme in ("light", "dark"):
        seen = visit(path, scheme=scheme)
        page = seen.page
        assert page.evaluate(SHOWN) == ["llama-d16", "t5-d64", "llama-d128", "t5-d128"]
        page.get_by_role("button", name="P", exact=True).click()
        assert page.evaluate(SHOWN) == ["t5-d64", "t5-d128", "llama-d128", "llama-d16"]
        page.get_by_role("button", name="P", exact=True).click()
        assert page.evaluate(SHOWN) == ["llama-d128", "t5-d128", "t5-d64", "llama-d16"]
        page.get_by_role("button", name="backbone").click()
        assert page.evaluate(SHOWN) == ["llama-d16", "llama-d128", "t5-d64", "t5-d128"]
        page.fill("#filter", "T5 code")
        assert page.evaluate(SHOWN) == ["t5-d128"] and page.inner_text("#shown") == "1 of 4 cells"
        page.fill("#filter", "")
        page.get_by_role("button", name="1 failed").click()
        assert page.evaluate(SHOWN) == ["llama-d16"]
        assert seen.requests == [path.as_uri()]
        clean(seen, path)
