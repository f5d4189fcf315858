"""`status.json` of a cell or a notebook: how it stands, in our own words, and the truth about it.

```
state    queued, running, done, failed, killed or timeout
name     of the cell or notebook            reason   why it is not done, a sentence
started, ended  UTC, ISO 8601               pid, host, machine, born   the process that runs it
```
When it has ended, `pid` is null and `host` still says where it ran.

While it runs, `beat.json` beside it adds `stage, step, of, loss`, `peak_memory` (MB) and `beat`, the time of
the last sign of life (see `heartbeat`); when it has ended, `peak_memory` stands in `status.json` itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from genret_core.files import read_json, write_json
from genret_core.workbench.pool.heartbeat import FILE as BEAT_FILE
from genret_core.workbench.pool.memory import told
from genret_core.workbench.pool.process import identity, is_of_this_machine, process_lives

STATES = ("queued", "running", "done", "failed", "killed", "timeout")
ENDED = ("done", "failed", "killed", "timeout")
PATIENCE = 180.0  # seconds without a sign of life after which a process of another machine counts as gone
GONE = "killed: its process is gone"


def write_status(folder: Path, state: str, **more: Any) -> None:
    """Write `status.json`: of this process while it runs, of nobody before it began.

    Once it has ended, only the host is kept that it ran on, whoever writes that it has.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    state : str
        One of `STATES`.
    **more
        `name, reason, started, ended, peak_memory`, and whatever else is to stand in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {"state": state, "name": None, "reason": None, "started": None, "ended": None}
    who: dict[str, Any] = identity() if state == "running" else {"pid": None, "host": None}
    if state in ENDED:
        who["host"] = _noted(folder).get("host")
    write_json(folder / "status.json", {**known, **more, **{k: v for k, v in who.items() if k not in more}})


def read_status(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read how a cell or a notebook stands; what never began, or left nothing readable, is `queued`.

    Returns
    -------
    dict
        All of `status.json`, and of `beat.json` while it runs. One that says `running`, but whose process is
        gone (this machine) or gave no sign of life for `PATIENCE` seconds by the clock of the disk (another
        one), is given as `killed`.
    """
    folder = Path(folder)
    status = _noted(folder)
    if status.get("state") not in STATES:
        return {"state": "queued", "reason": None}
    if status["state"] != "running":
        return status
    status |= _noted(folder, BEAT_FILE)
    if _goes_on(folder, status):
        return status
    peak = status.get("peak_memory")
    return {**status, "state": "killed", "reason": GONE + (f" (peak memory {told(peak)})" if peak else "")}


def _noted(folder: Path, name: str = "status.json") -> dict[str, Any]:
    try:
        return dict(read_json(folder / name))
    except (OSError, ValueError, TypeError):
        return {}


def _goes_on(folder: Path, status: dict[str, Any]) -> bool:
    if is_of_this_machine(status):
        return process_lives(status.get("pid"), status.get("born"))
    newest = 0.0
    for name in (BEAT_FILE, "status.json"):
        try:
            newest = max(newest, (folder / name).stat().st_mtime)
        except OSError:
            continue
    return disk_time(folder) - newest <= PATIENCE


def disk_time(folder: Path) -> float:
    """Ask the disk of a folder for its time, which is the same for all machines that share it.

    Where nothing can be written, this machine's time has to do.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix=".clock-", dir=folder) as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()
