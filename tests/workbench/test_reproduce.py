"""A finished study and a notebook, run again from their records and compared; the same with a planted lie."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from toy_notebooks import notebook
from toy_studies import TINY
from typer.testing import CliRunner, Result

from genret_core.files import read_json
from genret_core.workbench.cli.app import build
from genret_core.workbench.execute import execute
from genret_core.workbench.runs import open_study
from genret_core.workbench.study import run_cells


def genret(*words: object) -> Result:
    return CliRunner().invoke(build(), list(map(str, words)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    (root / "study.yaml").write_text(TINY)
    assert run_cells(root / "study.yaml", out=root / "runs") == []
    return root / "runs" / "tiny"


def test_a_study_comes_out_again_and_a_lie_is_found(study: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*") if path.is_file()}
    done = genret("reproduce", study, "--out", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "every number is equal to the last bit" in done.output
    now = {path: path.stat().st_mtime_ns for path in study.rglob("*") if path.is_file()}
    assert now == before, "what is repeated is only read"
    table = study / "results.parquet"
    kept = table.read_bytes()
    rows = pd.read_parquet(table)
    place = rows.index[(rows["metric"] == "CGL") & (rows["backbone"] == "b")][0]
    rows.loc[place, "value"] *= 1.01
    rows.to_parquet(table, index=False)
    try:
        told = genret(
            "reproduce", study, "--out", tmp_path / "again", "--json"
        )  # goes on: nothing is trained
    finally:
        table.write_bytes(kept)
    found = json.loads(told.stdout)
    assert told.exit_code == 1 and found["reproduced"] is False
    counts = {row["what"]: (row["numbers"], row["different"]) for row in found["table"]}
    assert counts["CGL"] == (2, 1) and counts["MR@5"][1] == counts["C"][1] == 0
    assert [row["largest"] for row in found["table"] if row["what"] == "CGL"] == [
        pytest.approx(0.01, rel=0.02)
    ]
    assert not found["missing"] and not found["extra"]


@pytest.mark.slow
def test_a_draw_of_cells_and_folders_that_are_taken(study: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken" / "tiny"
    taken.mkdir(parents=True)
    (taken / "mine.txt").write_text("mine")
    wrong = genret("reproduce", study, "--out", tmp_path / "taken")
    assert wrong.exit_code == 2 and "holds something else" in wrong.output
    assert genret("reproduce", study, "--out", study.parent).exit_code == 2
    cell = open_study(study).plan[0]
    assert genret("reproduce", f"{study}/{cell.key}", "--cells", 1).exit_code == 2
    done = genret("reproduce", study, "--cells", 1, "--seed", 4, "--out", tmp_path / "one")
    assert done.exit_code == 0, done.output
    assert "running 1 of 2 cells" in done.output
    assert len(list(tmp_path.glob("one/tiny/cells/*/cell.json"))) == 1


@pytest.mark.notebook
def test_a_notebook_comes_out_again_and_one_that_rolls_dice_does_not(study: Path, tmp_path: Path) -> None:
    from genret_core.workbench.study.place import place

    sources = {
        "steady": "import pandas as pd\npd.DataFrame({'x': [1.5, 2.25], 'seed': [lr, 0]})",
        "dice": "import pandas as pd, random\npd.DataFrame({'x': [random.random()]})",
    }
    for name, cell in sources.items():
        made = notebook(tmp_path / "project" / f"{name}.ipynb", cell)
        run = study / "notebooks" / f"{name}-0123abcd"
        record = execute(made, {"study_dir": str(place(study).folder), "lr": 0.5}, run)
        assert record.done, record.reason
        made.unlink()  # what was kept of it has to do
        again = genret("reproduce", study / "notebooks" / run.name, "--out", tmp_path / "again")
        assert again.exit_code == (0 if name == "steady" else 1), again.output
        assert "the source that was kept is taken" in again.output
    repeated = read_json(tmp_path / "again" / "steady-0123abcd" / "run" / "run.json")
    assert repeated["parameters"]["lr"] == 0.5
