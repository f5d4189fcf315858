"""Figures against what they were given: every point, curve, line and label has to be in them."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from genret_core.workbench.figures import (
    cards,
    corpus,
    correlation,
    diagram,
    identifiers,
    joint,
    laws,
    search,
    style,
    summary,
    training,
    variants,
)

N = 64


def points() -> pd.DataFrame:
    rows = []
    for method, family, sizes in (
        ("ngram", "llama", (6736, 23712, 55536)),
        ("ngram", "t5", (12512, 49600, 197440)),
        ("codebook", "llama", (6736, 23712, 55536)),
    ):
        for i, size in enumerate(sizes):
            row = {
                "panel": f"{method} identifiers",
                "method": method,
                "family": family,
                "name": f"{family}-{i}",
            }
            value = 0.0143 - 0.001 * i + (0.0005 if method == "codebook" else 0)
            rows.append({**row, "x": size, "value": value, "stderr": 1e-4, "used": i != 2 or family != "t5"})
    return pd.DataFrame(rows)


def curves() -> pd.DataFrame:
    x = np.geomspace(6736, 55536, 20)
    y = 0.0143 - 0.0005 * np.log(x / 6736)
    frame = pd.DataFrame({"x": x, "y": y, "lo": y - 1e-4, "hi": y + 1e-4})
    return frame.assign(panel="ngram identifiers", method="ngram", family="llama")


def figure(kind: str) -> go.Figure:
    """One of each, from small made frames."""
    rng = np.random.default_rng(0)
    words = pd.DataFrame({"kind": ["documents"] * 50 + ["queries"] * 50, "words": rng.integers(3, 90, 100)})
    shares = pd.DataFrame({"split": ["train"] * 9 + ["seen"] * 9, "share": rng.random(18)})
    starts = pd.DataFrame({"position": range(9), "word": "w", "score": 1.0, "probability": 1 / 9, "drawn": 0})
    starts = starts.assign(text="a b c", drawn=[0, 3, 0, 0, 1, 0, 0, 0, 0])
    depth = pd.DataFrame({"depth": [1, 2], "error": [0.7, 0.5], "codes_used": 2, "effective_codes": 1.5})
    recall = pd.DataFrame({"depth": [1, 2], "k": 5, "recall": [0.2, 0.4]})
    usage = pd.DataFrame({"depth": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "documents": [9, 3, 7, 5]})
    sharing = pd.DataFrame({"method": ["ngram"] * 3, "depth": [0, 1, 2], "documents": [50, 9, 1.2]})
    sharing = sharing.assign(lo=1.0, hi=[50.0, 20.0, 2.0], alone=[0, 0.2, 0.8])
    cells = points().rename(columns={"value": "CGL"}).assign(CGL_stderr=1e-4, value=0.5, stderr=0.02, P=1e4)
    loss = pd.DataFrame({"step": [1, 2, 3], "loss": [5.0, 4.0, 3.0], "method": "ngram", "family": "t5"})
    grid = points()[lambda f: f["method"] == "ngram"].rename(columns={"x": "P"})
    grid = grid.assign(D=[1e4, 2e4, 4e4] * 2, arm=[True, False] * 3, residual=1e-4, lo=-1e-4, hi=3e-4)
    beams = points().rename(columns={"x": "C"}).assign(beam=10, ms=4.0, variant="default")
    switched = pd.concat([beams, beams.assign(variant="rescored")]).assign(metric="MR@5", backbone="b")
    beside = points().assign(whose="ours", rho=0.8, panel="n-gram identifiers")
    no_lines = pd.DataFrame(columns=["name", "P", "D", "y"])
    made = {
        "laws": lambda: laws.law_figure(
            points(), curves(), n_negatives=N, title="t", subtitle="learning rate 1/d"
        ),
        "lengths": lambda: corpus.lengths(words),
        "overlap": lambda: corpus.overlap(shares),
        "starts": lambda: identifiers.start_probabilities(starts),
        "codebook": lambda: identifiers.codebook_quality(depth, usage),
        "codes alone": lambda: identifiers.code_retrieval(recall, recall[1:]),
        "sharing": lambda: identifiers.prefix_ambiguity(sharing),
        "correlation": lambda: correlation.scatter_panels(cells.assign(metric="RR@10"), {"RR@10": "r"}),
        "training": lambda: training.loss_curves(loss.assign(name="t5-d16", P=1e4)),
        "joint": lambda: joint.joint_figure(grid, no_lines, title="t"),
        "search": lambda: search.quality_and_cost(beams, "nDCG@10", (0.9, 0.2)),
        "figure 1": lambda: summary.figure_1((points(), curves()), (points(), curves()), misses="MR@5"),
        "variants": lambda: variants.against_compute(switched, title="t", bm25={"MR@5": 0.1}),
        "beside": lambda: summary.beside_published(beside, ["n-gram identifiers"]),
    }
    return made[kind]()


KINDS = (
    "laws", "lengths", "overlap", "starts", "codebook", "sharing", "correlation", "training", "joint",
    "search", "figure 1", "variants", "beside",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_valid_titled_and_free_of_latex(kind: str) -> None:
    fig = figure(kind)
    text = fig.to_json()
    assert go.Figure(json.loads(text)).data  # plotly accepts it
    assert fig.layout.title.text
    assert not re.search(r"\$|\\\\(frac|mathcal|lambda)", text), "LaTeX in a figure"
    assert fig.layout.template.layout.paper_bgcolor == "#ffffff"
    axes = [a for a in fig.layout if re.fullmatch(r"[xy]axis\d*", a)]
    drawn = {t.xaxis or "x" for t in fig.data} | {t.yaxis or "y" for t in fig.data}
    labelled = [a for a in axes if fig.layout[a].title.text]
    assert len(labelled) >= 2 and drawn


def test_bm25_is_a_line_of_its_own_in_every_figure_of_retrieval() -> None:
    rows = points().assign(panel="MR@5")
    cells = points().rename(columns={"value": "CGL"}).assign(CGL_stderr=1e-4, value=0.5, stderr=0.02, P=1e4)
    beams = points().rename(columns={"x": "C"}).assign(beam=10, ms=4.0, variant="default", backbone="b")
    drawn = {
        "08": laws.law_figure(rows, curves().assign(panel="MR@5"), x="C", y="MR@5", bm25={"MR@5": 0.77}),
        "04": correlation.scatter_panels(cells.assign(metric="RR@10"), bm25={"RR@10": 0.77}),
        "10": summary.figure_1((rows, curves()), (rows, curves()), misses="MR@5", bm25=0.77),
        "03": search.quality_and_cost(beams, "nDCG@10", (0.77, 0.2)),
        "variants": variants.against_compute(beams.assign(metric="MR@5"), title="t", bm25={"MR@5": 0.77}),
    }
    for name, fig in drawn.items():
        lines = [t for t in fig.data if t.name == "BM25" and set(t.y) == {0.77}]
        assert len(lines) == 1 and lines[0].showlegend and lines[0].mode == "lines", name
        axis = fig.layout["yaxis" + (lines[0].yaxis or "y")[1:]]
        assert axis.range is None or axis.range[0] < 0.77 < axis.range[1], name
    without = laws.law_figure(rows, curves(), x="C", y="MR@5")
    assert "BM25" not in {t.name for t in without.data}


def test_each_variant_has_a_marker_of_its_own_and_the_plain_one_the_familys() -> None:
    own = variants.symbols(["default", "rescored", "query keys"], "t5", "codebook")
    assert own["default"] == style.symbol("t5", "codebook") and len(set(own.values())) == 3
    assert variants.series_name("ngram", "llama", "default") == "LLaMA, n-grams"
    assert variants.series_name("ngram", "llama", "rescored") == "LLaMA, n-grams, rescored"


def test_law_figure_draws_each_point_curve_and_band() -> None:
    fig = laws.law_figure(points(), curves(), n_negatives=N)
    markers = [t for t in fig.data if t.mode == "markers" and t.customdata is not None]
    assert sum(len(t.x) for t in markers) == len(points())
    np.testing.assert_allclose(sorted(v for t in markers for v in t.y), sorted(points()["value"]))
    bars = [a for t in markers for a in t.error_y.array]
    np.testing.assert_allclose(bars, 1.959964e-4, rtol=1e-5)  # 95 %, of a standard error of 1e-4
    lines = [t for t in fig.data if t.mode == "lines" and t.fill is None]
    assert len(lines) == 1 and len(lines[0].x) == 20
    bands = [t for t in fig.data if t.fill == "toself"]
    assert len(bands) == 1 and len(bands[0].x) == 40


def test_law_figure_tells_families_methods_and_unfitted_points_apart() -> None:
    fig = laws.law_figure(points(), curves())
    shown = {t.name: t.marker for t in fig.data if t.mode == "markers" and t.showlegend}
    assert shown["LLaMA, n-grams"].symbol == "circle"
    assert shown["T5, n-grams"].symbol == "square"
    assert shown["LLaMA, codebook"].symbol == "circle-open"
    assert shown["not fitted"].color == style.GREY
    assert len({shown["LLaMA, n-grams"].color, shown["T5, n-grams"].color, style.GREY}) == 3
    names = [t.name for t in fig.data if t.showlegend]
    assert len(names) == len(set(names)), "a series stands in the legend once"


def test_chance_line_and_rho_axis_agree() -> None:
    fig = laws.law_figure(points(), curves(), n_negatives=N)
    lines = [s for s in fig.layout.shapes if s.y0 == s.y1]
    assert [s.y0 for s in lines] == pytest.approx([math.log1p(1 / N)] * 2)
    axis = fig.layout.yaxis99
    for place, text in zip(axis.tickvals, axis.ticktext, strict=True):
        assert N * math.expm1(place) == pytest.approx(float(text), rel=1e-9)
    low, high = fig.layout.yaxis.range
    assert low < min(points()["value"]) and math.log1p(1 / N) < high, "the chance line is inside the figure"


def test_axes_hold_all_points() -> None:
    fig = laws.law_figure(points(), curves())
    low, high = fig.layout.xaxis.range
    assert 10**low < points()["x"].min() and points()["x"].max() < 10**high


def test_faded_and_short() -> None:
    assert style.faded("#0072B2", 0.5) == "rgba(0,114,178,0.5)"
    assert [style.short(v) for v in (6736, 389760, 1.2e6, 58.1e9, 12, 0.5, float("nan"))] == [
        "6.74k", "390k", "1.2M", "58.1G", "12", "0.5", "–",
    ]  # fmt: skip


def test_palette_is_okabe_and_itos_without_black() -> None:
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"}
    assert set(style.SEQUENCE) - {style.GREY} == okabe_ito


def test_figures_show_themselves_with_svg_export(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, object]] = []
    monkeypatch.setattr("plotly.io.show", lambda fig, **more: shown.append(more))
    style.figure("t")._ipython_display_()
    assert shown[0]["config"]["toImageButtonOptions"]["format"] == "svg"  # type: ignore[index]


def test_diagram_marks_spans_and_escapes_text() -> None:
    made = diagram.two_methods(
        title="a < b",
        document="one two three",
        spans=[(4, 7)],
        query="q & r",
        ngrams=["two"],
        codes=[3, 1],
        vector="v",
    )
    html = made._repr_html_()
    assert "<script" not in html
    assert ">two</mark>" in html and "a &lt; b" in html and "q &amp; r" in html
    assert "c<sub>3</sub> c<sub>1</sub>" in html
    assert re.sub(r"<[^>]+>", "", html).count("one two three") == 1


def test_cards_show_each_query_escaped_with_its_finds_marked() -> None:
    one = cards.Card(
        "a < b?", "pkg.f", ["x y"], ["x"], [cards.Found("pkg.g", False), cards.Found("pkg.f", True)], []
    )
    html = cards.cards([one], caption="Some queries")._repr_html_()
    assert "a &lt; b?" in html and "nothing" in html and "<script" not in html
    found = re.sub(r"<wbr>", "", html)
    assert found.index("1. pkg.g") < found.index("2. pkg.f")
    assert found.count("✓") == 1 and found.index("2. pkg.f") < found.index("✓")
