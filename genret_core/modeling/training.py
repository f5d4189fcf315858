"""Training a backbone on pairs of a query and an identifier: cross-entropy, teacher-forced."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
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
from genret_core.modeling.training_state import Progressed, StateKeeper
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

__all__ = ["RECIPE_VERSION", "Diverged", "Recipe", "TrainingFailed", "TrainingLog", "train"]

Progress = Callable[[int, int, float], None]

CURVE_POINTS = 100


class TrainingFailed(RuntimeError):
    """Training that could not be finished; the sentence says why."""


class Diverged(TrainingFailed):
    """The loss is no longer a number; the sentence says at which step and learning rate."""


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
    state: Path | None = None,
) -> TrainingLog:
    """Train a model in place; go on from the state of an interrupted run if there is one.

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
    state : Path, optional
        Folder of this run's state (`training_state`); the caller removes it when the result is safe. By
        default none is kept.

    Raises
    ------
    Diverged
        The loss is no longer a number.
    """
    if len(pairs) == 0:
        raise BadInput(
            "There are no pairs to train on; raise the fraction or give the corpus training queries."
        )
    keeper = StateKeeper(state)
    body = bind(model)
    eos = model.config.eos_token_id if recipe.train_eos else None
    packer = Packer.of(prompts, pairs, eos_id=eos, device=body.weights.flat.device)
    rows, steps = _plan(owner, packer, recipe, seed)
    with keeper.listening():
        curve = _updates(body, packer, rows, steps, recipe, lr, progress, keeper)
    lengths = packer.lengths[rows.identifiers]
    flops = row_flops(backbone, body.head.shape[0], packer.prompt_lengths[rows.query], lengths)
    seconds, cpu_seconds = keeper.seconds
    return TrainingLog(
        loss_curve=curve,
        lr=lr,
        steps=steps,
        pairs=int((rows.identifiers >= 0).sum()),
        tokens=packer.tokens(rows.query, rows.identifiers),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
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
    body: Body,
    packer: Packer,
    rows: Rows,
    steps: int,
    recipe: Recipe,
    lr: float,
    progress: Progress | None,
    keeper: StateKeeper,
) -> list[list[float]]:
    weights = torch.nn.Parameter(body.weights.flat)
    optimizer = torch.optim.AdamW(
        [weights], lr=lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )
    gradient = weights.grad = torch.zeros_like(weights)
    every = max(1, -(-steps // CURVE_POINTS))
    done = keeper.read(weights, optimizer) or Progressed(summed=torch.zeros((), device=weights.device))
    group = optimizer.param_groups[0]  # a state that was read brings a new one
    cast = torch.autocast(weights.device.type, torch.bfloat16, enabled=recipe.precision == "bf16")
    left = rows.take(slice(done.step * recipe.batch_queries, None))
    for step, batch in enumerate(left.batches(recipe.batch_queries), start=done.step + 1):
        group["lr"] = lr * schedule(step, steps, recipe.warmup)
        with cast:
            loss = _mean_loss(body, packer, batch)
        body.weights.gradient(loss, out=gradient)
        gradient.mul_((recipe.clip / (torch.linalg.vector_norm(gradient) + 1e-6)).clamp_(max=1.0))
        optimizer.step()
        done.summed, done.since, done.step = done.summed + loss.detach(), done.since + 1, step
        if step % every == 0 or step == steps:
            mean = float(done.summed) / done.since
            if not math.isfinite(mean):
                raise Diverged(
                    f"The loss became {mean} by step {step} of {steps} at learning rate {lr:g}; lower it."
                )
            done.curve.append([step, mean])
            done.summed, done.since = torch.zeros_like(done.summed), 0
            if progress is not None:
                progress(step, steps, mean)
        if keeper.is_due():
            keeper.write(done, weights, optimizer)
        if keeper.asked_to_end:
            break
    return done.curve


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
