"""Training a backbone on pairs of a query and an identifier: cross-entropy, teacher-forced."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genret_core.errors import BadInput
from genret_core.modeling.backbones import Backbone
from genret_core.modeling.bodies import bind
from genret_core.modeling.body import Body
from genret_core.modeling.flops import row_flops
from genret_core.modeling.packing import Packer, Rows, training_rows
from genret_core.modeling.recipe import RECIPE_VERSION, Recipe
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

__all__ = ["RECIPE_VERSION", "Recipe", "TrainingFailed", "TrainingLog", "train"]

Progress = Callable[[int, int, float], None]

CURVE_POINTS = 100


class TrainingFailed(RuntimeError):
    """Training that diverged; the sentence says at which step and learning rate."""


@dataclass(frozen=True)
class TrainingLog:
    """What one training run did.

    Attributes
    ----------
    loss_curve : list of [step, loss]
        About 100 points; the mean loss per token (nats) over the steps since the point before.
    lr : float
        The highest learning rate.
    steps : int
        Updates.
    pairs : int
        Pairs trained on, repeats counted.
    tokens : int
        Tokens read, padding left out.
    seconds, cpu_seconds : float
        Wall and processor time.
    flops : float
        By `flops.row_flops`, padding left out.
    """

    loss_curve: list[list[float]]
    lr: float
    steps: int
    pairs: int
    tokens: int
    seconds: float
    cpu_seconds: float
    flops: float

    @property
    def tokens_per_second(self) -> float:
        """Speed of training."""
        return self.tokens / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        return asdict(self)


def train(
    model: Any,
    backbone: Backbone,
    prompts: Ragged,
    pairs: Pairs,
    owner: npt.NDArray[np.integer],
    recipe: Recipe,
    *,
    seed: int,
    lr: float,
    progress: Progress | None = None,
) -> TrainingLog:
    """Train a model in place.

    Parameters
    ----------
    model : PreTrainedModel
        On its device; its weights are bound to one tensor (`bodies.bind`) and stay usable.
    backbone : Backbone
        What the model is, for counting FLOPs.
    prompts : Ragged
        A prompt per query.
    pairs : Pairs
        What to train on.
    owner : int[n]
        The query of each pair, as a row of `prompts`.
    recipe : Recipe
    seed : int
        Of the order of the pairs.
    lr : float
        Highest learning rate.
    progress : callable, optional
        Called about 100 times with (step, steps, loss).

    Raises
    ------
    TrainingFailed
        The loss is no longer a number.
    """
    if len(pairs) == 0:
        raise BadInput(
            "There are no pairs to train on; raise the fraction or give the corpus training queries."
        )
    began, cpu = time.perf_counter(), time.process_time()
    body = bind(model)
    eos = model.config.eos_token_id if recipe.train_eos else None
    packer = Packer.of(prompts, pairs, eos_id=eos, device=body.weights.flat.device)
    rows, steps = _plan(owner, packer, recipe, seed)
    curve = _updates(body, packer, rows, steps, recipe, lr, progress)
    lengths = packer.lengths[rows.identifiers]
    flops = row_flops(backbone, body.head.shape[0], packer.prompt_lengths[rows.query], lengths)
    return TrainingLog(
        loss_curve=curve,
        lr=lr,
        steps=steps,
        pairs=int((rows.identifiers >= 0).sum()),
        tokens=packer.tokens(rows.query, rows.identifiers),
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu,
        flops=3.0 * float(flops.sum()),
    )


def _plan(owner: npt.NDArray[np.integer], packer: Packer, recipe: Recipe, seed: int) -> tuple[Rows, int]:
    """Lay out the rows of all updates, epoch after epoch."""
    batch, parts, steps, epoch = recipe.batch_queries, [], 0, 0
    wanted = recipe.n_steps or math.inf
    while steps < wanted and (recipe.steps == "fixed" or epoch < recipe.epochs):
        rows = training_rows(
            owner, packer.prompt_lengths, per_row=recipe.identifiers_per_row, batch=batch,
            window=recipe.length_window, seed=(seed, epoch),
        )  # fmt: skip
        if recipe.steps == "fixed" and len(rows) > batch:
            rows = rows.take(slice(0, len(rows) // batch * batch))  # passes join without a short batch
        parts.append(rows)
        steps, epoch = steps + -(-len(rows) // batch), epoch + 1
    steps = int(min(steps, wanted))
    query = np.concatenate([part.query for part in parts])
    width = max(part.identifiers.shape[1] for part in parts)
    filled = [
        np.pad(p.identifiers, ((0, 0), (0, width - p.identifiers.shape[1])), constant_values=-1)
        for p in parts
    ]
    return Rows(query, np.concatenate(filled)).take(slice(0, steps * batch)), steps


def _updates(
    body: Body, packer: Packer, rows: Rows, steps: int, recipe: Recipe, lr: float, progress: Progress | None
) -> list[list[float]]:
    weights = torch.nn.Parameter(body.weights.flat)
    optimizer = torch.optim.AdamW(
        [weights], lr=lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )
    gradient = weights.grad = torch.zeros_like(weights)
    group = optimizer.param_groups[0]
    every, curve = max(1, -(-steps // CURVE_POINTS)), []
    summed, since = torch.zeros((), device=weights.device), 0
    cast = torch.autocast(weights.device.type, torch.bfloat16, enabled=recipe.precision == "bf16")
    batches: Iterator[Rows] = rows.batches(recipe.batch_queries)
    for step, batch in enumerate(batches, start=1):
        group["lr"] = lr * schedule(step, steps, recipe.warmup)
        with cast:
            loss = _mean_loss(body, packer, batch)
        body.weights.gradient(loss, out=gradient)
        gradient.mul_((recipe.clip / (torch.linalg.vector_norm(gradient) + 1e-6)).clamp_(max=1.0))
        optimizer.step()
        summed, since = summed + loss.detach(), since + 1
        if step % every == 0 or step == steps:
            mean = float(summed) / since
            if not math.isfinite(mean):
                raise TrainingFailed(
                    f"The loss became {mean} by step {step} of {steps} at learning rate {lr:g}; lower it."
                )
            curve.append([step, mean])
            summed, since = torch.zeros_like(summed), 0
            if progress is not None:
                progress(step, steps, mean)
    return curve


def _mean_loss(body: Body, packer: Packer, rows: Rows) -> Tensor:
    """Mean negative log-likelihood per identifier token of a batch."""
    batch = packer.batch(rows.query, rows.identifiers)
    losses = body.losses(batch)
    return losses.mean() if batch.scored is None else losses.sum() / batch.scored.sum()


def schedule(step: int, steps: int, warmup: float) -> float:
    """Give the share of the highest learning rate at an update: up over the warm-up, then down towards 0."""
    rising = max(1.0, warmup * steps)
    if step <= rising:
        return step / rising
    return (steps + 1 - step) / (steps + 1 - rising)
