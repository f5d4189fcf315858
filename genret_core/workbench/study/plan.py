"""What a study would do, what it takes, and whether that is there: `--dry-run` tells, every run asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.provenance import available_cores
from genret_core.workbench.study.bases import PlannedBase, planned_bases
from genret_core.workbench.study.collect import is_done
from genret_core.workbench.study.cost import BEAM_STEP, QUERY, START, STEP, expected_before, expected_seconds
from genret_core.workbench.study.device import Device, device_of
from genret_core.workbench.study.estimate import Estimate, estimate
from genret_core.workbench.study.expected import Data, data_of
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.fresh import bytes_in
from genret_core.workbench.study.grid import PlannedCell, cell_specs, expand
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import Place, place
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
    bases : tuple of PlannedBase
        Backbones to pretrain.
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
    bases: tuple[PlannedBase, ...] = ()

    @property
    def disk(self) -> float:
        """Bytes on disk in the end, with the states of as many cells as train at a time."""
        kept = sum(work.found.checkpoint + work.found.results for work in self.cells)
        states = sorted((work.found.states for work in self.cells), reverse=True)[: self.workers]
        return kept + sum(states) + (self.shared or 0.0)

    @property
    def disk_left(self) -> float:
        """Bytes on disk that what is left to do adds; corpus and index are there once they were read."""
        left = [work.found for work in self.cells if not work.done]
        states = sorted((found.states for found in left), reverse=True)[: self.workers]
        kept = sum(found.checkpoint + found.results for found in left)
        return kept + sum(states) + ((self.shared or 0.0) if self.data.about else 0.0)

    @property
    def seconds(self) -> float | None:
        """How long what is left takes; None where that is not known.

        Cells that share a device do not compute faster together than it does, so that all FLOPs at its rate
        are the least.
        """
        left = [work for work in self.cells if not work.done]
        bases = [one for one in self.bases if not one.done] if left else []
        asked = [*(work.seconds for work in left), *(one.seconds for one in bases)]
        each = [seconds for seconds in asked if seconds is not None]
        if len(each) < len(asked):
            return None
        side_by_side = _makespan(each, self.workers)
        if self.device.rate is None:
            return side_by_side
        flops = [*(work.found.flops for work in left), *(one.flops for one in bases)]
        return max(side_by_side, sum(one or 0.0 for one in flops) / self.device.rate)

    @property
    def device_hours(self) -> float | None:
        """Hours of the device, times the processes that train together; None without a rate."""
        left = [work for work in self.cells if not work.done]
        if self.device.rate is None or any(work.found.flops is None for work in left):
            return None
        flops = [work.found.flops or 0.0 for work in left]
        flops += [one.flops or 0.0 for one in self.bases if not one.done]
        return sum(flops) / self.device.rate / 3600

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON-like values."""
        return {
            "study": self.name, "folder": str(self.folder), "about": self.data.about,
            "data": asdict(self.data), "device": asdict(self.device), "workers": self.workers,
            "cells": [work.to_dict() for work in self.cells], "seconds": self.seconds,
            "pretraining": [one.to_dict() for one in self.bases],
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
    return _planned(here, Inputs.read(here.folder, here.spec), workers, device_of(flops_rate, memory))


def refuse_what_cannot_fit(
    here: Place,
    *,
    workers: int,
    names: Collection[str] | None = None,
    fresh: bool = False,
    computes_here: bool = True,
) -> None:
    """Refuse a run before anything is written, if a cell or the disk is too small for it.

    What a study's file says is looked at first, which takes milliseconds. Only if that does not fit is it
    looked at what was read and done before. A model whose size cannot be read here is not judged.

    Parameters
    ----------
    here : Place
    workers : int
        Cells at a time.
    names : collection of str, optional
        Names of the cells to run; by default all.
    fresh : bool
        Whether what was made before goes first, and its room on the disk with it.
    computes_here : bool
        False where cells run on other machines, whose memory is not known.

    Raises
    ------
    BadInput
        With what does not fit, and what would.
    """
    device = device_of() if computes_here else Device(None, None, False, "another machine")
    known = [cell.name for cell in expand(here.spec) if _is_known(cell)]
    asked = known if names is None else [name for name in known if name in names]
    freed = bytes_in(here.folder) if fresh and here.folder.is_dir() else 0
    found = _planned(here, None, workers, device, names=asked, freed=freed)
    inputs = Inputs.read(here.folder, here.spec) if found.refused and not fresh else None
    if inputs is not None:
        found = _planned(here, inputs, workers, device, names=asked)
    if found.refused:
        raise BadInput(f"{found.refused.removesuffix('.')}; --anyway tries it all the same.")


def _is_known(cell: PlannedCell) -> bool:
    """Whether a model's sizes can be read; if not, its cells say so themselves when they run."""
    try:
        cell.backbone.parameters(1)
    except BadInput:
        return False
    return True


def _planned(
    here: Place,
    inputs: Inputs | None,
    workers: int,
    device: Device,
    *,
    names: Collection[str] | None = None,
    freed: int = 0,
) -> Plan:
    data = data_of(here.spec, here.folder, inputs)
    specs = [] if inputs is None else cell_specs(here.spec, inputs, here.folder)
    works = []
    for number, cell in enumerate(expand(here.spec)):  # in the order of specs
        if names is not None and cell.name not in names:
            continue
        found = estimate(here.spec, cell, data, gpu=device.accelerator)
        if device.rate is not None:
            seconds = _on_device(cell, found, device)
        else:
            seconds = expected_seconds(specs[number]) if specs else expected_before(here.spec, cell)
        works.append(PlannedWork(cell, bool(specs) and is_done(specs[number]), found, seconds))
    left = [(work.cell, work.found) for work in works if not work.done]
    bases = planned_bases([work.cell for work in works], specs if names is None else (), data)
    made = Plan(
        name=here.spec.name, folder=here.folder, data=data, device=device, workers=workers,
        cells=tuple(works), shared=shared_bytes(here.spec, data), notes=(), refused=None,
        notebooks=here.spec.notebooks, bases=tuple(bases),
    )  # fmt: skip
    return _judged(made, here.spec, left, freed)


def _judged(made: Plan, spec: StudySpec, left: Sequence[tuple[PlannedCell, Estimate]], freed: int) -> Plan:
    """Add what does not fit."""
    device, found, refused = made.device, [], None
    if device.memory is not None:
        refused = too_large(spec, left, made.data, device.memory, gpu=device.accelerator)
        found = notes(spec, left, made.data, device.memory, gpu=device.accelerator)
    if refused is None and left:
        refused = no_space(made.folder, made.disk_left - freed)
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
