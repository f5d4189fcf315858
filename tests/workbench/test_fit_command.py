"""`genret fit`, the door that scripts come in by: what it prints, what it refuses, and how."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from genret_core.scaling import fit, published
from genret_core.workbench.cli.app import build
from genret_core.workbench.cli.fitting.command import spread_out

KEYS = {
    "law", "equation", "n", "n_distinct", "dof", "objective", "r2", "sse", "objective_value", "params",
    "amplitude", "interval_method", "verdicts", "predictions", "comparison", "influence", "certificate",
    "points", "provenance",
}  # fmt: skip
T5 = ("--where", "family == 't5' and method == 'ngram'", "--x", "n_params", "--y", "cgl")
SMALL = ("--law", "power", "--x", "P", "--y", "CGL")  # a law that is fitted quickly


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), ["fit", *(str(a) for a in arguments)])


def told(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output

    def not_json(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(result.stdout, parse_constant=not_json)


def refused(*arguments: object) -> tuple[str, str]:
    """Give code and sentence of a refusal, told alike to people and to programs."""
    plain, coded = run(*arguments), run(*arguments, "--json")
    assert plain.exit_code == coded.exit_code == 2, plain.output
    assert plain.stdout == ""
    error = json.loads(coded.stdout)
    assert error.keys() == {"error"} and error["error"].keys() == {"code", "message"}
    message = error["error"]["message"]
    assert message in plain.stderr and message in coded.stderr and "Traceback" not in plain.stderr
    return error["error"]["code"], message


@pytest.fixture()
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    published.points().to_csv(path, index=False)
    return path


@pytest.fixture()
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text("P,CGL,sd,w\n1e6,.5,.01,1\n1e7,.4,.01,1\n1e8,.32,.01,1\n1e9,.255,.01,2\n1e10,.2,.02,1\n")
    return path


def test_the_published_points_and_every_key(points: Path) -> None:
    answer = told(points, "--law", "model_size", *T5, "--predict", "1e12", "--negatives", 256)
    assert answer.keys() >= KEYS
    assert answer["law"] == "model_size" and answer["n"] == 5 and answer["dof"] == 2
    # global optimum and profile intervals of the published points, computed elsewhere
    assert answer["params"].keys() == {"gamma", "alpha", "lambda_P"}
    alpha, floor = answer["params"]["alpha"], answer["params"]["lambda_P"]
    assert alpha["value"] == pytest.approx(0.40215, abs=5e-6)
    assert alpha["ci95"] == pytest.approx([0.276, 0.546], abs=2e-3)
    assert floor["value"] == pytest.approx(0.00355557, abs=5e-9)
    assert answer["sse"] == pytest.approx(1.502e-11, rel=1e-3)
    assert answer["r2"] == pytest.approx(0.99913, abs=5e-6)
    for one in (*answer["params"].values(), answer["amplitude"]):
        assert {"value", "stderr", "ci68", "ci95", "identified"} <= one.keys()
    assert alpha["identified"] is True and answer["params"]["gamma"]["identified"] is False
    assert alpha["ci95"][0] < alpha["ci68"][0] < alpha["value"] < alpha["ci68"][1] < alpha["ci95"][1]
    for verdict in answer["verdicts"]:
        assert {"code", "message"} <= verdict.keys()
    assert answer["points"]["used"] == 5 and answer["points"]["dropped"] == []
    (prediction,) = answer["predictions"]
    assert {"x", "y", "ci95", "factor"} <= prediction.keys() and prediction["x"] == 1e12
    expected = (2.2493e-2 / 1e12) ** 0.40215 + 0.00355557
    assert prediction["y"] == pytest.approx(expected, rel=1e-4)
    assert "extrapolation" in {verdict["code"] for verdict in answer["verdicts"]}


def test_all_digits_and_where_they_are_from(small: Path) -> None:
    answer = told(small, *SMALL)
    frame = pd.read_csv(small)
    same = fit("power", frame["P"], frame["CGL"])
    assert {name: one["value"] for name, one in answer["params"].items()} == dict(same.params)
    origin = answer["provenance"]
    assert origin["sha256"] == hashlib.sha256(small.read_bytes()).hexdigest()
    assert origin["file"] == str(small) and origin["columns"] == {"x": "P", "y": "CGL"}
    assert origin["rows"] == [1, 2, 3, 4, 5] and origin["versions"]["numpy"] == np.__version__
    assert origin["command"] == f"genret fit {small} --law power --x P --y CGL --json"


def test_on_the_screen(points: Path) -> None:
    result = run(points, *T5, "--predict", "1e12")
    assert result.exit_code == 0, result.output
    assert "0.40 [0.28, 0.55]" in result.stdout and "n_params" in result.stdout
    assert "Predictions" in result.stdout and "extrapolation" in result.stdout
    assert len(result.stdout.splitlines()) < 40


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--predict", "1e10", "1e11"], ["--predict=1e10", "--predict=1e11"]),
        (["--predict", "1e10", "1e11", "p.csv"], ["--predict=1e10", "--predict=1e11", "p.csv"]),
        (["--predict=1", "2", "--json"], ["--predict=1", "--predict=2", "--json"]),
        (["--predict", "1,2", "3,4"], ["--predict=1,2", "--predict=3,4"]),
        (
            ["--predict", "-5", "+1.5e-3", ".5", "1."],
            [f"--predict={n}" for n in ("-5", "+1.5e-3", ".5", "1.")],
        ),
        (["--predict", "1", "--predict", "2"], ["--predict=1", "--predict=2"]),
        (["--predict", "p.csv", "1"], ["--predict", "p.csv", "1"]),
        (["--predict", "1", "--", "2"], ["--predict=1", "--", "2"]),
        (["--bounds", "0", "1"], ["--bounds", "0", "1"]),
        (["--predict", "1", "1e", "2"], ["--predict=1", "1e", "2"]),
        (["--predict"], ["--predict"]),
    ],
)
def test_several_numbers_after_one_flag(words: list[str], expected: list[str]) -> None:
    assert spread_out(words) == expected


def test_places_to_predict_at(small: Path, tmp_path: Path) -> None:
    answers = [
        told("--predict", "1e10", "1e11", small, *SMALL),
        told(small, "--predict", "1e10", "--predict", "1e11", *SMALL),
        told(small, *SMALL, "--predict=1e10", "1e11"),
    ]
    assert [one["x"] for one in answers[0]["predictions"]] == [1e10, 1e11]
    assert answers[0]["predictions"] == answers[1]["predictions"] == answers[2]["predictions"]
    for words in (("1e10", "-5"), ("0",), ("1e10,1e11",), ("abc",), ("inf",), ("1e999",)):
        code, message = refused(small, *SMALL, "--predict", *words)
        assert code == "bad_option" and "--predict" in message, words
    grid = [(P, D) for P in (1e6, 1e7, 1e8) for D in (1e5, 1e6, 1e7)]
    rows = [f"{P},{D},{1.7 + (1e5 / P) ** 0.4 + (1e4 / D) ** 0.3}" for P, D in grid]
    (tmp_path / "two.csv").write_text("\n".join(["P,D,loss", *rows]) + "\n")
    two = told(tmp_path / "two.csv", "--law", "surface", "--x", "P", "--x2", "D", "--y", "loss",
               "--predict", "1e9,1e8", "1e10,1e9")  # fmt: skip
    assert two["params"].keys() == {"E", "A", "B", "alpha", "beta"}
    assert [one["x2"] for one in two["predictions"]] == [1e8, 1e9]
    assert two["predictions"][0]["y"] == pytest.approx(1.7 + 1e-4**0.4 + 1e-4**0.3, rel=1e-6)
    assert two["predictions"][0]["factor"] == pytest.approx(10)


def test_bad_rows_are_refused_by_number_or_dropped(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        "kind,P,CGL\nb,1,1\na,1e6,.5\na,1e7,n/a\na,1e8,.32\na,0,.3\na,1e9,\na,1e10,inf\na,1e11,.17\n"
    )
    chosen = (path, *SMALL, "--where", "kind == 'a'")
    code, message = refused(*chosen)
    assert code == "bad_rows"
    for row in (3, 5, 6, 7):
        assert f"{row}" in message
    assert "row 3: CGL is 'n/a'" in message and "row 6: CGL is empty" in message and "--drop-bad" in message
    answer = told(*chosen, "--drop-bad")
    assert answer["n"] == answer["points"]["used"] == 3
    assert [one["row"] for one in answer["points"]["dropped"]] == [3, 5, 6, 7]
    assert "'n/a'" in answer["points"]["dropped"][0]["reason"]
    (verdict,) = [one for one in answer["verdicts"] if one["code"] == "rows_dropped"]
    assert verdict["rows"] == [3, 5, 6, 7]
    assert answer["provenance"]["rows"] == [2, 4, 8]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("P,CGL\n" + "1e6,.5\n1e7,.4\n" + "1e8,x\n" * 40)
    code, message = refused(path, *SMALL)
    assert code == "bad_rows" and "35 more" in message and len(message) < 600


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("P,CGL\n1e6,.5\n1e7,.4\n", "too_few_points"),
        ("P,CGL\n", "too_few_points"),
        ("P,CGL\n1e6,.5\n1e6,.4\n1e6,.45\n1e6,.41\n", "constant_x"),
        ("P,CGL\n1e6,nan\n1e7,\n1e8,x\n1e9,inf\n", "nothing_finite"),
        ("P,CGL\n1e6,.5\n1e7,nan\n1e8,.3\n1e9,.2\n", "bad_rows"),
        ("P,CGL\n1e6,.5\n-1e7,.4\n1e8,.3\n1e9,.2\n", "bad_rows"),
        ("size,CGL\n1e6,.5\n", "no_column"),
        ("", "bad_file"),
    ],
)
def test_what_cannot_be_fitted_has_a_code(tmp_path: Path, content: str, code: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(content)
    found, message = refused(path, "--law", "model_size")
    assert found == code and str(path) in message


def test_what_can_be_fitted_but_not_trusted_has_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("P,CGL\n1e6,.5\n1e7,.4\n1e8,.35\n")
    answer = told(path, "--law", "model_size")
    assert answer["dof"] == 0 and "saturated" in {one["code"] for one in answer["verdicts"]}
    assert all(one["ci95"] == [None, None] for one in answer["params"].values())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--law", "model-size"), "bad_option", "did you mean model_size"),
        (("--objective", "mse"), "bad_option", "mse"),
        (("--sd", "sd", "--noise", "1"), "bad_option", "give one"),
        (("--negatives", "4", "--chance", "1"), "bad_option", "give one"),
        (("--bounds", "1", "0"), "bad_option", "lower"),
        (("--noise", "0"), "bad_option", "positive"),
        (("--seed", "-1"), "bad_option", "--seed"),
        (("--published", "eq8"), "bad_option", "P and D"),
        (("--bootstrap", "many"), "bad_option", "--bootstrap"),
        (("--level", "95"), "bad_option", "level"),
        (("--x2", "D"), "bad_option", "--x2"),
        (("--published", "table9"), "bad_option", "table1:t5"),
        (("--published", "table1"), "bad_option", "table1:llama"),
        (("--nonsense",), "bad_option", "--nonsense"),
        (("--x", "p"), "no_column", "P, CGL"),
        (("--sd", "0.1"), "no_column", "--noise 0.1"),
        (("--by", "kind"), "no_column", "kind"),
        (("--where", "CGL > 9"), "no_rows", "CGL is .5"),
        (("--where", "open('x')"), "bad_where", "open"),
    ],
)
def test_options_that_cannot_be_used(small: Path, words: tuple[str, ...], code: str, said: str) -> None:
    found, message = refused(small, *words)
    assert found == code and said in message


def test_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing.csv")[0] == "no_file"


def test_known_noise_weights_and_rates(small: Path) -> None:
    noisy = told(small, *SMALL, "--sd", "sd")
    assert "chi-square" in noisy["interval_method"]
    frame = pd.read_csv(small)
    weighed = told(small, *SMALL, "--weights", "w")
    assert (
        weighed["params"]["alpha"]["value"]
        == fit("power", frame["P"], frame["CGL"], weights=frame["w"]).params["alpha"]
    )
    same = told(small, *SMALL, "--noise", ".01")
    assert same["params"]["alpha"] == told(small, *SMALL, "--noise", "1e-2")["params"]["alpha"]
    rates = told(
        small, "--law", "inference", "--x", "P", "--y", "CGL", "--queries", "400", "--predict", "1e1"
    )
    (prediction,) = rates["predictions"]
    assert prediction["y"] <= 1, "inference implies bounds 0 1"
    binomial = np.sqrt(frame["CGL"] * (1 - frame["CGL"]) / 400)
    expected = fit("inference", frame["P"], frame["CGL"], sd=binomial)
    assert rates["params"]["sigma"]["value"] == pytest.approx(expected.params["sigma"], rel=1e-9)


@pytest.mark.parametrize("objective", ["relative", "huber", "lad"])
def test_objectives(small: Path, objective: str) -> None:
    answer = told(small, *SMALL, "--objective", objective, "--bootstrap", "50", "--delta", "1e-3")
    assert answer["objective"] == objective and "bootstrap" in answer["interval_method"]
    assert answer == told(small, *SMALL, "--objective", objective, "--bootstrap", "50", "--delta", "1e-3") | {
        "provenance": answer["provenance"]
    }


def test_groups(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(
        "family,P,CGL\nt5,1e6,.5\nx,1e6,nan\nt5,1e7,.4\nllama,1e6,.6\nt5,1e8,.32\nllama,1e7,.4\nllama,1e8,.3\n"
    )
    answer = told(path, *SMALL, "--by", "family")
    assert [one["group"] for one in answer] == ["t5", "x", "llama"]
    assert answer[0].keys() >= KEYS and answer[0]["provenance"]["rows"] == [1, 3, 5]
    assert answer[1].keys() == {"group", "error"} and answer[1]["error"]["code"] == "nothing_finite"
    alone = told(path, *SMALL, "--where", "family == 'llama'")
    assert answer[2]["params"] == alone["params"]
    assert "x\ncannot be fitted" in run(path, *SMALL, "--by", "family").stdout
    none = run(path, *SMALL, "--where", "family == 'x'", "--by", "family", "--json")
    assert none.exit_code == 2 and json.loads(none.stdout)[0]["error"]["code"] == "nothing_finite"


def test_printed_coefficients_against_their_points(points: Path) -> None:
    answer = told(points, *T5, "--published", "table1:t5")
    codes = {one["code"] for one in answer["verdicts"]}
    assert "better_than_published" in codes
    # the printed digits leave R² 0.9755 on these points
    assert answer["published"]["r2"] == pytest.approx(0.9755, abs=5e-5)


def test_start_to_end_from_standard_input(small: Path) -> None:
    command = [sys.executable, "-m", "genret_core.workbench.cli.app", "fit", "-", *SMALL, "--json"]
    done = subprocess.run(command, input=small.read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["provenance"]["file"] == "-" and math.isfinite(answer["params"]["alpha"]["value"])
    command[4] = "no/such/file.csv"
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2 and json.loads(failed.stdout)["error"]["code"] == "no_file"
    assert failed.stderr.startswith("genret: There is no file")
