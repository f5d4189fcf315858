"""Cells of pretrained backbones from start to end: load, adapt, train, save, load, CGL, search."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pretrained_study import QUERIES, N, cell_of, make_study

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling import CellSpec
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.cells import CellFailed, run_cell
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.losses import naive_scores

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["t5", "llama-untied"])
def study(request, tmp_path_factory):
    return make_study(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("llama"), "llama")


def folder_of(spec, evaluation):
    return spec.layout.evaluation(spec.key, evaluation.key)


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("ngram", {}),
        ("codebook", {"precision": "bf16"}),
        pytest.param("codebook", {}, marks=pytest.mark.slow),
        pytest.param("ngram", {"lora": None}, marks=pytest.mark.slow),
    ],
    ids=["ngram", "codebook-bf16", "codebook", "ngram-whole"],
)
def test_from_start_to_end(study, method, change):
    spec = cell_of(study, method, **change)
    told = []
    row = run_cell(spec, lambda stage, *_, **__: told.append(stage), device="cpu")
    assert told[0] == "train" and told[-2:] == ["losses seen", "beam 3"]
    assert row == read_json(spec.layout.cell_file(spec.key))
    assert row["loss_curve"][-1][1] < row["loss_curve"][0][1]
    assert row["steps"] == -(-row["D"] // 16)
    assert row["P"] < row["P_total"]
    assert CellSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    left = {path.name for path in spec.layout.cell(spec.key).iterdir()}
    assert left == {"cell.json", "checkpoint", "evals"}

    model, inputs = load_model(spec.layout.checkpoint(spec.key)), CellInputs.open(spec)
    sample = inputs.sample(f"{method}-seen")
    losses = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    nll, _ = naive_scores(model, inputs.prompts(sample.queries), sample.pairs, sample.owner)
    assert np.abs(losses["nll"] - nll).max() < (0.3 if "precision" in change else 1e-4)
    report = read_json(folder_of(spec, spec.losses[0]) / "eval.json")
    assert (report["n_negatives"], report["n_queries"]) == (N, QUERIES)
    found = read_json(folder_of(spec, spec.searches[0]) / "eval.json")
    assert 0 < found["C_no_head"] < found["C"]
    assert 0 <= found["metrics"]["MR@5"][0] <= 1

    # What is read back scores as what was trained: an evaluation made anew is the same, digit by digit.
    for path in folder_of(spec, spec.losses[0]).iterdir():
        path.unlink()
    folder_of(spec, spec.losses[0]).rmdir()
    run_cell(spec, device="cpu")
    again = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    assert again["nll"].tolist() == losses["nll"].tolist()


def test_prompts_begin_as_the_models_own_texts_do(study):
    """LLaMA's tokenizer puts <s> before every text, T5's puts nothing; both end as `Template` says."""
    from transformers import AutoTokenizer

    inputs = CellInputs.open(cell_of(study, "ngram"))
    own = AutoTokenizer.from_pretrained(study["hub"], local_files_only=True)
    text = next(iter(inputs.corpus.query_texts([0])))
    prompt = inputs.prompts([0])[0].tolist()
    if study["kind"] == "t5":
        assert prompt == own(text)["input_ids"]
    else:
        assert prompt == [*own(text)["input_ids"], own.bos_token_id]
        assert prompt[0] == own.bos_token_id


def test_training_teaches_the_training_pairs(llama):
    """After some epochs, the pairs trained on are far likelier than before."""
    spec = cell_of(llama, "codebook", lr=0.03)
    spec = replace(spec, recipe=replace(spec.recipe, epochs=12), searches=())
    row = run_cell(spec, device="cpu")
    assert row["loss_curve"][-1][1] < 0.7 * row["loss_curve"][0][1]


def test_any_decoder_goes_through(llama):
    """The same files under the general family: other code, the same losses."""
    own, general = (replace(cell_of(llama, "ngram", family=f), searches=()) for f in ("llama", "causal"))
    assert own.key != general.key
    a, b = (run_cell(spec, device="cpu") for spec in (own, general))
    assert a["loss_curve"] == b["loss_curve"]
    assert (a["P"], a["train_flops"]) == (b["P"], b["train_flops"])


def test_keys_follow_the_files_and_the_settings_but_not_how_it_runs(llama, tmp_path):
    spec = cell_of(llama, "ngram")
    moved = tmp_path / "elsewhere"
    shutil.copytree(llama["hub"], moved)
    same = replace(
        spec, backbone=replace(spec.backbone, pretrained=str(moved), micro_batch=2, saves=3, name="x")
    )
    assert same.key == spec.key
    for change in (
        {"lora": {"r": 4}}, {"code_rows": "frozen"}, {"precision": "bf16"}, {"lora": None},
        {"mask_padding": False, "max_length": 40},
    ):  # fmt: skip
        assert replace(spec, backbone=replace(spec.backbone, **change)).key != spec.key
    shard = next(moved.glob("*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    assert replace(same).key != spec.key  # a cell has its key from when it was planned


def test_another_tokenizer_is_refused(llama, tmp_path):
    from hub_models import make_hub_model, texts

    other = make_hub_model(tmp_path / "other", "llama", texts(seed=9), seed=3)
    spec = cell_of(llama, "ngram")
    spec = replace(spec, backbone=replace(spec.backbone, pretrained=str(other)))
    with pytest.raises(BadInput, match=r"set tokenizer.hub: "):
        run_cell(spec, device="cpu")


@pytest.mark.slow
def test_processes_train_a_cell_together(llama):
    """Two processes save what one does, and the caller measures it; what is wrong is told as by one."""
    alone, told = cell_of(llama, "codebook", lr=0.011), []
    one = run_cell(alone, device="cpu")
    shutil.rmtree(alone.layout.cell(alone.key))
    together = replace(alone, backbone=replace(alone.backbone, launch=2))
    assert together.key == alone.key
    two = run_cell(together, lambda stage, *_, **__: told.append(stage), device="cpu")
    assert (one["processes"], two["processes"]) == (1, 2)
    assert told[0] == "train" and told[-1] == "beam 3"
    curves = np.array([one["loss_curve"], two["loss_curve"]])
    assert np.allclose(curves[0], curves[1], rtol=1e-3)
    folder = together.layout.checkpoint(together.key)
    assert {"adapter_model.safetensors", "code_rows.safetensors"} <= {p.name for p in folder.iterdir()}
    with pytest.raises(CellFailed, match="The loss became"):
        run_cell(cell_of(llama, "codebook", lr=1e30, launch=2), device="cpu")


SHARED = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
num_machines: 1
num_processes: 2
mixed_precision: "no"
use_cpu: false
debug: false
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "change"),
    [("codebook", {"precision": "bf16"}), ("ngram", {"lora": None})],
    ids=["lora", "whole"],
)
def test_processes_share_the_weights_out(llama, method, change, tmp_path):
    """Killed after its first state, gone on with: the same checkpoint as by one process, to rounding."""
    file = tmp_path / "two.yaml"
    file.write_text(SHARED)
    alone = cell_of(llama, method, lr=0.009, saves=4, micro_batch=4, **change)
    one = run_cell(alone, device="cpu")
    losses = pd.read_parquet(folder_of(alone, alone.losses[0]) / "losses.parquet")
    cell = alone.layout.cell(alone.key)
    shutil.rmtree(cell)
    together = replace(alone, backbone=replace(alone.backbone, launch=str(file)))
    assert together.key == alone.key

    class Stopped(Exception):
        pass

    def stop(stage, *_, **__):
        if list(cell.glob("training-*/state-*/told.json")):
            raise Stopped

    with pytest.raises(Stopped):
        run_cell(together, stop, device="cpu")
    assert not together.layout.cell_file(together.key).exists()
    steps = []
    two = run_cell(together, lambda stage, done=0, *_, **__: steps.append((stage, done)), device="cpu")
    assert steps[0][0] == "train" and steps[0][1] > 2
    assert (one["processes"], two["processes"]) == (1, 2)
    half = "precision" in change
    curves = np.array([one["loss_curve"], two["loss_curve"]])
    assert np.allclose(curves[0], curves[1], rtol=2e-3 if half else 1e-4)
    found = pd.read_parquet(folder_of(together, together.losses[0]) / "losses.parquet")
    assert np.allclose(found["nll"], losses["nll"], rtol=2e-2 if half else 1e-3)
    assert {path.name for path in cell.iterdir()} == {"cell.json", "checkpoint", "evals"}
    swept = replace(together, recipe=replace(together.recipe, lr_sweep=3), sweep_sample=f"{method}-seen")
    with pytest.raises(BadInput, match="lr_sweep measures every rate with a whole model"):
        run_cell(swept, device="cpu")


@pytest.mark.slow
def test_a_file_for_one_process_starts_one(llama):
    file = HERE.parents[2] / "params" / "accelerate" / "gpu1.yaml"
    row = run_cell(cell_of(llama, "codebook", lr=0.008, launch=str(file)), device="cpu")
    assert row["processes"] == 1


def test_a_launch_file_that_is_not_there_is_said(llama):
    with pytest.raises(BadInput, match="launch: there is no file"):
        run_cell(cell_of(llama, "codebook", lr=0.012, launch="nowhere.yaml"), device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ngram", "codebook"])
def test_killed_and_started_again_ends_with_the_same_loss(study, method, tmp_path):
    recipe = replace(cell_of(study, method).recipe, epochs=6 if method == "ngram" else 18)
    spec = cell_of(study, method, recipe=recipe, lora={"dropout": 0.1}, saves=20)
    whole = replace(spec, seed=spec.seed, folder=study["folder"])
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[2])}
    command = [
        sys.executable,
        str(HERE / "pretrained_study.py"),
        str(tmp_path / "spec.json"),
        str(tmp_path / "told"),
    ]
    process = subprocess.Popen(command, env=env)
    cell = spec.layout.cell(spec.key)
    deadline = time.monotonic() + 240
    while not list(cell.glob("training-*/state-*/told.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not spec.layout.cell_file(spec.key).exists()
    state = max(int(p.name.split("-")[1]) for p in cell.glob("training-*/state-*"))
    steps = []
    resumed = run_cell(spec, lambda stage, done=0, *_, **__: steps.append((stage, done)), device="cpu")
    assert next(done for stage, done in steps if stage == "train") > state > 0
    losses = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    shutil.rmtree(cell)
    uninterrupted = run_cell(whole, device="cpu")
    assert resumed["loss_curve"] == uninterrupted["loss_curve"]
    again = pd.read_parquet(folder_of(spec, spec.losses[0]) / "losses.parquet")
    assert again["nll"].tolist() == losses["nll"].tolist()
