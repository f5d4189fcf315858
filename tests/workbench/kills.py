"""Kill -9 at random moments, resumed each time: does a study end as if nothing had happened?

    make test-faults            (this, and faults.py)
    python tests/workbench/kills.py --kills 30 --seed 0

The runner, a worker or a kernel of `genret study test` (with three of its notebooks) is killed at seeded
random moments, and the study started again, until as many of each were killed as asked. After each kill every
status has to tell the truth, and after a runner's no process may be left. Whenever the study has come to its
end, its tables have to equal those of an undisturbed run; then its cells and notebooks are removed, and it
goes on.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from genret_core.modeling import StudyFolder
from genret_core.workbench.pool import process_lives, read_status
from genret_core.workbench.runs import open_study
from genret_core.workbench.study.collect import is_done

NOTEBOOKS = ("00_corpus", "05_model_size", "10_summary")
KINDS = ("runner", "worker", "kernel")
# Seconds that a process may outlive its runner: the server that cells are forked from notices that it is
# alone when it has imported torch, which takes a while on a crowded machine.
PATIENCE = 90.0
MARK = "GENRET_KILLS"  # in the environment of every process of the study
CLOCKS = ("seconds", "model_seconds", "index_seconds", "scoring_seconds", "build_seconds")


class Trial:
    """One study that is killed and resumed."""

    def __init__(self, out: Path, seed: int) -> None:
        self.out, self.folder = out, out / "test"
        self.mark = f"{os.getpid()}-{seed}"
        self.random = random.Random(seed)
        self.printed = out / "printed.txt"
        self.runner: subprocess.Popen[bytes] | None = None
        self.slowest = 0.0  # seconds until the last process was gone after its runner

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "genret_core.workbench.cli.app",
            "study",
            "test",
            "--out",
            str(self.out),
        ]
        command += [word for name in NOTEBOOKS for word in ("--only", name)]
        marked = {**os.environ, MARK: self.mark}
        with open(self.printed, "a", encoding="utf-8") as log:
            self.runner = subprocess.Popen(
                command, stdout=log, stderr=log, env=marked, start_new_session=True
            )

    # ---- whom to kill ----

    def of_kind(self, kind: str) -> list[int]:
        """List the processes of a kind that run now."""
        assert self.runner is not None
        if kind == "runner":
            return [self.runner.pid] if self.runner.poll() is None else []
        if kind == "worker":
            found = [read_status(path.parent) for path in self.folder.glob("cells/*/beat.json")]
            return [one["pid"] for one in found if one["state"] == "running" and process_lives(one["pid"])]
        return [pid for pid in self.processes() if "ipykernel_launcher" in _command(pid)]

    def processes(self) -> list[int]:
        """List all processes of the study."""
        marked = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and marked in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return [pid for pid in found if process_lives(pid)]

    # ---- what has to hold ----

    def after_kill(self, kind: str, pid: int) -> list[str]:
        """Check that the statuses tell the truth; give what is wrong."""
        assert self.runner is not None
        began = time.monotonic()
        if kind == "runner":
            self.runner.wait()
            wrong = ["the study says it runs"] if read_status(self.folder)["state"] == "running" else []
            wrong += self.orphans()
        else:
            wrong = []
            while process_lives(pid) and time.monotonic() - began < PATIENCE:
                time.sleep(0.05)
        return wrong + self.untrue(everything_gone=kind == "runner")

    def orphans(self) -> list[str]:
        """List the processes that are still there a while after their runner ended."""
        began = time.monotonic()
        while (left := self.processes()) and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return [f"orphan {one}: {_command(one)[:80]}" for one in left]

    def untrue(self, *, everything_gone: bool) -> list[str]:
        wrong = []
        plan = {cell.key: cell for cell in open_study(self.folder).plan} if self._planned() else {}
        for path in [*self.folder.glob("cells/*/status.json"), *self.folder.glob("notebooks/*/status.json")]:
            status = read_status(path.parent)
            cell = plan.get(path.parent.name)
            if status["state"] == "running" and (everything_gone or not process_lives(status["pid"])):
                wrong.append(f"{path.parent.name} says it runs")
            if status["state"] == "done" and cell is not None and not is_done(cell):
                wrong.append(f"{path.parent.name} says it is done, and is not")
            if status["state"] == "failed":
                wrong.append(f"{path.parent.name} failed: {status['reason']}")
        return wrong

    def _planned(self) -> bool:
        return (self.folder / "inputs.json").is_file()

    def left_over(self) -> list[str]:
        """List what must not lie in a study that has ended."""
        names = ("*lock*.json*", ".reading-*", ".*.part", "beat.json", ".beat*", "partial.ipynb")
        found = [path for name in names for path in self.folder.rglob(name)]
        # half a page is removed by the next command that comes a minute later
        found = [path for path in found if path.parent != self.folder or path.suffix != ".part"]
        return sorted(str(path.relative_to(self.folder)) for path in found)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what has to be equal: all but times and memory."""
    at = StudyFolder(folder)
    results, cells = pd.read_parquet(at.results_table), pd.read_parquet(at.cells_table)
    return (
        results.drop(columns=[*CLOCKS], errors="ignore"),
        cells[[name for name in cells if name in _NUMBERS]],
    )


_NUMBERS = (
    "cell", "method", "family", "backbone", "P", "P_total", "D", "n_queries", "fraction", "seed", "lr",
    "steps", "tokens", "train_flops",
)  # fmt: skip


def different(ours: Path, undisturbed: Path) -> list[str]:
    """Compare the tables of two studies."""
    wrong = []
    for name, mine, theirs in zip(("results", "cells"), tables(ours), tables(undisturbed), strict=True):
        if mine.duplicated(["cell"] if name == "cells" else ["run_id", "metric", "split", "beam"]).any():
            wrong.append(f"{name}: a row stands there twice")
        try:
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        except AssertionError as error:
            wrong.append(f"{name}: " + " ".join(str(error).split()))
    return wrong


def main() -> int:
    """Run it; the exit status is 1 if anything was not as it should be."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=30, help="in all; a third of each kind")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path, help="kept, if given")
    asked.add_argument("--undisturbed", type=Path, help="a finished `genret study test`, to compare with")
    given = asked.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="genret-kills-"))
    out.mkdir(parents=True, exist_ok=True)
    began, wrong = time.monotonic(), list[str]()
    undisturbed = given.undisturbed
    if undisturbed is None:
        reference = Trial(_folder(out / "undisturbed"), 0)
        reference.start()
        assert reference.runner is not None
        if reference.runner.wait() != 0:
            print(f"the undisturbed run failed: see {out / 'undisturbed' / 'printed.txt'}")
            return 1
        undisturbed = reference.folder
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    trial = Trial(_folder(out / "killed"), given.seed)
    left = Counter({kind: max(1, given.kills // len(KINDS)) for kind in KINDS})
    runs, ends, killed_since = 1, 0, 0
    trial.start()
    while True:
        assert trial.runner is not None
        if trial.runner.poll() is not None:
            if trial.runner.returncode == 0:
                ends += 1
                found = different(trial.folder, undisturbed)
                found += [f"left over: {path}" for path in trial.left_over()]
                found += trial.untrue(everything_gone=True)
                found += trial.orphans()
                found += [] if read_status(trial.folder)["state"] == "done" else ["the study is not done"]
                wrong += found
                print(
                    f"  the study came to its end after {runs} starts: {'; '.join(found) or 'equal'}",
                    flush=True,
                )
                if not sum(left.values()):
                    break
                remove = ["notebooks", "cells"] if left["worker"] or left["runner"] else ["notebooks"]
                for name in remove:
                    shutil.rmtree(trial.folder / name)
                runs = 0
            elif not killed_since:
                wrong.append(f"it ended with status {trial.runner.returncode} though nobody killed anything")
                break
            runs, killed_since = runs + 1, 0
            trial.start()
        if not sum(left.values()):
            time.sleep(0.2)
            continue
        time.sleep(trial.random.uniform(0.1, 4.0 if killed_since else 15.0))
        kinds = [kind for kind in KINDS if left[kind] and trial.of_kind(kind)]
        # a kernel or a worker is there only at times: the runner's turn comes when it is not, or by lot
        if kinds == ["runner"] and any(left[kind] for kind in KINDS[1:]) and trial.random.random() < 0.8:
            continue
        if not kinds:
            continue
        kind = trial.random.choice(kinds)
        pids = trial.of_kind(kind)
        if not pids:
            continue
        pid = trial.random.choice(pids)
        doing = _doing(trial.folder)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        left[kind] -= 1
        killed_since += 1
        found = trial.after_kill(kind, pid)
        wrong += found
        print(
            f"{time.monotonic() - began:5.0f} s  {kind:6}  {doing}: {'; '.join(found) or 'as it should be'}",
            flush=True,
        )
    killed = ", ".join(f"{given.kills // len(KINDS)} {kind}s" for kind in KINDS)
    print(f"{killed} killed, {ends} studies ended, {time.monotonic() - began:.0f} s; ", end="")
    print(f"processes were gone {trial.slowest:.1f} s after their runner at the latest")
    print("\n".join(wrong) if wrong else "nothing lost, nothing twice, nothing left over")
    if given.out is None and not wrong:
        shutil.rmtree(out)
    return 1 if wrong else 0


def _doing(folder: Path) -> str:
    running = []
    for path in [*folder.glob("cells/*/beat.json"), *folder.glob("notebooks/*/beat.json")]:
        status = read_status(path.parent)
        if status["state"] == "running":
            running.append(f"{status.get('name')} {status.get('stage') or ''}".strip())
    return ", ".join(running) or "between"


def _folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
