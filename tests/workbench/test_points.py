"""The points of a study as files, and the studies that come along."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.scaling import measured
from genret_core.workbench.analyses import summary
from genret_core.workbench.runs import Study
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.points_file import write_points


def test_points_of_a_study_are_its_results(test_study: Study, tmp_path: Path) -> None:
    path, record = write_points(test_study, tmp_path / "of" / "mine.csv")
    table = pd.read_csv(path)
    results = test_study.results
    for metric in ("CGL", "MR@5"):
        plain = results["cell"].isin(test_study.cells["cell"]) & (results["variant"] == "default")
        theirs = results[(results["metric"] == metric) & plain]  # neither BM25 nor searches with switches
        ours = table[table["metric"] == metric]
        assert len(ours) == len(theirs) > 0
        assert np.array_equal(np.sort(ours["value"]), np.sort(theirs["value"]))
    told = json.loads(record.read_text())
    assert told["cells"] == len(test_study.cells) and told["parameters"]["name"] == test_study.name
    assert told["commits"] and told["versions"]["numpy"] == [np.__version__]
    assert str(Path.home()) not in record.read_text() and str(test_study.folder) not in record.read_text()


def test_points_need_a_finished_study_and_a_name_that_says_what_they_are(
    test_study: Study, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"should end in \.csv"):
        write_points(test_study, tmp_path / "points.json")
    more = Study(test_study.folder, test_study.spec)
    more.__dict__["missing"] = lambda: "3 of 16 cells are missing: run it."
    with pytest.raises(BadInput, match="not finished: 3 of 16"):
        write_points(more, tmp_path / "points.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", measured.names())
def test_sizes_are_those_of_the_recorded_ladders(name: str) -> None:
    spec = StudySpec.model_validate(measured.about(name)["parameters"])
    sizes = {one.name: one.parameters(10)[0] for one in spec.backbones}  # without embeddings
    table = measured.points(name)
    assert {row.backbone: row.P for row in table.itertuples()} == {
        backbone: sizes[backbone] for backbone in set(table["backbone"])
    }


@pytest.mark.parametrize("name", measured.names())
def test_values_are_possible_and_misses_complement_recall(name: str) -> None:
    table = measured.points(name)
    assert tuple(table.columns) == measured.COLUMNS
    assert not table.duplicated([c for c in measured.COLUMNS if c not in ("value", "stderr", "C")]).any()
    shares = table[table["metric"] != "CGL"]["value"]
    assert ((shares >= 0) & (shares <= 1)).all()
    at = ["backbone", "method", "fraction", "seed", "split", "beam"]
    wide = table[table["metric"].isin(["MR@100", "R@100"])].pivot_table(
        index=at, columns="metric", values="value"
    )
    assert len(wide) and np.allclose(wide["MR@100"] + wide["R@100"], 1.0)
    losses = measured.points(name, metric="CGL", split="seen")
    rho = losses["n_negatives"] * np.expm1(losses["value"])
    assert ((rho > 0) & (rho < 1.2)).all()  # 1 is chance
    assert measured.about(name)["cells"] == len(losses)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match=measured.names()[0]):
        measured.points("nothing")
    with pytest.raises(BadInput, match="CGL"):
        measured.points(measured.names()[0], metric="recall")


def test_a_measured_study_stands_beside_ours_in_rho(test_study: Study) -> None:
    name = measured.names()[0]
    rows = measured.points(name, metric="CGL", split="seen")
    both = summary.beside(test_study, "seen", [name])
    theirs = both[both["whose"] == name]
    alike = rows[rows["fraction"] == 1.0].groupby(["method", "backbone"])["value"].mean()
    assert len(theirs) == len(alike)
    for row in theirs.itertuples():
        assert np.isclose(row.CGL, alike[row.method, row.name])
    assert set(both["whose"]) == {"ours", "published", name}
