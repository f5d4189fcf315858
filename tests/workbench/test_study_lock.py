"""Who may work in a study folder beside whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.workbench.pool import JobFailed, claim, read_status, write_status
from genret_core.workbench.pool.process import identity
from genret_core.workbench.study.lock import (
    beside_others,
    in_turn,
    locked,
    others_at_work,
    refuse_beside_others,
)
from genret_core.workbench.study.place import at_work


@pytest.fixture
def other() -> Any:
    """Another process of this machine, as a lock names it."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield {**identity(), "pid": process.pid, "born": None, "token": "theirs", "command": "genret cells x"}
    process.kill()
    process.wait()


def test_many_cells_commands_beside_one_study_command(tmp_path: Path, other: Any) -> None:
    said: list[str] = []
    write_json(tmp_path / "lock-there-1.json", other)
    with locked(tmp_path, say=said.append):
        with pytest.raises(BadInput, match=r"another command is at work .* `genret cells`"), locked(tmp_path):
            raise AssertionError("two at once")
        with beside_others(tmp_path, say=said.append):
            assert others_at_work(tmp_path) == [f"process {other['pid']} on {other['host']}: genret cells x"]
    assert len(said) == 1 and said[0].endswith("genret cells x; the cells are shared")
    with pytest.raises(BadInput, match="end it before starting anew"):
        refuse_beside_others(tmp_path, "starting anew")
    assert [path.name for path in tmp_path.iterdir()] == ["lock-there-1.json"]


def test_what_a_killed_cells_command_left_is_removed_and_told(tmp_path: Path, other: Any) -> None:
    write_json(tmp_path / "lock-here-2.json", {**other, "born": "17"})  # its number is another process' now
    half = tmp_path / ".index.html.x.part"
    half.write_text("<p>")
    os.utime(half, (1, 1))
    said: list[str] = []
    with locked(tmp_path, say=said.append):
        assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]
    assert said == [
        f"removing the lock of process {other['pid']} on {other['host']}: genret cells x, which is gone"
    ]
    assert not list(tmp_path.iterdir())


def test_a_notebook_that_nobody_will_run_again_is_told_as_killed(tmp_path: Path, other: Any) -> None:
    """Its folder is named by rows that the study has no more, so that no later run comes across it."""
    for name, born in (("gone", "17"), ("lives", None)):
        folder = tmp_path / "notebooks" / name
        write_status(folder, "running", name=name, started="2026-01-01T00:00:00+00:00")
        write_json(folder / "status.json", {**read_json(folder / "status.json"), **other, "born": born})
        write_json(folder / "lock.json", {**other, "born": born})
        write_json(folder / "beat.json", {"beat": "2026-01-01T00:00:01+00:00", "peak_memory": 123.0})
    with locked(tmp_path, say=print):
        pass
    gone, lives = tmp_path / "notebooks" / "gone", tmp_path / "notebooks" / "lives"
    assert [path.name for path in gone.iterdir()] == ["status.json"]
    status = read_json(gone / "status.json")
    assert (status["state"], status["pid"]) == ("killed", None) and "123 MB" in status["reason"]
    assert {path.name for path in lives.iterdir()} == {"status.json", "lock.json", "beat.json"}
    assert read_status(lives)["state"] == "running"


def test_what_a_machine_left_that_died_is_watched_and_removed(
    tmp_path: Path, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "WATCHED", 0.5)
    path = tmp_path / "lock-there-3.json"
    write_json(path, {**other, "host": "there", "machine": "there"})
    assert len(others_at_work(tmp_path)) == 1  # believed for as long as it may be alive
    old = path.stat().st_mtime - claim.PATIENCE - 5
    os.utime(path, (old, old))
    refuse_beside_others(tmp_path, "starting anew")
    said: list[str] = []
    with locked(tmp_path, say=said.append):
        assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]
    watched, removed = said
    assert watched.endswith("watching whether it does") and removed.startswith("removing the lock of process")


def test_who_lost_the_lock_is_interrupted_and_leaves_the_status_alone(
    tmp_path: Path, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.1)
    theirs = {"state": "running", **other}
    with (
        pytest.raises(JobFailed, match=r"was taken over by process .* this command stops"),
        locked(tmp_path),
        at_work(tmp_path),
    ):
        write_json(tmp_path / "lock.json", other)
        write_json(tmp_path / "status.json", theirs)
        time.sleep(60)
    assert read_json(tmp_path / "lock.json") == other
    assert read_json(tmp_path / "status.json") == theirs


def test_the_status_of_a_study_says_what_is_under_way(tmp_path: Path) -> None:
    cell = tmp_path / "cells" / "0123"
    write_status(cell, "running", name="llama-d8 ngram s0", started="2026-01-01T00:00:00+00:00")
    (cell / "beat.json").write_text(json.dumps({"stage": "train", "step": 3, "of": 9, "loss": 1.5}))
    with at_work(tmp_path) as ending:
        status = read_status(tmp_path)
        assert (status["state"], status["pid"]) == ("running", os.getpid())
        assert status["running"] == [
            {
                "folder": "cells/0123", "name": "llama-d8 ngram s0", "started": "2026-01-01T00:00:00+00:00",
                "stage": "train", "step": 3, "of": 9, "loss": 1.5,
            }
        ]  # fmt: skip
        ending |= {"state": "failed", "reason": "why"}
    assert read_status(tmp_path)["state"] == "failed"


def test_inputs_and_tables_are_made_in_turn(tmp_path: Path) -> None:
    order: list[str] = []
    held = claim.claim(tmp_path / "tables-lock.json")

    def second() -> None:
        with in_turn(tmp_path / "tables-lock.json", "the tables", order.append):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.5)
    order.append("first")
    held.release()
    thread.join(30)
    assert order[1:] == ["first", "second"] and order[0].endswith("makes the tables; waiting for it")
    assert not list(tmp_path.iterdir())
