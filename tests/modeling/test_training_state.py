"""A training run that is cut goes on at the exact step: weights and curve are those of one that was not."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import GROUPED, LLAMA, T5, build, fake

from genret_core.modeling import training_state
from genret_core.modeling.sweep import Trial, sweep
from genret_core.modeling.training import Diverged, Recipe, train

HERE = Path(__file__).parent
RECIPE = Recipe(batch_queries=4, identifiers_per_row=2, steps="fixed", n_steps=110)  # a point every 2 steps


class Stopped(Exception):
    pass


def run(backbone, state=None, progress=None, recipe=RECIPE):
    prompts, pairs, owner = fake(12, 4, ragged=True)
    model = build(backbone)
    log = train(
        model, backbone, prompts, pairs, owner, recipe, seed=4, lr=0.02, state=state, progress=progress
    )
    return torch.cat([w.detach().flatten() for w in model.parameters()]), log


@pytest.mark.parametrize("backbone", [LLAMA, T5, GROUPED], ids=lambda b: b.name)
def test_cut_and_gone_on_with_is_equal_bit_by_bit(backbone, tmp_path, monkeypatch):
    """Cut between points of the curve, twice; the state is one file without pickle."""
    expected, whole = run(backbone)
    monkeypatch.setattr(training_state, "EVERY", 0.0)
    monkeypatch.setattr(training_state, "SHARE", 1e9)
    written = training_state.StateKeeper.write
    rng = np.random.default_rng(0)
    for step in sorted(rng.choice(np.arange(5, 105), 2, replace=False).tolist()):

        def stopping(self, done, *given, step=step):
            written(self, done, *given)
            if done.step == step:
                raise Stopped

        monkeypatch.setattr(training_state.StateKeeper, "write", stopping)
        with pytest.raises(Stopped):
            run(backbone, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    told = []
    (tmp_path / ".state.safetensors.x.part").write_bytes(b"half")
    found, log = run(backbone, tmp_path, lambda step, *_: told.append(step))
    assert told[0] > step
    assert torch.equal(found, expected)
    assert log.loss_curve == whole.loss_curve
    assert (log.steps, log.tokens, log.flops) == (whole.steps, whole.tokens, whole.flops)
    assert log.seconds > 0
    assert not list(tmp_path.glob(".*"))


def test_a_state_that_cannot_be_read_starts_anew(tmp_path, caplog):
    expected, whole = run(LLAMA)
    (tmp_path / training_state.FILE).write_bytes(b"\x00" * 100)
    found, log = run(LLAMA, tmp_path)
    assert "training starts from the beginning" in caplog.text
    assert torch.equal(found, expected) and log.loss_curve == whole.loss_curve


def test_short_runs_write_nothing(tmp_path):
    run(LLAMA, tmp_path / "state", recipe=Recipe(batch_queries=4, identifiers_per_row=2))
    assert not (tmp_path / "state").exists()


def test_writing_takes_at_most_its_share(tmp_path):
    keeper = training_state.StateKeeper(tmp_path)
    weights = torch.nn.Parameter(torch.ones(8))
    optimizer = torch.optim.AdamW([weights])
    weights.grad = torch.ones(8)
    optimizer.step()
    done = training_state.Progressed(torch.zeros(()), step=1)
    original = training_state.atomic

    def slow(path):
        time.sleep(0.1)
        return original(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training_state, "EVERY", 0.0)
        patched.setattr(training_state, "atomic", slow)
        keeper.write(done, weights, optimizer)
    assert keeper._wait >= 0.1 / training_state.SHARE
    assert not keeper.is_due()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / training_state.FILE).stat().st_mode) == 0o666 & ~mask


CHILD = """
import sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
from genret_core.modeling import training_state
training_state.WORTH = 0.0
from test_training_state import run, LLAMA, Recipe, RECIPE
from dataclasses import replace
def progress(step, *_):
    print(step, flush=True)
    time.sleep(0.02)
run(LLAMA, Path(sys.argv[1]), progress)
print("ended", flush=True)
"""


@pytest.mark.slow
def test_a_process_that_is_asked_to_end_writes_its_state_first(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(here=str(HERE)), str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )  # fmt: skip
    for _ in range(20):
        reached = int(process.stdout.readline())
    process.terminate()
    left, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "ended" not in left
    told = []
    found, log = run(LLAMA, tmp_path, lambda step, *_: told.append(step))
    expected, whole = run(LLAMA)
    assert reached < told[0] < 110
    assert torch.equal(found, expected) and log.loss_curve == whole.loss_curve


def test_a_sweep_keeps_its_finished_rates(tmp_path):
    """Cut at its third rate: the first two are not trained again, whether they diverged or were best."""
    trained = []

    def trial(number, lr, cut=None):
        trained.append(lr)
        if lr == cut:
            raise Stopped
        if lr == 1.0:
            raise Diverged("The loss became nan")

        def save(folder):
            folder.mkdir(parents=True)
            (folder / "lr").write_text(str(lr))

        return Trial({"train_seconds": 2.0, "lr": lr}, lambda: {2.0: 0.3, 4.0: 0.7, 8.0: 0.2}[lr], save)

    rates = (1.0, 2.0, 4.0, 8.0)
    with pytest.raises(Stopped):
        sweep(rates, lambda number, lr: trial(number, lr, cut=4.0), tmp_path)
    log, tried, model = sweep(rates[:3], trial, tmp_path)
    assert trained == [1.0, 2.0, 4.0, 4.0]
    assert (log["lr"], (model / "lr").read_text()) == (2.0, "2.0")
    assert [one["CGL"] for one in tried] == [None, 0.3, 0.7]
    assert tried[0] == {"lr": 1.0, "CGL": None, "seconds": None, "reason": "The loss became nan"}
    log, _, model = sweep(rates, trial, tmp_path)
    assert (log["lr"], (model / "lr").read_text(), trained[-1]) == (8.0, "8.0", 8.0)
    assert sorted(path.name for path in model.parent.glob("model-*")) == ["model-4"]
    with pytest.raises(Diverged, match=r"No learning rate .* became nan"):
        sweep((1.0,), trial, tmp_path / "none")
