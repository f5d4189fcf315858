"""Scoring in slices: cut between queries, stopped and resumed, shared by processes."""

from __future__ import annotations

import os
import signal
from functools import partial

import numpy as np
import pytest
from small_models import BACKBONES, LLAMA, T5, build, fake

from genret_core.errors import BadInput
from genret_core.modeling import scoring_slices
from genret_core.modeling.losses import score_identifiers
from genret_core.modeling.scoring_slices import Slices, fingerprint, score_in_processes


def same_model(backbone, device):
    """The same weights in any process."""
    return build(backbone, seed=3).to(device)


@pytest.mark.parametrize("rows", [1, 10, 25, 1000])
def test_slices_are_whole_queries_in_order(tmp_path, rows):
    sizes = np.random.default_rng(0).integers(1, 13, 40)
    owner = np.repeat(np.arange(0, 80, 2), sizes)
    slices = Slices.cut(tmp_path, owner, rows)
    parts = [owner[a:b] for a, b in zip(slices.bounds[:-1], slices.bounds[1:], strict=True)]
    assert np.array_equal(np.concatenate(parts), owner)
    assert all(len(part) >= rows for part in parts[:-1])
    queries = [query for part in parts for query in np.unique(part)]
    assert len(queries) == len(set(queries)) == 40
    with pytest.raises(ValueError, match="grouped by query"):
        Slices.cut(tmp_path, owner[::-1])


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_slices_together_are_the_whole(tmp_path, backbone):
    prompts, pairs, owner = fake(9, 7, ragged=True)
    model = build(backbone)
    expected, _ = score_identifiers(model, prompts, pairs, owner)
    slices = Slices.cut(tmp_path, owner, 14)
    told = []
    slices.score(model, prompts, pairs, owner, progress=lambda *done: told.append(done))
    assert len(slices) == 5 and told == [(i, 5) for i in range(1, 6)]
    assert np.abs(slices.join() - expected).max() < 5e-5


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, backbone):
    """A process is killed within its third slice; another goes on where it was."""
    prompts, pairs, owner = fake(8, 6, ragged=True)
    model = build(backbone)
    whole, cut = Slices.cut(tmp_path / "whole", owner, 6), Slices.cut(tmp_path / "cut", owner, 6)
    whole.score(model, prompts, pairs, owner)
    scored = []

    def dying(*given, **options):
        if len(scored) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        scored.append(1)
        return score_identifiers(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(scoring_slices, "score_identifiers", dying)
        child = os.fork()
        if child == 0:
            try:
                cut.score(model, prompts, pairs, owner)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(cut.missing()) == len(cut) - 2
    with pytest.raises(BadInput, match="6 of 8 slices are not scored"):
        cut.join()
    kept = [cut.path(i).stat().st_mtime_ns for i in range(2)]
    cut.score(model, prompts, pairs, owner)
    assert kept == [cut.path(i).stat().st_mtime_ns for i in range(2)]
    assert cut.join().tobytes() == whole.join().tobytes()


def test_processes_share_the_slices(tmp_path):
    prompts, pairs, owner = fake(8, 6, ragged=True)
    load = partial(same_model, LLAMA)
    alone, shared = Slices.cut(tmp_path / "alone", owner, 6), Slices.cut(tmp_path / "shared", owner, 6)
    alone.score(load("cpu"), prompts, pairs, owner)
    score_in_processes(load("cpu"), load, ["cpu", "cpu"], shared, prompts, pairs, owner)
    assert shared.join().tobytes() == alone.join().tobytes()
    half = Slices.cut(tmp_path / "half", owner, 6)
    half.score(load("cpu"), prompts, pairs, owner, part=(2, 2))
    assert half.missing() == [0, 2, 4, 6]


def test_files_of_another_sample_are_refused(tmp_path):
    prompts, pairs, owner = fake(4, 6)
    slices = Slices.cut(tmp_path, owner, 6)
    slices.score(build(LLAMA), prompts, pairs, owner)
    np.save(slices.path(1), np.zeros(5))
    with pytest.raises(BadInput, match=r"slice-00001.* is not of this sample"):
        slices.join()


def test_the_fingerprint_tells_weights_and_samples_apart():
    model = build(LLAMA)
    first = fingerprint(model, "sample", 5)
    assert fingerprint(build(LLAMA), "sample", 5) == first
    assert len({first, fingerprint(build(LLAMA, seed=1), "sample", 5), fingerprint(model, "other", 5)}) == 3
