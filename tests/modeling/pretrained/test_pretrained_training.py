"""The Trainer's path against a plain loop over single pairs, and against itself, split and interrupted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fitting import BATCH, fitted, layout_of, material, model_of
from hub_models import make_hub_model, texts

from genret_core.errors import BadInput
from genret_core.modeling.pretrained.resuming import last_state, trained_parameters
from genret_core.modeling.pretrained.rows import IGNORED, Split, TrainingRows, order_of
from genret_core.modeling.recipe import Recipe
from genret_core.modeling.training import TrainingFailed, schedule

HERE = Path(__file__).parent
RECIPE = Recipe(batch_queries=3, identifiers_per_row=2, train_eos=True, warmup=0.2)
assert RECIPE.batch_queries * RECIPE.identifiers_per_row == BATCH


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    lines = texts()
    return {kind: make_hub_model(folder / kind, kind, lines) for kind in ("t5", "llama", "llama-untied")}


def weights(model) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for _, w in sorted(trained_parameters(model))])


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal to rounding; AdamW divides by the gradient, so that the smallest ones move by more than that."""
    apart = (a - b).abs()
    return bool(apart.mean() < 1e-6 and apart.max() < 1e-3)


def plain_loop(hub, kind, recipe, lr=0.01):
    """One pair at a time, without padding; gradients of a batch added up, AdamW by hand's own schedule."""
    model = model_of(hub, kind)
    prompts, pairs, owner = material()
    order = order_of(len(pairs), recipe, 0)
    layout = layout_of(kind, order, recipe)
    trained = [w for _, w in trained_parameters(model)]
    optimizer = torch.optim.AdamW(trained, lr=lr, betas=recipe.betas, weight_decay=0.0)
    curve = []
    for step, batch in enumerate(order, start=1):
        rows = [int(row) for row in batch if row >= 0]
        count = sum(len(pairs.identifier(row)) + 1 for row in rows)
        total = 0.0
        for row in rows:
            prompt, ids = prompts[int(owner[row])], [*pairs.identifier(row).tolist(), layout.eos_id]
            read = torch.tensor([prompt.tolist()])
            if layout.decoder_only:
                logits = model(torch.cat([read, torch.tensor([ids])], 1)).logits[0, len(prompt) - 1 : -1]
            else:
                before = torch.tensor([[0, *ids[:-1]]])
                logits = model(input_ids=read, decoder_input_ids=before).logits[0]
            loss = -torch.log_softmax(logits, -1)[torch.arange(len(ids)), ids].sum() / count
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, recipe.clip)
        optimizer.param_groups[0]["lr"] = lr * schedule(step, len(order), recipe.warmup)
        optimizer.step()
        optimizer.zero_grad()
        curve.append([step, total])
    return curve, weights(model)


@pytest.mark.parametrize("kind", ["t5", "llama", "llama-untied"])
def test_equals_a_plain_loop_whatever_the_micro_batch(hub, kind, tmp_path):
    expected, end = plain_loop(hub, kind, RECIPE)
    assert len(expected) == 5 and expected[-1][1] < expected[0][1]
    for size, twice in ((None, False), (4, False), (1, True)):
        done, model = fitted(
            hub, kind, RECIPE, tmp_path / str(size), micro_batch=size, gradient_checkpointing=twice
        )
        assert [step for step, _ in done.loss_curve] == [step for step, _ in expected]
        assert np.allclose([x for _, x in done.loss_curve], [x for _, x in expected], rtol=2e-5)
        assert near(weights(model), end)
        assert done.micro_batch == (size or BATCH)


def test_an_update_has_the_same_pairs_whatever_the_processes():
    recipe = replace(RECIPE, epochs=2)
    order = order_of(27, recipe, 4)
    assert (order.shape, (order < 0).sum()) == ((10, BATCH), 6)
    for epoch in (order[:5], order[5:]):
        assert sorted(epoch[epoch >= 0].tolist()) == list(range(27))
    assert (order[:5] != order[5:]).any()
    for size, processes in ((None, 1), (2, 1), (4, 1), (None, 2), (2, 2), (1, 4), (5, 3)):
        split = Split.of(BATCH, size, processes)
        rows = TrainingRows(order, split)
        flat = [rows[i] for i in range(len(rows))]
        assert len(rows) == 10 * split.rows
        for step in range(10):
            here = [pair for pair, at in flat if at == step]
            assert len(here) == split.size * split.parts * processes
            assert sorted(p for p in here if p >= 0) == sorted(p for p in order[step].tolist() if p >= 0)


def test_fixed_steps_pass_over_the_pairs_as_often_as_it_takes():
    order = order_of(27, replace(RECIPE, steps="fixed", n_steps=11), 0)
    assert order.shape == (11, BATCH)
    assert (order >= 0).all()
    assert sorted(order[:4].ravel().tolist()) != sorted(order[4:8].ravel().tolist())


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_padding_is_no_target_unless_asked_for(hub, kind):
    prompts, pairs, owner = material()
    order = order_of(len(pairs), RECIPE, 0)
    right, flawed = layout_of(kind, order, RECIPE), layout_of(kind, order, RECIPE, max_length=20)
    real = np.asarray(pairs.length, np.int64) + 1
    assert right.targets.sum() == real.sum()
    before = prompts.lengths[owner] if kind == "llama" else 0
    assert flawed.targets.sum() == (20 - before + 0 * real).sum()
    rows = [(int(pair), 0) for pair in order[0]]
    for layout in (right, flawed):
        labels = layout(rows)["labels"]
        assert (labels != IGNORED).sum() == layout.targets[0]
    assert flawed(rows)["labels"].shape[1] == 20
    with pytest.raises(BadInput, match="max_length is 4"):
        layout_of(kind, order, RECIPE, max_length=4)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_interrupted_and_gone_on_with_ends_alike(hub, kind, tmp_path):
    """Dropout is on: it follows from the step, not from what ran before."""
    recipe = replace(RECIPE, epochs=4)
    whole, model = fitted(hub, kind, recipe, tmp_path / "whole", dropout=0.2, micro_batch=3)

    class Stopped(Exception):
        pass

    def stop(step, steps, loss):
        if step == 13:
            raise Stopped

    with pytest.raises(Stopped):
        fitted(hub, kind, recipe, tmp_path / "cut", dropout=0.2, micro_batch=3, progress=stop)
    state = last_state(tmp_path / "cut")
    assert 1 < int(state.name.split("-")[1]) < 13
    assert {p.suffix for p in state.iterdir()} == {".safetensors", ".json"}
    steps = []
    again, resumed = fitted(
        hub, kind, recipe, tmp_path / "cut", dropout=0.2, micro_batch=3,
        progress=lambda step, *_: steps.append(step),
    )  # fmt: skip
    assert steps[0] == int(state.name.split("-")[1]) + 1
    assert again.loss_curve == whole.loss_curve
    assert torch.equal(weights(resumed), weights(model))


def test_full_memory_halves_the_micro_batch_at_the_same_batch(hub, tmp_path, caplog):
    whole, model = fitted(hub, "llama", RECIPE, tmp_path / "whole")

    def small(module, args, kwargs):
        if kwargs["input_ids"].shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    split, other = fitted(hub, "llama", RECIPE, tmp_path / "split", before=small)
    assert split.micro_batch == 1  # 6, 3, 1
    assert "going on with 3, same batch" in caplog.text
    assert np.allclose([x for _, x in split.loss_curve], [x for _, x in whole.loss_curve], rtol=2e-5)
    assert near(weights(other), weights(model))
    assert json.loads((tmp_path / "split" / "micro_batch.json").read_text()) == {"micro_batch": 1}

    def never(module, args, kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(TrainingFailed, match="cannot hold one row"):
        fitted(hub, "llama", RECIPE, tmp_path / "never", before=never)


FILES = HERE.parents[2] / "params" / "accelerate"


@pytest.mark.parametrize(
    ("name", "processes", "kind"),
    [("gpu1", 1, "NO"), ("gpu4", 4, "MULTI_GPU"), ("gpu8", 8, "MULTI_GPU"), ("fsdp4", 4, "FSDP"),
     ("fsdp8", 8, "FSDP")],
)  # fmt: skip
def test_files_for_accelerate_can_be_read(name, processes, kind):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(FILES / f"{name}.yaml"))
    found = getattr(config.distributed_type, "value", config.distributed_type)
    assert (config.num_processes, found) == (processes, kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [("gpu4", "llama"), ("gpu8", "t5"), ("fsdp4", "t5"), ("fsdp8", "llama-untied")]
)
def test_two_processes_of_accelerate_equal_one(hub, name, kind, tmp_path):
    """The files as they are, but for two processes: on the processor, with gloo, whole or shared out."""
    one, model = fitted(hub, kind, RECIPE, tmp_path / "one", micro_batch=2)
    file = tmp_path / "two.yaml"
    file.write_text(re.sub(r"num_processes: \d", "num_processes: 2", (FILES / f"{name}.yaml").read_text()))
    told = launched(
        ["accelerate.commands.launch", "--config_file", str(file), str(HERE / "fitting.py")],
        str(hub[kind]), kind, str(tmp_path / "two"),
    )  # fmt: skip
    assert (told["processes"], told["shared"]) == (2, name.startswith("fsdp"))
    assert np.allclose([x for _, x in told["loss_curve"]], [x for _, x in one.loss_curve], rtol=2e-5)
    assert near(torch.tensor(told["weights"]), weights(model))


def launched(module, source, kind, folder):
    """Start processes and give what the first of them told."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[2])}
    command = [sys.executable, "-m", *module, source, kind, folder]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((Path(folder) / "done.json").read_text())


def test_divergence_is_told(hub, tmp_path):
    with pytest.raises(TrainingFailed, match="The loss became"):
        fitted(hub, "llama", replace(RECIPE, epochs=3), tmp_path, lr=1e30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_two_processes_equal_one(hub, kind, tmp_path):
    """gloo on the processor: gradients and losses of both processes' parts add up to those of the batch."""
    one, model = fitted(hub, kind, RECIPE, tmp_path / "one", micro_batch=2)
    told = launched(
        ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(HERE / "fitting.py")],
        str(hub[kind]), kind, str(tmp_path / "two"),
    )  # fmt: skip
    assert (told["processes"], told["shared"]) == (2, False)
    assert np.allclose([x for _, x in told["loss_curve"]], [x for _, x in one.loss_curve], rtol=2e-5)
    assert near(torch.tensor(told["weights"]), weights(model))


@pytest.mark.slow
def test_processes_halve_together_what_does_not_fit_one_of_them(hub, tmp_path, monkeypatch):
    one, model = fitted(hub, "llama", RECIPE, tmp_path / "one", micro_batch=2)
    monkeypatch.setenv("FULL_ON", "1")
    told = launched(
        ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(HERE / "fitting.py")],
        str(hub["llama"]), "llama", str(tmp_path / "two"),
    )  # fmt: skip
    assert (one.micro_batch, told["micro_batch"]) == (2, 1)
    assert np.allclose([x for _, x in told["loss_curve"]], [x for _, x in one.loss_curve], rtol=2e-5)
    assert near(torch.tensor(told["weights"]), weights(model))


def test_only_adapters_and_code_rows_move(hub, tmp_path):
    start = {name: w.clone() for name, w in model_of(hub, "t5").named_parameters()}
    _, model = fitted(hub, "t5", RECIPE, tmp_path)
    moved = {name for name, w in model.named_parameters() if not torch.equal(w, start[name])}
    assert moved == {name for name in start if "lora_" in name or "code_rows" in name}
