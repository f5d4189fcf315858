"""The local engine: one job per subprocess, as many at a time as there are cores, longest first.

Each job runs in its own process (see `worker`), so that one that dies takes nobody with it. Processes are
forked from a server that has imported the heavy modules once (`preload`); where there is no fork, they are
spawned. The process writes the status of its job; of one that cannot speak any more, it is written here.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

from genret_core.workbench.pool.claim import FILE as LOCK_FILE
from genret_core.workbench.pool.claim import Held, Sights, claimed
from genret_core.workbench.pool.devices import pinned, visible_devices
from genret_core.workbench.pool.heartbeat import FILE as BEAT_FILE
from genret_core.workbench.pool.job import Job, JobFailed, Outcome, Progress, Watch
from genret_core.workbench.pool.line import Line
from genret_core.workbench.pool.memory import kills_counted, why_killed
from genret_core.workbench.pool.status import read_status, write_status
from genret_core.workbench.pool.worker import (
    DISK_FAULT,
    HELD,
    LOST,
    ONE_THREAD,
    LastWord,
    leave_with_parent,
    now,
    work,
)

PATIENCE = 10.0  # seconds that a job has to write its state when it is asked to end


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
        Processes at a time. Each has one thread, and sees its own of the GPUs that are visible here.
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
        In the order in which they ended; jobs that never started have none. A job that another command is at
        (see `claim`) is waited for, and then looked at again.

    Raises
    ------
    KeyboardInterrupt
        After the running jobs have been stopped and marked `killed`.
    JobFailed
        The disk is full or cannot be written to; the running jobs were stopped and marked `killed`.
    """
    if not jobs:
        return []
    line = Line(jobs, watch)
    with _one_thread():
        warm(preload)
        pool = _Pool(
            function, workers, watch, time.monotonic() + deadline if deadline is not None else None, timeout
        )
        return pool.run(line)


@dataclass
class _Running:
    job: Job
    slot: int
    process: Any  # a Process of whichever start method
    messages: Connection
    started: float
    began: str
    kills: int | None  # what the system had killed for lack of memory by then
    said: LastWord | None = None


@dataclass
class _Pool:
    function: Callable[[Any, Progress], Any]
    workers: int
    watch: Watch | None
    deadline: float | None
    timeout: float | None
    devices: list[str] = field(default_factory=visible_devices)
    line: Line = field(init=False)
    stopping: bool = False
    running: list[_Running] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, line: Line) -> list[Outcome]:
        self.line = line
        try:
            while line or self.running:
                while len(self.running) < self.workers and not self._late():
                    job = line.next()
                    if job is None:
                        break
                    self._start(job)
                if not self.running and self._late():
                    break  # what is queued stays queued
                self._listen()
                self._stop_late_ones()
                if self.watch is not None:
                    self.watch.tick()
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            self._ask_to_end()
            for one in list(self.running):
                self._stop(one, "killed", "stopped by the user" if stopped else f"killed: {error}")
            raise
        return self.outcomes

    def _start(self, job: Job) -> None:
        slot = min(set(range(self.workers)) - {one.slot for one in self.running})
        failed = self.line.failed_elsewhere(job)
        if failed is not None:
            self.outcomes.append(failed)
            if self.watch is not None:
                self.watch.started(job, slot)
                self.watch.ended(failed, slot)
            return
        context: Any = mp.get_context(_method())
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_in_process,
            args=(sender, self.function, job, pinned(slot, self.devices, job.gpus), dict(self.line.seen)),
            name=job.name,
            daemon=True,
        )
        began = now()
        with _no_main():
            process.start()
        sender.close()
        self.running.append(_Running(job, slot, process, receiver, time.monotonic(), began, kills_counted()))
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
                if one.said is not None and one.said[0] == HELD:
                    self._left_to(one, str(one.said[1]))
                elif one.said is not None:
                    self._ended(one, *one.said)
                elif one.process.exitcode == LOST:
                    self._left_to(one, "another command, which took it over while this one was suspended")
                else:
                    self._died(one, *_cause_of_death(one.process.exitcode, one))

    def _read(self, one: _Running) -> None:
        try:
            while not one.messages.closed and one.messages.poll():
                kind, *rest = one.messages.recv()
                if kind == "progress":
                    if self.watch is not None:
                        self.watch.moved(one.job, one.slot, *rest)
                else:
                    one.said = (kind, *rest)
        except (EOFError, OSError):
            one.messages.close()

    def _died(self, one: _Running, state: str, reason: str) -> None:
        """Write the status of a job whose process did not come to write it."""
        folder, times = one.job.folder, {"started": one.began, "ended": now()}
        # unless somebody has begun it again, or the disk is full, which was said
        with contextlib.suppress(Held, OSError), claimed(folder / LOCK_FILE):
            peak = _peak(one)
            (folder / BEAT_FILE).unlink(missing_ok=True)
            write_status(folder, state, name=one.job.name, reason=reason, **times, peak_memory=peak)
        self._ended(one, state, reason)

    def _left_to(self, one: _Running, holder: str) -> None:
        """Leave a job to another command that was first."""
        self.running.remove(one)
        one.messages.close()
        self.line.left_to(one.job, holder)

    def _ended(self, one: _Running, state: str, reason: str | None, error: str | None = None) -> None:
        self.running.remove(one)
        one.messages.close()
        outcome = Outcome(one.job, state, reason, time.monotonic() - one.started, error)
        self.outcomes.append(outcome)
        if self.watch is not None:
            self.watch.ended(outcome, one.slot)
        if error == DISK_FAULT and not self.stopping:  # the others would only meet it, too
            self.stopping = True
            again = "mend that and start again, it goes on where it stopped"
            raise JobFailed(f"{one.job.name}: {reason}; {again}")

    def _ask_to_end(self) -> None:
        """Ask all jobs before the first is waited for: they write their states side by side."""
        for one in self.running:
            one.process.terminate()

    def _stop(self, one: _Running, state: str, reason: str) -> None:
        one.process.terminate()
        one.process.join(timeout=PATIENCE)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        self._died(one, state, reason)

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop_late_ones(self) -> None:
        if self._late():
            self._ask_to_end()
        for one in list(self.running):
            if self._late():
                self._stop(one, "timeout", "the time given to this command was up")
            elif self.timeout is not None and time.monotonic() - one.started > self.timeout:
                self._stop(one, "timeout", f"took longer than {self.timeout:g} s")


def _in_process(
    messages: Connection,
    function: Callable[[Any, Progress], Any],
    job: Job,
    environment: Mapping[str, str | None],
    seen: Sights,
) -> None:
    """Do one job, in its own process: progress and the last word go through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the pool decides
    leave_with_parent()
    for variable, value in environment.items():  # before anything asks which GPUs there are
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value

    def tell(*progress: Any) -> None:
        try:
            messages.send(("progress", *progress))
        except OSError:
            os._exit(1)  # the pool is gone: nobody waits for this job

    messages.send(work(function, job.payload, job.folder, name=job.name, tell=tell, seen=seen))


def _cause_of_death(exitcode: int | None, one: _Running) -> tuple[str, str]:
    """Explain a process that ended without a last word."""
    if exitcode == -signal.SIGKILL:
        return "killed", why_killed(_peak(one), one.kills)
    if exitcode is not None and exitcode < 0:
        return "killed", f"killed by {signal.Signals(-exitcode).name}"
    return "killed", f"the process ended with status {exitcode} and no message"


def _peak(one: _Running) -> float | None:
    """Give the most memory that the job was seen to take, MB."""
    found: float | None = read_status(one.job.folder).get("peak_memory")
    return found


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
