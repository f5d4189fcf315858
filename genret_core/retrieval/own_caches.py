"""Beams that each carry a cache of their own: for any model of transformers that keeps one.

The prompt is read once per query. Then the model's cache is spread over the beams, and at every step it
follows them from parent to child. What a layer keeps (all of the past, a window, a state) and how positions
come in (learned, rotary, ALiBi) is the model's own affair; it is given attention mask and positions as in
ordinary generation. Prompts are copied once per beam, which costs more memory and time than sharing them.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor


def accepted(model: Any, **arguments: Any) -> dict[str, Any]:
    """Keep the arguments that a model's forward function has by name."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(whole.forward).parameters
    return {name: value for name, value in arguments.items() if name in known}


def decoder_start(model: Any, pad_id: int) -> int:
    """Token that the decoder of an encoder-decoder model begins with."""
    first = model.config.decoder_start_token_id
    return int(pad_id if first is None else first)


@dataclass
class OwnCausal:
    """Decoder-only models: prompts padded on the left, read once."""

    model: Any
    prompts: Ragged
    pad_id: int
    device: Any
    cache: Any = None
    mask: Tensor | None = None

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""
        import torch

        lengths = self.prompts.lengths
        ids = np.full((len(lengths), int(lengths.max())), self.pad_id, np.int64)
        real = np.arange(ids.shape[1]) >= ids.shape[1] - lengths[:, None]
        ids[real] = self.prompts.values
        self.mask = torch.from_numpy(real).to(self.device).long()
        return self._forward(torch.from_numpy(ids).to(self.device))

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam; give the logits of the next, [Q * B, V]."""
        import torch

        assert self.mask is not None
        followed = torch.from_numpy(parents).to(self.device)
        self.cache.reorder_cache(followed)
        self.mask = torch.cat([self.mask[followed], self.mask.new_ones(len(parents), 1)], dim=1)
        return self._forward(torch.from_numpy(tokens.reshape(-1, 1)).to(self.device))

    def _forward(self, ids: Tensor) -> Tensor:
        assert self.mask is not None
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            use_cache=True,
            **accepted(self.model, position_ids=positions, past_key_values=self.cache, logits_to_keep=1),
        )
        self.cache = _cache_of(self.model, out)
        logits: Tensor = out.logits[:, -1]
        return logits


@dataclass
class OwnSeq2Seq:
    """Encoder-decoder models: the encoder and the cross-attention's projections run once per query."""

    model: Any
    prompts: Ragged
    pad_id: int
    device: Any
    cache: Any = None
    encoded: Any = None
    mask: Tensor | None = None

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""
        import torch

        ids = torch.from_numpy(self.prompts.padded(self.pad_id).astype(np.int64)).to(self.device)
        real = np.arange(ids.shape[1]) < self.prompts.lengths[:, None]
        self.mask = torch.from_numpy(real).to(self.device).long()
        self.encoded = self.model.get_encoder()(input_ids=ids, attention_mask=self.mask)
        first = decoder_start(self.model, self.pad_id)
        return self._forward(torch.full((len(self.prompts), 1), first, device=self.device))

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam; give the logits of the next, [Q * B, V]."""
        import torch

        assert self.mask is not None
        followed = torch.from_numpy(parents).to(self.device)
        self.cache.reorder_cache(followed)
        self.mask = self.mask[followed]
        self.encoded.last_hidden_state = self.encoded.last_hidden_state[followed]
        return self._forward(torch.from_numpy(tokens.reshape(-1, 1)).to(self.device))

    def _forward(self, ids: Tensor) -> Tensor:
        out = self.model(
            encoder_outputs=self.encoded,
            attention_mask=self.mask,
            decoder_input_ids=ids,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.cache = _cache_of(self.model, out)
        logits: Tensor = out.logits[:, -1]
        return logits


def _cache_of(model: Any, out: Any) -> Any:
    cache = getattr(out, "past_key_values", None)
    if not hasattr(cache, "reorder_cache"):
        raise BadInput(
            f"{type(model).__name__} keeps no cache of keys and values that beams could follow; search with "
            "another model."
        )
    return cache
