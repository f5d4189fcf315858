from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.report.index import write_index

CELLS = pd.DataFrame(
    {
        "cell": ["a", "b", "c"],
        "method": ["ngram", "ngram", "codebook"],
        "family": ["llama", "t5", "llama"],
        "backbone": ["llama-d64", "t5-d32", "<i>odd</i>"],
        "P": [786_432, 49_152, np.nan],
        "D": [36_000, 36_000, np.nan],
        "fraction": [1.0, 0.5, 1.0],
        "seed": [0, 0, 1],
        "train_seconds": [384.0, 61.0, np.nan],
        "state": ["done", None, "failed"],
        "reason": [None, None, "the loss became NaN at step 3 <b>"],
    }
)
RESULTS = pd.DataFrame(
    [
        ("a", "unseen", "default", np.nan, "CGL", 0.9),
        ("a", "seen", "token_mean", np.nan, "CGL", 0.8),
        ("a", "seen", "default", np.nan, "CGL", 0.014661),
        ("a", "seen", "default", 1.0, "R@100", 0.1),
        ("a", "seen", "default", 10.0, "R@100", 0.55),
        ("b", "seen", "default", np.nan, "CGL", 0.01515),
    ],
    columns=["cell", "split", "variant", "beam", "metric", "value"],
)


def record(folder: Path, name: str, **more: Any) -> RunRecord:
    run = RunRecord(name=name, folder=folder / "notebooks" / f"{name}-01234567", **{"state": "done", **more})
    run.folder.mkdir(parents=True)
    if run.done:
        run.report.write_text("page")
    return run


@pytest.fixture
def page(tmp_path: Path) -> str:
    (tmp_path / "results.parquet").touch()
    books = [
        record(
            tmp_path, "05_model_size", title="Is there a law?", answer="**Yes**, α = $x^2$ <u>", seconds=8.9
        ),
        record(
            tmp_path,
            "08_compute",
            state="failed",
            title="What <does>?",
            reason="no beam <50> in __it__: `genret run`.",
        ),
    ]
    origin = {"cpu": "A cpu", "cores": 2, "python": "3.11.7", "commit": "0123456789ab", "dirty": False}
    ended = "2025-03-12T14:05:00+00:00"
    status = {"state": "failed", "reason": "1 cell failed.", "updated": ended, "provenance": origin}
    summary = {
        "sentences": ["CGL *falls*."],
        "figures": [("best CGL", 0.0147, "llama-d64 <x>"), ("cells", "3", None)],
    }
    path = write_index(tmp_path, title="demo <1>", note="Half & half.", status=status, cells=CELLS,
                       results=RESULTS, notebooks=books, summary=summary)  # fmt: skip
    assert path == tmp_path / "index.html"
    return path.read_text()


def rows(page: str) -> list[list[str]]:
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    texts = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in body.split("</tr>") if "<td" in row]
    return [[re.sub(r"<[^>]+>", "", text) for text in row] for row in texts]


def data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    kept: dict[str, Any] = json.loads(found[1])
    return kept


def heads(page: str) -> list[str]:
    return re.findall(r"<th scope.*?<button[^>]*>(.*?)</button>", page)


def test_cells_failed_first_with_the_right_numbers(page: str) -> None:
    assert heads(page) == [
        "state",
        "method",
        "family",
        "backbone",
        "P",
        "D",
        "fraction",
        "seed",
        "CGL",
        "R@100",
        "time",
    ]
    assert rows(page) == [
        ["failed", "codebook", "llama", "&lt;i&gt;odd&lt;/i&gt;", "", "", "1", "1", "", "", ""],
        [
            "done",
            "ngram",
            "llama",
            "llama-d64",
            "786,432",
            "36,000",
            "1",
            "0",
            "0.01466",
            "0.550",
            "6 min 24 s",
        ],
        ["done", "ngram", "t5", "t5-d32", "49,152", "36,000", "0.5", "0", "0.01515", "", "1 min 1 s"],
    ]
    assert "codebook, fraction 1, seed 1</bdi>: <bdi>the loss became NaN at step 3 &lt;b&gt;</bdi>" in page
    kept = data(page)  # sorted by the number, not by how it is written
    place = [column["name"] for column in kept["columns"]].index("P")
    assert [row["values"][place] for row in kept["rows"]] == [None, 786432.0, 49152.0]
    assert [row["key"] for row in kept["rows"]] == ["c", "a", "b"]


def test_reports_answers_and_reasons(page: str) -> None:
    assert '<a href="notebooks/05_model_size-01234567/report.html"><bdi>Is there a law?</bdi></a>' in page
    assert "<strong>Yes</strong>, α = " in page and 'aria-label="x^2"' in page and "&lt;u&gt;" in page
    assert (
        "<h3><bdi>What &lt;does&gt;?</bdi></h3>" in page
        and "no beam &lt;50&gt; in __it__: <code>genret run</code>." in page
    )
    assert page.index("Is there a law?") < page.index("What &lt;does&gt;?")


def test_what_was_found_and_where(page: str) -> None:
    assert "<title>demo &lt;1&gt; · genret</title>" in page and "Half &amp; half." in page
    assert "CGL <em>falls</em>." in page and "<dd>0.0147</dd>" in page and "llama-d64 &lt;x&gt;" in page
    for words in (
        "12 March 2025, 14:05 UTC",
        "A cpu, 2 cores",
        "Python 3.11.7",
        "commit 0123456789",
        "1 cell failed.",
    ):
        assert words in page
    assert '<a href="results.parquet">' in page and "cells.parquet" not in page


def test_nothing_is_loaded(page: str) -> None:
    assert not re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=|<link|@import|url\(", page)


def test_an_empty_study_has_a_page(tmp_path: Path) -> None:
    path = write_index(tmp_path, title="new", note=None, status={"state": "running"}, cells=CELLS[:0],
                       results=RESULTS[:0], notebooks=[], summary={})  # fmt: skip
    text = path.read_text()
    assert "No cell has been trained yet." in text and "No notebook has been run yet." in text


def test_cells_of_a_bare_table_count_as_done(tmp_path: Path) -> None:
    """The frames that come from parquet have neither state nor reason, and may have no results at all."""
    bare = CELLS[:2].drop(columns=["state", "reason"])
    path = write_index(tmp_path, title="t", note=None, status={"state": "done"}, cells=bare,
                       results=pd.DataFrame(), notebooks=[], summary={})  # fmt: skip
    assert [row[0] for row in rows(path.read_text())] == ["done", "done"]


def test_cells_are_compared_at_the_beam_that_most_of_them_have(tmp_path: Path) -> None:
    wide = [("a", "seen", "default", 1.0, "R@100", 0.1), ("a", "seen", "default", 50.0, "R@100", 0.55)]
    shared = pd.DataFrame([*wide, ("b", "seen", "default", 1.0, "R@100", 0.25)], columns=RESULTS.columns)
    written = write_index(
        tmp_path, title="t", note=None, status={}, cells=CELLS, results=shared, notebooks=[], summary={}
    )
    page = written.read_text()
    assert "at beam 1." in page and "0.100" in page and "0.250" in page and "0.550" not in page
