"""`genret fit` on files: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from genret_core.errors import BadInput
from genret_core.scaling import published
from genret_core.workbench.cli.fit import fit_command


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(fit_command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def refusal(*arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, BadInput), result.output or result.exception
    return str(result.exception)


@pytest.fixture()
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    published.points().to_csv(path, index=False)
    return path


T5 = ("--where", "family=t5", "--where", "method = ngram", "--x", "n_params", "--y", "cgl")


def test_it_fits_the_rows_asked_for(points: Path) -> None:
    result = run(points, *T5)
    assert result.exit_code == 0, result.exception
    assert "n_params" in result.output and "0.40 [0.28, 0.55]" in result.output
    told = json.loads(run(points, *T5, "--json").output)
    assert told["params"]["alpha"] == pytest.approx(0.40215, abs=5e-6)
    assert told["n"] == 5 and told["names"] == {"x": "n_params", "y": "cgl"}


def test_parquet_and_the_laws_own_symbols(tmp_path: Path) -> None:
    rows = published.points(method="ngram", family="llama2")
    path = tmp_path / "points.parquet"
    rows.rename(columns={"n_pairs": "P", "n_params": "D", "cgl": "CGL"}).to_parquet(path)
    told = json.loads(run(path, "--law", "joint", "--json").output)
    assert told["params"]["beta"] == pytest.approx(2.4101, abs=5e-4)


def test_known_noise_is_a_column_or_a_number(points: Path, tmp_path: Path) -> None:
    one = json.loads(run(points, *T5, "--sd", "1.8e-6", "--json").output)
    assert one["intervals"]["alpha"]["low"] == pytest.approx(0.363, abs=1e-3)
    table = pd.read_csv(points).assign(noise=1.8e-6)
    table.to_csv(tmp_path / "noisy.csv", index=False)
    other = json.loads(run(tmp_path / "noisy.csv", *T5, "--sd", "noise", "--json").output)
    assert other["intervals"] == one["intervals"]


def test_missing_rows_are_dropped_on_request(points: Path) -> None:
    llama = ("--x", "n_pairs", "--y", "cgl", "--law", "data_size", "--where", "study=data_size")
    table = pd.read_csv(points).astype({"cgl": object})
    table.loc[9, "cgl"] = ""
    table.to_csv(points, index=False)
    assert refusal(points, *llama) == f"{points}:11: cgl has no value; remove the row or pass --drop-missing."
    told = json.loads(run(points, *llama, "--drop-missing", "--json").output)
    assert told["n"] == 4 and "rows_dropped" in {note["code"] for note in told["notes"]}


def test_refusals_name_file_line_and_nearest(points: Path, tmp_path: Path) -> None:
    assert f"{tmp_path / 'points.csv'}?" in refusal(tmp_path / "point.csv")
    assert "no column n_param; did you mean n_params?" in refusal(points, "--x", "n_param", "--y", "cgl")
    assert f"{points}:2: model is 't5-small', not a number" in refusal(
        points, "--x", "n_params", "--y", "model"
    )
    assert "no row with family = bert; there are t5, llama2" in refusal(points, "--where", "family=bert")
    assert "write column=value" in refusal(points, "--where", "family")
    assert "did you mean model_size" in refusal(
        points, "--law", "model-size", "--x", "n_params", "--y", "cgl"
    )
    assert "no column nosie" in refusal(points, *T5, "--sd", "nosie")
    (tmp_path / "empty.csv").write_text("")
    assert "cannot be read as a table" in refusal(tmp_path / "empty.csv")
    (tmp_path / "header.csv").write_text("P,CGL\n\n")
    assert "holds no points" in refusal(tmp_path / "header.csv")
    (tmp_path / "points.txt").write_text("P,CGL\n")
    assert "neither .csv, .tsv nor .parquet" in refusal(tmp_path / "points.txt")
    (tmp_path / "bad.parquet").write_text("no")
    assert "cannot be read as a table" in refusal(tmp_path / "bad.parquet")
    (tmp_path / "zero.csv").write_text("P,CGL\n1e6,.5\n0,.4\n1e8,.3\n")
    assert refusal(tmp_path / "zero.csv").startswith(f"{tmp_path / 'zero.csv'}:3: P is 0")
