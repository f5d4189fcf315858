from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_notebooks import CHECK, notebook

from genret_core.errors import BadInput
from genret_core.workbench.execute import Job, execute, execute_many
from genret_core.workbench.notebook import run as notebook_run
from genret_core.workbench.notebook.kernel import Kernel, started
from genret_core.workbench.notebook.record import RunRecord, open_run, run_key
from genret_core.workbench.pool import read_status, write_status
from genret_core.workbench.pool.claim import claim

pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="ends processes by signals"),
]
ANSWER = "from genret_core.workbench.report.answer import answer\nanswer(f'lr is {lr}.')"
FACTS = """import json, os, sys
names = ("OMP_NUM_THREADS", "TQDM_DISABLE", "PLOTLY_RENDERER", "TOY")
facts = {"cwd": os.getcwd(), "python": sys.executable, "lr": lr}
print("FACTS" + json.dumps({**facts, **{n: os.environ.get(n) for n in names}}))
print("to stderr", file=sys.stderr)"""
BOX = "import ipywidgets\nipywidgets.IntSlider(3)"
CHILD = """import subprocess, time
child = subprocess.Popen(['sleep', '600'])
print('CHILD', child.pid, flush=True)
time.sleep(600)"""
LOUD = """import os
for _ in range(300):
    print('x' * 1_000_000)
os.system('head -c 100000000 /dev/zero | tr "\\\\0" z')
assert 0 == 0"""

KINDS: dict[str, tuple[str, ...]] = {
    "good": ("%md # What is lr?", CHECK, FACTS, BOX, ANSWER),
    "wrong": ("%md # Wrong", "a = 1", "print('before')\nraise ValueError('no such <thing>')", "b = 2"),
    "unusable": (
        "%md # Unusable",
        "from genret_core.errors import BadInput\nraise BadInput('There is no study.')",
    ),
    "left": ("%md # Left", "import sys\nsys.exit(0)", "b = 2"),
    "eaten": ("%md # Eaten", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "b = 2"),
    "crashed": ("%md # Crashed", "import ctypes\nctypes.string_at(0)", "b = 2"),
    "slow": ("%md # Slow", CHILD, "b = 2"),
    "vanished": ("%md # Vanished", "import os\nos._exit(0)", "b = 2"),
    "loud": ("%md # Loud", LOUD, "'y' * 20_000_000", "print('heard')"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").touch()
    return folder


@pytest.fixture(scope="module")
def records(root: Path) -> dict[str, RunRecord]:
    """Run all kinds, three at a time, in the same folder."""
    jobs = [
        Job(
            notebook(root / "notebooks" / f"{kind}.ipynb", *cells),
            {"lr": "1e-4"},
            root / "runs" / kind,
            timeout=3 if kind == "slow" else None,
            env={"TOY": kind},
            inputs={"cells": "abc"},
        )
        for kind, cells in KINDS.items()
    ]
    return {record.name: record for record in execute_many(jobs, workers=3)}


def cells_of(record: RunRecord) -> list[dict[str, object]]:
    return [c for c in json.loads(record.notebook.read_text())["cells"] if c["cell_type"] == "code"]


def log_of(record: RunRecord) -> str:
    return (record.folder / "log.txt").read_text()


def test_a_good_run_keeps_everything(records: dict[str, RunRecord], root: Path) -> None:
    record = records["good"]
    assert (record.state, record.reason, record.cell) == ("done", None, None)
    assert record.title == "What is lr?"
    assert record.answer == "lr is 0.0001."
    assert record.parameters == {"study_dir": "runs/demo", "lr": 1e-4}
    assert yaml.safe_load((record.folder / "params.yaml").read_text()) == record.parameters
    assert record.provenance["python"] and record.inputs == {"cells": "abc"}
    assert record.cells == 6  # parameters as declared and as given, then four more
    names = {path.name for path in record.folder.iterdir()}
    assert names == {"status.json", "run.json", "params.yaml", "log.txt", "executed.ipynb", "report.html"}
    assert open_run(record.folder) == record
    status = read_status(record.folder)
    assert status["state"] == "done" and status["ended"] == record.ended
    saved = json.loads(record.notebook.read_text())["metadata"]
    assert saved["genret"]["answer"] == record.answer and saved["genret"]["state"] == "done"
    assert str(root) not in json.dumps(saved)  # no machine's paths in what is shared


def test_the_kernel_s_surroundings(records: dict[str, RunRecord], root: Path) -> None:
    log = log_of(records["good"])
    facts = json.loads(next(line for line in log.splitlines() if line.startswith("FACTS"))[5:])
    assert Path(facts.pop("cwd")).resolve() == root.resolve()
    assert facts == {
        "python": sys.executable,
        "lr": 1e-4,
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "PLOTLY_RENDERER": "plotly_mimetype",
        "TOY": "good",
    }
    assert "to stderr" in log and "cell 6 of 6" in log


def test_no_widget_state_is_stored(records: dict[str, RunRecord]) -> None:
    assert "application/vnd.jupyter.widget-view+json" in records["good"].notebook.read_text()
    assert "widgets" not in json.loads(records["good"].notebook.read_text())["metadata"]


@pytest.mark.parametrize(
    ("kind", "state", "error", "words"),
    [
        ("wrong", "failed", "ValueError", "ValueError: no such <thing>"),
        ("unusable", "failed", "BadInput", "There is no study."),
        ("left", "failed", "SystemExit", "sys.exit"),
        ("eaten", "killed", None, "killed: probably out of memory"),
        ("crashed", "killed", None, "killed: the kernel died of SIGSEGV"),
        ("slow", "timeout", None, "not done after 3 s"),
        ("vanished", "killed", None, "the kernel ended by itself (status 0)"),
    ],
)
def test_bad_ends_are_told_apart(
    records: dict[str, RunRecord], kind: str, state: str, error: str | None, words: str
) -> None:
    record = records[kind]
    assert (record.state, record.error) == (state, error)
    assert record.reason is not None and words in record.reason and "\n" not in record.reason
    assert read_status(record.folder)["state"] == state
    assert record.notebook.name == "failed.ipynb" and record.notebook.is_file()
    assert not (record.folder / "executed.ipynb").exists() and not (record.folder / "partial.ipynb").exists()
    page = record.report.read_text()
    assert "This run is not complete." in page
    assert record.reason in log_of(record)
    last = cells_of(record)[-1]
    if kind not in ("unusable",):
        assert "".join(last["source"]) == "b = 2" and last["execution_count"] is None
        assert last["metadata"]["papermill"]["status"] == "pending"  # type: ignore[index]
    assert record.cell == (4 if kind == "wrong" else 3)


def test_what_was_printed_before_the_end_is_kept(records: dict[str, RunRecord]) -> None:
    assert "before" in log_of(records["wrong"]) and "Traceback" in log_of(records["wrong"])
    assert "\x1b[" not in log_of(records["wrong"])
    assert "&lt;thing&gt;" in records["wrong"].report.read_text()
    assert "<thing>" not in records["wrong"].report.read_text().replace("\\u003cthing", "")
    assert "There is no study." in log_of(records["unusable"])
    assert "Traceback" not in records["unusable"].report.read_text()


def test_nothing_is_left_running(records: dict[str, RunRecord]) -> None:
    child = int(log_of(records["slow"]).split("CHILD ")[1].split()[0])
    for _ in range(50):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        if b"\nState:\tZ" in Path(f"/proc/{child}/status").read_bytes():
            break  # dead; its adoptive parent has not looked yet
        time.sleep(0.1)
    else:
        pytest.fail("the child of a notebook that was stopped still runs")
    assert not list(Path(tempfile.gettempdir()).glob(f"gr-{os.getpid()}-*"))  # nor any socket


def test_what_prints_without_end_is_cut_and_says_so(records: dict[str, RunRecord]) -> None:
    record = records["loud"]
    assert record.done
    text = record.notebook.read_text()
    assert "printed more than 1,000,000 characters" in text and "heard" in text
    told = log_of(record)  # cut while it grows: by chance before or after the first sentence
    assert "printed more than 1,000,000 characters" in told or "most of the rest is not kept" in told
    assert "an output of 20,000,002 characters was cut here" in text
    assert max(path.stat().st_size for path in record.folder.iterdir()) < 21e6


def test_a_run_that_lost_a_file_is_not_done(root: Path, tmp_path: Path) -> None:
    book = notebook(root / "notebooks" / "whole.ipynb", "a = 1")
    for name, words in (("report.html", "was cut off"), ("executed.ipynb", "is gone")):
        assert execute(book, {}, tmp_path).done
        whole = (tmp_path / name).read_bytes()
        if words == "is gone":
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        record = open_run(tmp_path)
        assert record.state == "queued" and f"its {name} {words}" in str(record.reason)


def test_a_notebook_that_another_command_runs_is_waited_for(root: Path, tmp_path: Path) -> None:
    book = notebook(root / "notebooks" / "shared.ipynb", "a = 1")
    free = notebook(root / "notebooks" / "free.ipynb", "a = 1")
    assert execute(book, {}, tmp_path / "shared").done
    before = (tmp_path / "shared" / "run.json").stat().st_mtime_ns
    theirs = claim(tmp_path / "shared" / "lock.json")
    with pytest.raises(BadInput, match="in use by process"):
        execute(book, {}, tmp_path / "shared")
    said: list[str] = []
    running = execute_many(
        [Job(book, {}, tmp_path / "shared"), Job(free, {}, tmp_path / "free")], say=said.append
    )
    assert next(running).name == "free"
    assert "shared is being run by process" in said[0]
    theirs.release()
    last = next(running)
    assert last.name == "shared" and last.done  # their result, not run again
    assert (tmp_path / "shared" / "run.json").stat().st_mtime_ns == before
    assert not list(tmp_path.glob("*/lock.json"))


def test_refused_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    book = notebook(root / "notebooks" / "refused.ipynb", "a = 1")
    with pytest.raises(BadInput, match="'lr' in the parameters of refused"):
        execute(book, {"lr": "abc"}, tmp_path / "run")
    with pytest.raises(BadInput, match="'rl'"):
        list(execute_many([Job(book, {}, tmp_path / "a"), Job(book, {"rl": 1}, tmp_path / "b")]))
    with pytest.raises(BadInput, match="a folder of its own"):
        list(execute_many([Job(book, {}, tmp_path / "a"), Job(book, {}, tmp_path / "a")]))
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(root: Path, tmp_path: Path) -> None:
    book = notebook(root / "notebooks" / "used.ipynb", "a = 1")
    write_status(tmp_path, "running")
    status = json.loads((tmp_path / "status.json").read_text())
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "status.json").write_text(json.dumps({**status, "pid": other.pid, "born": None}))
        assert read_status(tmp_path)["state"] == "running"
        with pytest.raises(BadInput, match="in use by process"):
            execute(book, {}, tmp_path)
    finally:
        other.kill()
        other.wait()
    gone = read_status(tmp_path)
    assert gone["state"] == "killed" and "is gone" in gone["reason"]
    assert open_run(tmp_path).state == "killed"


def test_a_rerun_replaces_and_reports_progress(root: Path, tmp_path: Path) -> None:
    book = notebook(root / "notebooks" / "again.ipynb", "if lr > 0.5:\n    raise ValueError('too high')")
    seen: list[tuple[int, int]] = []
    assert execute(book, {"lr": 0.9}, tmp_path).state == "failed"
    assert execute(book, {}, tmp_path, on_progress=lambda done, of: seen.append((done, of))).state == "done"
    assert not (tmp_path / "failed.ipynb").exists()
    assert seen == [(1, 2), (2, 2)]  # nothing was injected: all parameters have their defaults
    assert "injected-parameters" not in (tmp_path / "executed.ipynb").read_text()


def test_a_kernel_that_does_not_come_up_is_tried_once_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = notebook(root / "notebooks" / "stubborn.ipynb", "a = 1")
    tries: list[float] = []

    @contextlib.contextmanager
    def stubborn(**settings: Any) -> Iterator[Kernel]:
        tries.append(time.monotonic())
        if len(tries) != 2:
            raise RuntimeError("no answer")
        with started(**settings) as kernel:
            yield kernel

    monkeypatch.setattr(notebook_run, "started", stubborn)
    assert execute(book, {}, tmp_path).state == "done" and len(tries) == 2
    failed = execute(book, {}, tmp_path)  # from here on every try fails
    assert (failed.state, failed.reason, len(tries)) == ("failed", "RuntimeError: no answer", 4)
    assert failed.notebook.is_file() and "no answer" in failed.report.read_text()


def test_a_kernel_killed_before_it_answers_is_killed_not_failed(root: Path, tmp_path: Path) -> None:
    run = notebook_run.NotebookRun(Job(notebook(root / "notebooks" / "early.ipynb", "a = 1"), {}, tmp_path))
    run.check()
    run.begin()
    over, seen = threading.Event(), set[int]()

    def kill_whatever_starts() -> None:
        while not over.wait(0.02):
            if run.kernel is not None and run.kernel.process.pid not in seen:
                seen.add(run.kernel.process.pid)
                run.kernel.kill()

    killer = threading.Thread(target=kill_whatever_starts)
    killer.start()
    record = run.go()
    over.set()
    killer.join()
    assert len(seen) == 2  # it was tried once more
    assert (record.state, str(record.reason)[:30]) == ("killed", "killed: probably out of memory")


def test_closing_stops_what_runs_and_what_waits(root: Path, tmp_path: Path) -> None:
    quick = notebook(root / "notebooks" / "quick.ipynb", "a = 1")
    slow = notebook(root / "notebooks" / "sleepy.ipynb", "import time\ntime.sleep(600)")
    jobs = [Job(quick, {}, tmp_path / "0"), *(Job(slow, {}, tmp_path / str(i)) for i in (1, 2, 3))]
    running: Iterator[RunRecord] = execute_many(jobs, workers=2)
    assert next(running).name == "quick"
    began = time.monotonic()
    running.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 300  # not the 600 s that the notebooks sleep
    states = [read_status(tmp_path / str(i)) for i in range(4)]
    assert [s["state"] for s in states] == ["done", "killed", "killed", "killed"]
    assert states[3]["reason"] == "killed: it was stopped before it began"


def test_ctrl_c_stops_the_notebook_and_marks_it(root: Path, tmp_path: Path) -> None:
    slow = notebook(root / "notebooks" / "held.ipynb", "import time\ntime.sleep(600)")
    code = f"""
        from genret_core.workbench.execute import execute
        execute({str(slow)!r}, {{}}, {str(tmp_path)!r})
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE)
    try:
        log, deadline = tmp_path / "log.txt", time.monotonic() + 120
        while time.monotonic() < deadline and not (log.exists() and "cell 2 of 2" in log.read_text()):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=90)[1]
    finally:
        process.kill()
    assert process.returncode != 0 and b"KeyboardInterrupt" in told
    assert read_status(tmp_path)["state"] == "killed"
    assert (tmp_path / "failed.ipynb").is_file() and (tmp_path / "report.html").is_file()


def test_run_key_follows_what_the_result_depends_on(tmp_path: Path) -> None:
    one = notebook(tmp_path / "one.ipynb", "a = 1")
    key = run_key(one, {"lr": 0.1}, {"cells": "x"})
    again = json.loads(one.read_text())
    again["metadata"]["extra"] = 1
    again["cells"][0]["metadata"]["collapsed"] = True
    (tmp_path / "same.ipynb").write_text(json.dumps(again))
    assert run_key(tmp_path / "same.ipynb", {"lr": 0.1}, {"cells": "x"}) == key
    others = {
        run_key(one, {"lr": 0.2}, {"cells": "x"}),
        run_key(one, {"lr": 0.1}, {"cells": "y"}),
        run_key(notebook(tmp_path / "two.ipynb", "a = 2"), {"lr": 0.1}, {"cells": "x"}),
    }
    assert len(others | {key}) == 4
