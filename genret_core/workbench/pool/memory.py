"""How much memory a process and its descendants take, and whether the system killed for lack of it."""

from __future__ import annotations

import os
from pathlib import Path

GB = 1e9


def resident_memory(pid: int | None = None) -> int:
    """Add up the resident memory of a process (by default this one) and its descendants, bytes.

    What processes share is counted once for each.
    """
    root = pid or os.getpid()
    if not Path("/proc/self/statm").exists():
        return _by_psutil(root)
    page = os.sysconf("SC_PAGE_SIZE")
    total, todo, seen = 0, [root], set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            total += page * int(Path(f"/proc/{one}/statm").read_bytes().split()[1])
            for task in os.listdir(f"/proc/{one}/task"):
                todo += map(int, Path(f"/proc/{one}/task/{task}/children").read_bytes().split())
        except (OSError, IndexError):
            continue  # gone meanwhile, or a kernel that does not list children
    return total


def _by_psutil(root: int) -> int:
    import psutil

    total = 0
    try:
        process = psutil.Process(root)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total


def kills_counted() -> int | None:
    """Count the processes that the system has killed for lack of memory; None where it does not say.

    A control group counts its own (cgroup v2, `memory.events`), the machine all (`/proc/vmstat`).
    """
    counts = [_counted(path) for path in (_events(), Path("/proc/vmstat"))]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _events() -> Path:
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
    except OSError:
        own = ""
    return Path(f"/sys/fs/cgroup{own}/memory.events")


def _counted(path: Path) -> int | None:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return None
    return next((int(line[1]) for line in lines if line[0] == "oom_kill"), None)


def why_killed(peak: float | None, kills_before: int | None) -> str:
    """Say what a SIGKILL that nobody here sent probably was.

    Parameters
    ----------
    peak : float or None
        The most memory that was seen, MB.
    kills_before : int or None
        `kills_counted` when the process started.
    """
    now = kills_counted()
    seen = f" (peak memory {told(peak)})" if peak else ""
    if now is not None and kills_before is not None and now > kills_before:
        return f"killed: out of memory, as the system's own count says{seen}"
    return f"killed: probably out of memory{seen}"


def told(megabytes: float) -> str:
    """Write an amount of memory for people."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
