"""A micro-batch that fits, found by all processes before they train together.

A process that runs out of memory while it trains leaves the others waiting in a collective call: they cannot
be told. So the widest micro-batch is tried beforehand, by each process for itself, forwards and backwards,
with room taken for AdamW's moments and for the gradients that processes exchange; then all take the size that
fits every one of them.
"""

from __future__ import annotations

import gc
import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genret_core.modeling.memory import MOMENTS
from genret_core.modeling.pretrained.row_losses import keeps_some_logits, summed_nll
from genret_core.modeling.pretrained.rows import Layout
from genret_core.modeling.recipe import Recipe

logger = logging.getLogger(__name__)

EXCHANGED = 1  # copies of the gradients, in the buckets that processes exchange


def fitting_size(model: Any, layout: Layout, recipe: Recipe, size: int, device: torch.device) -> int:
    """Halve a micro-batch until it fits every process; 0 if not even one row does.

    All processes must call this, with the same arguments.

    Parameters
    ----------
    model : PeftModel or PreTrainedModel
        Whole, on its device.
    layout : Layout
    recipe : Recipe
    size : int
        Rows to begin with.
    device : torch.device
        Of this process.
    """
    widest = _widest(layout)
    while size:
        fits = torch.tensor(_fits(model, layout, recipe, widest[:size], device), device=device)
        torch.distributed.all_reduce(fits, op=torch.distributed.ReduceOp.MIN)
        if bool(fits):
            return size
        logger.warning("Out of memory at micro-batch %d: going on with %d, same batch.", size, size // 2)
        size //= 2
    return 0


def _widest(layout: Layout) -> list[int]:
    """Order the pairs so that the first few make the widest micro-batch: longest query, target, both."""
    read = layout.prompts.lengths[layout.owner]
    written = np.asarray(layout.pairs.length, np.int64)
    both = np.argsort(-(read + written), kind="stable").tolist()
    first = [both[0]] if layout.decoder_only else [both[0], int(read.argmax()), int(written.argmax())]
    return list(dict.fromkeys([*first, *both]))


def _fits(model: Any, layout: Layout, recipe: Recipe, pairs: list[int], device: torch.device) -> int:
    """Say 1 if a micro-batch of these pairs can be trained on, 0 if memory runs out."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    found = 1
    model.train()
    try:
        room = [torch.empty_like(weight) for weight in trained for _ in range(MOMENTS + EXCHANGED)]
        _loss(model, layout, recipe, pairs, device).backward()
        del room
    except torch.OutOfMemoryError:
        found = 0
    model.zero_grad(set_to_none=True)
    gc.collect()
    torch.cuda.empty_cache()
    return found


def _loss(model: Any, layout: Layout, recipe: Recipe, pairs: list[int], device: torch.device) -> Tensor:
    inputs = {name: value.to(device) for name, value in layout([(pair, 0) for pair in pairs]).items()}
    labels, _ = inputs.pop("labels"), inputs.pop("targets")
    some = keeps_some_logits(model, decoder_only=layout.decoder_only)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        return summed_nll(model, inputs, labels, decoder_only=layout.decoder_only, some=some)[0]
