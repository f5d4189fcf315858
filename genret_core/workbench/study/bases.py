"""Backbones that a study pretrains on its corpus: which there are, what they take, and who makes them when.

They are jobs of the pool like cells. Those that need none of them run beside them, and the cells that begin
from them run after. (A cell whose backbone is not there yet makes it itself: `genret cells` in several parts
needs no order among them.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genret_core.modeling import Backbone, CellSpec, PretrainedBackbone
from genret_core.modeling.flops import row_flops
from genret_core.modeling.pretraining.spec import Pretraining
from genret_core.workbench.pool import Job, Outcome
from genret_core.workbench.study.cost import RATE, STEP
from genret_core.workbench.study.expected import Data, data_of
from genret_core.workbench.study.grid import PlannedCell
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.place import Place

OVERHEAD = 3.0  # of an update through transformers' own forward pass, as a multiple of `cost.STEP`


@dataclass(frozen=True)
class PlannedBase:
    """A backbone to pretrain, and what that takes; None where the study does not say how much text it has."""

    name: str
    objective: str
    steps: int | None
    tokens: float | None
    flops: float | None
    seconds: float | None
    done: bool

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        return asdict(self)


def base_jobs(cells: Iterable[CellSpec], here: Place, inputs: Inputs) -> list[Job]:
    """Give a job for every backbone that these cells begin from and that is not there."""
    made = {one.key: one for cell in cells if (one := cell.pretraining) is not None and not one.is_made}
    if not made:
        return []
    data = data_of(here.spec, here.folder, inputs)
    return [
        Job(key, _named(one.backbone), one, one.work, planned(one, data).seconds or 1.0)
        for key, one in sorted(made.items())
    ]


def bases_first(
    cells: Sequence[Job], bases: Sequence[Job], run: Callable[[Sequence[Job]], list[Outcome]]
) -> list[Outcome]:
    """Run the jobs of cells, those that begin from a backbone after the one that makes it.

    Parameters
    ----------
    cells, bases : sequence of Job
        Of `CellSpec`, and of `base_jobs`.
    run : callable
        Runs jobs; called a second time for the cells that had to wait.

    Returns
    -------
    list of Outcome
        Of the cells; one whose backbone could not be made has failed for that reason, and none is there for
        one that was not started.
    """
    to_make = {base.key for base in bases}
    on = {job.key: _key(job.payload.pretraining) for job in cells}
    outcomes = run([*bases, *(job for job in cells if on[job.key] not in to_make)])
    ended = {outcome.job.key: outcome for outcome in outcomes if outcome.job.key in to_make}
    later = [job for job in cells if on[job.key] in ended]
    unmade = [job for job in later if ended[on[job.key]].state == "failed"]
    ready = [job for job in later if ended[on[job.key]].state == "done"]
    orphans = [
        Outcome(job, "failed", f"{found.job.name} failed: {found.reason}", 0.0, found.error)
        for job in unmade
        if (found := ended[on[job.key]])
    ]
    own = [outcome for outcome in outcomes if outcome.job.key not in to_make]
    return own + orphans + (run(ready) if ready else [])


def run_base(base: Pretraining, progress: Any) -> None:
    """Pretrain one backbone; called in a process of the pool."""
    from genret_core.modeling.cells import choose_device
    from genret_core.modeling.pretraining.making import make

    make(base, choose_device(), progress)


def planned_bases(cells: Sequence[PlannedCell], specs: Sequence[CellSpec], data: Data) -> list[PlannedBase]:
    """Plan the backbones that a study's cells begin from, each once.

    Parameters
    ----------
    cells : sequence of PlannedCell
    specs : sequence of CellSpec
        The same with their keys, in the same order; empty before the corpus is read.
    data : Data
    """
    found: dict[str, PlannedBase] = {}
    for number, cell in enumerate(cells):
        rung = _rung(cell.backbone)
        if rung is not None:
            one = (specs[number].pretraining if specs else None) or Pretraining("", "", "", rung)
            found.setdefault(one.key, planned(one, data))
    return list(found.values())


def planned(base: Pretraining, data: Data) -> PlannedBase:
    """Say what pretraining a backbone takes."""
    rung, recipe, name = base.backbone, base.recipe, _named(base.backbone)
    done = bool(base.folder) and base.is_made
    if not data.documents or not data.document_tokens:
        return PlannedBase(name, base.objective, recipe.steps, None, None, None, done)
    mean = data.document_tokens / data.documents
    per_document = math.ceil(mean / recipe.length)
    updates = math.ceil(data.documents * per_document / recipe.batch)
    steps = recipe.steps or max(1, math.ceil((recipe.epochs or 1) * updates))
    read, targets = 1.0, mean / per_document
    if base.objective == "span_corruption":
        noise = targets * recipe.noise_density
        spans = max(1.0, noise / recipe.mean_span)
        read, targets = targets - noise + spans + 1, noise + spans + 1
    windows = steps * min(recipe.batch, data.documents * per_document)
    flops = 3 * windows * float(row_flops(rung, data.text_vocabulary, [read], [[targets]])[0])
    seconds = steps * OVERHEAD * STEP[rung.decoder_only] * rung.n_layers / 2 + flops / RATE
    return PlannedBase(name, base.objective, steps, windows * (read + targets), flops, seconds, done)


def _rung(backbone: Backbone | PretrainedBackbone) -> Backbone | None:
    rung = backbone if isinstance(backbone, Backbone) else backbone.base
    return rung if rung is not None and rung.pretrain is not None else None


def _key(base: Pretraining | None) -> str:
    return "" if base is None else base.key


def _named(rung: Backbone) -> str:
    return f"{rung.name} pretraining"
