"""What every engine takes and gives: jobs, how they ended, and who looks on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One piece of work: `function(payload, progress)`, with its status in `folder`."""

    key: str
    name: str
    payload: Any
    folder: Path
    cost: float = 1.0  # expected seconds; only the order and the time left depend on it
    gpus: int | None = 1  # of those that the workers share, if there are any; None: all


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `done`, `failed`, `killed` or `timeout`, and why."""

    job: Job
    state: str
    reason: str | None
    seconds: float
    error: str | None = None  # name of the exception, where there was one


def told_end(name: str, state: str, reason: str | None) -> str:
    """Say how a job ended, once: `name: killed: probably out of memory`, whose reason begins so itself."""
    return f"{name}: {state}: {(reason or 'it is not known why').removeprefix(f'{state}: ')}"


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

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
        """Take note that another command is at a job (`process 12 on host, since …`); it is waited for.

        Or that it was, and is `gone`: the job is begun again here.
        """

    def ended(self, outcome: Outcome, slot: int) -> None:
        """Take note that a job ended."""

    def tick(self) -> None:
        """Redraw; called a few times a second."""
