"""Who is at work in a study folder.

- `genret study` holds `lock.json`: there is one at a time, for it also writes notebooks and pages.
- `genret cells` holds a lock of its own beside it, `lock-<machine>-<process>.json`: any number of them may
  run, beside each other and beside a `genret study`. They share the cells, each of which has a lock (see
  `pool.line`).
- The shared inputs, and the tables, are made in turn.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.workbench.pool import JobFailed
from genret_core.workbench.pool.claim import (
    FILE,
    Claim,
    ClaimLost,
    Held,
    Sights,
    claim,
    claimed,
    held_by,
    held_for_sure,
)
from genret_core.workbench.pool.heartbeat import FILE as BEAT_FILE
from genret_core.workbench.pool.heartbeat import Pulse
from genret_core.workbench.pool.process import told
from genret_core.workbench.pool.status import ENDED, disk_time, read_status, write_status

Say = Callable[[str], None]
HALF_WRITTEN = 60.0  # seconds after which a file of a page or a table is not being written any more


@contextmanager
def locked(folder: Path, *, say: Say = print) -> Iterator[None]:
    """Hold the lock of a study folder while the block runs.

    A lock that was left behind is taken over, and that is said.

    Raises
    ------
    BadInput
        If another `genret study` works in the folder.
    JobFailed
        If the lock was taken over meanwhile: this process was suspended for so long that it counted as gone.
        The block was interrupted then.
    """
    with _kept(_claimed_or_refused(folder / FILE, say)):
        _remove_left_behind(folder, say)
        yield


@contextmanager
def beside_others(folder: Path, *, say: Say = print) -> Iterator[None]:
    """Say, by a lock of its own, that this process works in a study folder too, and name the others there.

    Raises
    ------
    JobFailed
        See `locked`.
    """
    name = re.sub(r"[^\w.-]", "-", platform.node())
    with _kept(_claimed_or_refused(folder / f"lock-{name}-{os.getpid()}.json", say)):
        _remove_left_behind(folder, say)
        for other in others_at_work(folder):
            say(f"also at work in {folder}: {other}; the cells are shared")
        yield


def others_at_work(folder: Path) -> list[str]:
    """Name the other processes that work in a study folder now.

    One of another machine that was silent for long is watched for a while first.
    """
    holders = [held_for_sure(path) for path in sorted(folder.glob("lock*.json"))]
    return [told(one) for one in holders if one is not None and not _is_own(one)]


def refuse_beside_others(folder: Path, what: str) -> None:
    """Refuse to remove anything while others work in the folder.

    Raises
    ------
    BadInput
        Naming the first of them.
    """
    others = others_at_work(folder)
    if others:
        raise BadInput(f"another command is at work in {folder} ({others[0]}); end it before {what}.")


@contextmanager
def in_turn(path: Path, what: str, say: Say = print) -> Iterator[None]:
    """Hold a lock that others give back soon: wait for it, and say for whom.

    Raises
    ------
    JobFailed
        See `locked`.
    """
    told_of = set()

    def wait(held: Held) -> float:
        if held.holder["token"] not in told_of:
            told_of.add(held.holder["token"])
            say(f"{held} makes {what}; waiting for it")
        return 0.2

    with _kept(_claimed(path, wait)):
        yield


def _claimed_or_refused(path: Path, say: Say) -> Claim:
    watched = False

    def watch(held: Held) -> float:
        nonlocal watched
        if not held.suspect:
            raise BadInput(
                f"another command is at work in {path.parent} ({held}); wait for it, or help it with "
                f"`genret cells`. If there is none, remove {path}."
            ) from None
        if not watched:
            watched = True
            say(f"{held} has not renewed its lock lately; watching whether it does")
        return 1.0

    own = _claimed(path, watch)
    if own.before is not None:
        say(f"taking over the lock of {told(own.before)}, which is gone")
    return own


def _claimed(path: Path, while_held: Callable[[Held], float]) -> Claim:
    """Ask for a lock until it is given; `while_held` gives the seconds until the next time, or raises."""
    seen: Sights = {}
    while True:
        try:
            return claim(path, seen=seen)
        except Held as held:
            time.sleep(while_held(held))


@contextmanager
def _kept(own: Claim) -> Iterator[None]:
    """Renew a lock while the block runs; interrupt the block if the lock is lost."""
    lost: list[ClaimLost] = []

    def renew() -> None:
        try:
            own.renew()
        except ClaimLost as error:
            if not lost:
                lost.append(error)
                os.kill(os.getpid(), signal.SIGINT)

    try:
        with Pulse(renew):
            yield
    except KeyboardInterrupt:
        if lost:
            raise JobFailed(f"{lost[0]}; this command stops, and the other goes on") from None
        raise
    finally:
        own.release()


def _remove_left_behind(folder: Path, say: Say) -> None:
    """Remove what killed processes left: their locks, by taking them over, and half files.

    A cell or notebook that they were at is told as killed: no command may ever ask for the same one again.
    """
    for path in (*folder.glob("cells/*/lock.json"), *folder.glob("notebooks/*/lock.json")):
        if held_by(path) is None:
            with contextlib.suppress(Held, OSError), claimed(path):
                _close(path.parent)
    for path in folder.glob("lock-*.json"):
        seen: Sights = {}
        if held_for_sure(path, seen=seen, say=say) is None:
            with contextlib.suppress(Held):
                left = claim(path, seen=seen)
                if left.before is not None:
                    say(f"removing the lock of {told(left.before)}, which is gone")
                left.release()
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if disk_time(folder) - part.stat().st_mtime > HALF_WRITTEN:
                part.unlink()


def _close(folder: Path) -> None:
    """Write down what became of a job whose process is gone, and take its sign of life away."""
    status = read_status(folder)
    if status["state"] in ENDED:
        kept = {key: status.get(key) for key in ("name", "reason", "started", "ended", "peak_memory")}
        write_status(folder, status["state"], **kept)
    (folder / BEAT_FILE).unlink(missing_ok=True)


def _is_own(holder: dict[str, object]) -> bool:
    return holder.get("pid") == os.getpid() and holder.get("host") == platform.node()
