"""Which process this is, so that others can tell whether it still lives, and no other took its number.

A process number is used again after a while. Its time of start, in ticks since the machine was booted, tells
the two apart, and no change of the clock moves it.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ON_BEHALF = "GENRET_ON_BEHALF"


def identity() -> dict[str, Any]:
    """Say which process this is: `pid`, `host`, `machine` and `born`, for `lives_here`."""
    pid = os.getpid()
    return {"pid": pid, "host": platform.node(), "machine": _machine(), "born": _born(pid)}


def is_of_this_machine(who: Mapping[str, Any]) -> bool:
    """Whether a process' number means here what it meant where it was noted."""
    return (
        who.get("host", platform.node()) == platform.node() and who.get("machine", _machine()) == _machine()
    )


def process_lives(pid: int | None, born: str | None = None) -> bool:
    """Tell whether a process of this machine still exists.

    Parameters
    ----------
    pid : int or None
        Its number.
    born : str, optional
        Its time of start as `identity` gave it; another process that has the number now does not count.
    """
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _born(pid)
    return now != "ended" and (born is None or now is None or now == born)


def command_line() -> str:
    """Give the command that this process is, as it was typed but for the folder of the program.

    What runs on a node gives the command that it runs for, which its batch job names in `ON_BEHALF`.
    """
    if os.environ.get(ON_BEHALF):
        return os.environ[ON_BEHALF]
    program = os.path.basename(sys.argv[0] or "python")
    return " ".join([program, *sys.argv[1:]])[:200]


def on_behalf() -> str:
    """Say for which command others are to work: this one."""
    return f"{command_line()} (process {os.getpid()} on {platform.node()})"


def told(who: Mapping[str, Any]) -> str:
    """Name a process for people: `process 12 on host (alice), since …, genret study demo`."""
    user = f" ({who['user']})" if who.get("user") else ""
    since = f", since {who['since']}" if who.get("since") else ""
    command = f": {who['command']}" if who.get("command") else ""
    return f"process {who.get('pid')} on {who.get('host')}{user}{since}{command}"


def _born(pid: int) -> str | None:
    """Give the time of start of a process; `ended` for one that only waits to be reaped; None if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except ProcessLookupError:
        return "ended"
    except OSError:
        return _born_elsewhere(pid)
    return "ended" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _born_elsewhere(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return "ended"  # there is a /proc, and the process is not in it
    import psutil

    try:
        process = psutil.Process(pid)
        return "ended" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return "ended"
    except psutil.Error:
        return None


@functools.cache
def _machine() -> str:
    """Tell this boot of this machine, and its space of process numbers, from all others of the same name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()
