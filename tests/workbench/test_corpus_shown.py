"""`00_corpus` and `genret corpus` over texts that would break a page or a terminal."""

from __future__ import annotations

import html
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from genret_core.retrieval.corpus import Document, Qrel, Query, write_corpus
from genret_core.retrieval.corpus_report import describe
from genret_core.workbench.analyses.corpus import examples, shown
from genret_core.workbench.figures.corpus import lengths

LONG = "x" * 600


@pytest.fixture
def study(tmp_path: Path) -> Any:
    title = "</td></table><script>alert(1)</script>"
    corpus = write_corpus(
        tmp_path / "c",
        [Document("d", title, f"{LONG} كتاب \x1b[31m " + "word " * 5_000)],
        [Query("q", "\u202e<b>one</b>"), Query("r", "two " * 500)],
        [Qrel("q", "d", 1, "test"), Qrel("r", "d", 1, "train")],
        {"name": "odd"},
    )
    return SimpleNamespace(corpus=corpus)


def test_a_table_of_examples_holds_no_markup_of_the_texts(study: Any) -> None:
    page = examples(study, 1).to_html()
    assert "<script" not in page and "<b>one" not in page
    assert html.escape("<b>one</b>") in page
    assert LONG not in page and len(page) < 5_000
    assert "\u202e" not in page and "\x1b" not in page


def test_a_report_is_short_and_steers_no_terminal(study: Any) -> None:
    report = describe(study.corpus)
    assert len(str(report)) < 4_000 and "\x1b" not in str(report)
    assert "<script" not in report._repr_html_() and "<b>one" not in report._repr_html_()
    assert len(report.to_dict()["examples"][0]["text"]) > 20_000


def test_a_text_is_cut_and_stays_by_itself() -> None:
    assert shown("two words", 20) == "\u2068two words\u2069"
    assert shown("a" * 30, 10) == "\u2068" + "a" * 10 + "…\u2069"
    assert shown(LONG, 62).count("\u200b") == 2
    assert shown("می\u200cخواهم", 20) == "\u2068می\u200cخواهم\u2069"


def test_long_tails_are_counted_on_a_logarithmic_axis() -> None:
    words = [50] * 60 + [70] * 30 + [12_000]
    figure = lengths(pd.DataFrame({"kind": "documents", "words": words}))
    assert figure.layout.xaxis.type == "log"
    assert sum(figure.data[0].y) == len(words)
    figure = lengths(pd.DataFrame({"kind": "documents", "words": [50, 60, 70]}))
    assert figure.layout.xaxis.type != "log"
