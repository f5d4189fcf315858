"""Beams that share their query's prompt: its keys and values are held once and never copied.

The beams of a query lie along the sequence axis, [queries, beams]. So the prompt's keys and values (of an
encoder-decoder the encoder's, projected once) serve all beams of a query; a beam owns only those of what it
generated. The models' own forward functions do the work. Only the attention of a beam to its past is ours,
registered with transformers under the name `ATTENTION` and in force during a step only.

That is right for models whose attention is a plain softmax over all of the past: `can_share` knows which.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.own_caches import decoder_start
from genret_core.retrieval.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

ATTENTION = "genret_beams"
SHARING = {  # model types whose every step was compared with plain calls, by kind
    "causal": {
        "biogpt", "cohere", "gemma", "gpt2", "gpt_neox", "granite", "llama", "mistral", "mixtral", "olmo",
        "olmo2", "opt", "phi", "phi3", "qwen2", "qwen3", "smollm3", "starcoder2",
    },
    "seq2seq": {"mt5", "t5", "umt5"},
}  # fmt: skip
NARROWING = ("sliding_window", "softcap", "s_aux", "head_mask")  # arguments that change what is attended to


def can_share(model: Any, kind: str) -> bool:
    """Tell whether a model attends in the way that `attend` does.

    Its type is one of `SHARING`, and no layer looks back through a sliding window or a chunk.

    Parameters
    ----------
    kind : {"causal", "seq2seq"}
    """
    config = model.config
    kinds = getattr(config, "layer_types", None) or []
    narrow = any(name != "full_attention" for name in kinds)
    if not kinds:
        narrow = getattr(config, "sliding_window", None) is not None
    return config.model_type in SHARING[kind] and not narrow


@dataclass
class Past:
    """What a batch of beams attends to.

    Attributes
    ----------
    bias : Tensor [Q, 1, 1, L]
        0 for tokens of the prompt (for T5: of the encoder's input), -inf for padding.
    prompt : list of (keys, values), each [Q, heads, L, width]
        Per layer; empty for encoder-decoder models, whose cross-attention reads the prompt.
    generated : list of (keys, values), each [Q * B, t, heads, width]
        Per layer, of each beam's own tokens.
    position_bias : Tensor [1, heads, 1, t], optional
        T5's bias by distance for the newest token; made by the first layer, used by all.
    """

    bias: Tensor
    prompt: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    generated: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    position_bias: Tensor | None = None

    def follow(self, parents: Tensor) -> None:
        """Give each new beam the past of its parent."""
        self.generated = [(k.index_select(0, parents), v.index_select(0, parents)) for k, v in self.generated]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the newest token ([Q, heads, B, width]); give all generated, [Q, heads, B, t, width]."""
        import torch

        queries, heads, beams, width = keys.shape
        new = [x.transpose(1, 2).reshape(queries * beams, 1, heads, width) for x in (keys, values)]
        if layer < len(self.generated):
            new = [torch.cat([old, x], dim=1) for old, x in zip(self.generated[layer], new, strict=True)]
            self.generated[layer] = (new[0], new[1])
        else:
            self.generated.append((new[0], new[1]))
        keys, values = (x.view(queries, beams, -1, heads, width).permute(0, 3, 1, 2, 4) for x in new)
        return keys, values


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    beams: Past,
    **unknown: Any,
) -> tuple[Tensor, None]:
    """Attention of the newest token of each beam, [Q, heads, B, width], in the form transformers asks for."""
    import torch

    if not module.is_causal:  # the cross-attention of an encoder-decoder model
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=beams.bias.to(query.dtype), scale=scaling
        )
        return out.transpose(1, 2).contiguous(), None
    odd = sorted(name for name, value in unknown.items() if name in NARROWING and value is not None)
    if odd:
        raise BadInput(
            f"The attention of {type(module).__name__} uses {', '.join(odd)}, which beams that share a "
            "prompt do not know; search with the family causal or seq2seq."
        )
    own_keys, own_values = beams.append(module.layer_idx, key, value)
    groups = query.shape[1] // key.shape[1]
    own_keys, own_values = (
        x.repeat_interleave(groups, 1) if groups > 1 else x for x in (own_keys, own_values)
    )
    weights = (query.unsqueeze(-2) * own_keys).sum(-1) * scaling
    if hasattr(module, "compute_bias"):
        weights = weights + _position_bias(module, beams, weights.shape[-1])
    if not beams.prompt:
        weights = _softmax(weights)
        out = (weights.unsqueeze(-1) * own_values).sum(-2)
        return out.transpose(1, 2).contiguous(), None
    keys, values = beams.prompt[module.layer_idx]
    keys, values = (x.repeat_interleave(groups, 1) if groups > 1 else x for x in (keys, values))
    length = keys.shape[-2]
    before = query @ keys.transpose(-1, -2) * scaling + beams.bias.to(query.dtype)
    weights = _softmax(torch.cat([before, weights], dim=-1))
    out = weights[..., :length] @ values + (weights[..., length:].unsqueeze(-1) * own_values).sum(-2)
    return out.transpose(1, 2).contiguous(), None


def _softmax(weights: Tensor) -> Tensor:
    """In 32 bits, as the models' own attention has it."""
    return weights.float().softmax(-1).to(weights.dtype)


def _position_bias(module: Any, beams: Past, length: int) -> Tensor:
    """T5's bias for the newest of `length` tokens; the first layer owns the table, the others share it."""
    if module.has_relative_attention_bias:
        beams.position_bias = module.compute_bias(length, length)[:, :, -1:, :]
    assert beams.position_bias is not None
    return beams.position_bias


@dataclass
class SharingCausal:
    """Decoder-only models: prompts padded on the left, read once."""

    model: Any
    prompts: Ragged
    pad_id: int
    device: Any
    past: Past | None = None
    steps: int = 0

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""
        import torch

        lengths = self.prompts.lengths
        ids = np.full((len(lengths), int(lengths.max())), self.pad_id, np.int64)
        real = np.arange(ids.shape[1]) >= ids.shape[1] - lengths[:, None]
        ids[real] = self.prompts.values
        mask = torch.from_numpy(real).to(self.device)
        out = self.model(
            input_ids=torch.from_numpy(ids).to(self.device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        )
        # Padding sees nothing and may hold NaN in some attention kernels; a weight of zero would not hide it.
        layers = [
            (x.keys.nan_to_num(), x.values.nan_to_num()) if not real.all() else (x.keys, x.values)
            for x in out.past_key_values.layers
        ]
        self.past = Past(bias=_padding_bias(mask), prompt=layers)
        return out.logits[:, -1]

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam; give the logits of the next, [Q * B, V]."""
        import torch

        assert self.past is not None
        self.past.follow(torch.from_numpy(parents).to(self.device))
        positions = torch.from_numpy(self.prompts.lengths + self.steps).to(self.device)
        self.steps += 1
        with _attention_of(self.model):
            logits = self.model(
                input_ids=torch.from_numpy(tokens).to(self.device),
                position_ids=positions[:, None].expand(tokens.shape),
                use_cache=False,
                beams=self.past,
            ).logits
        return logits.flatten(0, 1)


@dataclass
class SharingSeq2Seq:
    """Encoder-decoder models: the encoder and the cross-attention's projections run once per query."""

    model: Any
    prompts: Ragged
    pad_id: int
    device: Any
    past: Past | None = None
    encoded: Any = None
    cache: Any = None

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""
        import torch
        from transformers import Cache, DynamicCache, EncoderDecoderCache

        class PassThrough(Cache):
            """Self-attention is kept in `Past`; the model is to see the newest keys and values only."""

            def update(
                self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
            ) -> tuple[Tensor, Tensor]:
                return key_states, value_states

            def get_seq_length(self, layer_idx: int = 0) -> int:
                return 0

        ids = torch.from_numpy(self.prompts.padded(self.pad_id).astype(np.int64)).to(self.device)
        real = np.arange(ids.shape[1]) < self.prompts.lengths[:, None]
        mask = torch.from_numpy(real).to(self.device)
        self.encoded = self.model.get_encoder()(input_ids=ids, attention_mask=mask)
        self.past = Past(bias=_padding_bias(mask))
        self.cache = EncoderDecoderCache(PassThrough(layers=[]), DynamicCache())
        return self._forward(np.full((len(self.prompts), 1), decoder_start(self.model, self.pad_id)))

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam; give the logits of the next, [Q * B, V]."""
        import torch

        assert self.past is not None
        self.past.follow(torch.from_numpy(parents).to(self.device))
        return self._forward(tokens)

    def _forward(self, tokens: np.ndarray) -> Tensor:
        import torch

        with _attention_of(self.model.get_decoder()):
            logits = self.model(
                encoder_outputs=self.encoded,
                decoder_input_ids=torch.from_numpy(tokens).to(self.device),
                past_key_values=self.cache,
                use_cache=True,
                beams=self.past,
            ).logits
        return logits.flatten(0, 1)


def _padding_bias(mask: Tensor) -> Tensor:
    """0 where the mask is true, -inf elsewhere, [Q, 1, 1, L]."""
    import torch

    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)[:, None, None, :]


@contextmanager
def _attention_of(model: Any) -> Iterator[None]:
    """Let the model use our attention for one forward pass."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attend)
    usual = model.config._attn_implementation
    model.config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = usual
