"""The loss of a micro-batch: negative log-likelihoods of targets; logits only where there are targets."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from genret_core.modeling.pretrained.rows import IGNORED


def keeps_some_logits(model: Any, *, decoder_only: bool) -> bool:
    """Whether a model can be asked for the logits of its last positions only."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return decoder_only and "logits_to_keep" in inspect.signature(inner.forward).parameters


def summed_nll(
    model: Any, inputs: dict[str, Any], labels: Tensor, *, decoder_only: bool, some: bool
) -> tuple[Tensor, Any]:
    """Run a model over a micro-batch; give the summed negative log-likelihood and what the model gave.

    Parameters
    ----------
    inputs : mapping
        What the model reads.
    labels : Tensor [B, L]
        `IGNORED` where there is no target.
    some : bool
        See `keeps_some_logits`.
    """
    if some:
        counted = (labels != IGNORED).any(0)
        shown = int(counted.float().argmax()) if bool(counted.any()) else 1
        labels = labels[:, max(shown, 1) - 1 :]
        inputs = {**inputs, "logits_to_keep": labels.shape[1]}
    outputs = model(**inputs, use_cache=False)
    return target_nll(outputs.logits, labels, shifted=not decoder_only), outputs


def target_nll(logits: Tensor, labels: Tensor, *, shifted: bool) -> Tensor:
    """Sum the negative log-likelihoods of targets (nats), in float32.

    Parameters
    ----------
    logits : Tensor [B, L, V]
    labels : Tensor [B, L]
        `IGNORED` where there is no target.
    shifted : bool
        Whether `logits` at a place predict the label at that place (encoder-decoders); else the next one.
    """
    if not shifted:
        logits, labels = logits[:, :-1], labels[:, 1:]
    counted = labels != IGNORED
    return F.cross_entropy(logits[counted].float(), labels[counted], reduction="sum")
