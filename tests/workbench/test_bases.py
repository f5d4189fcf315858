"""Backbones that a study pretrains: how a ladder names them, when they are made, what they take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from test_studyfile import LLAMA, STUDY, study

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import PretrainedBackbone
from genret_core.modeling.checkpoint import load_model
from genret_core.workbench.pool import Job, Outcome
from genret_core.workbench.study import run_study
from genret_core.workbench.study.bases import bases_first
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.plan import plan

SIZES = "d_model: 16, n_layers: 2, n_heads: 1, d_ff: 48"
LADDER = LLAMA + (
    f"  - {{name: begun, {SIZES}, pretrain: {{epochs: 2, length: 64}}}}\n"
    "  - {name: lora, pretrained: begun, lr: 0.32/d}\n"
    "  - {name: whole, pretrained: begun, lora: null}\n"
)


def test_a_rung_stands_on_another_one(tmp_path: Path) -> None:
    spec = load(study(tmp_path, ladder=LADDER))
    rungs = {rung.name: rung for rung in spec.backbones}
    lora = rungs["lora"]
    assert isinstance(lora, PretrainedBackbone) and lora.base is not None and lora.base.name == "begun"
    assert lora.parameters(500) == rungs["begun"].parameters(500)  # known before anything is made
    assert lora.learning_rate("ngram") == 0.02
    save(spec, tmp_path / "run" / "study.yaml")
    assert load(tmp_path / "run") == spec


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pretrained: begun", "pretrained: llama-d16", ["not pretrained", "lora", "llama-d16"]),
        ("epochs: 2", "epoch: 2", ["unknown key 'epoch'"]),
        ("epochs: 2", "epochs: 2, objective: span_corruption", ["llama cannot be trained on"]),
        ("lora: null", "lora: null, fresh: true", ["stands on begun", "leave fresh"]),
    ],
)
def test_what_is_wrong_in_it(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        load(study(tmp_path, ladder=LADDER.replace(old, new, 1)))
    for word in words:
        assert word in str(caught.value)


def test_a_dry_run_lists_each_once_with_its_cost(tmp_path: Path) -> None:
    text = STUDY.replace("n_documents: 50", "n_documents: 50, queries_per_document: 4")
    found = plan(str(study(tmp_path, text, LADDER)), out=tmp_path / "runs")
    [base] = found.bases
    assert base.name == "begun pretraining" and base.objective == "causal" and not base.done
    assert base.steps and base.tokens and base.flops and base.seconds
    cells = [work.seconds for work in found.cells]
    assert found.seconds is not None and all(cells) and "begun pretraining" in str(found)
    assert found.to_dict()["pretraining"][0]["steps"] == base.steps
    assert plan(str(study(tmp_path, text)), out=tmp_path / "runs").bases == ()


def job(name: str, base: str = "") -> Job:
    made = SimpleNamespace(key=base) if base else None
    return Job(name, name, SimpleNamespace(pretraining=made), Path(name))


def test_cells_wait_for_what_they_begin_from_and_others_do_not() -> None:
    ran: list[list[str]] = []

    def run(some: Sequence[Job]) -> list[Outcome]:
        ran.append([one.name for one in some])
        bad = {"broken": ("failed", "the loss became nan"), "late": ("timeout", "the time was up")}
        return [Outcome(one, *bad.get(one.name, ("done", None)), 1.0) for one in some]

    cells = [job("plain"), job("on good", "good"), job("on broken", "broken"), job("on late", "late")]
    cells.append(job("on made", "made before"))
    outcomes = bases_first(cells, [job("good"), job("broken"), job("late")], run)
    assert ran == [["good", "broken", "late", "plain", "on made"], ["on good"]]
    states = {one.job.name: (one.state, one.reason) for one in outcomes}
    assert states == {
        "plain": ("done", None), "on made": ("done", None), "on good": ("done", None),
        "on broken": ("failed", "broken failed: the loss became nan"),
    }  # fmt: skip


@pytest.mark.slow
def test_a_study_makes_it_once_and_its_cells_say_so(tmp_path: Path) -> None:
    text = """
name: toy
extends: test
ladders: [llama.yaml]
grid: [{methods: [ngram, codebook], backbones: [begun, lora, whole]}]
search: []
notebooks: []
"""
    spec = load(study(tmp_path, text, LADDER))
    done = run_study(spec, out=tmp_path / "runs", jobs=2, say=lambda line: None)
    assert done.ok and done.cells_done == 6
    [made] = (done.folder / "pretrained").glob("*/pretraining.json")
    told, written = read_json(made), made.stat().st_mtime_ns
    cells = [read_json(path) for path in (done.folder / "cells").glob("*/cell.json")]
    for cell in cells:
        own = cell["pretraining"]
        assert own["key"] == told["key"] == made.parent.name and own["flops"] == told["flops"]
        assert own["objective"] == "causal" and own["final_loss"] == told["loss_curve"][-1][1]
        assert own["seconds"] > 0 and own["tokens"] == told["tokens"]
    flops = {cell["backbone"]: cell["train_flops"] for cell in cells if cell["method"] == "ngram"}
    assert flops["lora"] < flops["begun"] < 3 * flops["lora"]  # of the cell alone: pretraining is not in it
    table = pd.read_parquet(done.folder / "cells.parquet")
    assert (table["pretrain_flops"] == told["flops"]).all()
    assert plan(str(done.folder)).bases[0].done
    again = run_study(spec, out=tmp_path / "runs", jobs=2, say=lambda line: None)
    assert again.ok and made.stat().st_mtime_ns == written
    moved = done.folder.rename(tmp_path / "moved")  # a study that is moved finds what it stands on
    [lora] = (path.parent for path in moved.glob("cells/*/cell.json") if _is(path, "lora", "ngram"))
    assert load_model(lora / "checkpoint").config.vocab_size == 512


def _is(path: Path, backbone: str, method: str) -> bool:
    cell = read_json(path)
    return bool(cell["backbone"] == backbone and cell["method"] == method)
