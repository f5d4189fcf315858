"""LLaMA over packed rows: transformers' weights and arithmetic in fewer operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genret_core.modeling.body import LOWEST, Body
from genret_core.modeling.packing import Batch


@dataclass(frozen=True, eq=False)
class LlamaBody(Body):
    """LLaMA: rows of [query | identifiers]; an identifier's last token predicts nothing and is left out."""

    def places(self, k: int, t: int) -> Tensor:
        """Say so: the first token of all is predicted at the query's end, position 0."""
        places = 1 + torch.arange(k)[:, None] * (t - 1) + torch.arange(t) - 1
        places[:, 0] = 0
        return places

    def hidden(self, batch: Batch) -> Tensor:
        """Run the layers; the last one only where its output is read."""
        w, config = self.weights.leaves, self.model.config
        (rows, s), (_, k, t) = batch.prompts.shape, batch.ids.shape
        x = F.embedding(torch.cat([batch.prompts, batch.ids[:, :, :-1].reshape(rows, -1)], 1), w["embedding"])
        mask = self._mask(batch, s, k, t).to(x.dtype)
        heads, kv, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        cos, sin = self._table("cos", s, k, t), self._table("sin", s, k, t)
        last = config.num_hidden_layers - 1
        for i in range(last + 1):
            states = self._norm(x, w[f"{i}.norm1"])
            states = F.linear(states, w[f"{i}.qkv"]).view(rows, x.shape[1], heads + 2 * kv, width)
            turned = states[:, :, : heads + kv]
            turned = torch.addcmul(turned * cos, turned.roll(width // 2, -1), sin).to(states.dtype)
            q, keys = turned.transpose(1, 2).split([heads, kv], 1)
            values = states[:, :, heads + kv :].transpose(1, 2)
            if i == last:
                q, x, mask = q[:, :, s - 1 :], x[:, s - 1 :], mask[:, :, s - 1 :]
            mixed = F.scaled_dot_product_attention(
                q, keys, values, attn_mask=mask.to(q.dtype), enable_gqa=kv != heads
            )
            x = x + F.linear(mixed.transpose(1, 2).flatten(2), w[f"{i}.o"])
            gate, up = F.linear(self._norm(x, w[f"{i}.norm2"]), w[f"{i}.gate_up"]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, w[f"{i}.down"])
        return self._norm(x, w["norm"])

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], weight, self.model.config.rms_norm_eps)

    def _mask(self, batch: Batch, s: int, k: int, t: int) -> Tensor:
        """Make the additive mask [1 or B, 1, W, W]; finite, for rows that see nothing but padding."""
        mask = self._table("mask", s, k, t)[None, None]
        if batch.padding is None:
            return mask
        padded = F.pad(batch.padding, (0, mask.shape[-1] - s))
        return mask.masked_fill(padded[:, None, None], LOWEST)

    def _make_mask(self, s: int, k: int, t: int) -> Tensor:
        block = torch.cat([torch.zeros(s, dtype=torch.long), 1 + torch.arange(k * (t - 1)) // max(t - 1, 1)])
        seen = (block[:, None] == block) | (block == 0)
        return torch.where(seen.tril(), 0.0, LOWEST)

    def _angles(self, s: int, k: int, t: int) -> Tensor:
        positions = torch.cat([torch.arange(s), s + torch.arange(t - 1).repeat(k)]).float()
        rotary = self.model.model.rotary_emb.inv_freq.cpu().float()
        return (positions[:, None] * rotary).repeat(1, 2)[:, None]

    def _make_cos(self, s: int, k: int, t: int) -> Tensor:
        return self._angles(s, k, t).cos()

    def _make_sin(self, s: int, k: int, t: int) -> Tensor:
        """Sine with the sign of "rotate half", shape (W, 1, head width)."""
        sin = self._angles(s, k, t).sin()
        sin[..., : sin.shape[-1] // 2] *= -1
        return sin


def llama_groups(model: Any) -> dict[str, list[Tensor]]:
    """Name the weights in the groups that `LlamaBody` reads."""
    inner = model.model
    groups = {"embedding": [inner.embed_tokens.weight]}
    if model.lm_head.weight is not inner.embed_tokens.weight:
        groups["head"] = [model.lm_head.weight]
    for i, layer in enumerate(inner.layers):
        attention, mlp = layer.self_attn, layer.mlp
        groups[f"{i}.norm1"] = [layer.input_layernorm.weight]
        groups[f"{i}.qkv"] = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        groups[f"{i}.o"] = [attention.o_proj.weight]
        groups[f"{i}.norm2"] = [layer.post_attention_layernorm.weight]
        groups[f"{i}.gate_up"] = [mlp.gate_proj.weight, mlp.up_proj.weight]
        groups[f"{i}.down"] = [mlp.down_proj.weight]
    return {**groups, "norm": [inner.norm.weight]}
