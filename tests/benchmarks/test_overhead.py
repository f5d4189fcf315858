"""What the workbench itself takes: thousands of finished cells, and notebooks that do nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from many_cells import finished_study

from genret_core.workbench.execute import Job, execute_many

pytestmark = pytest.mark.benchmark
NOTEBOOKS = 40
COMMAND = [sys.executable, "-m", "genret_core.workbench.cli.app"]


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def both(work: Callable[[], object]) -> str:
    """Wall time, and the processor time of what was started: the one that a busy machine does not change."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = seconds(work)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{wall:6.2f} s, {used:5.2f} s of processor"


def test_2000_finished_cells(tmp_path: Path) -> None:
    """`genret runs ls`, a resume that finds nothing to do, the index page: each as a command of its own."""
    folder = finished_study(tmp_path / "runs")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done

    listed = command("runs", "ls", "--out", str(folder.parent))
    assert "2000 of 2000 cells" in listed.stdout
    page = "from pathlib import Path\nfrom genret_core.workbench.runs import open_study\n"
    page += "from genret_core.workbench.study.page import write_page\n"
    page += f"print(write_page(open_study({str(folder)!r}), []))\n"
    write = [sys.executable, "-c", page]
    subprocess.run(write, check=True, capture_output=True, timeout=120)  # the first one also lays plotly.js
    command("study", str(folder), "--no-notebooks")
    taken = {
        "genret runs ls": both(lambda: command("runs", "ls", "--out", str(folder.parent))),
        "the index page": both(lambda: subprocess.run(write, check=True, capture_output=True)),
        "a resume that finds nothing": both(lambda: command("study", str(folder), "--no-notebooks")),
        "genret study --dry-run": both(lambda: command("study", str(folder), "--no-notebooks", "--dry-run")),
        "genret runs gc": both(lambda: command("runs", "gc", str(folder))),
    }
    print("\n2,000 finished cells, from the start of the command to its end:")
    for what, took in taken.items():
        print(f"  {what:30s} {took}")


def test_40_empty_notebooks(tmp_path: Path) -> None:
    """Two at a time with state, log, record and report, against a plain loop of papermill."""
    import papermill

    source = tmp_path / "empty.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell("seed: int = 0  # of nothing", metadata={"tags": ["parameters"]})]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), source)

    def loop() -> None:
        for i in range(NOTEBOOKS):
            papermill.execute_notebook(
                str(source), str(tmp_path / f"plain-{i}.ipynb"), {"seed": i}, progress_bar=False
            )

    def ours(workers: int, name: str) -> None:
        jobs = [Job(source, {"seed": i}, tmp_path / f"{name}-{i}") for i in range(NOTEBOOKS)]
        states = [record.state for record in execute_many(jobs, workers=workers)]
        assert states == ["done"] * NOTEBOOKS

    plain = seconds(loop)
    alone, two = seconds(lambda: ours(1, "one")), seconds(lambda: ours(2, "two"))
    print(
        f"\n{NOTEBOOKS} empty notebooks: papermill in a loop {plain:.1f} s ({plain / NOTEBOOKS:.2f} s each);"
    )
    each = f"{alone / NOTEBOOKS:.2f} s each"
    print(f"  ours with report, one at a time {alone:.1f} s ({each}); two at a time {two:.1f} s")
