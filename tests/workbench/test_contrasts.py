"""Contrasts: paired differences with intervals that cover, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from genret_core.errors import BadInput
from genret_core.retrieval.cgl import rho_of
from genret_core.workbench import contrasts, runs
from genret_core.workbench.cli import app
from genret_core.workbench.contrasts import measure, paired
from genret_core.workbench.runs import Study
from genret_core.workbench.study.contrast import Contrast
from genret_core.workbench.study.file import StudySpec

N, QUERIES = 16, 200
RUNG = {"d_model": 16, "n_layers": 1, "n_heads": 1, "d_ff": 16}


class Planted(Study):
    """A study of planted losses, without inputs."""

    @property
    def inputs(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(corpus="corpus")


def planted(folder: Path, name: str, means: dict[tuple[str, int], float], **change: Any) -> Study:
    """Write the CGL of every query for backbones and seeds; all share how hard the queries are."""
    folder = folder / name
    rng, hard = np.random.default_rng(len(name)), np.random.default_rng(0).normal(0, 2e-3, QUERIES)
    rows = []
    for (backbone, seed), mean in means.items():
        at = folder / "cells" / f"{backbone}{seed}" / "evals" / "e"
        at.mkdir(parents=True)
        noise = rng.normal(0, 1e-4, QUERIES)
        values = mean + hard - hard.mean() + noise - noise.mean()
        own = {"query": np.arange(QUERIES) + change.get("first", 0), "metric": "CGL", "value": values}
        pd.DataFrame(own).to_parquet(at / "per_query.parquet")
        row = {"method": "ngram", "backbone": backbone, "seed": seed, "family": "llama", "P": 1.0, "D": 1.0}
        row |= {"fraction": 1.0, "split": "seen", "beam": np.nan, "metric": "CGL", "n_negatives": N}
        rows.append({**row, "run_id": f"{backbone}{seed}/e", "value": mean})
    pd.DataFrame(rows).to_parquet(folder / "results.parquet")
    spec = StudySpec(
        name=name, corpus={"reader": "synthetic"}, grid=[{}],
        ladders=[{"family": "llama", "lr": 0.01, "backbones": [{"name": x, **RUNG} for x in ("a", "b")]}],
        contrasts=change.get("contrasts", []),
    )  # fmt: skip
    return Planted(folder, spec)


AT = {"a": (0.050, 0.051, 0.049), "b": (0.052, 0.0532, 0.0508)}
MEANS = {(name, seed): mean for name, means in AT.items() for seed, mean in enumerate(means)}
ASKED = {"question": "a or b", "backbone": "a", "instead_of": "b"}


def test_intervals_cover_queries_and_seeds() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(600):
        truth = rng.normal(0, 1.0, (3, 1)) + rng.normal(0, 5.0, 60)[None]  # of seeds, of queries
        mean, half = paired(truth + rng.normal(0, 1.0, (3, 60)), 0.9)
        hits += abs(mean) < half
    assert 0.87 < hits / 600 < 0.97


def test_seeds_that_agree_leave_the_t_test_of_the_queries() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 50)
    mean, half = paired(np.tile(values, (3, 1)), 0.95)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert np.isnan(paired(values[None], 0.95)[1])


def test_a_planted_difference_is_found(tmp_path: Path) -> None:
    found = measure(planted(tmp_path, "one", MEANS), Contrast(**ASKED))
    assert found.seeds == (0, 1, 2) and found.n_queries == QUERIES and N == found.N
    assert found.difference == pytest.approx(-0.002) and found.low < -0.002 < found.high < 0
    assert found.CGL_sd == pytest.approx(0.001)
    expected = np.mean([rho_of(0.050, N), rho_of(0.051, N), rho_of(0.049, N)])
    assert found.rho == pytest.approx(expected)
    assert found.rho_difference == pytest.approx(found.rho - found.other_rho)
    assert found.rho_low < found.rho_difference < found.rho_high < 0


def test_two_studies_are_compared_on_the_same_queries(tmp_path: Path, monkeypatch) -> None:
    there = planted(tmp_path, "there", MEANS)
    here = planted(tmp_path, "here", {("a", 1): 0.06, ("a", 2): 0.06})
    monkeypatch.setattr(contrasts, "open_study", lambda folder: there)
    asked = Contrast(question="q", backbone="a", study="there")
    found = measure(here, asked)
    assert found.seeds == (1, 2) and found.instead_of == "there: a"
    assert found.difference == pytest.approx(0.01)
    shifted = planted(tmp_path, "shifted", {("a", 1): 0.06}, first=5)
    with pytest.raises(BadInput, match="different queries"):
        measure(shifted, asked)
    with pytest.raises(BadInput, match=r"no seed of a and b \(ngram\) is done in both"):
        measure(here, Contrast(**ASKED))


def test_the_command_says_it(tmp_path: Path, monkeypatch) -> None:
    study = planted(tmp_path, "one", MEANS, contrasts=[ASKED])
    monkeypatch.setattr(runs, "find_study", lambda name: study)
    done = CliRunner().invoke(app.build(), ["contrasts", "one"])
    assert done.exit_code == 0, done.output
    assert "a or b" in done.output and "-0.00200 [" in done.output and "chance is rho 1" in done.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbone": "c"}, "names 'c', which is no backbone of the ladders"),
        ({"instead_of": None}, "compares a with itself"),
        ({"study": "../elsewhere"}, "study"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, change, words) -> None:
    with pytest.raises(ValueError, match=words):
        planted(tmp_path, "one", MEANS, contrasts=[{**ASKED, **change}])
