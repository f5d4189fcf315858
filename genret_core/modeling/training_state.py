"""The state of a packed training run on disk: a run that was cut goes on at the exact step.

Weights, AdamW's moments, the step and the curve so far are one safetensors file, replaced as a whole. The
order of the pairs follows from the seed and nothing else is random, so that a run that goes on from here has
the weights and the curve, bit by bit, of one that was never cut (on a device that adds in a fixed order).

A state is written every `EVERY` seconds, but never so often that writing takes more than a `SHARE` of the
time, and when the process is asked to end (SIGTERM).
"""

from __future__ import annotations

import json
import logging
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genret_core.files import atomic

logger = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds of training between two states."""
SHARE = 0.05
"""Of the time that writing states may take."""
WORTH = 5.0
"""Seconds of training below which a run that is asked to end writes no state."""

FILE = "state.safetensors"


@dataclass
class Progressed:
    """How far a run is.

    Attributes
    ----------
    step : int
        Updates done.
    curve : list of [step, loss]
        Points so far.
    summed, since : Tensor, int
        Losses since the last point, and how many.
    """

    summed: Tensor
    step: int = 0
    curve: list[list[float]] = field(default_factory=list)
    since: int = 0


@dataclass
class StateKeeper:
    """Reads and writes the state of one run.

    Parameters
    ----------
    folder : Path or None
        Of this run alone; None: nothing is kept.
    """

    folder: Path | None
    began: float = field(default_factory=time.perf_counter)
    cpu_began: float = field(default_factory=time.process_time)
    asked_to_end: bool = False
    _earlier: tuple[float, ...] = (0.0, 0.0)
    _last: float = 0.0
    _wait: float = 0.0

    def __post_init__(self) -> None:
        self._last, self._wait = time.perf_counter(), EVERY

    @property
    def seconds(self) -> tuple[float, float]:
        """Wall and processor time of this run so far, of all processes that worked on it."""
        wall, cpu = self._earlier
        return wall + time.perf_counter() - self.began, cpu + time.process_time() - self.cpu_began

    def read(self, weights: Tensor, optimizer: torch.optim.Optimizer) -> Progressed | None:
        """Put a state back into weights and optimiser; None if there is none.

        A file that cannot be read (a disk that lost power) counts as none: the run starts again.
        """
        if self.folder is None or not self.folder.is_dir():
            return None
        for part in self.folder.glob(".*.part"):
            part.unlink(missing_ok=True)  # of a process that was killed while it wrote
        path = self.folder / FILE
        if not path.is_file():
            return None
        try:
            told, tensors = _read(path, weights)
        except (OSError, ValueError, KeyError) as error:
            logger.warning("%s cannot be read (%s): training starts from the beginning.", path, error)
            return None
        with torch.no_grad():
            weights.copy_(tensors.pop("weights"))
        summed = tensors.pop("summed")
        optimizer.load_state_dict({**optimizer.state_dict(), "state": {0: tensors}})
        self._earlier = tuple(told.pop("seconds"))
        return Progressed(summed=summed, **told)

    def is_due(self) -> bool:
        """Whether a state is to be written after this step."""
        if self.folder is None:
            return False
        trained = time.perf_counter() - self._last
        return trained >= (WORTH if self.asked_to_end else self._wait)

    def write(self, done: Progressed, weights: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Write the state after a step, in place of the one before."""
        from safetensors.torch import save_file

        assert self.folder is not None
        began = time.perf_counter()
        told = {"step": done.step, "curve": done.curve, "since": done.since, "seconds": self.seconds}
        moments = optimizer.state_dict()["state"][0]
        tensors = {"weights": weights, "summed": done.summed, **moments}
        on_processor = {name: value.detach().cpu() for name, value in tensors.items()}
        with atomic(self.folder / FILE) as part:
            save_file(on_processor, part, metadata={"run": json.dumps(told)})
        self._last = time.perf_counter()
        self._wait = max(EVERY, (self._last - began) / SHARE)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note a SIGTERM instead of dying of it; the end of the block hands it on."""
        before = signal.getsignal(signal.SIGTERM)
        alone = threading.current_thread() is not threading.main_thread()
        if self.folder is None or alone or before in (None, signal.SIG_IGN):
            yield
            return
        signal.signal(signal.SIGTERM, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
        if self.asked_to_end:
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit(128 + signal.SIGTERM)  # whoever else listened let it pass

    def _note(self, number: int, frame: Any) -> None:
        self.asked_to_end = True


def _read(path: Path, weights: Tensor) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=str(weights.device)) as file:
            told: dict[str, Any] = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    if tensors["weights"].shape != weights.shape:
        raise ValueError("it is of another model")
    return told, tensors


def forget_training(cell: Path) -> None:
    """Remove what interrupted runs of a cell left: its result is safe."""
    for path in cell.glob("training-*"):
        shutil.rmtree(path, ignore_errors=True)
