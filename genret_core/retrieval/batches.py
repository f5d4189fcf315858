"""Queries through a model in batches that its device can hold.

How many beams fit into a GPU's memory is reckoned from the model's sizes and what is free; where that was too
many after all, a batch is halved and tried again. What is found does not depend on how queries are batched.
torch is imported when a batch runs, not with this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
T = TypeVar("T")

ROWS_PER_STEP = 1600  # beams that a model processes at once on one core; more does not raise its speed
SHARE = 0.5
"""Of a GPU's free memory that a step may take: other cells may compute beside this one."""
LOGITS = 3
"""Times that a step's logits are held, in 32 bits: as they are, masked, and scored."""
CACHES = 2
"""Times that keys and values of beams are held: while they follow their parents, old and new."""


def in_batches(order: Ints, size: int, run: Callable[[Ints], T], what: str) -> list[tuple[Ints, T]]:
    """Run queries in batches, smaller ones where the device's memory is full.

    Parameters
    ----------
    order : int64[Q]
        The queries.
    size : int
        Queries in a batch, at most.
    run : callable
        Given the queries of a batch.
    what : str
        What a batch of one query is, for the sentence that refuses it.

    Returns
    -------
    list of (queries, what `run` gave)

    Raises
    ------
    MemoryError
        The device cannot hold one query.
    """
    import torch

    parts: list[tuple[Ints, T]] = []
    start = 0
    while start < len(order):
        places = order[start : start + size]
        try:
            parts.append((places, run(places)))
            start += len(places)
            continue
        except torch.OutOfMemoryError:
            if len(places) == 1:
                raise MemoryError(
                    f"The device cannot hold {what}; take fewer beams, a smaller model or more memory."
                ) from None
        size = len(places) // 2  # outside the handler: what the failed batch held is free by now
        torch.cuda.empty_cache()
    return parts


def rows_per_step(model: Any, device: Any, tokens: int) -> int:
    """Choose how many beams a model processes at once.

    Parameters
    ----------
    model : transformers model
    device : torch device
    tokens : int
        That each beam writes.
    """
    import torch

    where = torch.device(device)
    if where.type != "cuda":
        return ROWS_PER_STEP
    free, _ = torch.cuda.mem_get_info(where)
    return max(1, min(ROWS_PER_STEP, int(SHARE * free / beam_bytes(model, tokens))))


def beam_bytes(model: Any, tokens: int) -> float:
    """Count the bytes that a beam takes: its logits, and the keys and values of what it wrote."""
    config = model.config
    config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    logits = LOGITS * 4 * model.get_output_embeddings().weight.shape[0]
    layers = getattr(config, "num_decoder_layers", None) or getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    if not layers or not heads:  # a model without such a past
        return float(logits)
    width = getattr(config, "head_dim", None) or getattr(config, "d_kv", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    element = next(model.parameters()).element_size()
    return float(logits + CACHES * 2 * layers * kept * width * tokens * max(element, 2))
