"""A sign of life of work that goes on: how far it is and what memory it takes, every few seconds.

It lies in a small file of its own, `beat.json` beside `status.json`, so that the one who writes how the work
ended and the one who says that it goes on never write the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genret_core.workbench.pool.memory import resident_memory
from genret_core.workbench.pool.process import identity

BEAT = 5.0  # seconds between two beats
PULSE = 1.0  # seconds between looks at memory and at whatever else is to be looked after
FILE = "beat.json"


class Pulse:
    """Calls something every so often, in a thread, while a block runs."""

    def __init__(self, call: Callable[[], None], every: float = PULSE) -> None:
        self.call, self.every = call, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        """Begin; the first call comes after `every` seconds."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End. A call that hangs (on a disk that is gone, say) is not waited for long."""
        self._over.set()
        self._thread.join(timeout=2 * BEAT)

    def _run(self) -> None:
        while not self._over.wait(self.every):
            self.call()


class Heartbeat:
    """Beats in a thread while a block runs.

    Parameters
    ----------
    folder : Path
        Where `status.json` lies.
    of : callable, optional
        Gives the number of the process whose memory counts (with its descendants); by default this process.
        None while there is none.
    pulse : callable, optional
        Called every second from the thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        of: Callable[[], int | None] = os.getpid,
        pulse: Callable[[], None] | None = None,
    ) -> None:
        self.path = folder / FILE
        self.of = of
        self.pulse = pulse
        self.peak = 0.0  # MB
        self.last: dict[str, Any] = {"stage": None, "step": 0, "of": 0, "loss": None}
        self._written = (0.0, 0.0)  # when, and the peak then
        self._thread = Pulse(self._go)

    def tell(self, stage: str, step: int = 0, of: int = 0, loss: float | None = None) -> None:
        """Note how far the work is; it is written with the next beat."""
        self.last = {"stage": stage, "step": int(step), "of": int(of), "loss": loss}

    def __enter__(self) -> Heartbeat:
        """Begin to beat."""
        self.beat()
        self._thread.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop beating, and take the sign of life away."""
        self._thread.__exit__()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Write a beat now. A disk that is full or gone stops nobody: the beat is missing, then."""
        self._look()
        self._written = (time.monotonic(), self.peak)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"beat": now, **self.last, "peak_memory": round(self.peak, 1), **identity()})
        part = self.path.with_name(f".{FILE}-{os.getpid()}.part")
        try:
            part.write_text(text + "\n", encoding="utf-8")
            os.replace(part, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _look(self) -> None:
        pid = self.of()
        if pid is not None:
            self.peak = max(self.peak, resident_memory(pid) / 1e6)

    def _go(self) -> None:
        if self.pulse is not None:
            self.pulse()
        self._look()
        when, peak = self._written
        grown = self.peak > 1.1 * peak  # what is killed for its memory grew just before
        if grown or time.monotonic() - when >= BEAT:
            self.beat()
