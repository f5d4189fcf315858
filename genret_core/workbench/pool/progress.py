"""What a person sees while cells run: bars in a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from genret_core.readable import readable
from genret_core.workbench.pool.job import Job, Outcome, Watch

WITH_BARS = 70  # columns of a terminal from which bars have room
PLAIN_EVERY = 15.0  # seconds between plain lines


class Clock:
    """How much is done, and how long the rest may take.

    Expected costs are corrected by what the finished jobs really took.
    """

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self.total = len(jobs)
        self.workers = max(1, min(workers, len(jobs)))
        self.waiting = {job.key: job.cost for job in jobs}
        self.running: dict[str, tuple[float, float]] = {}  # key -> (cost, time of start)
        self.expected = self.taken = 0.0
        self.ended = 0

    def start(self, job: Job) -> None:
        """Note that a job started."""
        self.running[job.key] = (self.waiting.pop(job.key, job.cost), time.monotonic())

    def end(self, outcome: Outcome) -> None:
        """Note that a job ended."""
        cost, _ = self.running.pop(outcome.job.key, (outcome.job.cost, 0.0))
        self.ended += 1
        if outcome.state == "done":
            self.expected += cost
            self.taken += outcome.seconds

    def left_of(self, key: str) -> float:
        """Estimate the seconds that a running job still takes."""
        cost, since = self.running.get(key, (0.0, 0.0))
        return max(0.0, cost * self._factor - (time.monotonic() - since))

    @property
    def _factor(self) -> float:
        return self.taken / self.expected if self.expected else 1.0

    def left(self) -> float:
        """Estimate the seconds that remain."""
        factor = self._factor
        running = [self.left_of(key) for key in self.running]
        return max([*running, (sum(self.waiting.values()) * factor + sum(running)) / self.workers])


class PlainWatch:
    """One line when a job ends, and one every `every` seconds in between: right for logs and notebooks."""

    def __init__(
        self, jobs: Sequence[Job], workers: int, *, out: TextIO | None = None, every: float = PLAIN_EVERY
    ):
        self.clock = Clock(jobs, workers)
        self.out = out if out is not None else sys.stdout
        self.every = every
        self.said = time.monotonic()
        self.now: dict[int, str] = {}

    def started(self, job: Job, slot: int) -> None:
        """Take note that a job started."""
        self.clock.start(job)
        self.now[slot] = job.name

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
        """Take note of progress."""
        self.now[slot] = f"{job.name} {describe(stage, done, total, loss)}"

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
        """Say who else is at a job."""
        self._say(_told_waiting(job, holder, gone))

    def ended(self, outcome: Outcome, slot: int) -> None:
        """Say how a job ended."""
        self.clock.end(outcome)
        self.now.pop(slot, None)
        self._say(told(outcome))

    def tick(self) -> None:
        """Say where the workers are, if nothing was said for a while."""
        if time.monotonic() - self.said >= self.every:
            self._say("; ".join(self.now[slot] for slot in sorted(self.now)) or "waiting for workers")

    def _say(self, what: str) -> None:
        self.said = time.monotonic()
        left = f", {duration(self.clock.left())} left" if self.clock.ended < self.clock.total else ""
        print(f"[{self.clock.ended}/{self.clock.total}{left}] {readable(what)}", file=self.out, flush=True)


class RichWatch:
    """A bar for the whole and one per worker."""

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
        from rich.table import Column

        def text(name: str, ratio: int, **more: Any) -> ProgressColumn:
            """Give a column whose text is cut where the terminal is narrow: a line that wraps is no bar."""
            column = Column(ratio=ratio, no_wrap=True, overflow="ellipsis", **more)
            return TextColumn(f"{{task.fields[{name}]}}", markup=False, table_column=column)

        self.clock = Clock(jobs, workers)
        columns = [SpinnerColumn(finished_text=" "), text("label", 24), text("note", 26), text("left", 13)]
        if shutil.get_terminal_size().columns >= WITH_BARS:
            columns.insert(2, BarColumn(bar_width=None, table_column=Column(ratio=12)))
        self.bars = Progress(*columns, transient=True, expand=True)
        self.keys: dict[int, str] = {}  # slot -> key of its job
        self.whole = self.bars.add_task("", total=len(jobs), label="cells", note="", left="")
        self.slots = [
            self.bars.add_task("", total=None, label="", note="", left="", visible=False)
            for _ in range(self.clock.workers)
        ]

    def started(self, job: Job, slot: int) -> None:
        """Show a job on its worker's line."""
        self.clock.start(job)
        self.keys[slot] = job.key
        self._show(slot, job.name, "starting", 0, 0)

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
        """Move a bar."""
        self._show(slot, job.name, describe(stage, done, total, loss), done, total)

    def _show(self, slot: int, label: str, note: str, done: int, total: int) -> None:
        task = next(task for task in self.bars.tasks if task.id == self.slots[slot])
        task.total = float(total) if total else None  # without a total the bar pulses
        self.bars.update(task.id, completed=done, label=readable(label, 80), note=note, visible=True)

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
        """Print above the bars who else is at a job."""
        from rich.text import Text

        self.bars.console.print(Text(readable(_told_waiting(job, holder, gone)), style="dim"))

    def ended(self, outcome: Outcome, slot: int) -> None:
        """Print how the job ended above the bars."""
        from rich.text import Text

        self.clock.end(outcome)
        self.bars.update(self.slots[slot], visible=False)
        self.bars.update(self.whole, completed=self.clock.ended)
        self.keys.pop(slot, None)
        self.bars.console.print(Text(told(outcome), style="dim" if outcome.state == "done" else "red"))

    def tick(self) -> None:
        """Redraw the time left."""
        note = f"{self.clock.ended} of {self.clock.total}"
        self.bars.update(self.whole, note=note, left=f"~{duration(self.clock.left())}")
        for slot, key in self.keys.items():
            own = self.clock.left_of(key)
            self.bars.update(self.slots[slot], left=f"~{duration(own)}" if own >= 1 else "")


@contextmanager
def watching(jobs: Sequence[Job], workers: int) -> Iterator[Watch]:
    """Give the watch that suits where the output goes."""
    if sys.stdout.isatty():
        rich = RichWatch(jobs, workers)
        with rich.bars:
            yield rich
    else:
        yield PlainWatch(jobs, workers)


def told(outcome: Outcome) -> str:
    """Say in a line how a job ended."""
    why = f": {outcome.reason}" if outcome.reason else ""
    return readable(f"{outcome.job.name}  {outcome.state} in {outcome.seconds:.1f} s{why}")


def _told_waiting(job: Job, holder: str, gone: bool) -> str:
    if gone:
        return f"{job.name} was being made by {holder}, which is gone; taking it over"
    return f"{job.name} is being made by {holder}; waiting for it"


def describe(stage: str, done: int, total: int, loss: float | None) -> str:
    """Say how far a job is: `train 40% loss 4.21`."""
    percent = f" {100 * done // total}%" if total else ""
    return f"{stage}{percent}" + (f" loss {loss:.3f}" if loss is not None else "")


def doing(status: Mapping[str, Any]) -> str:
    """Say the same of a job's status (`pool.status.read_status`), as another process sees it."""
    stage, done, total = status.get("stage"), status.get("step"), status.get("of")
    return describe(str(stage or "starting"), int(done or 0), int(total or 0), status.get("loss"))


def duration(seconds: float) -> str:
    """Write seconds for people: `42 s`, `6 min 05 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
