"""Jobs on the nodes of a site, with the signature of `pool.run_jobs`: nothing else is different."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genret_core.files import read_json
from genret_core.workbench.notebook.record import RunRecord, open_run
from genret_core.workbench.pool import Job, JobFailed, Outcome, Progress, Watch, write_status
from genret_core.workbench.pool.claim import FILE as LOCK_FILE
from genret_core.workbench.pool.claim import Held, claimed
from genret_core.workbench.pool.heartbeat import FILE as BEAT_FILE
from genret_core.workbench.pool.process import (
    identity,
    is_of_this_machine,
    on_behalf,
    process_lives,
    told,
)
from genret_core.workbench.pool.status import ENDED
from genret_core.workbench.pool.worker import now
from genret_core.workbench.sites.file import Site
from genret_core.workbench.sites.node import Order, do, run_notebook
from genret_core.workbench.sites.parsl_config import LABEL, capacity, check_usable, devices_of, parsl_config

if TYPE_CHECKING:
    from genret_core.workbench.notebook.job import Job as NotebookJob

FOLDER = "parsl"  # of a study, for whatever Parsl writes
LOOKS_EVERY = 0.5  # seconds between looks at the status of running jobs
LEAVING = 5.0  # seconds that a process may take to end
GRACE = 20.0  # seconds that nodes have to stop what runs when the time is up
STOPPED = "killed: it was stopped"
Submit = Callable[..., "Future[Any]"]


class SiteFailed(JobFailed):
    """The nodes did not come up, or cannot work; the message is a sentence."""


@contextlib.contextmanager
def nodes(site: Site, study: Path) -> Iterator[Submit]:
    """Start a site's blocks, and end them with the block of code.

    Parameters
    ----------
    site : Site
        The site.
    study : Path
        The study's folder, on a disk that the nodes see. Parsl's own files lie in its `parsl/` meanwhile;
        they stay if something was wrong.

    Yields
    ------
    callable
        `submit(function, *arguments)` gives a future.

    Raises
    ------
    BadInput
        The site cannot be used from this machine.
    """
    check_usable(site, study)
    folder = _own_folder(study.resolve() / FOLDER)
    config = parsl_config(site, folder)
    from parsl.dataflow.dflow import DataFlowKernel

    kernel = DataFlowKernel(config)

    def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = kernel.submit(
            function, app_args=arguments, executors=[LABEL], cache=False, ignore_for_cache=None, app_kwargs={}
        )
        return future

    tidy = True
    try:
        yield submit
    except Exception:
        tidy = False  # what Parsl and the nodes wrote may say why
        raise
    finally:
        kernel.cleanup()
        if tidy:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # unless others are at work


def _own_folder(parent: Path) -> Path:
    """Name a folder for this command, and remove what earlier ones of this machine left to be looked at."""
    host = re.sub(r"[^A-Za-z0-9.-]", "_", platform.node())
    for left in parent.glob(f"{host}-*"):
        pid = left.name.rpartition("-")[2]
        if pid == str(os.getpid()) or not (pid.isdecimal() and process_lives(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    return parent / f"{host}-{os.getpid()}"


@dataclass(frozen=True)
class ParslEngine:
    """Runs jobs on a site.

    Attributes
    ----------
    site : Site
        Where.
    study : Path
        The study's folder.
    """

    site: Site
    study: Path

    @property
    def workers(self) -> int:
        """Jobs that may run at a time."""
        return capacity(self.site)

    def run_jobs(
        self,
        jobs: Sequence[Job],
        function: Callable[[Any, Progress], Any],
        *,
        workers: int,
        preload: Sequence[str] = (),
        watch: Watch | None = None,
        deadline: float | None = None,
        timeout: float | None = None,
    ) -> list[Outcome]:
        """Run jobs on the nodes, longest first.

        Parameters, states and sentences are those of `pool.run_jobs`; but `workers` is only how many lines a
        watch has, for how many jobs run at a time is the site's to say.

        Raises
        ------
        SiteFailed
            No node came up, with the scheduler's or the node's own words; nothing is lost.
        KeyboardInterrupt
            After the blocks have been cancelled and running jobs marked `killed`.
        """
        if not jobs:
            return []
        until = None if deadline is None else time.time() + deadline
        queue = sorted(jobs, key=lambda job: (-job.cost, job.key))
        follow = _Following(watch, max(1, workers), until)
        for job in queue:
            follow.others(job, _write(job.folder, job.name, "queued"))
        # a worker that is given one of others' jobs waits for it, and does nothing else
        queue.sort(key=lambda job: job.key in follow.elsewhere)
        try:
            with nodes(self.site, self.study) as submit:
                order = Order(
                    queue[0], function, tuple(preload), timeout, until, len(devices_of(self.site)), identity()
                )
                follow.submit = lambda job: submit(do, replace(order, job=job))
                follow.waiting = {follow.submit(job): job for job in queue}
                follow.to_the_end()
        except BaseException as error:
            follow.stopped("stopped by the user" if isinstance(error, KeyboardInterrupt) else str(error))
            raise
        follow.stopped("the time given to this command was up", "timeout")
        return follow.outcomes

    def execute_many(
        self, jobs: Iterable[NotebookJob], workers: int = 2, *, say: Callable[[str], None] = print
    ) -> Iterator[RunRecord]:
        """Run notebooks on the nodes, with the signature of `execute.execute_many`.

        How many run at a time is the site's to say, and one that another command is at is waited for on its
        node, so that nothing is said of it.
        """
        from genret_core.workbench.notebook.run import NotebookRun

        runs = [NotebookRun(job, patient=True) for job in jobs]
        for run in runs:
            run.check()
        for run in runs:
            run.begin()
        left = [run.out for run in runs]
        try:
            with nodes(self.site, self.study) as submit:
                gpus = len(devices_of(self.site))
                futures = {submit(run_notebook, run.job, gpus): run for run in runs}
                for future in as_completed(futures):
                    run = futures[future]
                    error = future.exception()
                    if error is not None and open_run(run.out).state not in ENDED:
                        _write(run.out, run.source.stem, "killed", reason=_lost(error), ended=now())
                    left.remove(run.out)
                    yield open_run(run.out)
        finally:
            for out in left:
                if open_run(out).state not in ENDED:
                    _write(out, open_run(out).name, "killed", reason=STOPPED, ended=now())


class _Following:
    """Sees jobs through, by their futures and by the status that lies on the shared disk."""

    def __init__(self, watch: Watch | None, lines: int, until: float | None) -> None:
        self.watch = watch
        self.lines = lines
        self.until = until  # when the command's own time is up
        self.submit: Callable[[Job], Future[Any]]
        self.waiting: dict[Future[Any], Job] = {}
        self.slots: dict[str, int] = {}  # of the jobs that are known to run
        self.since: dict[str, float] = {}
        self.outcomes: list[Outcome] = []
        self.elsewhere: dict[str, Any] = {}  # by job: the process of another command that was at it

    def others(self, job: Job, holder: Mapping[str, Any] | None) -> None:
        """Note that another command, which may be gone, is at a job: what its status says is not ours."""
        if holder is not None:
            self.elsewhere[job.key] = _process(_glance(job.folder))
            if self.watch is not None:
                self.watch.waiting(job, told(holder))

    def to_the_end(self) -> None:
        """Wait for all jobs, or until the time is up."""
        until = None if self.until is None else self.until + GRACE
        while self.waiting and (until is None or time.time() < until):
            done, _ = wait(self.waiting, timeout=LOOKS_EVERY, return_when=FIRST_COMPLETED)
            self._look()
            for future in done:
                self._came(future, self.waiting.pop(future))
            if self.watch is not None:
                self.watch.tick()

    def stopped(self, reason: str, state: str = "killed") -> None:
        """Mark what was running when its node was taken away; what had not begun stays queued."""
        for job in self.waiting.values():
            status = _glance(job.folder)
            if status.get("state") == "running" and _process(status) != self.elsewhere.get(job.key):
                self._lost(job, state, reason)
        self.waiting = {}

    def _look(self) -> None:
        """Tell the watch of progress; only jobs that can have begun are looked at."""
        for job in list(self.waiting.values())[: 2 * self.lines + 8]:
            status = _glance(job.folder)
            if status.get("state") != "running" or _process(status) == self.elsewhere.get(job.key):
                continue
            self._begin(job)
            if self.watch is not None and status.get("stage"):
                told = (status["stage"], int(status.get("step") or 0), int(status.get("of") or 0))
                self.watch.moved(job, self.slots[job.key], *told, status.get("loss"))

    def _begin(self, job: Job) -> None:
        if job.key in self.slots:
            return
        taken = set(self.slots.values())
        self.slots[job.key] = next((i for i in range(self.lines) if i not in taken), self.lines - 1)
        self.since[job.key] = time.monotonic()
        if self.watch is not None:
            self.watch.started(job, self.slots[job.key])

    def _came(self, future: Future[Any], job: Job) -> None:
        error = future.exception()
        if error is None:
            outcome: Outcome | None = future.result()
            if outcome is not None:
                self._ended(replace(outcome, job=job))
            elif self.until is None or time.time() < self.until:  # its node has no time left; others have
                self.waiting[self.submit(job)] = job
            return
        status = _glance(job.folder)
        if status.get("state") in ENDED:  # it had come to its end; only its word was lost
            self._ended(Outcome(job, status["state"], status.get("reason"), self._seconds(job)))
            return
        self.waiting[future] = job  # until it is known that this is no failure of the whole site
        reason = _lost(error)
        del self.waiting[future]
        self._lost(job, "killed", reason, type(error).__name__, getattr(error, "hostname", None))

    def _lost(
        self, job: Job, state: str, reason: str, error: str | None = None, host: str | None = None
    ) -> None:
        """Write the status of a job whose node did not come to write it."""
        status = _glance(job.folder)
        kept = {key: status.get(key) for key in ("started", "peak_memory")}
        kept["host"] = status.get("host") or host
        _write(job.folder, job.name, state, reason=reason, ended=now(), **kept)
        where = f"{reason} (on {kept['host']})" if kept["host"] else reason
        self._ended(Outcome(job, state, where, self._seconds(job), error))

    def _ended(self, outcome: Outcome) -> None:
        self._begin(outcome.job)
        self.outcomes.append(outcome)
        slot = self.slots.pop(outcome.job.key)
        if self.watch is not None:
            self.watch.ended(outcome, slot)

    def _seconds(self, job: Job) -> float:
        return time.monotonic() - self.since.get(job.key, time.monotonic())


def _write(folder: Path, name: str, state: str, **more: Any) -> dict[str, Any] | None:
    """Write a status, unless another command is at it: give who that is.

    Processes of ours may take a moment to end; those of a node that was lost leave their locks behind.
    """
    until = time.monotonic() + (LEAVING if state in ENDED else 0.0)
    while True:
        try:
            with claimed(folder / LOCK_FILE):
                (folder / BEAT_FILE).unlink(missing_ok=True)
                write_status(folder, state, name=name, **more)
            return None
        except Held as held:
            if (
                state in ENDED
                and held.holder.get("command") == on_behalf()
                and not is_of_this_machine(held.holder)
            ):
                write_status(folder, state, name=name, **more)
                return None
            if time.monotonic() >= until:
                return held.holder
            time.sleep(0.1)


def _process(status: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(status.get(key) for key in ("host", "machine", "pid", "born"))


def _glance(folder: Path) -> dict[str, Any]:
    """Read a job's status and its last sign of life as they stand."""
    found: dict[str, Any] = {}
    for name in ("status.json", BEAT_FILE):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found |= read_json(folder / name)
    return found


def _lost(error: BaseException) -> str:
    """Say why a node gave no answer.

    Raises
    ------
    JobFailed
        If no node will.
    """
    if isinstance(error, JobFailed):  # a disk that is full, say: the others would only meet it, too
        raise error
    kind = type(error).__name__
    if kind in ("BadStateException", "VersionMismatch"):
        raise SiteFailed(_site_failed(error)) from None
    if kind == "WorkerLost":
        return "killed: its worker died, probably out of memory"
    if kind == "ManagerLost":
        return "killed: its node or its batch job was lost"
    return f"killed: {kind}: {' '.join(str(error).split())}"


def _site_failed(error: BaseException) -> str:
    """Say in one sentence why no node works, with the last thing that the scheduler or a node said."""
    reason = str(getattr(error, "reason", error))
    lines = [line.strip() for line in reason.rpartition("stderr=")[2].splitlines() if line.strip()]
    said = lines[-1] if lines else "nothing"
    # a scheduler's last line sums up, and the one before says what it was
    by = re.match(r"\w+: error: ", said)
    if by is not None and len(lines) > 1 and lines[-2].startswith(by[0]):
        said = f"{lines[-2]}; {said.removeprefix(by[0])}"
    begin = "the site's workers did not come up; the last that was said is"
    return f"{begin}: {said} (more in {FOLDER}/ of the study)."
