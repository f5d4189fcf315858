"""What happens inside a job's process, whichever engine started it.

Its output goes to `log.txt`, its state to `status.json`, its signs of life to `beat.json`, and its last word
to the engine.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from genret_core.files import disk_fault
from genret_core.workbench.pool.claim import FILE as LOCK_FILE
from genret_core.workbench.pool.claim import Claim, ClaimLost, Held, Sights, claim
from genret_core.workbench.pool.heartbeat import Heartbeat
from genret_core.workbench.pool.job import Progress
from genret_core.workbench.pool.process import ON_BEHALF
from genret_core.workbench.pool.status import read_status, write_status

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
HELD = "held"  # a last word: another command is at the job
DISK_FAULT = "disk fault"  # the name of every exception that goes back to one
LOST = 75  # exit status of a process whose lock was taken over
LOG_ROOM = 20_000_000  # bytes of `log.txt`
PROGRESS_EVERY = 0.25  # seconds between messages of one worker
LastWord = tuple[str, str | None, str | None]  # state, reason, name of the exception
Tell = Callable[[str, int, int, float | None], None]
_held: list[Claim] = []  # by this process


def work(
    function: Callable[[Any, Progress], Any],
    payload: Any,
    folder: Path,
    *,
    name: str,
    tell: Tell | None = None,
    seen: Sights | None = None,
) -> LastWord:
    """Do one job in this process, from `running` to its last word, which is also in `status.json`.

    Parameters
    ----------
    function : callable
        `function(payload, progress)`.
    payload : Any
        What it is given.
    folder : Path
        Where `status.json`, `beat.json` and `log.txt` lie.
    name : str
        The job's name, for its status.
    tell : callable, optional
        Told of progress (stage, done, total, loss), a few times a second at most.
    seen : dict, optional
        What this machine saw of locks of other machines: one that was watched long enough is taken over at
        once.

    Returns
    -------
    (state, reason, error)
        `done` or `failed`, why, and the exception's name. `HELD` and who it is, if another command is at the
        job; nothing was written then. `killed`, if the disk had no room or could not be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        own = claim(folder / LOCK_FILE, seen=seen)
    except Held as held:
        return HELD, str(held), None
    _held.append(own)
    if os.environ.get(ON_BEHALF):
        _let_go_when_ended()
    try:
        with _logged(folder / "log.txt") as limit:

            def pulse() -> None:
                _keep(own)
                limit()

            return _claimed_work(own, pulse, function, payload, folder, name, tell)
    finally:
        _held.remove(own)
        own.release()


def _claimed_work(
    own: Claim,
    pulse: Callable[[], None],
    function: Callable[[Any, Progress], Any],
    payload: Any,
    folder: Path,
    name: str,
    tell: Tell | None,
) -> LastWord:
    began = now()
    before = read_status(folder)
    _sweep(folder)
    write_status(folder, "running", name=name, started=began)
    with Heartbeat(folder, pulse=pulse) as heart:
        last: LastWord = ("done", None, None)
        try:
            function(payload, _progress(heart, tell))
        except Exception as error:
            traceback.print_exc()
            last = _meaning(error)
        _keep(own, now=True)
        ended = {"reason": last[1], "started": began, "ended": now()}
        if last[0] == before["state"] == "done":  # by another command, since it was queued here
            ended = {key: before.get(key) for key in (*ended, "host")}
        with contextlib.suppress(OSError):  # a full disk: the engine hears it nevertheless
            write_status(folder, last[0], name=name, **ended, peak_memory=round(heart.peak, 1))
    return last


def _keep(own: Claim, *, now: bool = False) -> None:
    """Renew the lock, and leave at once if another command has it: what we write would be in its way."""
    try:
        own.check() if now else own.renew()
    except ClaimLost as lost:
        print(lost, file=sys.stderr, flush=True)
        os._exit(LOST)


def _let_go() -> None:
    """Give locks back before this process ends: other machines cannot see that it is gone, and would wait."""
    for own in list(_held):
        own.release()


def _let_go_when_ended() -> None:
    """Let go on SIGTERM, with which schedulers end batch jobs."""

    def leave(number: int, _: FrameType | None) -> None:
        _let_go()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, leave)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed here had half written; the lock says that nobody else writes."""
    for part in folder.rglob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def leave_with_parent() -> None:
    """End this process as soon as the one that started it is gone: nobody waits for its work then."""
    parent = mp.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        _let_go()
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def now() -> str:
    """Give the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _progress(heart: Heartbeat, tell: Tell | None) -> Progress:
    last = 0.0

    def progress(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < PROGRESS_EVERY:
            return
        last = time.monotonic()
        loss = None if loss is None else float(loss)
        heart.tell(stage, int(done), int(total), loss)
        if tell is not None:
            tell(stage, int(done), int(total), loss)

    return progress


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[Callable[[], None]]:
    """Send what this process and its children print to a file; give what keeps that within a limit."""
    kept = [os.dup(1), os.dup(2)]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)

    def limit() -> None:
        with contextlib.suppress(OSError):
            if os.fstat(log).st_size > LOG_ROOM:
                with open(os.devnull, "w") as nothing:
                    for target in (1, 2):
                        os.dup2(nothing.fileno(), target)
                os.ftruncate(log, LOG_ROOM)
                os.write(
                    log, f"\n… more than {LOG_ROOM:,} bytes were printed; the rest is not kept\n".encode()
                )

    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield limit
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for own, target in zip(kept, (1, 2), strict=True):
            os.dup2(own, target)
            os.close(own)
        os.close(log)


def _meaning(error: Exception) -> LastWord:
    """Say what an exception of a job means: its state, a sentence, and its name."""
    fault = disk_fault(error)
    if fault is not None:
        return "killed", f"killed: {fault}", DISK_FAULT
    text = " ".join(str(error).split()) or "no message"
    own = type(error).__module__.startswith("genret_core")  # our exceptions are sentences
    name = type(error).__name__
    return "failed", text if own else f"{name}: {text}", name
