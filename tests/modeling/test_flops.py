"""FLOPs by formula against torch's own counter, on transformers' forward passes with eager attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genret_core.modeling.backbones import Backbone
from genret_core.modeling.flops import query_flops, row_flops, search_flops, train_flops

V, N, T, B = 97, 16, 10, 7
LLAMA = Backbone("l", "llama", 32, 2, 4, 80, n_kv_heads=2)
T5 = Backbone("t", "t5", 32, 2, 2, 64, n_decoder_layers=3)
T5_RELU = Backbone("r", "t5", 32, 2, 2, 64, d_kv=24, feed_forward="relu")


def eager(backbone: Backbone):
    model = backbone.build(V, pad_id=0, eos_id=1, seed=0)
    model.set_attn_implementation("eager")
    return model


def counted(run) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("k", [1, 3])
def test_training_on_llama_rows(k):
    model = eager(LLAMA)
    width = N + k * (T - 1)
    ids = torch.randint(2, V, (1, width))

    def run():  # the head where the query ends and at every identifier's tokens but the last
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, N - 1 :]
        model.lm_head(hidden).sum().backward()

    assert counted(run) == train_flops(LLAMA, V, [N], [[T] * k])


@pytest.mark.parametrize("backbone", [T5, T5_RELU], ids=lambda b: b.name)
def test_training_on_t5_rows(backbone):
    model = eager(backbone)
    ids, target = torch.randint(2, V, (1, N)), torch.randint(2, V, (1, T))
    assert counted(lambda: model(input_ids=ids, labels=target).loss.backward()) == train_flops(
        backbone, V, [N], [[T]]
    )


@pytest.mark.parametrize("backbone", [LLAMA, T5, T5_RELU], ids=lambda b: b.name)
def test_beam_search_with_a_cache(backbone):
    model = eager(backbone)
    body = model.model if backbone.family == "llama" else None
    prompt = torch.randint(2, V, (1, N))

    @torch.no_grad()
    def run():
        if body is not None:
            out = body(input_ids=prompt, use_cache=True)
            cache, hidden = out.past_key_values, out.last_hidden_state[:, -1:]
        else:
            encoded = model.encoder(input_ids=prompt).last_hidden_state
            out = model.decoder(
                input_ids=torch.zeros(1, 1, dtype=torch.long), encoder_hidden_states=encoded, use_cache=True
            )
            cache, hidden = out.past_key_values, out.last_hidden_state
        model.lm_head(hidden)
        cache.reorder_cache(torch.zeros(B, dtype=torch.long))
        for _ in range(T - 1):
            ids = torch.randint(2, V, (B, 1))
            if body is not None:
                out = body(input_ids=ids, past_key_values=cache, use_cache=True)
            else:
                out = model.decoder(
                    input_ids=ids, past_key_values=cache, use_cache=True,
                    encoder_hidden_states=encoded.expand(B, -1, -1),
                )  # fmt: skip
            model.lm_head(out.last_hidden_state)

    total, without = query_flops(backbone, V, N, beam=B, n_tokens=T)
    assert counted(run) == total
    assert total - without == 2 * backbone.d_model * V * (1 + (T - 1) * B)


def test_queries_are_averaged():
    lengths = np.array([4, 9, 30])
    each = [query_flops(LLAMA, V, n, beam=3, n_tokens=T)[0] for n in lengths]
    assert query_flops(LLAMA, V, lengths, beam=3, n_tokens=T)[0] == pytest.approx(np.mean(each), rel=1e-12)


def test_blank_identifiers_cost_nothing():
    for backbone in (LLAMA, T5):
        assert row_flops(backbone, V, [N], [[T, 0, 0]]) == row_flops(backbone, V, [N], [[T]])


def test_published_order_of_magnitude():
    """2 P per token is the rule of thumb; attention and the head are small for a body of 6.5e9 weights."""
    llama = Backbone("7b", "llama", 4096, 32, 32, 11008, tied=False)
    _, without = query_flops(llama, 32_000, 20, beam=1, n_tokens=20)
    assert without == pytest.approx(2 * 6_476_271_616 * (20 + 19), rel=0.01)


@pytest.mark.parametrize("backbone", [LLAMA, T5_RELU], ids=lambda b: b.name)
def test_a_query_read_by_every_beam_costs_what_generate_of_transformers_computes(backbone):
    model = eager(backbone)
    prompt = torch.randint(2, V, (1, N))

    @torch.no_grad()
    def run():
        model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), num_beams=B, do_sample=False,
            max_new_tokens=T, min_new_tokens=T,
        )  # fmt: skip

    found = search_flops(backbone, V, N, beam=B, n_tokens=T)
    assert counted(run) == found.total + found.unshared
    assert search_flops(backbone, V, N, beam=1, n_tokens=T).unshared == 0


@pytest.mark.parametrize("backbone", [LLAMA, T5, T5_RELU], ids=lambda b: b.name)
def test_items_add_up_and_the_query_is_in_one_of_them(backbone):
    lengths = np.array([4, 9, 30])
    found = search_flops(backbone, V, lengths, beam=B, n_tokens=T)
    total, without = query_flops(backbone, V, lengths, beam=B, n_tokens=T)
    assert (found.total, found.without_head) == (total, without)
    parts = (found.prefill, found.decoder, found.attention, found.cross_attention)
    assert sum(parts) == pytest.approx(without, rel=1e-12)
    assert (found.cross_attention > 0) == (backbone.family == "t5")
    one = search_flops(backbone, V, lengths, beam=1, n_tokens=1)
    assert one.prefill == found.prefill
    model = eager(backbone)
    if backbone.family == "t5":
        ids = torch.randint(2, V, (1, N))
        encoder = counted(lambda: model.encoder(input_ids=ids))
        projected = 2 * backbone.matrix_parameters()["cross_kv"] * N
        assert search_flops(backbone, V, N, beam=B, n_tokens=T).prefill == encoder + projected
