"""`genret compare`, `predict`, `cross`, `plan`: against published figures, closed forms and planted laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from genret_core.scaling import published
from genret_core.workbench.cli.app import build

VERBS = ("fit", "compare", "predict", "cross", "plan")
T5 = ("--where", "family == 't5' and method == 'ngram'", "--x", "n_params", "--y", "cgl")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), [str(a) for a in arguments])


def told(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: object) -> tuple[str, str]:
    result = run(*arguments, "--json")
    assert result.exit_code == 2, result.output
    error = json.loads(result.stdout)["error"]
    assert error["message"] in result.stderr
    return error["code"], error["message"]


@pytest.fixture()
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    published.points().to_csv(path, index=False)
    return path


@pytest.fixture()
def families(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two power laws with little noise that cross at 1e9: as two files, and as one."""
    rng = np.random.default_rng(5)
    rows = {}
    for name, alpha, floor in (("a", 0.3, 0.1), ("b", 0.15, 0.3)):
        scale = 0.4 - floor  # both are 0.4 at 1e9
        P = np.geomspace(1e6, 1e11, 8)
        y = floor + scale * (1e9 / P) ** alpha + rng.normal(0, 1e-4, P.size)
        rows[name] = [f"{name},{x!r},{value!r}" for x, value in zip(P.tolist(), y.tolist(), strict=True)]
    written = []
    for name, lines in {**rows, "both": rows["a"] + rows["b"]}.items():
        written.append(tmp_path / f"{name}.csv")
        written[-1].write_text("\n".join(["family,P,CGL", *lines]) + "\n")
    return written[0], written[1], written[2]


@pytest.fixture()
def surface(tmp_path: Path) -> Path:
    """The surface E 1.8, A 480, B 2,000, alpha .35, beta .37, with a little noise."""
    P, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e8, 1e10, 5)))
    noise = np.random.default_rng(3).normal(0, 1e-4, P.size)
    y = 1.8 + 480 / P**0.35 + 2000 / D**0.37 + noise
    path = tmp_path / "surface.csv"
    path.write_text("P,D,L\n" + "".join(f"{p},{d},{v}\n" for p, d, v in zip(P, D, y, strict=True)))
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_plain(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0 and "--json" in result.stdout and "--where" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_errors_are_told_alike(verb: str, tmp_path: Path) -> None:
    more = {"predict": ("--at", "1e9"), "plan": ("--next-run",), "cross": (tmp_path / "b.csv",)}.get(verb, ())
    assert refused(verb, tmp_path / "a.csv", *more)[0] == "no_file"
    assert refused(verb, "--nonsense")[0] == "bad_option"


def test_compare_ranks_by_points_not_seen(points: Path) -> None:
    answer = told("compare", points, *T5)
    by_law = {one["law"]: one for one in answer["comparison"]}
    assert answer["comparison"][0]["law"] == answer["best"]["loo"] == "model_size"
    # computed elsewhere: leave-one-out rmse of the power law with a floor, and of a straight line in ln x
    assert by_law["model_size"]["loo"]["rmse"] == pytest.approx(8.0e-6, rel=0.02)
    assert by_law["log_linear"]["loo"]["rmse"] == pytest.approx(3.8e-5, rel=0.02)
    assert by_law["model_size"]["aicc"] is None, "undefined for 5 points and 3 parameters"
    assert answer["provenance"]["rows"] == [1, 2, 3, 4, 5]
    some = told("compare", points, *T5, "--laws", "power,constant", "--hold-out", "2")
    assert {one["law"] for one in some["comparison"]} == {"power", "constant"}
    assert refused("compare", points, *T5, "--laws", "power,nonsense")[0] == "bad_option"
    assert "model_size" in run("compare", points, *T5).stdout


def test_compare_in_groups(families: tuple[Path, ...]) -> None:
    answer = told("compare", families[2], "--by", "family", "--laws", "model_size,power,log_linear")
    assert [one["group"] for one in answer] == ["a", "b"]
    assert all(one["comparison"][0]["law"] == "model_size" for one in answer)


def test_predict_by_all_laws(points: Path) -> None:
    answer = told("predict", points, *T5, "--at", "1e11", "1e12")
    assert answer["laws"][0] == "model_size" and {"power", "log_linear"} <= set(answer["laws"])
    far = answer["predictions"][1]
    assert far["x"] == 1e12 and far["factor"] > 50
    assert far["by_law"]["model_size"] == far["y"] > far["by_law"]["power"] > far["by_law"]["log_linear"]
    assert "extrapolation" in {one["code"] for one in answer["verdicts"]}
    two = told("predict", points, *T5, "--at", "1e11", "--laws", "power")
    assert two["laws"] == ["model_size", "power"]
    assert refused("predict", points, *T5, "--at", "1e11", "--laws", "surface")[0] == "bad_option"
    assert refused("predict", points, *T5, "--at", "x")[0] == "bad_option"


@pytest.mark.parametrize(("k", "at"), [(5, [2.07e11]), (20, [7.91e11, 7.6e20]), (100, [5.61e12, 3.9e15])])
def test_where_the_printed_curves_cross(k: int, at: list[float]) -> None:
    answer = told("cross", "--published", f"table3:k={k}")
    assert [one["x"] for one in answer["crossings"]] == pytest.approx(at, rel=0.02)
    assert answer["crossings"][0]["lower_beyond"] == f"table3:llama:k={k}"
    assert {one["name"] for one in answer["curves"]} == {f"table3:t5:k={k}", f"table3:llama:k={k}"}
    near = told("cross", "--published", f"table3:k={k}", "--from", "1e9", "--to", "1e14")
    assert [one["x"] for one in near["crossings"]] == pytest.approx(at[:1], rel=0.01)


def test_where_two_families_cross(families: tuple[Path, ...]) -> None:
    a, b, both = families
    two = told("cross", a, b)
    one = told("cross", both, "--by", "family")
    assert two["names"] == one["names"] == ["a", "b"]
    assert two["crossings"] == one["crossings"]
    (place,) = [place for place in two["crossings"] if place["inside"]]
    low, high = place["ci95"]
    assert low < 1e9 < high and high / low < 1.2 and place["lower_beyond"] == "a"
    assert one["curves"][1]["provenance"]["rows"] == list(range(9, 17))
    assert "a is lower" in run("cross", a, b).stdout or "b is lower" in run("cross", a, b).stdout


def test_a_family_against_a_printed_curve(points: Path) -> None:
    answer = told("cross", points, *T5, "--published", "table1:llama")
    assert answer["names"] == ["points", "table1:llama"]


def test_curves_cross_in_pairs(points: Path, families: tuple[Path, ...]) -> None:
    for words in (
        (families[0],),
        families,
        ("--published", "table3"),
        ("--published", "table3:t5:k=5"),
        (families[2], "--by", "P"),
        (families[0], families[1], "--by", "family"),
    ):
        code, message = refused("cross", *words)
        assert code == "bad_option" and ("pairs" in message or "--by" in message), words


def test_the_best_use_of_a_budget(surface: Path) -> None:
    answer = told("plan", surface, "--budget", "1e19", "1e21", "--bootstrap", "200")
    fit = answer["fit"]
    assert fit["params"]["alpha"]["value"] == pytest.approx(0.35, rel=0.01)
    A, B, alpha, beta = (fit["params"][name]["value"] for name in ("A", "B", "alpha", "beta"))
    for one, budget in zip(answer["budget"]["allocations"], (1e19, 1e21), strict=True):
        # the optimum in closed form (Hoffmann et al. 2022, Eq. 4)
        G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
        P = G * (budget / 6) ** (beta / (alpha + beta))
        assert one["P"]["value"] == pytest.approx(P, rel=1e-5)
        assert one["D"]["value"] == pytest.approx(budget / 6 / P, rel=1e-5)
        assert one["exponent"]["value"] == pytest.approx(beta / (alpha + beta), rel=1e-4)
        assert one["P"]["ci95"][0] < P < one["P"]["ci95"][1]
    longer = told("plan", surface, "--budget", "1e19", "--tokens-per-pair", "10")
    assert longer["budget"]["allocations"][0]["y"]["value"] > answer["budget"]["allocations"][0]["y"]["value"]
    serving = told("plan", surface, "--budget", "1e19", "--serve", "1e9", "--tokens-per-query", "100")
    spent = serving["budget"]["allocations"][0]
    P, D = spent["P"]["value"], spent["D"]["value"]
    cost = 6 * P * D + 1e9 * 2 * P * 100
    assert cost == pytest.approx(1e19, rel=1e-6)
    assert spent["P"]["value"] < answer["budget"]["allocations"][0]["P"]["value"]


def test_the_next_run_and_a_target(surface: Path, families: tuple[Path, ...]) -> None:
    answer = told("plan", surface, "--next-run", "--narrow", "1e11,1e12")["next_run"]
    assert answer["best"]["half_width"] < answer["half_width"] and answer["best"]["cost"] > 0
    assert "1.000e+11" in answer["target"]
    one = told("plan", families[0], "--law", "model_size", "--reach", "0.4", "0.05", "--next-run")
    assert one["next_run"]["target"] == "alpha" and one["budget"] is None
    near, never = one["targets"]
    assert near["x"] == pytest.approx(1e9, rel=0.05) and never["x"] is None
    assert "P = 1.000e+09" in run("plan", families[0], "--law", "model_size", "--reach", "0.4").stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--reach", "2"),
        ("--law", "model_size", "--budget", "1e19"),
        ("--budget", "1e19", "--serve", "10"),
        ("--budget", "1e19", "--narrow", "alpha"),
        ("--next-run", "--narrow", "sigma"),
        ("--next-run", "--narrow", "1e9"),
        ("--budget", "much"),
    ],
)
def test_plans_that_cannot_be_made(surface: Path, words: tuple[str, ...]) -> None:
    assert refused("plan", surface, *words)[0] == "bad_option"
