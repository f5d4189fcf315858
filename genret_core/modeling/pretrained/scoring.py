"""Generation losses of any transformers model, with the query read once and shared by its identifiers.

Weights of plain LLaMA and T5 are packed and scored many queries at a time (`losses.score_identifiers`). For
other architectures, adapters that are not merged, and quantised weights, the model's own forward pass does
the work: a decoder keeps the keys and values of the query, an encoder its output, for all identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

POSITIONS = {"cpu": 2_048, "cuda": 32_768}
"""Positions of identifiers in a batch, padding included."""


def is_packable(model: Any) -> bool:
    """Whether a model is a plain LLaMA or T5, whose weights the packed arithmetic knows.

    Adapters, biases, a T5 with an output head of its own, other activations, scaled attention and quantised
    or mixed weights are not known to it.
    """
    config: Any = model.config
    kind = type(model).__name__
    if len({weight.dtype for weight in model.parameters()}) != 1:
        return False
    if any(not name.endswith("weight") or "lora_" in name for name, _ in model.named_parameters()):
        return False
    if kind == "LlamaForCausalLM":
        scaled = getattr(model.model.rotary_emb, "attention_scaling", 1.0) != 1.0
        dynamic = getattr(model.model.rotary_emb, "rope_type", "default") not in (
            "default",
            "linear",
            "llama3",
        )
        return config.hidden_act == "silu" and not scaled and not dynamic
    if kind == "T5ForConditionalGeneration":
        tied = model.lm_head.weight is model.shared.weight
        return tied and config.feed_forward_proj in ("relu", "gated-gelu")
    return False


def score_shared(
    model: Any,
    prompts: Ragged,
    pairs: Pairs,
    owner: npt.NDArray[np.integer],
    *,
    positions: int | None = None,
) -> tuple[Floats, Ints]:
    """Score identifiers as `losses.score_identifiers` does, by the model's own forward pass.

    Parameters
    ----------
    model : PreTrainedModel
    prompts : Ragged
        A prompt per query.
    pairs : Pairs
    owner : int[n]
        The query of each identifier, as a row of `prompts`.
    positions : int, optional
        Positions of identifiers in a batch; half as many, and again, where the device's memory is full.

    Raises
    ------
    MemoryError
        The device cannot hold one identifier.
    """
    device = model.get_input_embeddings().weight.device
    positions = positions or POSITIONS.get(device.type, POSITIONS["cpu"])
    lengths = np.asarray(pairs.length, np.int64)
    nll = np.zeros(len(pairs), np.float64)
    order = np.lexsort((lengths, np.asarray(owner, np.int64)))
    queries, starts = np.unique(np.asarray(owner)[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    model.eval()
    with torch.no_grad(), _exact_head(model):
        for query, start, end in zip(queries.tolist(), starts, ends, strict=True):
            rows = order[start:end]
            prompt = torch.from_numpy(np.asarray(prompts[query], np.int64))[None].to(device)
            try:
                read = _encode(model, prompt) if model.config.is_encoder_decoder else _read(model, prompt)
            except torch.OutOfMemoryError:
                raise MemoryError(
                    f"The device cannot hold the reading of a query of {prompt.shape[1]} tokens."
                ) from None
            while len(rows):
                size = max(positions // max(int(lengths[rows].max()), 1), 1)
                chosen = rows[:size]
                try:
                    nll[chosen] = read([pairs.identifier(int(row)) for row in chosen])
                except torch.OutOfMemoryError:
                    if len(chosen) == 1:
                        raise MemoryError("The device cannot hold the scoring of one identifier.") from None
                    positions = len(chosen) * int(lengths[chosen].max()) // 2
                    torch.cuda.empty_cache()
                else:
                    rows = rows[size:]
    return nll, lengths.copy()


@contextmanager
def _exact_head(model: Any) -> Iterator[None]:
    """Let the output head of half-precision weights compute in float32: logits lose no digits to rounding."""
    head = model.get_output_embeddings()
    if head.weight.dtype not in (torch.bfloat16, torch.float16):
        yield
        return
    weight = head.weight.float()

    def exactly(module: Any, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        bias = None if module.bias is None else module.bias.float()
        return F.linear(given[0].float(), weight, bias)

    hook = head.register_forward_hook(exactly)
    try:
        yield
    finally:
        hook.remove()


def _encode(model: Any, prompt: Tensor) -> Any:
    """Read the query with the encoder; give what scores identifiers after it."""
    from transformers.modeling_outputs import BaseModelOutput

    encoded = model.get_encoder()(input_ids=prompt, return_dict=True).last_hidden_state
    start = model.config.decoder_start_token_id

    def scores(identifiers: list[npt.NDArray[Any]]) -> Floats:
        targets = _targets(identifiers, prompt.device)
        filled = targets.clamp(min=0)
        inputs = torch.cat([torch.full_like(filled[:, :1], start), filled[:, :-1]], 1)
        shared = BaseModelOutput(last_hidden_state=encoded.expand(len(targets), -1, -1))
        logits = model(encoder_outputs=shared, decoder_input_ids=inputs, use_cache=False).logits
        return _summed(logits, targets)

    return scores


def _read(model: Any, prompt: Tensor) -> Any:
    """Read the query with the decoder and keep its keys and values; give what scores identifiers after it."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    first = model(input_ids=prompt, past_key_values=DynamicCache(config=model.config), use_cache=True)
    kept, last = first.past_key_values, first.logits[:, -1:]
    if any(type(layer) is not DynamicLayer for layer in kept.layers):
        return _again(model, prompt)
    layers = [(layer.keys, layer.values) for layer in kept.layers]

    def scores(identifiers: list[npt.NDArray[Any]]) -> Floats:
        targets = _targets(identifiers, prompt.device)
        n = len(targets)
        logits = last.expand(n, -1, -1)
        if targets.shape[1] > 1:
            past = DynamicCache(
                [(keys.expand(n, -1, -1, -1), values.expand(n, -1, -1, -1)) for keys, values in layers]
            )
            seen = torch.cat([torch.ones_like(prompt).expand(n, -1), (targets[:, :-1] >= 0).long()], 1)
            inputs = targets[:, :-1].clamp(min=0)
            rest = model(input_ids=inputs, attention_mask=seen, past_key_values=past, use_cache=True).logits
            logits = torch.cat([logits, rest], 1)
        return _summed(logits, targets)

    return scores


def _again(model: Any, prompt: Tensor) -> Any:
    """Read the query with every identifier: for models that keep windows or states instead of a past."""

    def scores(identifiers: list[npt.NDArray[Any]]) -> Floats:
        targets = _targets(identifiers, prompt.device)
        whole = prompt.expand(len(targets), -1)
        seen = torch.cat([torch.ones_like(whole), (targets >= 0).long()], 1)
        ids = torch.cat([whole, targets.clamp(min=0)], 1)
        logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits
        return _summed(logits[:, prompt.shape[1] - 1 : -1], targets)

    return scores


def _targets(identifiers: list[npt.NDArray[Any]], device: Any) -> Tensor:
    filled = np.full((len(identifiers), max(len(ids) for ids in identifiers)), -100, np.int64)
    for row, ids in enumerate(identifiers):
        filled[row, : len(ids)] = ids
    return torch.from_numpy(filled).to(device)


def _summed(logits: Tensor, targets: Tensor) -> Floats:
    losses = F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    summed: Floats = losses.double().sum(-1).cpu().numpy()
    return summed
