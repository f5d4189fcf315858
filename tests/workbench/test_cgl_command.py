"""`genret cgl` from the shell: files in the published layout, tables, cells and evaluations of a study."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from genret_core.retrieval.cgl_records import losses_from_records
from genret_core.workbench.cli.app import build
from genret_core.workbench.runs import Study


def genret(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(build(), ["cgl", *map(str, words)])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, dict[str, dict[str, list[float]]]]:
    """A file as the published code writes it, with 40 negatives in place of 256."""
    rng = np.random.default_rng(1)
    records = {
        f"who was {i}?": {"pos_loss": rng.gamma(4, 1, 2).tolist(), "neg_loss": rng.gamma(5, 1, 40).tolist()}
        for i in range(30)
    }
    path = tmp_path / "minder_loss.json"
    path.write_text(json.dumps(records))
    return path, records


def test_the_published_rule_and_its_switches(published) -> None:
    path, records = published

    def by_hand(n: int, least: bool) -> tuple[float, float]:
        values = []
        for r in records.values():
            S = n * sum(r["neg_loss"]) / len(r["neg_loss"])
            p = min(r["pos_loss"]) if least else sum(r["pos_loss"]) / len(r["pos_loss"])
            values.append(-math.log(S / (S + p)))
        return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))

    for options, n, least in [
        ((), 256, True),
        (("--positives", "mean"), 256, False),
        (("--negatives", "40"), 40, True),
    ]:
        found = json.loads(genret(path, *options, "--json"))
        assert [found["CGL"], found["CGL_stderr"]] == pytest.approx(by_hand(n, least), rel=1e-12)
        assert found["rho"] == pytest.approx(n * math.expm1(found["CGL"]))
        assert found["chance"] == pytest.approx(math.log(1 + 1 / n))
        assert (found["N"], found["n_queries"], found["recorded_negatives"]) == (n, 30, [40, 40])
    told = genret(path)
    assert "S is 256 times the mean of the 40 recorded negatives" in told
    assert "L+ is the least of a query's relevant documents" in told
    assert "30 queries, N = 256" in told and "chance 0.003899" in told


def test_departures_are_listed_with_those_that_were_not_recorded(published) -> None:
    path, _ = published
    told = genret(path, "--explain")
    shown, missing = told.split("not recorded:")
    assert "best relevant" in shown and "all of these" in shown
    assert "end token scored" in missing and "(needs the column eos_nll)" in missing
    rows = {row["departure"]: row for row in json.loads(genret(path, "--explain", "--json"))["departures"]}
    assert rows["all of these"]["CGL"] == pytest.approx(json.loads(genret(path, "--json"))["CGL"])
    assert rows["mean over tokens"]["CGL"] is None and rows["mean over tokens"]["needs"]


def test_a_table_is_counted_as_everywhere_else(published, tmp_path: Path) -> None:
    path = tmp_path / "losses.parquet"
    losses_from_records(published[1]).losses.assign(tokens=10).to_parquet(path)
    told = genret(path)
    assert "S is the sum of the 40 recorded negatives; L+ is the mean over" in told
    per_token = genret(path, "--reduction", "token_mean")
    assert "mean over all tokens" in per_token and told.splitlines()[1] == per_token.splitlines()[1]


def test_a_cell_of_a_study_says_what_its_evaluation_says(test_study: Study) -> None:
    row = test_study.rows("CGL", split="seen").iloc[0]
    cell, evaluation = str(row["run_id"]).split("/")
    folder = test_study.layout.evaluation(cell, evaluation)
    found = json.loads(genret(folder, "--explain", "--json"))
    assert found["CGL"] == pytest.approx(row["value"], rel=1e-12)
    assert found["about"].startswith(row["backbone"]) and "seen queries" in found["about"]
    texts = {row["departure"]: row for row in found["departures"]}["same text, same query"]
    distinct = {test_study.corpus.query_text(int(q)) for q in np.load(_sample(test_study) / "queries.npy")}
    assert texts["n_queries"] == len(distinct)
    whole = json.loads(genret(test_study.layout.cell(cell), "--json"))
    assert found["CGL"] in [one["CGL"] for one in (whole if isinstance(whole, list) else [whole])]
    assert "name one of its cells" in genret(test_study.folder, status=2)


def _sample(study: Study) -> Path:
    key = next(e.sample for cell in study.plan for e in cell.losses if e.split == "seen")
    return study.layout.sample(key)


def test_bad_input_is_one_sentence_with_the_query(tmp_path: Path) -> None:
    path = tmp_path / "losses.json"
    path.write_text('{"who": {"pos_loss": [], "neg_loss": [1.0]}}')
    told = genret(path, status=2)
    assert told.startswith("genret: ") and told.count("\n") == 1 and "'who'" in told
    assert "no such file" in genret(tmp_path / "none.json", status=2)
