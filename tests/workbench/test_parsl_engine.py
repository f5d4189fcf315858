"""Jobs on workers of Parsl: the same states, sentences and numbers as on one machine, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_slurm
import pandas as pd
import psutil
import pytest
import toy_jobs
import toy_notebooks

from genret_core.files import read_json
from genret_core.workbench.notebook.job import Job as NotebookJob
from genret_core.workbench.pool import Job, Outcome, read_status, run_jobs
from genret_core.workbench.sites import ParslEngine, SiteFailed, load_site
from genret_core.workbench.sites.engine import FOLDER
from genret_core.workbench.sites.file import LocalSite, Site
from genret_core.workbench.study import run_study

pytest.importorskip("parsl", reason="the extra `sweep` is not installed")
pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _toys_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.delenv("GENRET_DEVICE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def job(folder: Path, key: str, do: str = "write", cost: float = 1.0) -> Job:
    return Job(key, f"toy {key}", {"key": key, "do": do, "file": str(folder / "written")}, folder / key, cost)


def local(**more: Any) -> Site:
    return LocalSite(**{"provider": "local", "workers_per_node": 2, "heartbeat": 2, **more})


def ends(outcomes: list[Outcome]) -> dict[str, tuple[str, str | None, str | None]]:
    """Give states, reasons (without what was measured) and exceptions."""
    return {o.job.key: (o.state, o.reason and o.reason.split(" (peak")[0], o.error) for o in outcomes}


def test_states_sentences_and_files_are_those_of_the_local_engine(tmp_path: Path) -> None:
    kinds = {"f": "fail", "k": "die", "s": "segfault", "w": "write"}
    found: dict[str, Any] = {}
    for engine in ("local", "parsl"):
        folder = tmp_path / engine
        folder.mkdir()
        jobs = [job(folder, key, do) for key, do in kinds.items()]
        run = run_jobs if engine == "local" else ParslEngine(local(), folder).run_jobs
        outcomes = run(jobs, toy_jobs.toy, workers=2, timeout=60.0)
        keys = {key: set(read_json(folder / key / "status.json")) for key in kinds}
        states = {key: read_status(folder / key)["state"] for key in kinds}
        files = {key: sorted(path.name for path in (folder / key).iterdir()) for key in kinds}
        found[engine] = ends(outcomes), keys, states, files
        assert [o.job for o in sorted(outcomes, key=lambda o: o.job.key)] == jobs
    assert found["local"] == found["parsl"]
    assert "seen by nobody" in (tmp_path / "parsl" / "w" / "log.txt").read_text()
    assert (tmp_path / "parsl" / "written").read_text().split()[1] == "1"  # thread
    assert not (tmp_path / "parsl" / FOLDER).exists()


class Seen:
    """A watch that keeps what it was told, and acts on the first progress of one job."""

    def __init__(self, act: Any = None, on: str = "victim") -> None:
        self.act, self.on = act, on
        self.slots: dict[str, int] = {}
        self.stages: set[tuple[str, str]] = set()
        self.gone: list[str] = []

    def started(self, job: Job, slot: int) -> None:
        self.slots[job.key] = slot

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
        self.stages.add((job.key, stage))
        if job.key == self.on and self.act is not None:
            act, self.act = self.act, None
            act(job)

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None: ...

    def ended(self, outcome: Outcome, slot: int) -> None:
        self.gone.append(outcome.job.key)

    def tick(self) -> None: ...


def worker_of(job: Job) -> psutil.Process:
    """Find the worker of Parsl whose server forked the process of a running job."""
    status = read_json(job.folder / "status.json")
    assert status["state"] == "running" and status["pid"]
    server = psutil.Process(status["pid"]).parent()
    assert server is not None and server.parent() is not None
    found = server.parent()
    assert found is not None
    return found


def test_kill_9_of_a_worker_and_of_a_job(tmp_path: Path) -> None:
    for number, kill in enumerate((
        lambda job: worker_of(job).kill(),
        lambda job: os.kill(read_json(job.folder / "status.json")["pid"], signal.SIGKILL),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        watch = Seen(kill)
        jobs = [job(folder, "victim", "sleep", cost=9), job(folder, "a"), job(folder, "b"), job(folder, "c")]
        outcomes = ends(ParslEngine(local(), folder).run_jobs(jobs, toy_jobs.toy, workers=2, watch=watch))
        state, reason, _ = outcomes.pop("victim")
        assert (state, set(outcomes.values())) == ("killed", {("done", None, None)})
        assert "probably out of memory" in str(reason)
        status = read_json(folder / "victim" / "status.json")
        assert (status["state"], status["name"]) == ("killed", "toy victim")
        assert ("victim", "train") in watch.stages and set(watch.slots.values()) <= {0, 1}
        assert sorted(watch.gone) == ["a", "b", "c", "victim"]


def test_time_limits_of_a_job_and_of_the_command(tmp_path: Path) -> None:
    engine = ParslEngine(local(workers_per_node=1), tmp_path)
    outcomes = engine.run_jobs([job(tmp_path, "slow", "sleep")], toy_jobs.toy, workers=1, timeout=1.0)
    assert ends(outcomes) == {"slow": ("timeout", "took longer than 1 s", None)}
    jobs = [job(tmp_path, "first", "sleep", cost=9), job(tmp_path, "next")]
    outcomes = engine.run_jobs(jobs, toy_jobs.toy, workers=1, deadline=20.0)
    assert ends(outcomes) == {"first": ("timeout", "the time given to this command was up", None)}
    assert read_status(tmp_path / "next")["state"] == "queued"


SCRIPT = """
    import sys
    from pathlib import Path
    import toy_jobs
    from genret_core.workbench.pool import Job
    from genret_core.workbench.sites import ParslEngine
    from genret_core.workbench.sites.file import LocalSite
    folder = Path({folder!r})
    jobs = [Job(k, k, {{"key": k, "do": "sleep", "file": str(folder / "w")}}, folder / k) for k in "abc"]
    try:
        site = LocalSite(provider="local", workers_per_node=2)
        ParslEngine(site, folder).run_jobs(jobs, toy_jobs.toy, workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_marks_what_ran_and_nothing_outlives_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = textwrap.dedent(SCRIPT).format(folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    statuses: list[dict[str, Any]] = []
    for _ in range(900):  # the machine may be busy
        time.sleep(0.1)
        statuses = [read_status(tmp_path / key) for key in "abc"]
        if sum(status["state"] == "running" for status in statuses) == 2:
            break
    pids = [status["pid"] for status in statuses if status["state"] == "running"]
    assert len(pids) == 2
    os.killpg(process.pid, number)  # the terminal's Ctrl-C reaches the whole group
    assert process.wait(timeout=90) == (130 if number == signal.SIGINT else -number)
    for _ in range(600):
        if not any(psutil.pid_exists(pid) for pid in pids):
            break
        time.sleep(0.1)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    states = sorted(read_status(tmp_path / key)["state"] for key in "abc")
    assert states == ["killed", "killed", "queued"]
    if number == signal.SIGINT:
        reasons = {read_status(tmp_path / key).get("reason") for key in "abc"}
        assert reasons == {None, "stopped by the user"} and not (tmp_path / FOLDER).exists()


def test_a_node_that_does_not_come_up_is_told_in_its_own_words(tmp_path: Path) -> None:
    site = local(
        before=['module () { echo "module: no such module: $2" >&2; exit 3; }', "module load cuda/99"]
    )
    with pytest.raises(SiteFailed, match="no such module: cuda/99"):
        ParslEngine(site, tmp_path).run_jobs([job(tmp_path, "a")], toy_jobs.toy, workers=1)
    assert read_status(tmp_path / "a")["state"] == "queued"
    assert any((tmp_path / FOLDER).rglob("*.sh.err"))  # kept, for whoever has to find out


def test_a_scheduler_that_refuses_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_slurm.install(tmp_path))
    (tmp_path / "slurm" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: Invalid account' >&2; exit 1\n"
    )
    site = tmp_path / "site.yaml"
    site.write_text("provider: slurm\nworkers_per_node: 1\nwalltime: '00:10:00'\naddress: lo\n")
    with pytest.raises(SiteFailed, match="sbatch: error: Invalid account"):
        ParslEngine(load_site(site), tmp_path).run_jobs([job(tmp_path, "a")], toy_jobs.toy, workers=1)


def test_workers_see_their_own_gpu(tmp_path: Path) -> None:
    keys = "abcd"
    task = {"do": "devices", "wait_for": len(keys)}
    jobs = [Job(k, k, {**task, "file": str(tmp_path / k)}, tmp_path / "of" / k) for k in keys]
    site = local(workers_per_node=4, gpus_per_node=2)
    outcomes = ParslEngine(site, tmp_path).run_jobs(jobs, toy_jobs.toy, workers=4)
    assert {outcome.state for outcome in outcomes} == {"done"}
    assert sorted((tmp_path / k).read_text() for k in keys) == ["0", "0", "1", "1"]


def test_notebooks_are_jobs_too(tmp_path: Path) -> None:
    good = toy_notebooks.notebook(tmp_path / "good.ipynb", "x = 1", "print('ran')")
    bad = toy_notebooks.notebook(tmp_path / "bad.ipynb", "raise ValueError('no')")
    jobs = [NotebookJob(path, {}, tmp_path / "runs" / path.stem) for path in (good, bad)]
    records = {run.name: run for run in ParslEngine(local(), tmp_path).execute_many(jobs)}
    assert (records["good"].state, records["bad"].state) == ("done", "failed")
    assert records["bad"].reason == "ValueError: no"
    assert records["good"].report.is_file() and records["bad"].report.is_file()


# ---- whole studies ---------------------------------------------------------------------------------------


def results(folder: Path) -> pd.DataFrame:
    """Give what was measured, without how long it took."""
    table = pd.read_parquet(folder / "results.parquet")
    columns = [name for name in table.columns if not name.endswith("seconds") and name != "run_id"]
    return table[columns].sort_values(columns, ignore_index=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("local")
    outcome = run_study("test", out=out, only=[], say=lambda line: None)
    assert outcome.ok
    yield outcome.folder


def test_a_study_through_parsl_survives_the_death_of_a_worker_and_ends_as_the_local_one(
    tmp_path: Path, undisturbed: Path
) -> None:
    def kill_one() -> None:
        for _ in range(3000):
            time.sleep(0.1)
            for path in tmp_path.glob("test/cells/*/status.json"):
                try:
                    worker_of(Job("", "", None, path.parent)).kill()
                except (OSError, ValueError, KeyError, AssertionError, TypeError, psutil.Error):
                    continue  # none that runs
                return

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    first = run_study("test", out=tmp_path, engine="parsl", jobs=2, only=[], say=lambda line: None)
    killer.join(timeout=1)
    assert (len(first.failures), first.cells_done) == (1, first.cells - 1)
    assert "killed: its worker died" in first.failures[0]
    second = run_study("test", out=tmp_path, engine="parsl", jobs=2, only=[], say=lambda line: None)
    assert second.ok and second.cells_done == second.cells
    pd.testing.assert_frame_equal(results(second.folder), results(undisturbed), check_exact=True)
    assert not (second.folder / FOLDER).exists()


def test_a_study_through_slurm(tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_slurm.install(tmp_path))
    site = tmp_path / "my-slurm.yaml"
    site.write_text(
        "provider: slurm\npartition: short\naccount: lab\nwalltime: '00:30:00'\nworkers_per_node: 2\n"
        "blocks: {init: 1, min: 0, max: 1}\naddress: lo\nbefore: [echo prepared]\n"
    )
    assert load_site(site).provider == "slurm"
    outcome = run_study(
        "test", out=tmp_path / "runs", engine="parsl", site=site, only=[], say=lambda line: None
    )
    assert outcome.ok
    pd.testing.assert_frame_equal(results(outcome.folder), results(undisturbed), check_exact=True)
    [asked] = (tmp_path / "slurm").glob("*.sbatch")
    assert "#SBATCH --partition=short" in asked.read_text() and "#SBATCH --account=lab" in asked.read_text()
    [number] = [path.stem for path in (tmp_path / "slurm").glob("*.job")]
    assert (tmp_path / "slurm" / f"{number}.cancelled").exists()  # given back
