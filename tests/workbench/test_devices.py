"""GPUs shared out among workers, seen from inside the jobs; the devices are made up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import toy_jobs

from genret_core.workbench.pool import Job, run_jobs
from genret_core.workbench.pool.devices import pinned, visible_devices


def seen(tmp_path: Path, wanted: dict[str, int | None], workers: int) -> dict[str, str]:
    """Run jobs that stay until all workers are busy, and give the devices that each saw."""
    task = {"do": "devices", "wait_for": workers}
    jobs = [
        Job(key, key, {**task, "file": str(tmp_path / key)}, tmp_path / "of" / key, gpus=gpus)
        for key, gpus in wanted.items()
    ]
    assert {outcome.state for outcome in run_jobs(jobs, toy_jobs.toy, workers=workers)} == {"done"}
    return {key: (tmp_path / key).read_text() for key in wanted}


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENRET_DEVICE", raising=False)


def test_each_worker_has_one_gpu_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-aa")
    given = seen(tmp_path, dict.fromkeys("abcd", 1), workers=4)
    assert sorted(given.values()) == ["5", "5", "GPU-aa", "GPU-aa"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,GPU-aa"


def test_six_workers_share_the_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert set(seen(tmp_path, dict.fromkeys("abcdef", 1), workers=6).values()) == {"0"}


def test_a_job_that_several_processes_train_sees_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert seen(tmp_path, {"a": 2}, workers=1) == {"a": "0,1"}
    assert seen(tmp_path, {"b": None}, workers=1) == {"b": "0,1,2,3"}
    assert pinned(1, ["0", "1", "2", "3"], 2)["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_devices_that_the_user_named_stand_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("GENRET_DEVICE", "cuda:0,cuda:1")
    assert pinned(1, visible_devices()) == {}


def test_which_gpus_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_devices({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "3, 1"}) == ["3", "1"]
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\nprintf 'GPU 0: A\\n  MIG 1g\\nGPU 1: B\\n'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices({}) == ["0", "1"]
    driver.write_text("#!/bin/sh\nexit 9\n")
    assert visible_devices({}) == []
