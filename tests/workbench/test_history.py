"""What was run, listed, shown, compared, cleaned and repeated: against differences planted by hand."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_runs import QUERIES, write_cell
from typer.testing import CliRunner, Result

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.retrieval.cgl import rho_of
from genret_core.workbench.cli.app import build
from genret_core.workbench.history.diff import diff
from genret_core.workbench.history.found import find_run
from genret_core.workbench.history.leftovers import KINDS, collect_garbage, leftovers
from genret_core.workbench.history.listing import list_runs
from genret_core.workbench.history.numbers import ShownNumbers, numbers_in, shown_numbers
from genret_core.workbench.history.verdict import of_notebooks, of_results
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.pool import read_status, write_status
from genret_core.workbench.runs import Study
from genret_core.workbench.study.choice import note_spec
from genret_core.workbench.study.collect import collect
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.grid import cell_specs
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.notebooks import notebook_file, reads_of
from genret_core.workbench.study.place import Place


def genret(*words: object) -> Result:
    return CliRunner().invoke(build(), list(map(str, words)))


def finished(folder: Path, shift: float = 0.0, corpus: str = "c" * 16, **changes: Any) -> Study:
    """Write a finished study; `shift` is what all its losses differ by."""
    spec = load("test").model_copy(update={"name": folder.name, "notebooks": ("00_corpus",), **changes})
    save(spec, folder / "study.yaml")
    inputs = Inputs.of(spec, corpus, validation=True)
    inputs.write(folder)
    rng = np.random.default_rng(0)
    for cell in cell_specs(spec, inputs, folder):
        write_cell(cell, 0.015 + shift + rng.normal(0, 1e-3, len(QUERIES)))
        note_spec(cell)
        write_json(cell.layout.cell_status(cell.key), {"state": "done", "reason": None, "pid": None})
        (cell.layout.cell(cell.key) / "log.txt").write_text("training\n\x1b[31mred\x1b[0m words\n")
    for key in inputs.folders(folder):
        key.mkdir(parents=True, exist_ok=True)
    collect(folder, spec, inputs)
    write_json(
        folder / "status.json", {"state": "done", "reason": None, "updated": "2026-01-02T03:04:05+00:00"}
    )
    return Study(folder, spec)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return finished(tmp_path / "runs" / "one")


def notebook_run(study: Study, key: str, state: str, inputs: dict[str, str]) -> Path:
    run = study.layout.notebooks / f"00_corpus-{key}"
    run.mkdir(parents=True)
    shutil.copy(notebook_file("00_corpus"), run / ("executed.ipynb" if state == "done" else "failed.ipynb"))
    for name in ("report.html", "params.yaml", "log.txt"):
        (run / name).write_text("<html></html>\n")
    record = RunRecord("00_corpus", run, state, answer="There are 40.", inputs=inputs)
    write_json(run / "run.json", record.to_dict())
    write_json(run / "status.json", {"state": state, "reason": "it broke" if state == "failed" else None})
    return run


# ---- ls, show ----


def test_listing_tells_the_truth_and_sorts(study: Study, tmp_path: Path) -> None:
    other = finished(tmp_path / "runs" / "two")
    gone = {
        "state": "running",
        "reason": None,
        "updated": "2026-01-01T00:00:00+00:00",
        "host": os.uname().nodename,
    }
    write_json(other.folder / "status.json", {**gone, "pid": 2**22 + 1})
    first = other.plan[0]
    shutil.rmtree(first.layout.cell(first.key))
    listed = {run.name: run for run in list_runs(tmp_path / "runs", sizes=True)}
    assert (listed["two"].state, listed["two"].done) == ("killed", len(other.plan) - 1)
    assert (listed["one"].state, listed["one"].done) == ("done", len(study.plan))
    by_hand = sum(path.stat().st_size for path in study.folder.rglob("*") if path.is_file())
    assert listed["one"].bytes == by_hand
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["one", "two"]
    assert [run.name for run in list_runs(tmp_path / "runs", sort="name")] == ["one", "two"]
    assert list_runs(tmp_path / "runs", sort="size")[0].name == "one"
    assert genret("runs", "ls", "--out", tmp_path / "runs", "--sort", "colour").exit_code == 2


def test_a_cell_is_shown_with_all_that_is_known(study: Study) -> None:
    cell = study.plan[0]
    shown = genret("runs", "show", study.folder, cell.key[:12])
    assert shown.exit_code == 0, shown.output
    for words in (
        "recipe.batch_queries: ",
        "commit: abc",
        "cell.json",
        "red words",
        f"/{cell.backbone.name} ",
    ):
        assert words in shown.output, words
    assert "\x1b" not in shown.output
    found = json.loads(genret("runs", "show", f"{study.folder}/{cell.key}", "--json").stdout)
    assert found["parameters"]["seed"] == cell.seed and found["inputs"]["corpus"] == "c" * 16
    values = {(row["metric"], row["split"]): row["value"] for row in found["rows"]}
    rows = study.results[study.results["cell"] == cell.key]
    cgl = rows[(rows["metric"] == "CGL") & (rows["split"] == "seen")]["value"].iloc[0]
    assert values["CGL", "seen"] == pytest.approx(cgl, rel=1e-14)
    for wrong, told in (("zzz", "no cell or notebook run 'zzz'"), ("", "begins")):
        assert told in genret("runs", "show", study.folder, wrong).output


def test_hosts_are_shown_where_there_were_several(study: Study) -> None:
    cells = study.plan
    for cell in cells:
        write_status(cell.layout.cell(cell.key), "running", host="node1")
        write_status(cell.layout.cell(cell.key), "done", started="2026-01-01T00:00:00+00:00")
    assert "node1" not in genret("runs", "show", study.folder).output
    assert ", on node1" in genret("runs", "show", study.folder, cells[0].key).output
    last = cells[-1].layout.cell(cells[-1].key)
    write_status(last, "running", host="node2", started="2026-01-01T00:00:00+00:00")
    write_status(last, "killed", reason="killed: its node was lost")  # by the command, elsewhere
    rows = json.loads(genret("runs", "show", study.folder, "--json").stdout)["rows"]
    assert [row["host"] for row in rows] == ["node1"] * (len(cells) - 1) + ["node2"]
    assert "node2" in genret("runs", "show", study.folder).output
    write_status(last, "queued")
    assert read_status(last)["host"] is None


# ---- diff ----


def test_the_difference_of_two_studies(study: Study, tmp_path: Path) -> None:
    spec = study.spec
    recipe = type(spec.recipe)(**{**spec.recipe.to_dict(), "warmup": 0.25})
    other = finished(tmp_path / "runs" / "two", shift=1e-3, recipe=recipe, grid=spec.grid[:1], search=())
    found = diff(find_run(str(study.folder)), find_run(str(other.folder)))
    assert ("recipe.warmup", spec.recipe.warmup, 0.25) in [(c.key, c.before, c.now) for c in found.parameters]
    assert not [change for change in found.parameters if change.key.startswith("recipe.lr")]
    assert found.provenance == []
    cgl = found.rows[found.rows["metric"] == "CGL"]
    assert len(cgl) and cgl["difference"].to_numpy() == pytest.approx(1e-3, rel=1e-6)
    a = study.rows("CGL")
    se = a.set_index(["backbone", "method", "fraction", "seed", "split"])["stderr"]
    first = cgl.iloc[0]
    own = se.loc[tuple(first[list(se.index.names)])]
    assert own > 1e-5 and cgl["paired"].all()
    assert first["stderr"] == pytest.approx(0, abs=1e-15)  # all queries differ by the same
    gone = {cell.backbone.name for cell in study.plan} - {cell.backbone.name for cell in other.plan}
    assert all(any(name.startswith(backbone) for name in found.only_a) for backbone in gone)
    assert found.only_b == []
    same = diff(find_run(str(study.folder)), find_run(str(study.folder)))
    assert same.equal == len(same.rows) and not same.parameters and not same.only_a
    assert "all" not in str(same) and "the same" in str(same)


def test_the_difference_of_two_cells_and_of_kinds(study: Study) -> None:
    alike = [c for c in study.plan if c.method == "ngram" and c.fraction == 1 and c.seed == 0]
    a, b = alike[:2]
    found = json.loads(
        genret("runs", "diff", f"{study.folder}/{a.key}", f"{study.folder}/{b.key}", "--json").stdout
    )
    keys = {change["key"] for change in found["parameters"]}
    assert "backbone.d_model" in keys and "recipe.warmup" not in keys
    assert {row["metric"] for row in found["rows"]} >= {"CGL", "rho"}
    rows = {row["metric"]: row for row in found["rows"] if row["split"] == "seen"}
    each = study.per_query(pd.concat([study.rows("CGL", cell=c.key, split="seen") for c in (a, b)]))
    cgl, rho = rows["CGL"], rows["rho"]
    se = (each[1] - each[0]).std(ddof=1) / len(QUERIES) ** 0.5
    assert cgl["paired"] and cgl["stderr"] == pytest.approx(se)
    assert cgl["z"] == pytest.approx(cgl["difference"] / se)
    moved = [rho_of(each.mean(1)[i] + step, int(rho["n_negatives"])) for i, step in ((0, 0), (1, 0), (1, se))]
    assert rho["difference"] == pytest.approx(moved[1] - moved[0])
    assert rho["stderr"] == pytest.approx(moved[2] - moved[1], rel=0.01)
    wrong = genret("runs", "diff", f"{study.folder}/{a.key}", study.folder)
    assert wrong.exit_code == 2 and "two of one kind" in wrong.output


def test_queries_of_other_corpora_are_not_paired(study: Study, tmp_path: Path) -> None:
    other = finished(tmp_path / "runs" / "two", shift=1e-3, corpus="d" * 16)
    found = diff(find_run(str(study.folder)), find_run(str(other.folder))).rows
    cgl = found[found["metric"] == "CGL"]
    assert len(cgl) and not found["paired"].any()
    own = study.rows("CGL")["stderr"].to_numpy()
    assert sorted(cgl["stderr"]) == pytest.approx(sorted(2**0.5 * own))


# ---- gc ----


def test_what_can_go_is_found_and_only_that_goes(study: Study, tmp_path: Path) -> None:
    at, folder = study.layout, study.folder
    cell = study.plan[0]
    planted = {
        "cells": at.cell("0" * 16),
        "parts": at.cells / f".{cell.key}.abc.part",
        "states": at.cell(cell.key) / "training-0.01",
        "inputs": at.corpus("d" * 16),
        "litter": folder / "parsl",
        "checkpoints": at.checkpoint(cell.key),
    }
    shutil.rmtree(at.checkpoint(cell.key), ignore_errors=True)
    for other in study.plan[1:]:
        shutil.rmtree(at.checkpoint(other.key), ignore_errors=True)
    for path in planted.values():
        path.mkdir(parents=True)
        (path / "config.json").write_text("{}")
        (path / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    reads = reads_of(Place(study.spec, folder))
    planted["failed"] = notebook_run(study, "00000000", "failed", reads)
    planted["superseded"] = notebook_run(study, "11111111", "done", {**reads, "rows": "old"})
    kept = notebook_run(study, "22222222", "done", reads)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    (at.cells / ("e" * 16)).symlink_to(outside)
    (folder / "mine.txt").write_text("mine")
    before = sorted(folder.rglob("*"))
    found = leftovers(study)
    assert {(item.kind, folder / item.path) for item in found.items} == set(planted.items())
    assert sorted(folder.rglob("*")) == before, "nothing goes before it is said to"
    told = genret("runs", "gc", folder)
    assert "nothing was removed" in told.output and sorted(folder.rglob("*")) == before
    size = {item.kind: item.bytes for item in found.items}
    assert size["cells"] == 12  # 2 and 10 bytes
    with pytest.raises(BadInput, match="did you mean 'states'"):
        collect_garbage(study, ["state"])
    collect_garbage(study, ["states"])
    assert not planted["states"].exists() and planted["cells"].exists()
    removed = genret("runs", "gc", folder, "--yes")
    assert removed.exit_code == 0, removed.output
    left = {kind for kind, path in planted.items() if path.exists()}
    assert left == {"checkpoints"} and kept.is_dir() and (folder / "mine.txt").is_file()
    assert (outside / "precious.txt").is_file() and (at.cells / ("e" * 16)).is_symlink()
    assert len(study.layout.cells_table.read_bytes()) and study.missing() == ""
    collect_garbage(study, ["checkpoints"])
    assert not planted["checkpoints"].exists() and Study(folder, study.spec).missing() == ""
    assert set(KINDS) == set(planted)


def test_nothing_goes_while_somebody_works_there(study: Study) -> None:
    from genret_core.workbench.study.lock import locked

    (study.folder / "parsl").mkdir()
    with locked(study.folder):
        lock = read_json(study.folder / "lock.json")
        write_json(study.folder / "lock.json", {**lock, "pid": os.getppid(), "born": None})
        told = genret("runs", "gc", study.folder, "--yes")
        write_json(study.folder / "lock.json", lock)
    assert told.exit_code == 2 and "at work" in told.output and (study.folder / "parsl").is_dir()


# ---- reproduce: the verdict ----


def test_the_verdict_on_results(study: Study) -> None:
    rows = study.results
    table, missing, extra = of_results(rows, rows.sample(frac=1, random_state=0), 1e-6)
    assert table["equal"].sum() == table["numbers"].sum() and not missing and not extra
    other = rows.copy()
    place = other.index[other["metric"] == "CGL"]
    other.loc[place[0], "value"] *= 1 + 1e-9
    other.loc[place[1], "value"] *= 1 + 1e-3
    other.loc[other["metric"] == "MR@5", "value"] = np.nan
    table, _, _ = of_results(rows, other, 1e-6)
    counts = table.set_index("what")
    assert counts.loc["CGL", ["within", "different"]].tolist() == [1, 1]
    assert counts.loc["CGL", "largest"] == pytest.approx(1e-3, rel=0.01)
    assert counts.loc["MR@5", "different"] == counts.loc["MR@5", "numbers"]
    table, missing, extra = of_results(rows, rows[rows["cell"] != study.plan[0].key], 1e-6)
    assert len(missing) == 1 and study.plan[0].backbone.name in missing[0] and not extra


def test_numbers_are_read_where_people_see_them(tmp_path: Path) -> None:
    assert numbers_in("P 1,234.5 at 3e-5, \u22120.25 of 12") == (1234.5, 3e-5, -0.25, 12.0)
    row = "<tr><th>D</th><td>1,000</td><td><b>0.5</b></td></tr>"
    html = f"<style>#T_1 td {{width: 9px}}</style><table>{row}</table>7"
    answer = {"application/vnd.genret.answer+json": {"answer": "It is 3."}}
    cells = [{"cell_type": "code", "outputs": [{"data": {"text/html": html}}, {"data": answer}]}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    found = shown_numbers(tmp_path / "a.ipynb")
    assert [(one.what, one.numbers) for one in found] == [("answer", (3.0,)), ("table 1", (1000.0, 0.5))]
    moved = [ShownNumbers("answer", "It is #.", (4.0,)), ShownNumbers("table 1", found[1].words, (1000.0,))]
    table, missing, _ = of_notebooks(found, moved, 1e-6)
    assert table.set_index("what").loc["answer", "different"] == 1 and missing == ["table 1"]
    words = [ShownNumbers("answer", "It is not #.", (3.0,)), found[1]]
    assert of_notebooks(found, words, 1e-6)[0]["different"].tolist() == [1, 0]
    assert isinstance(table, pd.DataFrame)


def test_numbers_of_figures_are_what_they_draw(tmp_path: Path) -> None:
    import plotly.graph_objects as go

    def shown(y: list[float], errors: np.ndarray, colour: str) -> list[ShownNumbers]:
        line = go.Scatter(x=np.array([1.0, 2.0]), y=y, name="LLaMA", line={"color": colour})
        bars = go.Bar(x=["seen", "unseen"], y=np.array([3, 4]), error_y={"array": errors})
        data = {"application/vnd.plotly.v1+json": json.loads(go.Figure([line, bars]).to_json())}
        cells = [{"cell_type": "code", "outputs": [{"data": data}]}]
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
        return shown_numbers(tmp_path / "a.ipynb")[1:]

    errors = np.array([[0.5, 0.25]])[0]
    (figure,) = shown([0.1, np.nan], errors, "red")
    assert figure.what == "figure 1"
    np.testing.assert_array_equal(figure.numbers, [1, 2, 0.1, np.nan, 3, 4, 0.5, 0.25])
    assert figure.words.split() == ["scatter", "LLaMA", "bar", "None", "seen", "unseen"]
    assert of_notebooks([figure], shown([0.1, np.nan], errors, "blue"), 1e-6)[0]["different"].tolist() == [0]
    assert of_notebooks([figure], shown([0.2, np.nan], errors, "red"), 1e-6)[0]["different"].tolist() == [1]
