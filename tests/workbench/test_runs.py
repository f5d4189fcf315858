"""The tables of a study and what notebooks read of it, on cell folders written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.modeling import CellSpec
from genret_core.workbench.history.listing import list_runs
from genret_core.workbench.replicates.resampling import pooled_sd, query_counts, replicate_means
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study.collect import RESULT_COLUMNS, collect, is_done
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.grid import cell_specs
from genret_core.workbench.study.inputs import Inputs

N = 16
QUERIES = np.arange(100, 140)


def write_cell(cell: CellSpec, cgl: np.ndarray) -> None:
    """Write what `run_cell` leaves behind: cell.json and an evaluation per loss and search."""
    at, key = cell.layout, cell.key
    row: dict[str, Any] = {
        "cell": key, "corpus": "c", "method": cell.method, "family": cell.backbone.family, "P": 7,
        "P_total": 9, "D": int(1000 * cell.fraction), "n_queries": 100, "fraction": cell.fraction,
        "seed": cell.seed, "lr": cell.lr, "steps": 5, "tokens": 50, "train_flops": 1e9, "train_seconds": 1.5,
        "peak_memory": 3.0,
        "provenance": {"commit": "abc", "dirty": False, "versions": {"torch": "2"}},
    }  # fmt: skip
    write_json(at.cell_file(key), row)
    for loss in cell.losses:
        mean, sem = float(cgl.mean()), float(cgl.std(ddof=1) / len(cgl) ** 0.5)
        metrics = {"CGL": [mean, sem], "rho": [N * np.expm1(mean), 0.01]}
        found = {
            "kind": "losses",
            "split": loss.split,
            "n_negatives": N,
            "seconds": 1.0,
            "n_queries": len(cgl),
        }
        write_json(at.evaluation(key, loss.key) / "eval.json", {**found, "metrics": metrics})
        table = pd.DataFrame({"query": QUERIES.astype("int32"), "metric": "CGL", "value": cgl})
        table.sample(frac=1, random_state=1).to_parquet(at.evaluation(key, loss.key) / "per_query.parquet")
        table.to_parquet(at.evaluation(key, loss.key) / "losses.parquet")
    for search in cell.searches:
        miss = (cgl > np.median(cgl)) * 1.0
        found = {"kind": "search", "split": search.split, "beam": search.beam, "C": 1e6, "C_no_head": 9e5}
        found |= {"seconds": 0.1, "n_queries": len(cgl), "metrics": {"MR@5": [float(miss.mean()), 0.1]}}
        write_json(at.evaluation(key, search.key) / "eval.json", found)
        table = pd.DataFrame({"query": QUERIES.astype("int32"), "metric": "MR@5", "value": miss})
        table.to_parquet(at.evaluation(key, search.key) / "per_query.parquet")
        table.to_parquet(at.evaluation(key, search.key) / "searches.parquet")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = tmp_path / "runs" / "test"
    spec = load("test")
    save(spec, folder / "study.yaml")
    inputs = Inputs.of(spec, "c" * 16, validation=True)
    inputs.write(folder)
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1e-3, len(QUERIES))
    for number, cell in enumerate(cell_specs(spec, inputs, folder)):
        write_cell(cell, 0.015 + common + rng.normal(0, 1e-4, len(QUERIES)) - 1e-4 * number)
    collect(folder, spec, inputs)
    return Study(folder, spec)


def test_tables_have_the_contracts_columns_and_one_order(study: Study) -> None:
    cells, results = study.cells, study.results
    assert list(results.columns) == list(RESULT_COLUMNS)
    assert len(cells) == len(study.plan) and cells["cell"].is_unique
    assert cells.loc[0, "commit"] == "abc" and cells.loc[0, "versions"] == '{"torch": "2"}'
    assert results[results["metric"] == "CGL"]["beam"].isna().all()
    assert results[results["metric"] == "MR@5"]["n_negatives"].isna().all()
    before = [path.read_bytes() for path in (study.layout.cells_table, study.layout.results_table)]
    collect(study.folder, study.spec, study.inputs)
    assert before == [path.read_bytes() for path in (study.layout.cells_table, study.layout.results_table)]


def test_cells_outside_the_grid_are_left_out_but_stay(study: Study) -> None:
    smaller = study.spec.model_copy(update={"grid": study.spec.grid[:1]})
    cells, _ = collect(study.folder, smaller, study.inputs)
    assert len(cells) == 8 < len(list(study.layout.cells.iterdir()))


def test_rows_filter_and_sort(study: Study) -> None:
    rows = study.rows("MR@5", method="ngram", backbone="llama-d32", split="seen")
    assert rows["beam"].tolist() == [1, 2, 2, 4, 4, 8]
    plain = study.rows("MR@5", method="ngram", backbone="llama-d32", split="seen", variant="default")
    assert plain["beam"].tolist() == [1, 2, 4, 8]
    assert set(study.rows("CGL", family=["t5"])["backbone"]) == {"t5-d16", "t5-d32"}
    with pytest.raises(BadInput, match="no column 'metod'"):
        study.rows("CGL", metod="ngram")


def test_per_query_values_stand_in_one_order_whatever_the_files_order(study: Study) -> None:
    rows = study.rows("CGL", split="seen", method="ngram")
    values = study.per_query(rows)
    assert values.shape == (len(rows), len(QUERIES))
    np.testing.assert_allclose(values.mean(axis=1), rows["value"])
    assert np.corrcoef(values).min() > 0.9  # the common part of every query: lost if rows were shuffled apart


def test_replicates_resample_queries_once_for_all_rows(study: Study) -> None:
    rows = study.rows("CGL", split="seen", method="ngram")
    draws = study.replicates(rows, draws=2000, seed=3)
    by_hand = np.random.default_rng(3).multinomial(40, [1 / 40] * 40, size=2000)
    np.testing.assert_allclose(draws[0], (by_hand * study.per_query(rows)[0]).sum(axis=1) / 40)
    # differences are far narrower than the points: sd of a mean difference, by the textbook
    values = study.per_query(rows)
    paired = (values[0] - values[1]).std(ddof=0) / 40**0.5
    assert (draws[0] - draws[1]).std() == pytest.approx(paired, rel=0.1)
    assert draws[0].std() > 3 * paired
    # another call, another metric of the same queries: still the same resamples
    rho = study.replicates(study.rows("rho", split="seen", method="ngram"), draws=2000, seed=3)
    np.testing.assert_allclose(rho, N * np.expm1(draws))


def test_rows_of_different_queries_are_not_paired(study: Study) -> None:
    rows = study.rows("CGL", split="seen", method="ngram").head(2)
    cell, _, evaluation = str(rows.loc[0, "run_id"]).partition("/")
    path = study.layout.evaluation(cell, evaluation) / "per_query.parquet"
    pd.read_parquet(path).head(30).to_parquet(path)
    with pytest.raises(BadInput, match="different queries"):
        Study(study.folder, study.spec).per_query(rows)


def test_seed_noise_is_measured_where_seeds_repeat(study: Study) -> None:
    sd, source = study.seed_sd("CGL")
    rows = study.rows("CGL")
    squares, degrees = 0.0, 0
    for _, group in rows.groupby(["method", "backbone", "fraction", "split"]):
        squares += ((group["value"] - group["value"].mean()) ** 2).sum()
        degrees += len(group) - 1
    assert sd == pytest.approx((squares / degrees) ** 0.5)
    assert f"{degrees} degrees" in source and "this study" in source


def test_seed_noise_is_declared_where_they_do_not(study: Study) -> None:
    declared = load("demo").seed_noise
    one_seed = study.results[study.results["seed"] == 0]
    alone = Study(study.folder, study.spec.model_copy(update={"seed_noise": declared}))
    alone.__dict__["results"] = one_seed
    assert alone.seed_sd("CGL") == (1.9e-4, declared["CGL"].source)  # type: ignore[union-attr]
    sd, why = alone.seed_sd("MR@5")
    assert sd is None and "not known" in why


def test_missing_names_the_command(study: Study) -> None:
    assert study.missing() == ""
    cell = study.plan[0]
    study.layout.cell_file(cell.key).unlink()
    assert not is_done(cell)
    assert study.missing().startswith(f"1 of {len(study.plan)} cells are missing (llama-d16 ngram s0)")
    assert "genret study" in study.missing()
    assert study.progress()["state"].value_counts().to_dict() == {"done": len(study.plan) - 1, "queued": 1}


def test_runs_are_listed_and_what_is_not_there_is_said(study: Study, tmp_path: Path) -> None:
    (listed,) = list_runs(tmp_path / "runs")
    assert (listed.name, listed.done, listed.cells) == ("test", len(study.plan), len(study.plan))
    with pytest.raises(BadInput, match="`genret study nowhere`"):
        open_study(tmp_path / "nowhere")
    ngrams_only = study.spec.model_copy(update={"grid": study.spec.grid[1:]})
    with pytest.raises(BadInput, match="not prepared"):
        _ = Study(study.folder, ngrams_only).codebook
    Inputs.of(ngrams_only, "c" * 16, validation=True).write(study.folder)
    with pytest.raises(BadInput, match="no codebook cells"):
        _ = Study(study.folder, ngrams_only).codebook


def test_pooled_sd_and_counts() -> None:
    # mini-study: seven cells with repeated seeds; the declared 1.9e-4 on 8 degrees of freedom
    seeds = {
        "a": [0.01452, 0.01452], "b": [0.01456, 0.01452], "c": [0.01342, 0.01301, 0.01304],
        "d": [0.01340, 0.01322], "e": [0.01226, 0.01222], "f": [0.01335, 0.01375], "g": [0.01341, 0.01299],
    }  # fmt: skip
    groups = [name for name, values in seeds.items() for _ in values]
    sd, degrees = pooled_sd(groups, [value for values in seeds.values() for value in values])
    assert (round(sd, 5), degrees) == (1.9e-4, 8)
    assert pooled_sd(["a", "b"], [1.0, 2.0])[1] == 0
    counts = query_counts(50, 200, seed=0)
    assert counts.shape == (200, 50) and (counts.sum(axis=1) == 50).all()
    np.testing.assert_allclose(replicate_means(np.ones((3, 50)), 10, 0), 1.0)
