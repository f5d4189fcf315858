"""The page of a study in Chromium, the network off: many cells, its address, its files, while it runs."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.workbench.report.chart import Chart, Series
from genret_core.workbench.report.index import write_index

pytestmark = pytest.mark.browser
Open = Callable[..., Any]
SHOWN = "[...document.querySelectorAll('#cells tbody tr')].map(row => row.cells[3].textContent)"
N_ROWS = "document.querySelectorAll('#cells tbody tr').length"
POINTS = [(1e4, 0.2, "a"), (1e5, 0.15, "b"), (1e6, 0.1, "c")]


def cells(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "cell": [f"{i:016x}" for i in range(n)],
            "method": ["ngram", "codebook"] * (n // 2) + ["ngram"] * (n % 2),
            "family": "llama",
            "backbone": [f"d{i}" for i in range(n)],
            "P": rng.permutation(n) * 1000.0 + 8,
            "CGL": rng.normal(0.01, 0.001, n),
            "state": ["failed" if i % 50 == 3 else "done" for i in range(n)],
            "reason": [f"loss is NaN at step {i}" if i % 50 == 3 else None for i in range(n)],
        }
    )


def written(folder: Path, table: pd.DataFrame, status: dict[str, Any] | None = None) -> Path:
    chart = Chart(
        "size", "CGL against size", ("P", "parameters"), ("CGL", ""), [Series("one", "#0072B2", POINTS)]
    )
    return write_index(
        folder,
        title="demo",
        note=None,
        status=status or {"state": "done"},
        cells=table,
        results=pd.DataFrame(),
        notebooks=[],
        summary={},
        charts=[chart],
    )


@pytest.mark.parametrize("n", [3, 300, 2000])
@pytest.mark.parametrize("width", [400, 1440])
def test_any_number_of_cells_at_any_width(tmp_path: Path, visit: Open, n: int, width: int) -> None:
    table = cells(n)
    path = written(tmp_path, table)
    seen = visit(path, width=width, scheme="dark" if width == 400 else "light")
    page = seen.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(N_ROWS) == min(n, 100)
    if n > 100:
        assert f"the first 100 of {n}" in page.inner_text("#shown")
        page.click("#more")
        assert page.evaluate(N_ROWS) == 200 and "rows=200" in page.url
    page.fill("#filter", "P<50000 ngram")
    small = table[(table["P"] < 50_000) & (table["method"] == "ngram")]
    assert page.evaluate(N_ROWS) == min(len(small), 100) > 0
    assert seen.complaints == [] and seen.failed == [] and seen.requests == [path.as_uri()]


def test_the_address_keeps_how_the_table_is_looked_at(tmp_path: Path, visit: Open) -> None:
    path = written(tmp_path, cells(120))
    first = visit(path).page
    first.get_by_role("button", name="P", exact=True).click()
    first.get_by_role("button", name="P", exact=True).press("Enter")
    first.fill("#filter", "ngram")
    first.get_by_role("button", name="117 done").click()
    order = first.evaluate(SHOWN)
    assert order and first.locator("th[aria-sort=descending]").inner_text().strip() == "P"
    second = visit(path)
    second.page.goto(first.url)
    second.page.reload()
    assert second.page.evaluate(SHOWN) == order
    assert second.page.input_value("#filter") == "ngram"
    assert second.page.get_by_role("button", name="117 done").get_attribute("aria-pressed") == "true"
    assert second.complaints == []


def test_tables_and_figures_can_be_had_as_files(tmp_path: Path, visit: Open) -> None:
    table = cells(250)
    table.loc[1, "backbone"] = '=HYPERLINK("x"),"y"'
    page = visit(written(tmp_path, table)).page
    with page.expect_download() as started:
        page.click("#save-csv")
    text = Path(started.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert started.value.suggested_filename == "demo-cells.csv" and len(rows) == 250
    by_key = {row["cell"]: row for row in rows}
    for i in (0, 1, 249):
        row = by_key[f"{i:016x}"]
        assert float(row["P"]) == table["P"][i] and float(row["CGL"]) == table["CGL"][i]  # all digits
    assert by_key[f"{1:016x}"]["backbone"] == '\'=HYPERLINK("x"),"y"'  # a text for a spreadsheet, no formula
    assert by_key[f"{3:016x}"]["reason"] == "loss is NaN at step 3"
    with page.expect_download() as started:
        page.click(".save-svg")
    root = ET.parse(started.value.path()).getroot()
    assert root.tag.endswith("svg") and root.attrib["width"] == "460" and root.attrib["color"]


def test_light_and_dark_by_the_system_and_by_hand(tmp_path: Path, visit: Open) -> None:
    path = written(tmp_path, cells(3))
    colour = "getComputedStyle(document.body).backgroundColor"
    page = visit(path, scheme="dark").page
    dark = page.evaluate(colour)
    page.click("#toggle-theme")
    light = page.evaluate(colour)
    assert (dark, light) == ("rgb(17, 20, 24)", "rgb(255, 255, 255)")
    page.reload()
    assert page.evaluate(colour) == light  # the reader's choice is kept


def test_paper_has_every_row_and_no_dark(tmp_path: Path, visit: Open) -> None:
    page = visit(written(tmp_path, cells(260)), scheme="dark").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(N_ROWS) == 260
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#filter").is_visible() and page.locator("figure svg").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(N_ROWS) == 100
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF") and paper.count(b"/Type /Page\n") >= 3


def test_without_scripts_the_first_cells_are_there(tmp_path: Path, chromium: Any) -> None:
    context = chromium.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(written(tmp_path, cells(150)).as_uri())
    assert page.locator("#cells tbody tr").count() == 100
    assert not page.locator("#filter").is_visible() and "The first 100 of 150 cells" in page.inner_text(
        "main"
    )
    context.close()


# ---- a study that runs ----


def running(since: float, every: int = 10) -> dict[str, Any]:
    stamp = (datetime.now(UTC) - timedelta(seconds=since)).isoformat(timespec="seconds")
    return {
        "state": "running",
        "written": stamp,
        "every": every,
        "left": 90.0,
        "command": "genret study demo",
    }


def test_a_page_follows_its_study_and_stops_with_it(tmp_path: Path, visit: Open) -> None:
    table = cells(150)
    table["state"] = ["done"] * 40 + ["running"] * 2 + ["queued"] * 108
    table["now"] = [None] * 40 + ["train 40% loss 4.213", "search"] + [None] * 108
    path = written(tmp_path, table, running(0))
    seen = visit(path)
    page = seen.page
    assert "It runs" in page.inner_text("#live") and "about 1 min 30 s left" in page.inner_text("header")
    assert "train 40% loss 4.213" in page.inner_text(".doing")
    page.fill("#filter", "d1")
    page.get_by_role("button", name="backbone").click()
    page.evaluate("scrollTo({top: 600, behavior: 'instant'})")
    order, where = page.evaluate(SHOWN), page.evaluate("scrollY")
    page.evaluate("window.before = true")
    table["state"] = ["done"] * 41 + ["running"] * 2 + ["queued"] * 107
    written(tmp_path, table, running(0))
    seen.until("window.before === undefined")
    seen.until("document.querySelector('#shown').textContent !== ''")
    assert "41 done" in page.inner_text("header")
    assert page.input_value("#filter") == "d1" and page.evaluate(SHOWN) == order
    assert abs(page.evaluate("scrollY") - where) < 5
    table["state"] = "done"
    written(tmp_path, table)
    seen.until("document.readyState === 'complete' && document.querySelector('#live') === null")
    page.evaluate("window.last = true")
    page.wait_for_timeout(11_000)
    assert page.evaluate("window.last") is True  # it is over: no more loading


def test_a_study_that_died_is_told_by_its_page(tmp_path: Path, visit: Open) -> None:
    table = cells(4)
    table["state"] = "running"
    page = visit(written(tmp_path, table, running(1500))).page
    told = page.inner_text("#live")
    assert "Last heard of 25 min ago" in told and "genret study demo" in told
    assert page.inner_text("h1 .state") == "not heard of"


def test_the_data_of_a_page_is_json(tmp_path: Path) -> None:
    text = written(tmp_path, cells(3)).read_text()
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert data["live"] is None and len(data["rows"]) == 3
