"""Dry runs: what cells take, against what trained cells took; what cannot fit; the paper and GPU presets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import Backbone, PretrainedBackbone
from genret_core.modeling.backbones import count
from genret_core.workbench import project
from genret_core.workbench.cli.app import build
from genret_core.workbench.study import device, room
from genret_core.workbench.study.device import KNOWN, SHARE, device_of
from genret_core.workbench.study.file import load
from genret_core.workbench.study.grid import expand
from genret_core.workbench.study.place import place
from genret_core.workbench.study.plan import Plan, plan, refuse_what_cannot_fit
from genret_core.workbench.study.plan_table import short

PARAMS = project.project_root() / "params"
PAPER = ("paper/minder-t5", "paper/minder-llama", "paper/ripor-t5", "paper/ripor-llama")
PUBLISHED = {  # of LLaMA with one of its two embedding matrices
    "t5-small": 44_057_088, "t5-base": 198_229_248, "t5-large": 704_769_024, "t5-xl": 2_818_699_264,
    "t5-xxl": 11_274_422_272, "llama-7b": 6_607_343_616, "llama-13b": 12_852_024_320,
    "llama-70b": 68_714_504_192,
}  # fmt: skip
H200 = "h200:0.15"


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model be on this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def planned(preset: str, tmp_path: Path, **how) -> Plan:
    return plan(preset, out=tmp_path, **how)


def genret(*words: object):
    return CliRunner().invoke(build(), list(map(str, words)))


def test_trained_cells_took_what_was_expected(test_outcome) -> None:
    """Before the corpus is read the data are about; afterwards they are exact, and so are updates."""
    found = plan(str(test_outcome.folder), out=test_outcome.folder.parent)
    assert not found.data.about and found.refused is None
    recorded = {}
    for path in (test_outcome.folder / "cells").glob("*/cell.json"):
        cell = read_json(path)
        recorded[cell["backbone"], cell["method"], cell["fraction"], cell["seed"]] = cell, path.parent
    assert len(found.cells) == len(recorded)
    for work in found.cells:
        planned_cell, took = work.cell, work.found
        name = planned_cell.backbone.name
        cell, folder = recorded[name, planned_cell.method, planned_cell.fraction, planned_cell.seed]
        assert work.done
        assert (took.P, took.P_total, took.trained) == (cell["P"], cell["P_total"], cell["P_total"])
        assert abs(took.steps - cell["steps"]) <= 1  # a fraction may round to a query more or less
        assert took.tokens == pytest.approx(cell["tokens"], rel=0.03)
        assert took.train_flops == pytest.approx(cell["train_flops"], rel=0.03)
        assert took.checkpoint == pytest.approx(
            (folder / "checkpoint" / "model.safetensors").stat().st_size, rel=0.1
        )
    before = {work.cell.name: work for work in plan("test", out=test_outcome.folder / "elsewhere").cells}
    for work in found.cells:
        asked = before[work.cell.name]
        assert not asked.done and asked.found.P == work.found.P
        assert asked.found.steps == pytest.approx(work.found.steps, rel=0.35)


def test_what_is_assumed_is_what_the_code_does() -> None:
    from genret_core.modeling import losses
    from genret_core.modeling.pretrained import scoring
    from genret_core.workbench.study import estimate

    assert estimate.PACKED_LOGITS == losses.GPU_LOGITS and estimate.CPU_POSITIONS == losses.CPU_POSITIONS
    assert scoring.POSITIONS["cuda"] == estimate.SHARED_POSITIONS


@pytest.mark.parametrize("preset", [*PAPER, "gpu", "demo"])
def test_presets_dry_run_without_data_weights_or_hub(preset: str, tmp_path: Path) -> None:
    found = planned(preset, tmp_path, flops_rate="h200")
    assert found.data.about and found.seconds and found.device_hours
    for work in found.cells:
        assert work.found.steps and work.found.train_flops and work.found.loss_flops > 0
        assert 0 < work.found.memory <= 141e9
    told = str(found)
    assert "about, from the study's file" in told and f"{len(found.cells)} cells, 0 of them done" in told
    assert found.refused is None or "of disk" in found.refused
    json.dumps(found.to_dict())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", PAPER)
def test_the_paper_as_published(preset: str, tmp_path: Path) -> None:
    spec = load(preset)
    assert spec.name == Path(preset).name and load(PARAMS / f"{preset}.yaml") == spec
    method = "ngram" if "minder" in preset else "codebook"
    recipe = spec.recipe_of(method)
    assert (recipe.epochs, recipe.warmup, recipe.precision, recipe.train_eos) == (1, 0.1, "bf16", True)
    rates = {"paper/minder-t5": 3e-5, "paper/ripor-t5": 1e-3}
    for rung in spec.backbones:
        assert isinstance(rung, PretrainedBackbone)
        assert rung.P_published == PUBLISHED[rung.name]
        assert rung.learning_rate(method) == rates.get(preset, 3e-4)
        lora = rung.adapters
        assert lora is not None and lora == type(lora)().filled(rung.family)  # said in the file, not changed
        assert rung.mask_padding and rung.code_rows == "trained"
    assert {rung.name for rung in spec.backbones} == {n for n in PUBLISHED if n.startswith(preset[-2:]) or (
        preset.endswith("llama") and n.startswith("llama"))}  # fmt: skip
    assert spec.evaluation.n_negatives == 256
    cells = expand(spec)
    (searched,) = [cell for cell in cells if cell.searches]
    assert sorted(s.beam for s in searched.searches) == [1, 5, 10, 20, 50, 100]
    assert searched.backbone.name in ("t5-base", "llama-7b")
    if method == "ngram":
        config = spec.identifiers.ngram
        assert (config.unit, config.length, config.n_samples, config.temperature) == ("words", 10, 10, 1.0)
        whole = [w for w in planned(preset, tmp_path).cells if w.cell.fraction == 1]
        batch = recipe.batch_queries * recipe.identifiers_per_row
        assert {w.found.steps for w in whole} == {-(-588_800 // batch)}
    else:
        assert (spec.identifiers.codebook.N_c, spec.identifiers.codebook.L_c) == (256, 32)


@pytest.mark.parametrize("preset", [*PAPER, "gpu"])
def test_along_the_data_axis_only_the_number_of_updates_changes(preset: str, tmp_path: Path) -> None:
    found = planned(preset, tmp_path)
    for method in ("ngram", "codebook"):
        arm = [w for w in found.cells if w.cell.method == method and w.cell.seed == 0]
        arm = [w for w in arm if w.cell.backbone.name in ("t5-base", "llama-7b", "llama-10m")]
        for name in {w.cell.backbone.name for w in arm if w.cell.fraction < 1}:
            mine = {w.cell.fraction: w.found for w in arm if w.cell.backbone.name == name}
            assert sorted(mine) == [0.2, 0.4, 0.6, 0.8, 1.0]
            per_step = [mine[f].tokens / mine[f].steps for f in mine]
            assert np.ptp(per_step) < 0.01 * max(per_step)
            assert len({(mine[f].micro_batch, mine[f].trained) for f in mine}) == 1


def test_the_gpu_preset_is_what_it_promises(tmp_path: Path) -> None:
    found = planned("gpu", tmp_path, flops_rate=H200)
    sizes = {w.cell.backbone.name: w.found.P for w in found.cells}
    for name, P in sizes.items():
        promised = float(name.split("-")[1][:-1]) * 1e6
        assert 0.85 * promised <= P <= 1.2 * promised
    assert {"llama-1m", "llama-300m", "t5-1m", "t5-100m"} <= set(sizes)
    for work in found.cells[::9]:  # on models made without memory
        assert isinstance(work.cell.backbone, Backbone)
        rows = found.data.text_vocabulary + (found.data.codes if work.cell.method == "codebook" else 0)
        assert count(work.cell.backbone, rows) == (work.found.P, work.found.P_total)
    whole = [w for w in found.cells if w.cell.fraction == 1]
    for name, P in sizes.items():
        for method in ("ngram", "codebook"):
            seeds = {w.cell.seed for w in whole if (w.cell.backbone.name, w.cell.method) == (name, method)}
            wanted = 3 if P < 12e6 else 1 if method == "ngram" or P < 35e6 else 0
            assert len(seeds) == wanted, (name, method)
    assert found.workers > 1
    assert found.seconds is not None and found.seconds < 25 * 60
    slower = planned("gpu", tmp_path, flops_rate="h200:0.07")
    assert slower.seconds is not None and found.seconds < slower.seconds < 25 * 60
    together = sum(sorted(w.found.memory for w in found.cells)[-found.workers :])
    assert together < 141e9


def test_what_does_not_fit_is_refused_with_what_would(tmp_path: Path) -> None:
    assert planned("paper/ripor-llama", tmp_path, memory=100).refused is None
    small = planned("paper/ripor-llama", tmp_path, memory=17)
    assert small.refused is not None and small.refused.count(".") <= 2
    assert "(search)" in small.refused and "17 GB" in small.refused
    whole = _study(tmp_path, "lora: null")
    refused = planned(whole, tmp_path, memory=60).refused
    assert refused is not None and "it fits with LoRA (lora: {})" in refused
    adapted = _study(tmp_path, "lora: {}")
    assert planned(adapted, tmp_path, memory=60).refused is None
    assert "precision: bf16" in (planned(adapted, tmp_path, memory=20).refused or "")
    assert "quantised: 4bit" in (planned(adapted, tmp_path, memory=10).refused or "")
    assert "larger device" in (planned(adapted, tmp_path, memory=3).refused or "")
    done = genret("study", adapted, "--dry-run", "--memory", 3, "--json", "--out", tmp_path)
    assert done.exit_code == 2 and "larger device" in done.stderr
    assert json.loads(done.stdout)["refused"] in done.stderr


def test_weights_that_are_shared_out_take_a_part_of_the_memory(tmp_path: Path) -> None:
    """Of 7 B weights, gradients and moments each of 4 GPUs holds a quarter, and a layer or two as a whole."""
    each = {}
    for name in ("gpu4", "fsdp4"):
        study = _study(tmp_path, f"lora: null, launch: {PARAMS}/accelerate/{name}.yaml")
        (work,) = planned(study, tmp_path).cells
        each[name] = work.found
        assert work.found.processes == 4
    whole, shared = each["gpu4"].training, each["fsdp4"].training
    weights = 4 * each["gpu4"].P_total
    assert (whole.weights, whole.optimiser) == (weights, 2 * weights)
    assert shared.optimiser == weights / 2
    assert weights / 4 < shared.weights < weights / 3
    assert shared.activations == whole.activations
    assert shared.total < 0.45 * whole.total


def test_a_micro_batch_that_is_too_large_is_told_with_one_that_is_not(tmp_path: Path) -> None:
    many = _study(tmp_path, "lora: {}, precision: bf16", batch=4096)
    found = planned(many, tmp_path, memory=40)
    assert found.refused is None
    (note,) = found.notes
    size = int(note.split("micro_batch: ")[1].split()[0])
    for fits, tried in ((True, size), (False, 2 * size)):
        held = planned(_study(tmp_path, f"lora: {{}}, precision: bf16, micro_batch: {tried}", 4096), tmp_path)
        assert (held.cells[0].found.memory <= 40e9) == fits


def _study(tmp_path: Path, settings: str, batch: int = 8) -> str:
    path = tmp_path.parent / f"{tmp_path.name}.yaml"
    rung = f"{{name: seven, pretrained: meta-llama/Llama-2-7b-chat-hf, {settings}}}"
    values = {
        "name": "seven", "corpus": {"reader": "synthetic", "n_documents": 200},
        "tokenizer": {"hub": "meta-llama/Llama-2-7b-chat-hf"}, "recipe": {"batch_queries": batch},
        "ladders": [{"family": "llama", "lr": 1e-4, "backbones": [yaml.safe_load(rung)]}],
        "grid": [{"methods": ["ngram"]}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_a_collection_whose_size_is_not_said(tmp_path: Path) -> None:
    path = tmp_path.parent / f"{tmp_path.name}.yaml"
    corpus = "{reader: beir, path: /nowhere, n_documents: 5000}"
    path.write_text(
        f"name: mine\nextends: test\ncorpus: {corpus}\nevaluation: {{splits: [test]}}\nsearch: []\n"
    )
    for how in ({}, {"flops_rate": "1e12"}):
        found = planned(str(path), tmp_path, **how)
        assert found.seconds is None and found.device_hours is None and found.data.documents == 5000
        assert "not known before the corpus has been read" in str(found)
        assert all(w.found.steps is None and w.found.memory and w.found.loss_flops for w in found.cells)


def test_devices() -> None:
    assert device_of("400e12").rate == 4e14
    assert device_of("h200").rate == KNOWN["h200"][0] * SHARE and device_of("h200").memory == 141e9
    assert device_of("H100:0.5", 40).rate == 989e12 / 2 and device_of("h100", 40).memory == 40e9
    assert device_of().rate is None
    for wrong in ("h300", "-1", "h200:2", "0"):
        with pytest.raises(BadInput, match="--flops-rate"):
            device_of(wrong)
    assert [short(n) for n in (None, 0, 999.4, 1234, 5.1e18)] == ["", "0", "999", "1.23k", "5.1E"]


RUNS_HERE = ("demo", "quick", "test", "gpu/tenth")


@pytest.mark.parametrize("preset", RUNS_HERE)
def test_what_runs_on_a_laptop_is_not_refused(preset: str, tmp_path: Path, monkeypatch) -> None:
    """Nor is anything where the device's memory is not known."""
    if (
        not (PARAMS / preset).with_suffix(".yaml").is_file()
        and not (PARAMS / preset / "study.yaml").is_file()
    ):
        pytest.skip(f"there is no {preset}")
    here = place(preset, tmp_path)
    monkeypatch.setattr(device, "_own_memory", lambda: (24e9, False))
    refuse_what_cannot_fit(here, workers=2)
    monkeypatch.setattr(device, "_own_memory", lambda: (None, False))
    refuse_what_cannot_fit(here, workers=2)


def test_a_run_refuses_before_it_writes_what_cannot_fit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(device, "_own_memory", lambda: (25e9, True))
    disk = shutil.disk_usage(tmp_path)._replace(free=10**13)  # whatever disk the test runs on
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: disk)
    for verb in ("study", "cells"):
        said = genret(verb, "paper/minder-llama", "--out", tmp_path / "runs")
        assert said.exit_code == 2
        assert "llama-13b ngram s0 needs about" in said.output
        assert "--anyway tries it all the same." in said.output
    assert not (tmp_path / "runs").exists()
    here = place("paper/minder-llama", tmp_path / "runs")
    with pytest.raises(BadInput, match="llama-13b"):
        refuse_what_cannot_fit(here, workers=1, names={"llama-13b ngram s0"})
    refuse_what_cannot_fit(here, workers=1, names={"llama-13b ngram s0"}, computes_here=False)
    monkeypatch.setattr(device, "_own_memory", lambda: (None, False))
    refuse_what_cannot_fit(here, workers=1, names={"llama-13b ngram s0"})


def test_a_full_disk_is_refused_by_what_is_left(test_outcome, tmp_path: Path, monkeypatch) -> None:
    """A finished study adds nothing; a new one adds all of it; `--fresh` frees what is there."""
    free = shutil.disk_usage(tmp_path)._replace(free=1e5)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: free)
    with pytest.raises(BadInput, match=r"of disk and .* free; give --out a larger one"):
        refuse_what_cannot_fit(place("test", tmp_path), workers=1)
    done = place(str(test_outcome.folder), test_outcome.folder.parent)
    refuse_what_cannot_fit(done, workers=1)
    refuse_what_cannot_fit(done, workers=1, fresh=True)
    assert not (tmp_path / "test").exists()
