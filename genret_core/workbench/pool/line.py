"""Jobs that wait for their turn, and those that another command is at, which are left to it and waited for.

Two commands in one folder share its jobs in this way: each does what the other is not at.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from genret_core.workbench.pool.claim import FILE, Held, Sights, claimed, held_by
from genret_core.workbench.pool.job import Job, Outcome, Watch
from genret_core.workbench.pool.process import told
from genret_core.workbench.pool.status import read_status, write_status

LOOK_EVERY = 2.0  # seconds between looks at whether another command has let go of a job


class Line:
    """Jobs in the order in which they are to run: longest first.

    Parameters
    ----------
    jobs : sequence of Job
        Those that nobody is at are marked `queued`.
    watch : Watch, optional
        Told of jobs that another command is at.
    """

    def __init__(self, jobs: Sequence[Job], watch: Watch | None = None) -> None:
        self.ready = deque(sorted(jobs, key=lambda job: (-job.cost, job.key)))
        self.elsewhere: list[Job] = []
        self.watch = watch
        self.began = time.time()
        self._looked = 0.0
        self.seen: Sights = {}  # of locks of other machines
        self._holders: dict[str, str] = {}
        for job in jobs:
            with contextlib.suppress(Held), claimed(job.folder / FILE, seen=self.seen):
                write_status(job.folder, "queued", name=job.name)

    def __bool__(self) -> bool:
        """Whether there is anything left."""
        return bool(self.ready or self.elsewhere)

    def next(self) -> Job | None:
        """Give the next job that nobody is at; None if there is none just now."""
        while self.ready:
            job = self.ready.popleft()
            holder = held_by(job.folder / FILE, seen=self.seen)
            if holder is None:
                return job
            self.left_to(job, told(holder))
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._looked = time.monotonic()
            for job in self.elsewhere:
                if held_by(job.folder / FILE, seen=self.seen) is None:
                    self.elsewhere.remove(job)
                    if self.watch is not None and (job.folder / FILE).exists():  # it was left behind
                        self.watch.waiting(job, self._holders[job.key], gone=True)
                    return job
        return None

    def left_to(self, job: Job, holder: str) -> None:
        """Note that another command is at a job."""
        self.elsewhere.append(job)
        self._holders[job.key] = holder
        if self.watch is not None:
            self.watch.waiting(job, holder)

    def failed_elsewhere(self, job: Job) -> Outcome | None:
        """Give how a job ended that failed with another command meanwhile: it would only fail again."""
        status = read_status(job.folder)
        if status["state"] != "failed" or not status.get("ended"):
            return None
        began, ended = (_seconds(status.get(name)) for name in ("started", "ended"))
        if ended < int(self.began):
            return None
        return Outcome(job, "failed", status["reason"], ended - began)


def _seconds(iso: str | None) -> float:
    return datetime.fromisoformat(iso).timestamp() if iso else 0.0
