"""Studies on a real SLURM of two nodes, and on two hosts that share a disk: equal results, whatever dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from faults import STUDY
from kills import tables
from real_slurm import Cluster, Host, cluster, wait_for, why_not

from genret_core.workbench.pool import read_status
from genret_core.workbench.pool.status import PATIENCE
from genret_core.workbench.sites.engine import FOLDER

pytest.importorskip("parsl", reason="the extra `sweep` is not installed")
REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = Path(__file__).parent
GENRET = (sys.executable, "-m", "genret_core.workbench.cli.app")
LIVES = ", ".join(
    f"{{name: {n}, d_model: {d}, n_layers: 1, n_heads: 1, d_ff: 16}}"
    for n, d in zip("abcd", (8, 16, 24, 32), strict=True)
)
SITE: dict[str, Any] = {
    "provider": "slurm", "partition": "gpu", "walltime": "'00:30:00'", "blocks": "{init: 2, min: 0, max: 2}",
    "workers_per_node": 1, "gpus_per_node": 2, "memory_per_node": 2, "heartbeat": 2, "lost_after": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture(autouse=True)
def _nodes_that_died_are_back(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    found = request.getfixturevalue("slurm")
    for name, host in list(found.nodes.items()):
        if not psutil.pid_exists(host.first):
            found.boot(name)
    found.head.run("scancel", "--user=root")
    found.wait_idle()


class Trial:
    """A study in a folder of its own, and the commands that are at it."""

    def __init__(self, slurm: Cluster, at: Path, like: Path) -> None:
        self.slurm, self.at, self.like = slurm, at, like
        self.folder = at / "runs" / like.name
        shutil.copytree(like, self.folder, ignore=shutil.ignore_patterns("cells", "*.parquet", "index.html"))
        for table in like.rglob("*.parquet"):  # the inputs are there, and nothing of the cells
            if table.parent != like and "cells" not in table.relative_to(like).parts:
                shutil.copy(table, self.folder / table.relative_to(like))

    def words(self, verb: str = "study", **changes: Any) -> list[str]:
        site = self.at / "my-slurm.yaml"
        site.write_text("".join(f"{key}: {value}\n" for key, value in {**SITE, **changes}.items()))
        more = ["--no-notebooks", "--engine", "parsl", "--site", str(site)] if verb == "study" else []
        return [*GENRET, verb, str(self.folder), *more]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.slurm.head.run(*(words or self.words()))

    def start(self, *words: str, on: Host | None = None) -> subprocess.Popen[str]:
        self.log = self.at / f"printed-{time.monotonic_ns()}"
        return (on or self.slurm.head).start(*(words or self.words()), log=self.log)

    def training(self, host: str | None = None) -> dict[str, Any]:
        """Wait until a cell has taken a few steps; give its status."""
        found: list[dict[str, Any]] = []

        def is_trained() -> bool:
            statuses = [read_status(path.parent) for path in self.folder.glob("cells/*/beat.json")]
            found[:] = [
                one
                for one in statuses
                if one["state"] == "running" and one.get("step") and host in (None, one["host"])
            ]
            return bool(found)

        wait_for(is_trained, "a cell that trains", lambda: self.log.read_text())
        return found[0]

    def statuses(self) -> list[dict[str, Any]]:
        return [read_status(path.parent) for path in self.folder.glob("cells/*/status.json")]

    def states(self) -> list[str]:
        return sorted(status["state"] for status in self.statuses())

    def ends_equal(self, done: subprocess.CompletedProcess[str]) -> None:
        """Check that the study came to its end as the undisturbed one did, and left nothing behind."""
        assert done.returncode == 0, done.stdout
        for mine, theirs in zip(tables(self.folder), tables(self.like), strict=True):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        assert set(self.states()) == {"done"} and not (self.folder / FOLDER).exists()
        left = [path for name in ("*lock*.json*", "beat.json", ".*.part") for path in self.folder.rglob(name)]
        assert not left
        wait_for(lambda: not self.slurm.queue(), "an empty queue", lambda: str(self.slurm.queue()))


def undisturbed(slurm: Cluster, study: str, out: Path) -> Path:
    done = slurm.head.run(*GENRET, "study", study, "--no-notebooks", "--out", out)
    assert done.returncode == 0, done.stdout
    [folder] = out.iterdir()
    return folder


@pytest.fixture(scope="module")
def preset(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed(slurm, "test", tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def slow(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cells of a few seconds each: time to kill one."""
    at = tmp_path_factory.mktemp("slow")
    text = (STUDY % LIVES).replace("batch_queries: 8", "batch_queries: 8, steps: fixed, n_steps: 6000")
    (at / "four.yaml").write_text(text.replace("name: tiny", "name: four"))
    return undisturbed(slurm, str(at / "four.yaml"), at / "runs")


def time_passes(folder: Path) -> None:
    """Date signs of life back, as if nobody had given one for as long as takes patience."""
    for name in ("*lock*.json", "beat.json", "status.json"):
        for path in folder.rglob(name):
            then = path.stat().st_mtime - PATIENCE
            os.utime(path, (then, then))


TOYS = """
    import json, sys
    from pathlib import Path
    import toy_jobs
    from genret_core.workbench.pool import Job
    from genret_core.workbench.sites import ParslEngine, SiteFailed, load_site
    folder, jobs = Path({folder!r}), []
    for key, payload in {payloads!r}.items():
        jobs.append(Job(key, key, payload | {{"key": key, "file": str(folder / key)}}, folder / "of" / key))
    for site in {sites!r}:
        try:
            engine = ParslEngine(load_site(site), folder)
            print("TOLD", *[(o.state, o.reason) for o in engine.run_jobs(jobs, toy_jobs.toy, workers=4)])
        except SiteFailed as failed:
            print("TOLD", failed)
"""


def toys(slurm: Cluster, at: Path, payloads: dict[str, Any], *sites: dict[str, Any]) -> list[str]:
    """Run toy jobs through sites that differ from `SITE`; give what was told of each."""
    files = []
    for i, changes in enumerate(sites):
        files.append(str(at / f"site{i}.yaml"))
        Path(files[-1]).write_text("".join(f"{k}: {v}\n" for k, v in {**SITE, **changes}.items()))
    code = textwrap.dedent(TOYS).format(folder=str(at), payloads=payloads, sites=files)
    done = slurm.head.run(sys.executable, "-c", code, PYTHONPATH=str(HERE))
    assert done.returncode == 0, done.stdout
    return [line.removeprefix("TOLD ") for line in done.stdout.splitlines() if line.startswith("TOLD ")]


def test_a_study_over_two_nodes_ends_as_the_local_one(slurm: Cluster, tmp_path: Path, preset: Path) -> None:
    trial = Trial(slurm, tmp_path, preset)
    done = trial.run(*trial.words(workers_per_node=2))
    trial.ends_equal(done)
    assert {status["host"] for status in trial.statuses()} == {"node1", "node2"}
    shown = slurm.head.run(*GENRET, "runs", "show", trial.folder, "--json")
    assert {row["host"] for row in json.loads(shown.stdout)["rows"]} == {"node1", "node2"}


@pytest.mark.parametrize("shape", [{"nodes": 1}, {"nodes": 2, "blocks": "{init: 1, min: 0, max: 1}"}])
def test_each_worker_of_each_node_sees_one_gpu(slurm: Cluster, tmp_path: Path, shape: dict[str, Any]) -> None:
    payloads = {key: {"do": "devices", "wait_for": 4} for key in "abcd"}
    toys(slurm, tmp_path, payloads, {**shape, "workers_per_node": 2})
    seen = [((tmp_path / key).read_text(), read_status(tmp_path / "of" / key)["host"]) for key in payloads]
    assert sorted(seen) == [("0", "node1"), ("0", "node2"), ("1", "node1"), ("1", "node2")]


def test_what_slurm_refuses_is_told_in_its_own_words(slurm: Cluster, tmp_path: Path, preset: Path) -> None:
    told = toys(
        slurm, tmp_path, {"a": {}}, {"partition": "nosuch"}, {"gpus_per_node": 9}, {"constraint": "a100"},
        {"partition": "short", "walltime": "'02:00:00'"},
    )  # fmt: skip
    words = ("Invalid partition name", "node configuration is not available", "Invalid feature", "time limit")
    assert len(told) == len(words)
    for sentence, expected in zip(told, words, strict=True):
        assert "the last that was said is: sbatch: error: " in sentence and expected in sentence
    trial = Trial(slurm, tmp_path, preset)
    done = trial.run(*trial.words(memory_per_node=999))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "Memory specification can not be satisfied; Batch job submission failed" in done.stdout


HURRIED = """
    import sys
    from genret_core.workbench.sites import file, parsl_config
    file.SHORTEST_WALLTIME, parsl_config.NOTICE = {shortest}, {notice}
    from genret_core.workbench.cli.app import main
    sys.argv[0] = "genret"
    main()
"""


def test_the_walltime_is_up(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    site: dict[str, Any] = {"walltime": "'00:01:00'", "blocks": "{init: 1, min: 0, max: 1}"}
    hurried = [sys.executable, "-c", textwrap.dedent(HURRIED).format(shortest=60, notice=20)]
    done = trial.run(*hurried, *trial.words(**site)[len(GENRET) :])
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "timeout: the walltime of its batch job was up" in done.stdout
    assert "timeout" in trial.states() and set(trial.states()) <= {"done", "timeout"}
    trial.ends_equal(trial.run())


def test_slurm_itself_ends_a_batch_job_whose_time_is_up(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    file = trial.folder / "study.yaml"
    file.write_text(file.read_text().replace("n_steps: 6000", "n_steps: 1000000"))
    late = [sys.executable, "-c", textwrap.dedent(HURRIED).format(shortest=60, notice=-600)]
    site: dict[str, Any] = {"walltime": "'00:01:00'", "blocks": "{init: 1, min: 0, max: 1}"}
    command = trial.start(*late, *trial.words(**site)[len(GENRET) :])
    told = "killed: its node or its batch job was lost (on node"
    wait_for(lambda: told in trial.log.read_text(), "SLURM's limit", trial.log.read_text, limit=240)
    [killed] = [status for status in trial.statuses() if status["state"] == "killed"]
    assert killed["host"].startswith("node") and "TIME LIMIT" in "".join(
        path.read_text() for path in trial.folder.glob(f"{FOLDER}/**/*.stderr")
    )
    [process] = slurm.head.processes("NOTICE = 60, -600", str(trial.folder))
    process.terminate()
    assert command.wait(timeout=60) == 130


def test_a_batch_job_that_is_cancelled(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    command = trial.start()
    victim = trial.training()
    [number] = [number for number, _, node in slurm.queue() if node == victim["host"]]
    slurm.head.run("scancel", number)
    assert command.wait(timeout=120) == 1
    told = f"killed: its node or its batch job was lost (on {victim['host']})"
    assert told in trial.log.read_text()
    assert trial.states() == ["done"] * 3 + ["killed"]
    again = trial.run()
    trial.ends_equal(again)
    assert "waiting for it" not in again.stdout  # the batch job's end gave the cell back


def test_a_node_that_loses_power(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    command = trial.start()
    victim = trial.training()
    slurm.nodes[victim["host"]].lose_power()
    assert command.wait(timeout=120) == 1
    assert f"its node or its batch job was lost (on {victim['host']})" in trial.log.read_text()
    [killed] = [status for status in trial.statuses() if status["state"] != "done"]
    assert (killed["state"], killed["name"], killed["host"]) == ("killed", victim["name"], victim["host"])
    time_passes(trial.folder)
    again = trial.run()  # nobody can see whether that node's process is really gone
    trial.ends_equal(again)
    assert f"{victim['name']} is being made by process" in again.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_stopped_or_killed(
    slurm: Cluster, tmp_path: Path, slow: Path, number: signal.Signals
) -> None:
    trial = Trial(slurm, tmp_path, slow)
    command = trial.start()
    trial.training()
    [process] = slurm.head.processes("genret_core.workbench.cli.app", str(trial.folder))
    process.send_signal(number)
    command.wait(timeout=120)
    wait_for(lambda: not slurm.queue(), "an empty queue", lambda: str(slurm.queue()))
    assert "running" not in trial.states() or number == signal.SIGKILL
    if number == signal.SIGINT:
        assert "killed" in trial.states()
        assert "stopped by the user" in {status["reason"] for status in trial.statuses()}
    again = trial.run()
    trial.ends_equal(again)
    assert "waiting for it" not in again.stdout
    assert ("taking over the lock of process" in again.stdout) == (number == signal.SIGKILL)


# ---- two hosts and a disk, without a scheduler ------------------------------------------------------------


def beside(trial: Trial, verb: str) -> list[str]:
    """Give a command that runs one cell at a time where it is."""
    return [*GENRET, verb, str(trial.folder), "--jobs", "1", *["--no-notebooks"] * (verb == "study")]


def test_two_hosts_share_the_cells_of_a_study(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    there = trial.start(*beside(trial, "cells"), on=slurm.nodes["node1"])
    trial.training("node1")
    done = trial.run(*beside(trial, "study"))
    assert there.wait(timeout=120) == 0
    trial.ends_equal(done)
    hosts = [status["host"] for status in trial.statuses()]
    assert sorted(set(hosts)) == ["head", "node1"]
    trained = [line for line in (done.stdout + trial.log.read_text()).splitlines() if " done in " in line]
    assert len({line.split("] ")[1].split(" done")[0] for line in trained}) == len(hosts)
    assert "is being made by process" in done.stdout and "on node1" in done.stdout


def test_a_host_that_dies_at_a_cell_is_taken_over_from(slurm: Cluster, tmp_path: Path, slow: Path) -> None:
    trial = Trial(slurm, tmp_path, slow)
    there = trial.start(*beside(trial, "cells"), on=slurm.nodes["node1"])
    victim = trial.training("node1")
    slurm.nodes["node1"].lose_power()
    there.wait(timeout=30)
    time_passes(trial.folder)
    done = trial.run(*beside(trial, "study"))
    trial.ends_equal(done)
    assert "removing the lock of process" in done.stdout
    told = [
        line for line in done.stdout.splitlines() if f" {victim['name']} was being made by process" in line
    ]
    assert len(told) == 1 and told[0].endswith("which is gone; taking it over")
    assert {status["host"] for status in trial.statuses()} == {"head"}
    assert read_status(trial.folder)["state"] == "done"
