"""What a user sees when things go wrong, as a table: every fault is made for real.

    make test-faults            (this, and kills.py)
    python tests/workbench/faults.py [--only notebooks]

Full and read-only disks are small ones in memory (`mount -t tmpfs`), which takes root; without it they are
left out, and that is said. Each row is judged: the exit status, what is printed, what is left, the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from genret_core.workbench.notebook.record import open_run
from genret_core.workbench.pool import read_status
from genret_core.workbench.pool.process import identity

STUDY = """
name: tiny
corpus: {reader: synthetic, n_documents: 60, queries_per_document: 6, test_queries: 12, validation_queries: 4}
tokenizer: {vocab_size: 300}
identifiers: {ngram: {length: 5, n_samples: 2}}
evaluation: {n_queries: 12, n_negatives: 4, ngrams_per_positive: 2}
recipe: {batch_queries: 8}
ladders:
  - {family: llama, lr: {ngram: 0.1/d}, backbones: [%s]}
grid:
  - {methods: [ngram], backbones: ["*"]}
search:
  - {methods: [ngram], backbones: ["*"], beams: [2]}
"""
SMALL = (
    "{name: a, d_model: 8, n_layers: 1, n_heads: 1, d_ff: 16}, "
    "{name: b, d_model: 16, n_layers: 1, n_heads: 1, d_ff: 16}"
)
WIDE = "{name: c, d_model: 384, n_layers: 4, n_heads: 4, d_ff: 1536}"  # a checkpoint of 30 MB
GENRET = [sys.executable, "-m", "genret_core.workbench.cli.app"]


@dataclass
class Row:
    """A line of the table."""

    fault: str
    printed: str
    status: int
    left: str
    then: str
    right: bool


def genret(*words: object, limit: float = 600) -> tuple[int, str]:
    """Run a command; give its exit status and all that it printed."""
    done = subprocess.run(
        [*GENRET, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
    )
    return done.returncode, done.stdout


def sentence(printed: str, pattern: str) -> str:
    """Give the line that says what happened; "" if none does, or there is a traceback."""
    if "Traceback" in printed:
        return ""
    return next((line.strip() for line in printed.splitlines() if re.search(pattern, line)), "")


class Faults:
    """All faults, in one scratch folder."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.small = self.study("small", SMALL)
        self.rows: list[Row] = []

    def study(self, name: str, backbones: str) -> Path:
        path = self.scratch / f"{name}.yaml"
        path.write_text(STUDY % backbones, encoding="utf-8")
        return path

    def slow_study(self, name: str) -> Path:
        """Write a study whose cells take long enough to be met at work."""
        path = self.study(name, SMALL)
        steps = "batch_queries: 8, steps: fixed, n_steps: 1500"
        path.write_text(path.read_text(encoding="utf-8").replace("batch_queries: 8", steps), encoding="utf-8")
        return path

    def notebook(self, name: str, *cells: str) -> Path:
        folder = self.scratch / "project" / "notebooks"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "pyproject.toml").touch()
        tags = {"tags": ["parameters"]}
        parameters = {"cell_type": "code", "source": "n: int = 1  # nothing", "metadata": tags}
        code = [{"cell_type": "code", "source": cell, "metadata": {}} for cell in cells]
        found = [
            {**cell, "id": f"c{i}", "outputs": [], "execution_count": None}
            for i, cell in enumerate([parameters, *code])
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        text = json.dumps({"cells": found, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
        return folder / f"{name}.ipynb"

    def note(self, fault: str, printed: str, status: int, left: str, then: str, right: bool) -> None:
        self.rows.append(Row(fault, printed, status, left, then, right))
        print(f"{'as it should be' if right else 'WRONG':16} {fault}", flush=True)

    # ---- disks ----

    def disk_full(self) -> None:
        with disk(self.scratch / "full", "24m") as at:
            wide = self.study("wide", f"{SMALL}, {WIDE}")
            status, out = genret("study", wide, "--out", at, "--no-notebooks", "--anyway")
            said = sentence(out, r"^genret: .*(disk is full|no room)")
            folder = at / "tiny"
            left = states(folder)
            subprocess.run(["mount", "-o", "remount,size=300m", str(at)], check=True)
            again, then = genret("study", wide, "--out", at, "--no-notebooks")
            right = bool(said) and status == 1 and again == 0 and not half_written(folder)
            self.note(
                "the disk is full while a checkpoint is written",
                said or tail(out),
                status,
                left,
                tail(then),
                right,
            )

    def disk_full_before(self) -> None:
        with disk(self.scratch / "tiny-disk", "64k") as at:
            status, out = genret("study", self.small, "--out", at, "--no-notebooks", "--anyway")
            said = sentence(out, r"^genret: .*(disk is full|no room)")
            subprocess.run(["mount", "-o", "remount,size=100m", str(at)], check=True)
            again, then = genret("study", self.small, "--out", at, "--no-notebooks")
            right = bool(said) and status == 1 and again == 0 and not half_written(at / "tiny")
            self.note(
                "the disk is full from the start",
                said or tail(out),
                status,
                "nothing half",
                tail(then),
                right,
            )

    def read_only(self) -> None:
        with disk(self.scratch / "locked", "60m") as at:
            assert genret("study", self.small, "--out", at, "--no-notebooks")[0] == 0
            first = next((at / "tiny" / "cells").iterdir())
            shutil.rmtree(first / "evals")
            subprocess.run(["mount", "-o", "remount,ro", str(at)], check=True)
            status, out = genret("study", self.small, "--out", at, "--no-notebooks")
            said = sentence(out, r"^genret: .*can only be read")
            subprocess.run(["mount", "-o", "remount,rw", str(at)], check=True)
            again, then = genret("study", self.small, "--out", at, "--no-notebooks")
            right = bool(said) and status == 1 and again == 0
            self.note(
                "the folder can only be read", said or tail(out), status, "unchanged", tail(then), right
            )

    # ---- clocks ----

    def clock(self) -> None:
        out = self.scratch / "clock"
        folder = out / "tiny"
        folder.mkdir(parents=True)
        lock = folder / "lock.json"
        theirs = {
            **identity(),
            "host": "another-machine",
            "machine": "another",
            "token": "theirs",
            "user": "eve",
        }
        lock.write_text(json.dumps({**theirs, "since": "2026-01-01T00:00:00+00:00"}))
        hour_ago = time.time() - 3600
        os.utime(lock, (hour_ago, hour_ago))
        status, printed = genret("study", self.small, "--out", out, "--no-notebooks")
        said = sentence(printed, "^taking over the lock")
        self.note(
            "a lock of another machine, an hour old", said or tail(printed), status, "no lock",
            "-", bool(said) and status == 0 and not lock.exists(),
        )  # fmt: skip
        lock.write_text(json.dumps(theirs))
        tomorrow = time.time() + 86_400
        os.utime(lock, (tomorrow, tomorrow))
        for path in folder.rglob("status.json"):
            os.utime(path, (tomorrow, tomorrow))
        status, printed = genret("study", self.small, "--out", out, "--no-notebooks")
        said = sentence(printed, "^taking over the lock")
        self.note(
            "the clock jumps back a day: lock and states are of tomorrow", said or tail(printed), status,
            "no lock", "-", bool(said) and status == 0 and "2 of 2 cells" in printed,
        )  # fmt: skip

    # ---- notebooks ----

    def run_notebook(
        self, fault: str, pattern: str, state: str, *cells: str, timeout: float | None = None
    ) -> None:
        name = re.sub(r"\W+", "_", fault)
        book, out = self.notebook(name, *cells), self.scratch / "notebooks" / name
        words = [] if timeout is None else ["--timeout", timeout]
        status, printed = genret("run", book, "--out", out, *words)
        record, size = open_run(out), sum(path.stat().st_size for path in out.iterdir()) / 1e6
        shown = printed if state != "done" else (out / "executed.ipynb").read_text()
        said = sentence(shown, pattern)
        if state == "done":
            said = re.search(pattern, shown)[0] if re.search(pattern, shown) else ""  # type: ignore[index]
        left = f"{record.state}, {record.notebook.name}, report, {size:.1f} MB"
        shutil.copy(self.notebook("mended", "1"), book)
        again, _ = genret("run", book, "--out", out)
        right = (
            bool(said) and status == (0 if state == "done" else 1) and record.state == state and again == 0
        )
        self.note(fault, said or tail(printed), status, left, "runs again", right and size < 30)

    def notebooks(self) -> None:
        hang, more = "import time\ntime.sleep(10_000)", "print('never')"
        self.run_notebook("a notebook hangs", "timeout", "timeout", hang, more, timeout=4)
        self.run_notebook(
            "a notebook leaves with sys.exit(0)", "sys.exit", "failed", "import sys\nsys.exit(0)", more
        )
        self.run_notebook(
            "a notebook leaves with os._exit(0)", "ended by itself", "killed", "import os\nos._exit(0)", more
        )
        much = "import os, signal, time\nx = b'x' * 300_000_000\ntime.sleep(2.5)\n"
        kill = f"{much}os.kill(os.getpid(), signal.SIGKILL)"
        self.run_notebook("a kernel is killed", r"killed: .*peak memory [34]\d\d MB", "killed", kill, more)
        loud = "for _ in range(1000):\n    print('x' * 1_000_000)"
        self.run_notebook(
            "a notebook prints a gigabyte",
            "this cell printed more than [^;]*; the rest is not kept",
            "done",
            loud,
        )

    # ---- cells ----

    def not_a_number(self) -> None:
        out = self.scratch / "nan"
        wild = self.study(
            "wild", SMALL + ", {name: wild, d_model: 16, n_layers: 2, n_heads: 1, d_ff: 32, lr: 1.0e30}"
        )
        wild.write_text(wild.read_text().replace(", lr: 1.0e30}", ", lr: {ngram: 1.0e30}}"))
        status, printed = genret("study", wild, "--out", out, "--no-notebooks")
        said = sentence(printed, r"^wild ngram.*failed: .*loss became")
        _, then = genret("study", wild, "--out", out, "--no-notebooks")
        told = sentence(then, "--retry-failed")
        self.note(
            "the loss becomes NaN",
            said or tail(printed),
            status,
            states(out / "tiny"),
            told or tail(then),
            bool(said and told) and status == 1,
        )

    def a_file_is_cut(self) -> None:
        out = self.scratch / "cut"
        genret("study", self.small, "--out", out, "--no-notebooks")
        table = next((out / "tiny" / "cells").glob("*/evals/*/losses.parquet"))
        table.write_bytes(table.read_bytes()[:100])
        status, printed = genret("study", self.small, "--out", out, "--no-notebooks")
        said = sentence(printed, "2 cells, 1 of them done")
        again, then = genret("study", self.small, "--out", out, "--no-notebooks")
        self.note(
            "a file of a finished cell is cut off",
            said or tail(printed),
            status,
            states(out / "tiny"),
            tail(then),
            bool(said) and (status, again) == (0, 0),
        )

    def two_at_once(self) -> None:
        out = self.scratch / "two"
        slow = self.slow_study("slow")
        first = subprocess.Popen(
            [*GENRET, "study", slow, "--out", out, "--no-notebooks", "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lock = out / "tiny" / "lock.json"
        wait(lock.is_file)
        status, printed = genret("study", slow, "--out", out, "--no-notebooks")
        said = sentence(printed, "^genret: another command is at work")
        self.note(
            "a second `genret study` in the same folder",
            said or tail(printed),
            status,
            "the first goes on",
            "-",
            bool(said) and status == 2,
        )
        wait(lambda: any(out.glob("tiny/cells/*/beat.json")))
        status, printed = genret("cells", slow, "--out", out, "--jobs", "1")
        said = sentence(printed, "is being made by|also at work")
        theirs, _ = first.communicate()
        both = states(out / "tiny")
        right = (
            bool(said)
            and status == 0
            and first.returncode == 0
            and both == "2 done"
            and not half_written(out / "tiny")
        )
        self.note(
            "`genret cells` beside a `genret study`", said or tail(printed), status, both, tail(theirs), right
        )

    def killed_runner(self) -> None:
        out = self.scratch / "killed"
        slow = self.slow_study("slow2")
        runner = subprocess.Popen(
            [*GENRET, "study", slow, "--out", out, "--no-notebooks"], stdout=subprocess.DEVNULL
        )
        wait(lambda: any(out.glob("tiny/cells/*/beat.json")))
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
        time.sleep(1)
        left = states(out / "tiny")
        status, printed = genret("study", slow, "--out", out, "--no-notebooks")
        said = sentence(printed, "^taking over the lock")
        self.note(
            "kill -9 of the runner",
            "(nothing: it was killed)",
            -9,
            left,
            said or tail(printed),
            bool(said) and status == 0 and "killed" in left,
        )


def states(folder: Path) -> str:
    """Count the states of a study's cells."""
    found = [str(read_status(path.parent)["state"]) for path in folder.glob("cells/*/status.json")]
    return ", ".join(f"{found.count(state)} {state}" for state in sorted(set(found))) or "no cell began"


def half_written(folder: Path) -> list[Path]:
    """List what a killed or failed writer left."""
    return [path for name in (".*.part", "*lock*.json*", "beat.json") for path in folder.rglob(name)]


def tail(printed: str) -> str:
    """Give the last lines but for the page's name."""
    lines = [line for line in printed.strip().splitlines() if not line.endswith("index.html")]
    return lines[-1][:200] if lines else ""


def wait(until: Callable[[], bool], limit: float = 120) -> None:
    end = time.monotonic() + limit
    while not until() and time.monotonic() < end:
        time.sleep(0.1)


@contextmanager
def disk(at: Path, size: str) -> Iterator[Path]:
    """Mount a small disk in memory while the block runs."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "genret-faults", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def may_mount() -> bool:
    """Whether small disks can be made here."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True)
        if made.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return made.returncode == 0


def main() -> int:
    """Make the faults and print the table; the exit status is 1 if a row is not as it should be."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", action="append", help="names of faults, as in this file")
    given = asked.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="genret-faults-"))
    faults = Faults(scratch)
    disks = ("disk_full_before", "disk_full", "read_only")
    rest = ("notebooks", "not_a_number", "a_file_is_cut", "two_at_once", "killed_runner", "clock")
    names = given.only or [*(disks if may_mount() else ()), *rest]
    try:
        for name in names:
            getattr(faults, name)()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not given.only and len(names) < len(disks) + len(rest):
        print("left out, as small disks take root: " + ", ".join(disks))
    print("\n| fault | what is printed | exit | what is left | the next run |\n|---|---|---|---|---|")
    for row in faults.rows:
        cells = (row.fault, row.printed, str(row.status), row.left, row.then)
        print("| " + " | ".join(text.replace("|", "\\|").replace(str(scratch), "…") for text in cells) + " |")
    return 0 if all(row.right for row in faults.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
