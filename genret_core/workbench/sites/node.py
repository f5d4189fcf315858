"""What runs on a node: one job, by the very engine that runs jobs on one machine.

Each worker of Parsl does a job in a process of its own, as `pool.run_jobs` does everywhere: log, status,
signs of life, last word, limits and causes of death are the same. The processes of a worker are forked from
one server, so that torch is imported once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from genret_core.workbench.pool import Job, Outcome, Progress, read_status, run_jobs, write_status
from genret_core.workbench.pool.devices import VISIBLE, pinned
from genret_core.workbench.pool.process import is_of_this_machine, process_lives
from genret_core.workbench.sites.parsl_config import GIVEN, UNTIL

if TYPE_CHECKING:
    from genret_core.workbench.notebook.job import Job as NotebookJob

BETWEEN = 2.0  # seconds between jobs that a node has no time for; it is about to leave
WALLTIME_UP = "the walltime of its batch job was up"


class CommandGone(RuntimeError):
    """The command that asked for a job has ended; nobody waits for it."""


@dataclass(frozen=True)
class Order:
    """A job as a node is given it.

    Attributes
    ----------
    job : Job
        The job.
    function : callable
        What does it: a function of a module.
    preload : tuple of str
        Modules to import once on each worker.
    timeout : float or None
        Seconds that it may take.
    until : float or None
        When the time of the command is up (seconds since 1970).
    gpus : int
        GPUs of a node; the scheduler may have given other names to them.
    asked_by : mapping
        The process that waits, as `process.identity` names it.
    """

    job: Job
    function: Callable[[Any, Progress], Any]
    preload: tuple[str, ...] = ()
    timeout: float | None = None
    until: float | None = None
    gpus: int = 0
    asked_by: Mapping[str, Any] = field(default_factory=dict)


def do(order: Order) -> Outcome | None:
    """Do a job on this node; None if the time was up before it could start."""
    now = time.time()
    own_end = float(os.environ[UNTIL]) if UNTIL in os.environ else None
    ends = min((end for end in (order.until, own_end) if end is not None), default=None)
    if ends is not None and ends <= now:
        time.sleep(BETWEEN)
        return None
    with _devices(order.gpus, order.job.gpus):
        outcomes = run_jobs(
            [order.job],
            order.function,
            workers=1,
            preload=order.preload,
            watch=_Patron(order.asked_by),
            deadline=None if ends is None else ends - now,
            timeout=order.timeout,
        )
    if not outcomes:  # another command was at it until the time was up
        return None
    outcome = outcomes[0]
    if outcome.state == "timeout" and ends == own_end and own_end is not None and time.time() >= own_end:
        outcome = replace(outcome, reason=WALLTIME_UP)
        write_status(order.job.folder, **{**read_status(order.job.folder), "reason": WALLTIME_UP})
    return replace(outcome, job=replace(order.job, payload=None))  # who asked has the payload


def run_notebook(job: NotebookJob, of_node: int) -> None:
    """Run one notebook on this node; its folder says how it ended."""
    from genret_core.workbench.notebook.run import NotebookRun

    run = NotebookRun(job, patient=True)
    run.check()
    run.begin()
    with _devices(of_node, 1):
        run.go(wait=True)


@contextlib.contextmanager
def _devices(of_node: int, wanted: int | None) -> Iterator[None]:
    """Show this worker its GPUs: of those that the scheduler named, else of the first ones of the node."""
    before = os.environ.get(VISIBLE)
    worker = int(os.environ.get("PARSL_WORKER_RANK", 0))
    for name, value in pinned(worker, _given(of_node), wanted).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(VISIBLE, None)
        if before is not None:
            os.environ[VISIBLE] = before


def _given(gpus: int) -> Sequence[str]:
    named = [name for name in os.environ.get(GIVEN, "").split(",") if name.strip()]
    return named or [str(i) for i in range(gpus)]


class _Patron:
    """Looks whether the command that asked for the job still lives, where that can be seen."""

    def __init__(self, who: Mapping[str, Any]) -> None:
        self.who = who

    def started(self, job: Job, slot: int) -> None: ...

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None: ...

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None: ...

    def ended(self, outcome: Outcome, slot: int) -> None: ...

    def tick(self) -> None:
        """Raise, which stops the job, when nobody waits for it any more.

        Of a command on another machine Parsl tells by its heartbeat.
        """
        if is_of_this_machine(self.who) and not process_lives(self.who.get("pid"), self.who.get("born")):
            raise CommandGone("the command that ran it has ended")
