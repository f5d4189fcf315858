"""T5 over packed rows: transformers' weights and arithmetic in fewer operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genret_core.modeling.body import LOWEST, Body
from genret_core.modeling.packing import Batch


@dataclass(frozen=True, eq=False)
class T5Body(Body):
    """T5: the encoder reads the query once, the decoder K blocks that share its keys and values."""

    def places(self, k: int, t: int) -> Tensor:
        """Every token has a position of its own."""
        return torch.arange(k * t).view(k, t)

    def hidden(self, batch: Batch) -> Tensor:
        """Run encoder and decoder."""
        config = self.model.config
        (rows, s), (_, k, t) = batch.prompts.shape, batch.ids.shape
        padding = None
        if batch.padding is not None:
            padding = torch.zeros(rows, 1, 1, s, device=batch.prompts.device)
            padding = padding.masked_fill(batch.padding[:, None, None], LOWEST)
        keys_values = self._encode(batch.prompts, padding)
        start = batch.ids.new_full((rows, k, 1), config.decoder_start_token_id)
        inputs = torch.cat([start, batch.ids[:, :, :-1]], 2).view(rows * k, t)
        x = self._decode(inputs, keys_values, padding)
        x = x.view(rows, k * t, -1)
        return x * config.d_model**-0.5 if config.scale_decoder_outputs else x

    def _encode(self, prompts: Tensor, padding: Tensor | None) -> Sequence[Tensor]:
        """Give the keys and values of the decoder's cross-attention, by layer: shape (B, heads, S, width)."""
        w, config = self.weights.leaves, self.model.config
        x = F.embedding(prompts, w["embedding"])
        bias = self._bias("encoder", prompts.shape[1])
        bias = bias if padding is None else bias + padding
        for i in range(config.num_layers):
            x = x + self._self_attention(x, f"encoder.{i}", bias)
            x = x + self._feed_forward(x, f"encoder.{i}")
        x = self._norm(x, w["encoder.norm"])
        parts = 2 * config.num_decoder_layers
        both = F.linear(x, w["cross_kv"]).view(*x.shape[:2], parts * config.num_heads, config.d_kv)
        return both.transpose(1, 2).split(config.num_heads, 1)

    def _decode(self, inputs: Tensor, keys_values: Sequence[Tensor], padding: Tensor | None) -> Tensor:
        w, config = self.weights.leaves, self.model.config
        rows = keys_values[0].shape[0]
        x = F.embedding(inputs, w["embedding"])
        bias = self._bias("decoder", inputs.shape[1]) + self._table("causal", inputs.shape[1])
        for i in range(config.num_decoder_layers):
            x = x + self._self_attention(x, f"decoder.{i}", bias)
            q = F.linear(self._norm(x, w[f"decoder.{i}.norm2"]), w[f"decoder.{i}.cross_q"])
            q = q.view(rows, -1, config.num_heads, config.d_kv).transpose(1, 2)
            keys, values = keys_values[2 * i : 2 * i + 2]
            mask = None if padding is None else padding.expand(-1, -1, q.shape[2], -1).to(q.dtype)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=1.0)
            mixed = F.linear(mixed.transpose(1, 2).flatten(2), w[f"decoder.{i}.cross_o"])
            x = x + mixed.view(x.shape)
            x = x + self._feed_forward(x, f"decoder.{i}")
        return self._norm(x, w["decoder.norm"])

    def _self_attention(self, x: Tensor, name: str, bias: Tensor) -> Tensor:
        w, config = self.weights.leaves, self.model.config
        states = F.linear(self._norm(x, w[f"{name}.norm1"]), w[f"{name}.qkv"])
        states = states.view(*x.shape[:2], 3 * config.num_heads, config.d_kv).transpose(1, 2)
        q, keys, values = states.split(config.num_heads, 1)
        scores = torch.matmul(q, keys.transpose(-1, -2)) + bias
        mixed = torch.matmul(scores.softmax(-1).to(values.dtype), values)
        return F.linear(mixed.transpose(1, 2).flatten(2), w[f"{name}.o"])

    def _feed_forward(self, x: Tensor, name: str) -> Tensor:
        w = self.weights.leaves
        inner = F.linear(self._norm(x, w[f"{name}.norm3"]), w[f"{name}.in"])
        if self.model.config.is_gated_act:
            gate, up = inner.chunk(2, -1)
            inner = F.gelu(gate, approximate="tanh") * up
        else:
            inner = F.relu(inner)
        return F.linear(inner, w[f"{name}.out"])

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], weight, self.model.config.layer_norm_epsilon)

    def _bias(self, stack: str, n: int) -> Tensor:
        """Relative position bias, shape (1, heads, n, n)."""
        bias = F.embedding(self._table(f"{stack}_buckets", n), self.weights.leaves[f"{stack}.bias"])
        return bias.permute(2, 0, 1)[None]

    def _make_causal(self, n: int) -> Tensor:
        return torch.where(torch.ones(n, n, dtype=torch.bool).tril(), 0.0, LOWEST)

    def _make_encoder_buckets(self, n: int) -> Tensor:
        return self._buckets(n, both_ways=True)

    def _make_decoder_buckets(self, n: int) -> Tensor:
        return self._buckets(n, both_ways=False)

    def _buckets(self, n: int, *, both_ways: bool) -> Tensor:
        """Bucket of each distance (T5 paper, section 2.1): half of them exact, the rest logarithmic."""
        config = self.model.config
        buckets, furthest = config.relative_attention_num_buckets, config.relative_attention_max_distance
        ahead = torch.arange(n)[None] - torch.arange(n)[:, None]
        offset = torch.zeros_like(ahead)
        if both_ways:
            buckets //= 2
            offset, distance = (ahead > 0) * buckets, ahead.abs()
        else:
            distance = (-ahead).clamp(min=0)
        exact = buckets // 2
        far = (
            torch.log(distance.clamp(min=1).float() / exact) / math.log(furthest / exact) * (buckets - exact)
        )
        return offset + torch.where(distance < exact, distance, (exact + far.long()).clamp(max=buckets - 1))


def t5_groups(model: Any) -> dict[str, list[Tensor]]:
    """Name the weights in the groups that `T5Body` reads."""
    groups = {"embedding": [model.shared.weight]}
    cross: list[Tensor] = []
    for stack, layers in (("encoder", model.encoder), ("decoder", model.decoder)):
        first = layers.block[0].layer[0].SelfAttention
        groups[f"{stack}.bias"] = [first.relative_attention_bias.weight]
        groups[f"{stack}.norm"] = [layers.final_layer_norm.weight]
        for i, block in enumerate(layers.block):
            name, attention, last = f"{stack}.{i}", block.layer[0].SelfAttention, block.layer[-1]
            groups[f"{name}.norm1"] = [block.layer[0].layer_norm.weight]
            groups[f"{name}.qkv"] = [attention.q.weight, attention.k.weight, attention.v.weight]
            groups[f"{name}.o"] = [attention.o.weight]
            groups[f"{name}.norm3"] = [last.layer_norm.weight]
            dense = last.DenseReluDense
            groups[f"{name}.in"] = (
                [dense.wi_0.weight, dense.wi_1.weight] if model.config.is_gated_act else [dense.wi.weight]
            )
            groups[f"{name}.out"] = [dense.wo.weight]
            if stack == "decoder":
                across = block.layer[1].EncDecAttention
                groups[f"{name}.norm2"] = [block.layer[1].layer_norm.weight]
                groups[f"{name}.cross_q"], groups[f"{name}.cross_o"] = [across.q.weight], [across.o.weight]
                cross += [across.k.weight, across.v.weight]
    return {**groups, "cross_kv": cross}
