"""The pool against jobs that succeed, fail, die, dawdle and are interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import toy_jobs

from genret_core.files import read_json
from genret_core.workbench.pool import Job, JobFailed, Outcome, process_lives, read_status, run_jobs
from genret_core.workbench.pool.progress import Clock, PlainWatch, RichWatch, duration
from genret_core.workbench.pool.worker import LOG_ROOM


def job(folder: Path, key: str, do: str = "write", cost: float = 1.0) -> Job:
    return Job(key, f"toy {key}", {"key": key, "do": do, "file": str(folder / "written")}, folder / key, cost)


def test_longest_first_one_thread_each_and_every_job_in_its_own_process(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "a", cost=1), job(tmp_path, "b", cost=3), job(tmp_path, "c", cost=2)]
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    outcomes = run_jobs(jobs, toy_jobs.toy, workers=1)
    lines = [line.split() for line in (tmp_path / "written").read_text().splitlines()]
    assert [line[0] for line in lines] == ["b", "c", "a"]
    assert {line[1] for line in lines} == {"1"}
    assert len({line[2] for line in lines} | {str(os.getpid())}) == 4
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    assert read_json(tmp_path / "a" / "status.json")["state"] == "done"
    assert "seen by nobody" in (tmp_path / "a" / "log.txt").read_text()
    assert os.environ.get("OPENBLAS_NUM_THREADS") == before


def test_a_failure_and_deaths_do_not_stop_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kinds = {"f": "fail", "k": "die", "s": "segfault", "w1": "write", "w2": "write"}
    jobs = [job(tmp_path, key, do) for key, do in kinds.items()]
    watch = PlainWatch(jobs, 2)
    outcomes = {o.job.key: o for o in run_jobs(jobs, toy_jobs.toy, workers=2, watch=watch)}
    assert {key: outcome.state for key, outcome in outcomes.items()} == {
        "f": "failed", "k": "killed", "s": "killed", "w1": "done", "w2": "done",
    }  # fmt: skip
    assert outcomes["f"].reason == "RuntimeError: the [loss] became NaN at step 3"
    assert re.fullmatch(r"killed: probably out of memory \(peak memory \d+ MB\)", str(outcomes["k"].reason))
    assert "SIGSEGV" in str(outcomes["s"].reason)
    assert "Traceback" in (tmp_path / "f" / "log.txt").read_text()
    assert read_json(tmp_path / "k" / "status.json")["reason"] == outcomes["k"].reason
    said = capfd.readouterr().out
    assert "toy k killed in" in said and "[5/5]" in said


def test_kill_9_of_a_worker_from_outside(tmp_path: Path) -> None:
    class Killer:
        def started(self, job: Job, slot: int) -> None: ...

        def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
            if job.key == "victim":
                os.kill(read_status(job.folder)["pid"], signal.SIGKILL)

        def waiting(self, job: Job, holder: str, gone: bool = False) -> None: ...

        def ended(self, outcome: Outcome, slot: int) -> None: ...

        def tick(self) -> None: ...

    jobs = [job(tmp_path, "victim", "sleep", cost=9), job(tmp_path, "other")]
    outcomes = {o.job.key: o.state for o in run_jobs(jobs, toy_jobs.toy, workers=2, watch=Killer())}
    assert outcomes == {"victim": "killed", "other": "done"}


def test_deadline_stops_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "slow", "sleep", cost=9), job(tmp_path, "next")]
    since = time.monotonic()
    outcomes = run_jobs(jobs, toy_jobs.toy, workers=1, deadline=1.5)
    assert time.monotonic() - since < 300  # not the 600 s that the job sleeps
    assert [(o.job.key, o.state) for o in outcomes] == [("slow", "timeout")]
    assert read_status(tmp_path / "next")["state"] == "queued"


def test_timeout_of_one_job(tmp_path: Path) -> None:
    outcomes = run_jobs([job(tmp_path, "slow", "sleep")], toy_jobs.toy, workers=1, timeout=1.0)
    assert (outcomes[0].state, outcomes[0].reason) == ("timeout", "took longer than 1 s")


def test_a_full_disk_stops_all_with_one_sentence_and_is_no_failure_of_the_job(tmp_path: Path) -> None:
    jobs = [job(tmp_path, "meets it", "full", cost=9), job(tmp_path, "next"), job(tmp_path, "last")]
    with pytest.raises(JobFailed, match=r"toy meets it: killed: the disk is full \(.*written\); mend that"):
        run_jobs(jobs, toy_jobs.toy, workers=1)
    assert [read_status(one.folder)["state"] for one in jobs] == ["killed", "queued", "queued"]


def test_a_log_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run_jobs([job(tmp_path, "loud", "shout")], toy_jobs.toy, workers=1)
    assert outcomes[0].state == "done"
    log = (tmp_path / "loud" / "log.txt").read_text()
    assert len(log) < LOG_ROOM + 200 and "the rest is not kept" in log[-100:]


SCRIPT = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {here!r})
    import toy_jobs
    from genret_core.workbench.pool import Job, run_jobs
    folder = Path({folder!r})
    jobs = [Job(k, k, {{"key": k, "do": "sleep", "file": str(folder / "w")}}, folder / k) for k in "abc"]
    try:
        run_jobs(jobs, toy_jobs.toy, workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def _interrupted(tmp_path: Path, how: Any) -> tuple[int, list[dict[str, Any]]]:
    """Run a pool in a process group of its own and end it by `how` once two jobs run."""
    code = textwrap.dedent(SCRIPT).format(here=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    statuses: list[dict[str, Any]] = []
    for _ in range(900):  # the machine may be busy
        time.sleep(0.1)
        statuses = [read_status(tmp_path / key) for key in "abc"]
        if sum(bool(s["state"] == "running" and (tmp_path / k / "beat.json").exists()) for s, k in zip(
            statuses, "abc", strict=True)) == 2:  # fmt: skip
            break
    pids = [status["pid"] for status in statuses if status["state"] == "running"]
    assert len(pids) == 2
    how(process.pid)
    code_ = process.wait(timeout=90)
    for _ in range(300):
        if not any(process_lives(pid) for pid in pids):
            break
        time.sleep(0.1)
    assert not any(process_lives(pid) for pid in pids), "a worker outlived its pool"
    return code_, [read_status(tmp_path / key) for key in "abc"]


def test_ctrl_c_stops_all_workers_and_says_so_in_their_status(tmp_path: Path) -> None:
    code, statuses = _interrupted(tmp_path, lambda pid: os.killpg(pid, signal.SIGINT))
    assert code == 130
    assert sorted(status["state"] for status in statuses) == ["killed", "killed", "queued"]
    assert {s["reason"] for s in statuses if s["state"] == "killed"} == {"stopped by the user"}


def test_kill_9_of_the_pool_leaves_no_worker_behind(tmp_path: Path) -> None:
    _, statuses = _interrupted(tmp_path, lambda pid: os.kill(pid, signal.SIGKILL))
    assert sorted(status["state"] for status in statuses) == ["killed", "killed", "queued"]
    assert all(s["reason"].startswith("killed: its process is gone (peak memory ") for s in statuses[:2])


def test_the_live_view_prints_what_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and reasons may hold [brackets], which rich would take for markup."""
    jobs = [job(tmp_path, "[bold]a[/bold]"), job(tmp_path, "b")]
    watch = RichWatch(jobs, 2)
    with watch.bars:
        watch.started(jobs[0], 0)
        watch.moved(jobs[0], 0, "train", 1, 2, 3.0)
        watch.moved(jobs[0], 0, "losses", 0, 0, None)
        watch.tick()
        watch.ended(Outcome(jobs[0], "failed", "the [loss] became NaN", 2.0), 0)
    assert "toy [bold]a[/bold] failed in 2.0 s: the [loss] became NaN" in capsys.readouterr().out


def test_time_left_is_corrected_by_what_jobs_really_took(tmp_path: Path) -> None:
    jobs = [job(tmp_path, key, cost=10) for key in "abcd"]
    clock = Clock(jobs, workers=1)
    assert clock.left() == pytest.approx(40)
    clock.start(jobs[0])
    clock.end(Outcome(jobs[0], "done", None, seconds=20))  # twice as slow as expected
    assert clock.left() == pytest.approx(60)
    assert [duration(s) for s in (5, 365, 12_000)] == ["5 s", "6 min 05 s", "3 h 20 min"]
