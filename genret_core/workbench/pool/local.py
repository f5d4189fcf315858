"""The local engine: one job per subprocess, as many at a time as there are cores, longest first.

Each job runs in its own process, so that one that dies takes nobody with it. Processes are forked from a
server that has imported the heavy modules once (`preload`); where there is no fork, they are spawned. The
`status.json` of a job is written here alone: queued, running, done, failed, killed or timeout.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import multiprocessing.connection
import multiprocessing.context
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from genret_core.files import read_json, write_json

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
PROGRESS_EVERY = 0.25  # seconds between messages of one worker


@dataclass(frozen=True)
class Job:
    """One piece of work: `function(payload, progress)`, with its status in `folder`."""

    key: str
    name: str
    payload: Any
    folder: Path
    cost: float = 1.0  # expected seconds; only the order and the time left depend on it


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `done`, `failed`, `killed` or `timeout`, and why."""

    job: Job
    state: str
    reason: str | None
    seconds: float
    error: str | None = None  # name of the exception, where there was one


class JobFailed(RuntimeError):
    """A job without which nothing else can go on did not come through; the message is a sentence."""


class Progress(Protocol):
    """What a job calls to say how far it is."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        """Report `done` of `total` in a stage."""


class Watch(Protocol):
    """Somebody who looks on (see `pool.progress`)."""

    def started(self, job: Job, slot: int) -> None:
        """Take note that a job started."""

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
        """Take note of progress."""

    def ended(self, outcome: Outcome, slot: int) -> None:
        """Take note that a job ended."""

    def tick(self) -> None:
        """Redraw; called a few times a second."""


def warm(preload: Sequence[str]) -> None:
    """Start the process that jobs are forked from; it imports `preload` while the caller goes on."""
    if _method() != "forkserver":
        return
    with _one_thread():
        mp.get_context("forkserver").set_forkserver_preload(list(preload))
        forkserver.ensure_running()


def run_jobs(
    jobs: Sequence[Job],
    function: Callable[[Any, Progress], Any],
    *,
    workers: int,
    preload: Sequence[str] = (),
    watch: Watch | None = None,
    deadline: float | None = None,
    timeout: float | None = None,
) -> list[Outcome]:
    """Run jobs in subprocesses.

    Parameters
    ----------
    jobs : sequence of Job
        What to do. A job that fails or dies does not stop the others.
    function : callable
        A function of a module (it is pickled by name): `function(payload, progress)`.
    workers : int
        Processes at a time. Each has one thread.
    preload : sequence of str
        Modules that are imported once and shared by all.
    watch : Watch, optional
        Told of every start, step and end.
    deadline : float, optional
        Seconds from now after which no job starts and running ones are stopped (`timeout`).
    timeout : float, optional
        Seconds that one job may take.

    Returns
    -------
    list of Outcome
        In the order in which they ended; jobs that never started have none.

    Raises
    ------
    KeyboardInterrupt
        After the running jobs have been stopped and marked `killed`.
    """
    if not jobs:
        return []
    for job in jobs:
        _write_status(job, "queued")
    with _one_thread():
        warm(preload)
        pool = _Pool(
            function, workers, watch, time.monotonic() + deadline if deadline is not None else None, timeout
        )
        return pool.run(jobs)


@dataclass
class _Running:
    job: Job
    slot: int
    process: Any  # a Process of whichever start method
    messages: Connection
    started: float
    began: str
    said: tuple[str, str | None, str | None] | None = None  # the job's last word: state, reason, error


@dataclass
class _Pool:
    function: Callable[[Any, Progress], Any]
    workers: int
    watch: Watch | None
    deadline: float | None
    timeout: float | None
    running: list[_Running] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        queue = deque(sorted(jobs, key=lambda job: (-job.cost, job.key)))
        try:
            while queue or self.running:
                while queue and len(self.running) < self.workers and not self._late():
                    self._start(queue.popleft())
                if not self.running:
                    break  # the deadline has passed: what is queued stays queued
                self._listen()
                self._stop_late_ones()
                if self.watch is not None:
                    self.watch.tick()
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            for one in list(self.running):
                self._stop(one, "killed", "stopped by the user" if stopped else f"the pool stopped: {error}")
            raise
        return self.outcomes

    def _start(self, job: Job) -> None:
        slot = min(set(range(self.workers)) - {one.slot for one in self.running})
        context: Any = mp.get_context(_method())
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(sender, self.function, job.payload, job.folder), name=job.name, daemon=True
        )
        began = _now()
        _write_status(job, "running", started=began)
        with _no_main():
            process.start()
        sender.close()
        self.running.append(_Running(job, slot, process, receiver, time.monotonic(), began))
        _write_status(job, "running", started=began, pid=process.pid)
        if self.watch is not None:
            self.watch.started(job, slot)

    def _listen(self) -> None:
        waiting: list[Any] = [one.messages for one in self.running if not one.messages.closed]
        waiting += [one.process.sentinel for one in self.running]
        multiprocessing.connection.wait(waiting, timeout=0.25)
        for one in list(self.running):
            over = not one.process.is_alive()  # asked before reading: what it sent is then all there
            self._read(one)
            if over:
                one.process.join()
                self._end(one, *(one.said or _cause_of_death(one.process.exitcode)))

    def _read(self, one: _Running) -> None:
        try:
            while not one.messages.closed and one.messages.poll():
                kind, *rest = one.messages.recv()
                if kind == "progress":
                    if self.watch is not None:
                        self.watch.moved(one.job, one.slot, *rest)
                else:
                    one.said = (kind, rest[0], rest[1])
        except (EOFError, OSError):
            one.messages.close()

    def _end(self, one: _Running, state: str, reason: str | None, error: str | None = None) -> None:
        self.running.remove(one)
        one.messages.close()
        outcome = Outcome(one.job, state, reason, time.monotonic() - one.started, error)
        _write_status(one.job, state, reason=reason, started=one.began, ended=_now())
        self.outcomes.append(outcome)
        if self.watch is not None:
            self.watch.ended(outcome, one.slot)

    def _stop(self, one: _Running, state: str, reason: str) -> None:
        one.process.terminate()
        one.process.join(timeout=3)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        self._end(one, state, reason)

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop_late_ones(self) -> None:
        for one in list(self.running):
            if self._late():
                self._stop(one, "timeout", "the time given to this command was up")
            elif self.timeout is not None and time.monotonic() - one.started > self.timeout:
                self._stop(one, "timeout", f"took longer than {self.timeout:g} s")


def _work(messages: Connection, function: Callable[[Any, Progress], Any], payload: Any, folder: Path) -> None:
    """Do one job, in its own process: output to `log.txt`, progress and the last word through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the pool decides
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    last = 0.0

    def progress(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < PROGRESS_EVERY:
            return
        last = time.monotonic()
        try:
            messages.send(("progress", stage, int(done), int(total), None if loss is None else float(loss)))
        except OSError:
            os._exit(1)  # the pool is gone: nobody waits for this job

    try:
        function(payload, progress)
    except Exception as error:
        traceback.print_exc()
        messages.send(("failed", _one_line(error), type(error).__name__))
    else:
        messages.send(("done", None, None))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    own = type(error).__module__.startswith("genret_core")  # our exceptions are sentences
    return text if own else f"{type(error).__name__}: {text}"


def _cause_of_death(exitcode: int | None) -> tuple[str, str]:
    """Explain a process that ended without a last word."""
    if exitcode == -signal.SIGKILL:
        return "killed", "killed: probably out of memory"
    if exitcode is not None and exitcode < 0:
        return "killed", f"killed by {signal.Signals(-exitcode).name}"
    return "killed", f"the process ended with status {exitcode} and no message"


def _write_status(job: Job, state: str, **more: Any) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    known = {"state": state, "name": job.name, "reason": None, "started": None, "ended": None, "pid": None}
    write_json(job.folder / "status.json", {**known, **more})


def read_status(folder: Path) -> dict[str, Any]:
    """Read `status.json` of a job; a `running` job whose process is gone was killed."""
    try:
        status: dict[str, Any] = read_json(folder / "status.json")
    except (OSError, ValueError):
        return {"state": "queued", "reason": None}
    if status.get("state") == "running" and not process_lives(status.get("pid")):
        status |= {"state": "killed", "reason": "its process is gone"}
    return status


def process_lives(pid: int | None) -> bool:
    """Tell whether a process of this machine still exists."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _method() -> str:
    return "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Give processes started inside one thread each (two per process were up to 16 times slower)."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Keep a job from importing the caller's script again: what it needs is in `function`'s module."""
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name) for name in ("__file__",) if name in main.__dict__}
    spec, main.__spec__ = main.__spec__, None
    try:
        yield
    finally:
        main.__dict__.update(hidden)
        main.__spec__ = spec


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
