"""`genret study --dry-run`: what a study would do, what it takes, and whether that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genret_core.provenance import available_cores
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.cost import BEAM_STEP, QUERY, START, STEP, expected_before, expected_seconds
from genret_core.workbench.study.device import Device, device_of
from genret_core.workbench.study.estimate import Estimate, estimate
from genret_core.workbench.study.expected import Data, data_of
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell, cell_specs, expand
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import place
from genret_core.workbench.study.room import no_space, notes, shared_bytes, too_large

LAYERS_OF_STEP = 2  # the ladder on which `cost.STEP` was measured; of an encoder-decoder in each half
GPU_START = 15.0  # seconds: the process, CUDA, opening the inputs


@dataclass(frozen=True)
class PlannedWork:
    """A cell, what it takes, and how long; `seconds` is None where that is not known."""

    cell: PlannedCell
    done: bool
    found: Estimate
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """Give what a program may want to know."""
        cell = self.cell
        own = {"cell": cell.name, "backbone": cell.backbone.name, "method": cell.method}
        beams = [search.beam for search in cell.searches]
        return {
            **own, "fraction": cell.fraction, "seed": cell.seed, "beams": beams, "done": self.done,
            "seconds": self.seconds, "flops": self.found.flops, **self.found.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a study would do.

    Attributes
    ----------
    name : str
    folder : Path
    data : Data
    device : Device
    workers : int
    cells : tuple of PlannedWork
    shared : float or None
        Bytes on disk of what cells share.
    notes : tuple of str
    refused : str or None
        What cannot fit, and what would, in one sentence.
    notebooks : tuple of str
    """

    name: str
    folder: Path
    data: Data
    device: Device
    workers: int
    cells: tuple[PlannedWork, ...]
    shared: float | None
    notes: tuple[str, ...]
    refused: str | None
    notebooks: tuple[str, ...]

    @property
    def disk(self) -> float:
        """Bytes on disk in the end, with the states of as many cells as train at a time."""
        kept = sum(work.found.checkpoint + work.found.results for work in self.cells)
        states = sorted((work.found.states for work in self.cells), reverse=True)[: self.workers]
        return kept + sum(states) + (self.shared or 0.0)

    @property
    def seconds(self) -> float | None:
        """How long what is left takes; None where that is not known.

        Cells that share a device do not compute faster together than it does, so that all FLOPs at its rate
        are the least.
        """
        left = [work for work in self.cells if not work.done]
        each = [work.seconds for work in left if work.seconds is not None]
        if len(each) < len(left):
            return None
        side_by_side = _makespan(each, self.workers)
        if self.device.rate is None:
            return side_by_side
        return max(side_by_side, sum(work.found.flops or 0.0 for work in left) / self.device.rate)

    @property
    def device_hours(self) -> float | None:
        """Hours of the device, times the processes that train together; None without a rate."""
        left = [work for work in self.cells if not work.done]
        if self.device.rate is None or any(work.found.flops is None for work in left):
            return None
        return sum((work.found.flops or 0.0) for work in left) / self.device.rate / 3600

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        return {
            "study": self.name, "folder": str(self.folder), "about": self.data.about,
            "data": asdict(self.data), "device": asdict(self.device), "workers": self.workers,
            "cells": [work.to_dict() for work in self.cells], "seconds": self.seconds,
            "device_hours": self.device_hours, "shared_bytes": self.shared, "disk_bytes": self.disk,
            "notes": list(self.notes), "refused": self.refused, "notebooks": list(self.notebooks),
        }  # fmt: skip

    def __str__(self) -> str:
        """Write it for people: a line per cell, and what it comes to."""
        from genret_core.workbench.study.plan_table import told

        return told(self)


def plan(
    source: str,
    *,
    out: Path | None = None,
    jobs: int | None = None,
    flops_rate: str | None = None,
    memory: float | None = None,
) -> Plan:
    """Describe a study without changing anything.

    Parameters
    ----------
    source : str
        A preset, a YAML file or a study folder.
    out : Path, optional
        Where study folders lie.
    jobs : int, optional
        Workers.
    flops_rate, memory
        See `device.device_of`.

    Raises
    ------
    BadInput
        The study cannot be used; what cannot fit is told in `refused`.
    """
    here = place(source, out)
    workers = jobs or here.spec.jobs or available_cores()
    device = device_of(flops_rate, memory)
    inputs = Inputs.read(here.folder, here.spec)
    data = data_of(here.spec, here.folder, inputs)
    specs = [] if inputs is None else cell_specs(here.spec, inputs, here.folder)
    works = []
    for number, cell in enumerate(expand(here.spec)):  # in the order of specs
        found = estimate(here.spec, cell, data, gpu=device.accelerator)
        if device.rate is not None:
            seconds = _on_device(cell, found, device)
        else:
            seconds = expected_seconds(specs[number]) if specs else expected_before(here.spec, cell)
        works.append(PlannedWork(cell, bool(specs) and is_done(specs[number]), found, seconds))
    left = [(work.cell, work.found) for work in works if not work.done]
    made = Plan(
        name=here.spec.name, folder=here.folder, data=data, device=device, workers=workers,
        cells=tuple(works), shared=shared_bytes(here.spec, data), notes=(), refused=None,
        notebooks=here.spec.notebooks,
    )  # fmt: skip
    return _judged(made, here.spec, left)


def _judged(made: Plan, spec: StudySpec, left: Sequence[tuple[PlannedCell, Estimate]]) -> Plan:
    """Add what does not fit."""
    device, found, refused = made.device, [], None
    if device.memory is not None:
        refused = too_large(spec, left, made.data, device.memory, gpu=device.accelerator)
        found = notes(spec, left, made.data, device.memory, gpu=device.accelerator)
    if refused is None and left:
        refused = no_space(made.folder, made.disk)
    return Plan(**{**made.__dict__, "notes": tuple(found), "refused": refused})


def _on_device(cell: PlannedCell, found: Estimate, device: Device) -> float | None:
    """Expect the seconds of a cell on a GPU.

    An update takes its FLOPs, but not less than the operations of its layers take to be started, as measured
    on a processor; a search besides what its constraint takes there.
    """
    if found.train_flops is None or found.steps is None or device.rate is None:
        return None
    backbone = cell.backbone
    started = STEP[backbone.decoder_only] * backbone.n_layers / LAYERS_OF_STEP
    computed = found.train_flops / device.rate / found.processes
    seconds = GPU_START + START + max(computed, found.steps * started) + found.loss_flops / device.rate
    constrained = sum(
        one.n_queries * (QUERY["search"] + BEAM_STEP * one.max_new_tokens * one.beam) for one in cell.searches
    )
    return seconds + found.search_flops / device.rate + constrained


def _makespan(costs: Sequence[float], workers: int) -> float:
    """Lay the cells out over the workers as the pool does, longest first."""
    busy = [0.0] * workers
    for seconds in sorted(costs, reverse=True):
        busy[busy.index(min(busy))] += seconds
    return max(busy)
