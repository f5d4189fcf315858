"""The updates of a pretraining run, with a state from which an interrupted one goes on to the same end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from genret_core.modeling.backbones import Backbone
from genret_core.modeling.flops import row_flops
from genret_core.modeling.pretrained import resuming
from genret_core.modeling.pretraining.batches import Texts, batch_loss
from genret_core.modeling.training import CURVE_POINTS, Progress, TrainingFailed, schedule


@dataclass
class Told:
    """What a run has done so far.

    Attributes
    ----------
    loss_curve : list of [step, loss]
        About 100 points; the mean loss per target (nats) over the steps since the point before.
    tokens : int
        Read or predicted, padding left out.
    flops : float
        By `flops.row_flops`, padding left out.
    seconds : float
    """

    loss_curve: list[list[float]]
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0


def pretrain(
    model: Any,
    backbone: Backbone,
    texts: Texts,
    *,
    lr: float,
    work: Path | None = None,
    progress: Progress | None = None,
) -> Told:
    """Train a model on windows of the corpus, in place; go on from the state in `work` if there is one.

    Parameters
    ----------
    model : PreTrainedModel
        With rows for the sentinels, on its device.
    backbone : Backbone
        What the model is, for counting FLOPs.
    texts : Texts
    lr : float
        Highest learning rate.
    work : Path, optional
        Where the state is kept.
    progress : callable, optional
        Called about 100 times with (step, steps, loss).

    Raises
    ------
    TrainingFailed
        The loss is no longer a number.
    """
    recipe, device = texts.recipe, next(model.parameters()).device
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )
    steps, told, done = texts.windows.steps(recipe), Told([]), 0
    state = None if work is None else resuming.last_state(work)
    if state is not None:
        resuming.put_trained(model, resuming.read_trained(state))
        resuming.put_moments(optimizer, state)
        told, done = Told(**resuming.read_told(state)), int(state.name[len(resuming.STATE) :])
    rows = model.get_input_embeddings().weight.shape[0]
    every = max(1, -(-steps // CURVE_POINTS))
    between = every * max(1, round(steps / every / (recipe.saves + 1))) if recipe.saves else steps
    began, before = time.perf_counter(), told.seconds
    summed, since = torch.zeros((), device=device), 0
    for step, drawn in enumerate(islice(texts.windows.batches(recipe), done, steps), start=done + 1):
        batch, lengths = texts.batch(drawn, (recipe.seed, step))
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule(step, steps, recipe.warmup)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = batch_loss(model, {name: value.to(device) for name, value in batch.items()})
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        summed, since = summed + loss.detach(), since + 1
        told.tokens += lengths.tokens
        told.flops += 3.0 * float(row_flops(backbone, rows, lengths.read, lengths.targets[:, None]).sum())
        if step % every and step != steps:
            continue
        mean = float(summed) / since
        if not math.isfinite(mean):
            raise TrainingFailed(
                f"Pretraining's loss became {mean} by step {step} of {steps} at learning rate {lr:g}; lower "
                "it (pretrain: lr)."
            )
        told.loss_curve.append([step, mean])
        told.seconds = before + time.perf_counter() - began
        summed, since = torch.zeros_like(summed), 0
        if work is not None and step % between == 0 and step < steps:
            trained = dict(resuming.trained_parameters(model))
            resuming.save_state(work, step, trained, optimizer, None, dict(vars(told)))
        if progress is not None:
            progress(step, steps, mean)
    model.eval()
    return told
