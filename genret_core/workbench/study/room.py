"""Whether cells fit into a device's memory and onto the disk, and what would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from genret_core.modeling import Backbone, PretrainedBackbone
from genret_core.modeling.memory import CONTEXT
from genret_core.workbench.study.estimate import Estimate, estimate
from genret_core.workbench.study.expected import WORDS, Data
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import PlannedCell

INDEX_BYTES = 8  # of a token: its id twice with 2 bytes, and its suffix with 4
TEXT_BYTES = 6.5  # of a word
PAIR_BYTES = 14  # of a pair, its identifier aside
TOKEN_BYTES = 4  # of a token of an identifier
GB = 1e9


def too_large(
    spec: StudySpec, cells: Sequence[tuple[PlannedCell, Estimate]], data: Data, memory: float, *, gpu: bool
) -> str | None:
    """Say in one sentence which cell cannot fit and what would; None if all fit.

    A micro-batch that does not fit is no reason: training halves it by itself (`notes`). Our own loop has no
    micro-batches, so that its batch is.
    """
    for planned, found in cells:
        least = _least(spec, planned, found, data, gpu)
        if least.memory <= memory:
            continue
        other = next(_that_fit(spec, planned, data, memory, gpu), None)
        advice = f"it fits {other}" if other else "no setting of this model fits: take a larger device"
        return (
            f"{planned.name} needs about {least.memory / GB:.0f} GB ({_most(least)}), and the device has "
            f"{memory / GB:.0f} GB; {advice}."
        )
    return None


def notes(
    spec: StudySpec, cells: Sequence[tuple[PlannedCell, Estimate]], data: Data, memory: float, *, gpu: bool
) -> list[str]:
    """Name the models whose micro-batch will be halved, and to what; each once."""
    told: dict[str, str] = {}
    spared = memory - CONTEXT[gpu]
    for planned, found in cells:
        backbone, size = planned.backbone, found.micro_batch
        if backbone.name in told or not isinstance(backbone, PretrainedBackbone):
            continue
        while size > 0 and _trains_in(spec, planned, data, gpu, size) > spared:
            size //= 2
        if 0 < size < found.micro_batch:
            told[backbone.name] = (
                f"{backbone.name}: {found.micro_batch} pairs at a time do not fit; training halves them by "
                f"itself, micro_batch: {size} saves the attempts"
            )
    return list(told.values())


def _trains_in(spec: StudySpec, planned: PlannedCell, data: Data, gpu: bool, size: int) -> float:
    return estimate(spec, _with(planned, micro_batch=size), data, gpu=gpu).training.total


def _most(found: Estimate) -> str:
    """Name what takes the most memory."""
    held = found.training
    if found.search > held.total:
        return "search"
    return "weights" if held.weights > held.total / 2 else "training"


def _least(spec: StudySpec, planned: PlannedCell, found: Estimate, data: Data, gpu: bool) -> Estimate:
    """Estimate with the smallest micro-batch that training comes down to."""
    if isinstance(planned.backbone, Backbone):
        return found
    return estimate(spec, _with(planned, micro_batch=1), data, gpu=gpu)


def _that_fit(spec: StudySpec, planned: PlannedCell, data: Data, memory: float, gpu: bool) -> Iterator[str]:
    """Yield changes that make a cell fit, the smallest first."""
    backbone = planned.backbone
    if isinstance(backbone, Backbone):
        recipe = spec.recipe_of(planned.method)
        key = "recipe" if planned.method == "ngram" else "recipe_codebook"
        size = recipe.batch_queries // 2
        while size >= 1:
            changed = spec.model_copy(
                update={"recipe": replace(spec.recipe, batch_queries=size)}
                if key == "recipe"
                else {"recipe_codebook": {**spec.recipe_codebook, "batch_queries": size}}
            )
            if estimate(changed, planned, data, gpu=gpu).memory <= memory:
                yield f"with {key}: {{batch_queries: {size}}}"
                return
            size //= 2
        return
    tries: list[tuple[str, dict[str, object]]] = [
        ("gradient_checkpointing: true", {"gradient_checkpointing": True}),
        ("LoRA (lora: {})", {"lora": {}, "fresh": False}),
        ("LoRA and precision: bf16", {"lora": {}, "fresh": False, "precision": "bf16"}),
        ("LoRA and quantised: 4bit", {"lora": {}, "fresh": False, "precision": "bf16", "quantised": "4bit"}),
    ]
    for told, change in tries:
        if backbone.lora is not None:
            told, change = told.replace("LoRA and ", ""), {**change, "lora": backbone.lora}
            if told.startswith("LoRA"):
                continue
        if estimate(spec, _with(planned, micro_batch=1, **change), data, gpu=gpu).memory <= memory:
            yield f"with {told}"
    bare = replace(_with(planned, micro_batch=1), searches=())
    if estimate(spec, bare, data, gpu=gpu).memory <= memory:
        yield "if it is not searched (take it out of `search`)"


def _with(planned: PlannedCell, **change: object) -> PlannedCell:
    assert isinstance(planned.backbone, PretrainedBackbone)
    return replace(planned, backbone=replace(planned.backbone, **change))  # type: ignore[arg-type]


def shared_bytes(spec: StudySpec, data: Data) -> float | None:
    """Count the bytes on disk of corpus, index and training pairs; None if the corpus' size is not known."""
    if data.documents is None or data.document_tokens is None:
        return None
    width = spec.identifiers.ngram.width
    pairs = (data.pairs or {}).get("ngram", 0.0) * (PAIR_BYTES + TOKEN_BYTES * width)
    return data.document_tokens * INDEX_BYTES + data.documents * WORDS * TEXT_BYTES + pairs


def no_space(folder: Path, needed: float) -> str | None:
    """Say in one sentence that the disk is too small; None if it is not."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed <= free:
        return None
    return (
        f"the study needs about {needed / GB:.0f} GB of disk and {there} has {free / GB:.0f} GB free; give "
        "--out a larger one, or fewer documents or models."
    )
