"""Jobs for tests of the pool: they are imported by name in the workers."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any


def toy(payload: dict[str, Any], progress: Any) -> None:
    what = payload.get("do", "write")
    if what == "fail":
        raise RuntimeError("the [loss] became NaN at step 3")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "full":
        try:
            raise OSError(errno.ENOSPC, "No space left on device", payload["file"])
        except OSError as error:
            raise ValueError("the table could not be written") from error
    if what == "shout":  # until nobody writes it down any more
        for _ in range(600):
            print("x" * 1_000_000, flush=True)
            if os.path.samestat(os.fstat(1), os.stat(os.devnull)):
                break
            time.sleep(0.01)
    if what == "sleep":
        for i in range(600):
            progress("train", i, 600, 5.0 - i)
            time.sleep(0.1)
    if what == "devices":
        Path(payload["file"]).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
        while len(list(Path(payload["file"]).parent.glob("?"))) < payload["wait_for"]:
            time.sleep(0.02)
        return
    progress("train", 1, 1, 0.5)
    print("seen by nobody but log.txt")
    with open(payload["file"], "a") as out:
        out.write(f"{payload['key']} {os.environ['OMP_NUM_THREADS']} {os.getpid()}\n")
