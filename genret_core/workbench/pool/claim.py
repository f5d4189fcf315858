"""Locks: who is at work on a folder, and what becomes of a lock that was left behind.

A lock is a small file that names its holder; it appears whole, by a hard link that is made or fails, on one
machine as on a disk that several share. Its holder renews its date every few seconds.

- A lock of this machine is left behind when its process is gone. A process that is merely stopped holds on.
- A lock of another machine is left behind when it was not renewed for `PATIENCE` seconds by the clock of the
  disk (two files on that disk are compared, so that no machine's clock matters), and is then not renewed
  while it is watched for `WATCHED` seconds more. One dated in the future, as after a jump of that clock, is
  watched for all of `PATIENCE`.

Each lock has a name of its own (`token`). Who wants to put something in the place of lock X, or to take X
away, first makes the file `…-after-X`, which only one can, and then looks whether X is still there: of any
number of takers one wins, and nobody removes a lock that he has not looked at.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.workbench.pool.heartbeat import BEAT
from genret_core.workbench.pool.process import command_line, identity, is_of_this_machine, process_lives, told
from genret_core.workbench.pool.status import PATIENCE

FILE = "lock.json"
WATCHED = 3 * BEAT  # seconds
monotonic = time.monotonic  # this machine's own clock, which nobody sets
Sights = dict[str, tuple[int, float, bool]]  # token -> a lock's date, when that was seen, renewed since then?


class Held(RuntimeError):
    """Somebody else has the lock; the message names him.

    Attributes
    ----------
    holder : dict
        What his lock says.
    suspect : bool
        He may be gone, but has to be watched for a while first: ask again.
    """

    def __init__(self, holder: dict[str, Any], suspect: bool) -> None:
        super().__init__(told(holder))
        self.holder = holder
        self.suspect = suspect


class ClaimLost(RuntimeError):
    """The lock was taken over by another command; the message names it."""


class Claim:
    """A lock that this process holds; made by `claim`.

    Attributes
    ----------
    path : Path
        The lock's file.
    before : dict or None
        The holder that left it behind, if one did.
    """

    def __init__(self, path: Path, token: str, before: dict[str, Any] | None) -> None:
        self.path = path
        self.token = token
        self.before = before
        self._renewed = monotonic()

    def renew(self) -> None:
        """Date the lock anew, if the last time is a while ago.

        Raises
        ------
        ClaimLost
            If it is not ours any more: this process was suspended for so long that it counted as gone.
        """
        if monotonic() - self._renewed >= BEAT:
            self._renewed = monotonic()
            self.check()
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def check(self) -> None:
        """Raise `ClaimLost` if the lock is not ours any more."""
        try:
            holder = _read(self.path)
        except OSError:
            return  # a disk that cannot be read just now says nothing about the lock
        if holder is None or holder["token"] != self.token:
            by = f"taken over by {told(holder)}" if holder else "removed"
            raise ClaimLost(f"the lock {self.path} was {by} while this process was suspended")

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        right = _right(self.path, self.token)
        try:
            os.link(self.path, right)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                return  # it is not there any more, or somebody is about to take it over
        with contextlib.suppress(OSError):
            holder = _read(self.path)
            if holder is not None and holder["token"] == self.token:
                self.path.unlink()
        with contextlib.suppress(OSError):
            right.unlink()


def claim(path: Path, *, seen: Sights | None = None) -> Claim:
    """Take a lock that is free or was left behind.

    Parameters
    ----------
    path : Path
        The lock's file; its folder is made.
    seen : dict, optional
        What was seen of locks of other machines before; pass the same one whenever asking again.

    Raises
    ------
    Held
        Somebody has it, or it cannot be told yet whether he is gone.
    """
    seen = {} if seen is None else seen
    path.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex[:16]
    mine = path.with_name(f".{path.name}-{token}")
    try:
        mine.write_text(json.dumps(_me(token), ensure_ascii=False) + "\n", encoding="utf-8")
        while True:
            if _put(mine, path):
                before = None
                break
            holder = _read(path)
            if holder is None:
                continue  # given back meanwhile
            if not _left_behind(holder, mine, seen):
                watched = seen.get(holder["token"])
                raise Held(holder, suspect=watched is not None and not watched[2])
            if _succeed(path, holder, mine, seen):
                before = holder
                break
            time.sleep(0.01)  # somebody else is taking it over
    finally:
        mine.unlink(missing_ok=True)
    _sweep(path)
    return Claim(path, token, before)


def held_by(path: Path, *, seen: Sights | None = None) -> dict[str, Any] | None:
    """Say who has a lock; None if it is free or was left behind. Writes nothing that stays."""
    holder = _read(path)
    if holder is None:
        return None
    if _is_near(holder):
        return holder if process_lives(holder["pid"], holder.get("born")) else None
    probe = path.with_name(f".{path.name}-{uuid.uuid4().hex[:16]}")
    try:
        probe.touch()
        return None if _left_behind(holder, probe, {} if seen is None else seen) else holder
    finally:
        probe.unlink(missing_ok=True)


def held_for_sure(
    path: Path, *, seen: Sights | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Any] | None:
    """Say who has a lock, like `held_by`; one that may be left behind is watched until that is known.

    Parameters
    ----------
    path : Path
        The lock's file.
    seen : dict, optional
        What was seen of locks of other machines before; afterwards a `claim` with it knows the same.
    say : callable, optional
        Told that a lock is watched, which takes seconds.
    """
    seen = {} if seen is None else seen
    while True:
        holder = held_by(path, seen=seen)
        watched = None if holder is None else seen.get(holder["token"])
        if holder is None or watched is None or watched[2]:
            return holder
        if say is not None:
            say(f"{told(holder)} has not renewed its lock lately; watching whether it does")
            say = None
        time.sleep(1.0)


@contextlib.contextmanager
def claimed(path: Path, *, seen: Sights | None = None) -> Iterator[Claim]:
    """Hold a lock while a short block runs; nobody renews it meanwhile."""
    own = claim(path, seen=seen)
    try:
        yield own
    finally:
        own.release()


# ---- how ----

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # file systems without hard links


def _me(token: str) -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in containers
        user = str(os.getuid()) if hasattr(os, "getuid") else ""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {**identity(), "user": user, "since": since, "command": command_line(), "token": token}


def _put(mine: Path, path: Path) -> bool:
    """Put a copy of `mine` at `path`, whole, unless something is there."""
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(mine.read_text(encoding="utf-8"))
        except FileExistsError:
            return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """Read a lock with its date (`dated`, ns); None if there is none. One that says nothing gets a name."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            status = os.fstat(file.fileno())
            text = file.read(10_000)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ESTALE:  # replaced on another machine while it was being read
            return _read(path)
        raise
    try:
        holder = dict(json.loads(text))
    except (ValueError, TypeError):
        holder = {}
    holder.setdefault("token", f"{status.st_ino}-{status.st_size}")
    return {**holder, "dated": status.st_mtime_ns}


def _is_near(holder: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine, which can be looked at."""
    return bool(holder.get("pid")) and is_of_this_machine(holder)


def _left_behind(holder: dict[str, Any], probe: Path, seen: Sights) -> bool:
    """Tell whether the holder of a lock is gone; `probe` is a file of ours on the same disk."""
    if _is_near(holder):
        return not process_lives(holder["pid"], holder.get("born"))
    os.utime(probe)
    age = (probe.stat().st_mtime_ns - holder["dated"]) / 1e9
    if age + PATIENCE >= 0 and age <= PATIENCE:
        seen.pop(holder["token"], None)
        return False
    dated, since, _ = seen.setdefault(holder["token"], (holder["dated"], monotonic(), False))
    if dated != holder["dated"]:  # it was renewed, whatever the dates say
        seen[holder["token"]] = (holder["dated"], monotonic(), True)
        return False
    return monotonic() - since >= (WATCHED if age > 0 else PATIENCE)


def _right(path: Path, token: str) -> Path:
    return path.with_name(f".{path.name.lstrip('.')}-after-{token}")


def _succeed(path: Path, holder: dict[str, Any], mine: Path, seen: Sights) -> bool:
    """Put our lock in the place of one that was left behind; False if somebody else was first."""
    right = _right(path, holder["token"])
    if not _put(mine, right):
        other = _read(right)
        if other is None or not _left_behind(other, mine, seen):
            return False
        if not _succeed(right, other, mine, seen):  # a taker that was killed in the middle
            return False
    try:
        now = _read(path)
        if now is None or now["token"] != holder["token"]:
            return False
        copy = mine.with_name(f"{mine.name}-copy")
        _put(mine, copy)
        os.replace(copy, path)
        return True
    finally:
        right.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what takers left that were killed in the middle; called by the holder of the lock."""
    for left in path.parent.glob(f".{path.name}-*"):
        with contextlib.suppress(OSError):
            found = _read(left)
            if found is not None and _is_near(found) and not process_lives(found["pid"], found.get("born")):
                left.unlink(missing_ok=True)
