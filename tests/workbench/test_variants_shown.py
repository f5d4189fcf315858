"""Variants of a search in tables and figures: paired differences by hand, costs, and who ignores them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import planted
import pytest

from genret_core.workbench.analyses import inference, search, variants
from genret_core.workbench.analyses.baseline import bm25_value
from genret_core.workbench.analyses.costs import PARTS, SHARES, cost_table, costs
from genret_core.workbench.runs import Study

KS = (5, 20)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A planted study in which two beams were searched with rescoring, too, and BM25 was measured."""
    made = planted.make(tmp_path_factory.mktemp("variants"))
    results = pd.read_parquet(made.folder / "results.parquet")
    plain = results[(results["backbone"] == "t5-d32") & results["beam"].isin([5, 10])]
    plain = plain[plain["metric"].str.startswith("MR@")]
    others = []
    for run in plain["run_id"].unique():
        cell, _, name = run.partition("/")
        folder = made.folder / "cells" / cell / "evals"
        (folder / f"{name}-again").mkdir()
        table = pd.read_parquet(folder / name / "per_query.parquet")
        hit = table["query"] < 30  # the first thirty queries no longer miss
        table.loc[hit & table["metric"].str.startswith("MR@"), "value"] = 0.0
        table.to_parquet(folder / f"{name}-again" / "per_query.parquet")
        (folder / f"{name}-again" / "searches.parquet").write_bytes(
            (folder / name / "searches.parquet").read_bytes()
        )
        values = table.groupby("metric")["value"].mean()
        own = plain[plain["run_id"] == run]
        others.append(
            own.assign(
                run_id=f"{run}-again", variant="rescored", C=2 * own["C"], seconds=1.5 * own["seconds"],
                value=own["metric"].map(values),
            )
        )  # fmt: skip
    words = plain.head(2).assign(
        method="bm25", family="bm25", backbone="bm25", beam=None, C=np.nan, P=np.nan, cell="bm25-0",
        run_id="bm25-0", metric=["MR@5", "MR@20"], value=[0.02, 0.01], build_seconds=3.0, seconds=0.004,
    )  # fmt: skip
    pd.concat([results, *others, words], ignore_index=True).to_parquet(made.folder / "results.parquet")
    return planted.PlantedStudy(made.folder, planted.spec())


def test_differences_are_paired_query_by_query(study: Study) -> None:
    found = variants.differences(study, "seen", ["MR@5", "MR@20"])
    assert len(found) == 2 * 2 and set(found["variant"]) == {"rescored"}
    for row in found.to_dict("records"):
        name = f"beam{row['beam']:g}"
        table = pd.read_parquet(study.folder / "cells" / row["cell"] / "evals" / name / "per_query.parquet")
        own = table[table["metric"] == row["metric"]].sort_values("query")["value"].to_numpy()
        apart = np.where(np.arange(planted.Q) < 30, -own, 0.0)
        assert row["difference"] == pytest.approx(apart.mean()) and row["difference"] < 0
        assert row["stderr"] == pytest.approx(apart.std(ddof=1) / np.sqrt(planted.Q))
        assert row["value"] - row["plain"] == pytest.approx(row["difference"])
        assert row["C"] == pytest.approx(2 * row["plain_C"])
    text = variants.table(study, "seen", ["MR@5", "MR@20"]).to_html()
    assert "rescored" in text and "× 2.00" in text and "× 1.50" in text and "±" in text


def test_a_law_sees_only_the_plain_searches_and_never_bm25(study: Study) -> None:
    plain = planted.make(study.folder.parent / "alone")
    for k in KS:
        own, alone = (inference.beams_of(one, f"MR@{k}", split="seen") for one in (study, plain))
        assert own["run_id"].tolist() == alone["run_id"].tolist()
    found = inference.inference_compute(study, ks=KS, draws=50)
    assert set(found.bm25 or {}) == {"MR@5", "MR@20"}
    assert {one.method for one in found.fits} == {"ngram"}
    lines = [t for t in found.figure().data if t.name == "BM25"]
    assert [t.y[0] for t in lines] == [0.02, 0.01] and sum(bool(t.showlegend) for t in lines) == 1
    assert bm25_value(study, "MR@5", "seen") == 0.02 and bm25_value(study, "MR@5", "unseen") is None


def test_variants_are_drawn_beside_the_plain_ones(study: Study) -> None:
    fig = variants.figure(study, split="seen", ks=KS, methods=["ngram"])
    names = {t.name for t in fig.data if t.showlegend}  # type: ignore[union-attr]
    assert names == {"T5, n-grams", "T5, n-grams, rescored", "BM25"}
    none = variants.figure(study, split="seen", ks=KS, methods=["codebook"])
    assert variants.ALIKE in none.to_html()  # type: ignore[union-attr]


def test_costs_take_all_variants_and_leave_unknown_what_was_not_noted(study: Study) -> None:
    found = inference.inference_compute(study, ks=KS, draws=50)
    table = costs(study, found)
    assert len(table) == 6 + 6 + 2 and (table["variant"] == "rescored").sum() == 2
    assert table[list(PARTS)].isna().all().all()
    rows = pd.read_parquet(study.folder / "results.parquet").assign(
        C_prefill=1e6,
        C_unshared=5e6,
        C_rescoring=0.0,
        model_seconds=2.0,
        index_seconds=0.2,
        scoring_seconds=1.0,
    )
    noted = planted.PlantedStudy(study.folder, planted.spec())
    noted.__dict__["results"] = rows
    table = costs(noted, found)
    np.testing.assert_allclose(table["C_alone"], table["C"] + 5e6)
    np.testing.assert_allclose(table["model"], 2.0 / (table["ms"] / 1000))
    html = cost_table(noted, found).to_html()
    assert (
        "50 · 5 · 25 %" in html
        and SHARES in html
        and "its index 3 s once" in html
        and "rescoring" not in html
    )


def test_every_search_is_listed_with_its_switches(study: Study) -> None:
    rows = pd.read_parquet(study.folder / "results.parquet")
    rows["metric"] = rows["metric"].replace({"MR@5": "RR@10", "MR@20": "nDCG@10"})
    other = planted.PlantedStudy(study.folder, planted.spec())
    other.__dict__["results"] = rows
    found = search.searches(other, "seen")
    assert (found["variant"] == "rescored").sum() == 2
    html = search.table(other, found, "seen").to_html()
    assert "switches" in html and "rescored" in html and "BM25" in html
    assert "no answers" in search.answers_table(other, "seen").to_html()


def test_answers_have_a_table_of_their_own(study: Study, tmp_path: Path) -> None:
    rows = pd.read_parquet(study.folder / "results.parquet")
    hits = rows[rows["metric"] == "MR@5"].assign(metric="answer_hit@5", value=0.625, n_queries=123)
    other = planted.PlantedStudy(study.folder, planted.spec())
    other.__dict__["results"] = pd.concat([rows, hits, hits.assign(metric="answer_hit@20", value=0.875)])
    html = search.answers_table(other, "seen").to_html()
    assert (
        html.count("0.625") == len(hits)
        and "123 queries" in html
        and html.index("hit@5") < html.index("hit@20")
    )
    assert "answer_hit@5" not in search.searches(other, "seen")
