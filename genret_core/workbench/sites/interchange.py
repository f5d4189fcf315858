"""Parsl's interchange, as a process that neither Ctrl-C ends nor its parent's death leaves behind.

It hands jobs to the nodes. Ctrl-C reaches every process of a terminal; which of them stop is up to the
command that started them. And if that command is killed, nobody is left to collect results: the interchange
then ends too, and the nodes with it.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading
import time

LOOKS_EVERY = 1.0  # seconds


def end_with(parent: int) -> None:
    """End this process when its parent is another than it was."""
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__", alter_sys=True)
