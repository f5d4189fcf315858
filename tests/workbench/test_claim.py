"""Locks: one holder at a time, whoever dies, is suspended, or has a wrong clock."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import toy_jobs

from genret_core.workbench.pool import Job, Outcome, claim, read_status, run_jobs
from genret_core.workbench.pool import status as pool_status
from genret_core.workbench.pool.claim import PATIENCE, WATCHED, ClaimLost, Held, Sights, held_by
from genret_core.workbench.pool.claim import claim as take
from genret_core.workbench.pool.process import identity, process_lives

RACES, TAKERS = 200, 4


def gone() -> dict[str, Any]:
    """A process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**identity(), "pid": process.pid, "born": "1"}


def lock_of(path: Path, **holder: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"token": "theirs", **holder}))
    return path


def _race(folder: str, together: Any, won: Any) -> None:
    for i in range(RACES):
        together.wait()
        try:
            take(Path(folder) / str(i) / "lock.json")
            won.put(i)
        except Held:
            pass
    together.wait()  # nobody dies before the last race is over


def test_of_several_takers_of_a_stale_lock_exactly_one_wins(tmp_path: Path) -> None:
    left_by = gone()
    for i in range(RACES):
        lock_of(tmp_path / str(i) / "lock.json", **left_by)
    context = mp.get_context("fork" if "fork" in mp.get_all_start_methods() else "spawn")
    together, won = context.Barrier(TAKERS), context.Queue()
    takers = [context.Process(target=_race, args=(str(tmp_path), together, won)) for _ in range(TAKERS)]
    for taker in takers:
        taker.start()
    winners = Counter(won.get(timeout=60) for _ in range(RACES))
    for taker in takers:
        taker.join(60)
    assert won.empty() and winners == Counter(range(RACES))
    assert [path.name for path in tmp_path.glob("*/*")] == ["lock.json"] * RACES
    assert not list(tmp_path.glob("*/.*"))


def test_a_lock_names_its_holder_and_goes_when_it_is_given_back(tmp_path: Path) -> None:
    own = take(tmp_path / "lock.json")
    with pytest.raises(Held, match=rf"process {os.getpid()} on .*, since "):
        take(tmp_path / "lock.json")
    assert held_by(tmp_path / "lock.json") is not None
    own.release()
    assert held_by(tmp_path / "lock.json") is None
    assert not list(tmp_path.iterdir())


def test_a_taker_killed_in_the_middle_is_in_nobody_s_way(tmp_path: Path) -> None:
    lock_of(tmp_path / "lock.json", **gone())
    lock_of(tmp_path / ".lock.json-after-theirs", **{**gone(), "token": "taker"})  # it replaced nothing
    lock_of(tmp_path / ".lock.json-0123", **gone())
    own = take(tmp_path / "lock.json")
    assert own.before is not None and own.before["token"] == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_a_number_that_another_process_has_now_does_not_hold_a_lock(tmp_path: Path) -> None:
    me = identity()
    assert process_lives(me["pid"], me["born"])
    lock_of(tmp_path / "lock.json", **{**me, "born": "17"})
    assert held_by(tmp_path / "lock.json") is None


def test_a_lock_of_another_machine_is_judged_by_the_clock_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clock of a machine counts: `time.time` may say what it likes."""
    monkeypatch.setattr(time, "time", lambda: 4e9)
    clock = [1000.0]
    monkeypatch.setattr(claim, "monotonic", lambda: clock[0])
    there = {**identity(), "host": "elsewhere", "machine": "another"}
    path = lock_of(tmp_path / "lock.json", **there)
    now = path.stat().st_mtime
    seen: Sights = {}
    assert held_by(path, seen=seen) is not None  # renewed just now
    os.utime(path, (now, now - PATIENCE - 30))
    assert held_by(path, seen=seen) is not None  # it looks left behind: it is watched first
    clock[0] += WATCHED + 1
    os.utime(path, (now, now - PATIENCE - 20))  # it was renewed: its holder lives, by another clock
    assert held_by(path, seen=seen) is not None
    clock[0] += WATCHED - 1
    with pytest.raises(Held, match="elsewhere"):
        take(path, seen=seen)
    clock[0] += 2
    assert take(path, seen=seen).before is not None


def test_a_lock_dated_in_the_future_is_taken_over_when_nobody_renews_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(claim, "monotonic", lambda: clock[0])
    path = lock_of(tmp_path / "lock.json", **{**identity(), "host": "elsewhere", "machine": "another"})
    later = path.stat().st_mtime + 86_400
    os.utime(path, (later, later))
    seen: Sights = {}
    assert held_by(path, seen=seen) is not None
    clock[0] += PATIENCE - 1
    assert held_by(path, seen=seen) is not None
    clock[0] += 2
    assert held_by(path, seen=seen) is None


def test_who_was_taken_over_notices_and_leaves_the_other_s_lock_alone(tmp_path: Path) -> None:
    own = take(tmp_path / "lock.json")
    lock_of(tmp_path / "lock.json", **{**identity(), "token": "the other's"})
    with pytest.raises(ClaimLost, match="was taken over by process"):
        own.check()
    own.release()
    assert json.loads((tmp_path / "lock.json").read_text())["token"] == "the other's"


class Noted:
    """Notes what is waited for, and lets go of it."""

    def __init__(self, held: Any) -> None:
        self.held, self.told = held, list[str]()

    def started(self, job: Job, slot: int) -> None: ...

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None: ...

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
        self.told.append(f"{job.key} {holder}" + ", gone" * gone)

    def ended(self, outcome: Outcome, slot: int) -> None:
        if outcome.job.key == "free":
            pool_status.write_status(self.held.path.parent, "running", host="elsewhere")
            pool_status.write_status(self.held.path.parent, "done", started="then")
            self.held.release()

    def tick(self) -> None: ...


def test_a_job_that_another_command_is_at_is_waited_for(tmp_path: Path) -> None:
    jobs = [
        Job(key, key, {"key": key, "file": str(tmp_path / "written")}, tmp_path / key, cost)
        for key, cost in (("held", 9.0), ("free", 1.0))
    ]
    (tmp_path / "held").mkdir()
    watch = Noted(take(tmp_path / "held" / "lock.json"))
    outcomes = run_jobs(jobs, toy_jobs.toy, workers=2, watch=watch)
    assert [(o.job.key, o.state) for o in outcomes] == [("free", "done"), ("held", "done")]
    assert len(watch.told) == 1 and watch.told[0].startswith(f"held process {os.getpid()} on ")
    assert not list(tmp_path.glob("*/lock.json")) and not list(tmp_path.glob("*/.*"))
    theirs = read_status(tmp_path / "held")  # it was looked at, and is not ours
    assert (theirs["host"], theirs["started"]) == ("elsewhere", "then")


@pytest.mark.slow
def test_a_job_of_a_machine_that_died_is_watched_and_then_taken_over(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    there = {**identity(), "host": "elsewhere", "machine": "another", "token": "theirs"}
    path = lock_of(tmp_path / "held" / "lock.json", **there)
    old = path.stat().st_mtime - PATIENCE - 5
    os.utime(path, (old, old))
    job = Job("held", "held", {"key": "held", "file": str(tmp_path / "written")}, tmp_path / "held")
    watch = Noted(None)
    outcomes = run_jobs([job], toy_jobs.toy, workers=1, watch=watch, deadline=4 * WATCHED)
    assert [o.state for o in outcomes] == ["done"] and not path.exists()
    assert [told.endswith(", gone") for told in watch.told] == [False, True]


def test_a_worker_whose_lock_was_taken_stops_rather_than_writes(tmp_path: Path) -> None:
    job = Job("slow", "slow", {"key": "slow", "do": "sleep", "file": str(tmp_path / "w")}, tmp_path / "slow")

    class Taker(Noted):
        def moved(self, job: Job, slot: int, *more: Any) -> None:
            if not self.told:
                self.told.append(str(read_status(job.folder)["pid"]))
                lock_of(job.folder / "lock.json", **{**identity(), "token": "the other's"})
                job.payload["do"] = "write"  # what is asked of it when it is our turn again

        def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
            self.told.append(holder)
            assert read_status(job.folder)["state"] == "killed"  # not `done` nor `failed`: it wrote nothing
            (job.folder / "lock.json").unlink()

    watch = Taker(None)
    outcomes = run_jobs([job], toy_jobs.toy, workers=1, watch=watch)
    assert [o.state for o in outcomes] == ["done"]
    assert "took it over" in watch.told[1]
    assert (tmp_path / "w").read_text().split()[2] != watch.told[0]  # by another process


def test_the_heartbeat_carries_progress_and_the_peak(tmp_path: Path) -> None:
    from genret_core.workbench.pool import Heartbeat, write_status

    write_status(tmp_path, "running", name="n", started="2026-01-01T00:00:00+00:00")
    with Heartbeat(tmp_path) as heart:
        heart.tell("train", 3, 10, 4.5)
        heart.beat()
        status = read_status(tmp_path)
        assert (status["state"], status["stage"], status["step"], status["of"]) == ("running", "train", 3, 10)
        assert status["loss"] == 4.5 and status["beat"] and status["peak_memory"] > 5
    assert not (tmp_path / "beat.json").exists()


def test_a_running_one_of_another_machine_is_believed_as_long_as_it_gives_signs_of_life(
    tmp_path: Path,
) -> None:
    pool_status.write_status(tmp_path, "running", name="n", pid=1, host="elsewhere", machine="another")
    assert read_status(tmp_path)["state"] == "running"
    old = (tmp_path / "status.json").stat().st_mtime - PATIENCE - 5
    os.utime(tmp_path / "status.json", (old, old))
    assert read_status(tmp_path)["state"] == "killed"
    (tmp_path / "beat.json").write_text('{"stage": "train", "peak_memory": 2100.0}')
    assert read_status(tmp_path)["state"] == "running"
    os.utime(tmp_path / "beat.json", (old, old))
    assert read_status(tmp_path)["reason"] == "killed: its process is gone (peak memory 2.1 GB)"


@pytest.mark.parametrize("text", ["", "null", "[]", '{"state"', "\x00\x00", '{"state": "running"}'])
def test_a_status_that_says_nothing_is_never_taken_for_done(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path)["state"] in ("queued", "killed")
