from __future__ import annotations

import pytest
import torch

from genret_core.errors import BadInput
from genret_core.modeling.backbones import Backbone, count

# Backbones of the small study: widths, heads and feed-forward, and P as it was counted there.
SMALL = [
    ("llama", 16, 1, 48, 6_736), ("llama", 32, 2, 80, 23_712), ("llama", 48, 2, 128, 55_536),
    ("llama", 64, 2, 176, 100_672), ("llama", 128, 4, 336, 389_760),
    ("t5", 16, 1, 32, 12_512), ("t5", 32, 2, 64, 49_600), ("t5", 64, 2, 128, 197_440),
    ("t5", 128, 4, 256, 788_096),
]  # fmt: skip
# The published series: d, d_kv, d_ff, layers, heads, P.
T5_SERIES = [
    (512, 64, 2048, 6, 8, 44_057_088), (768, 64, 3072, 12, 12, 198_229_248),
    (1024, 64, 4096, 24, 16, 704_769_024), (1024, 128, 16384, 24, 32, 2_818_699_264),
    (1024, 128, 65536, 24, 128, 11_274_422_272),
]  # fmt: skip
LLAMA_SERIES = [
    (4096, 11008, 32, 32, 32, 6_476_271_616), (5120, 13824, 40, 40, 40, 12_688_184_320),
    (8192, 28672, 80, 64, 8, 68_452_360_192),
]  # fmt: skip


@pytest.mark.parametrize(("family", "d", "heads", "ff", "p"), SMALL)
def test_small_study(family, d, heads, ff, p):
    backbone = Backbone("b", family, d, 2, heads, ff, n_buckets=16)
    assert count(backbone, 1024) == (p, p + 1024 * d)
    assert backbone.parameters(1024) == (p, p + 1024 * d)


@pytest.mark.parametrize(("d", "kv", "ff", "layers", "heads", "p"), T5_SERIES)
def test_t5_as_published(d, kv, ff, layers, heads, p):
    backbone = Backbone("b", "t5", d, layers, heads, ff, d_kv=kv, feed_forward="relu")
    assert count(backbone, 32_128) == backbone.parameters(32_128) == (p, p + 32_128 * d)


@pytest.mark.parametrize(("d", "ff", "layers", "heads", "kv", "p"), LLAMA_SERIES)
def test_llama_bodies(d, ff, layers, heads, kv, p):
    backbone = Backbone("b", "llama", d, layers, heads, ff, n_kv_heads=kv, tied=False)
    assert count(backbone, 32_000) == backbone.parameters(32_000) == (p, p + 2 * 32_000 * d)


def test_published_llama_sizes_hold_the_head():
    """The paper's P of LLaMA-2-7B is the body and the output head."""
    body, _ = Backbone("7b", "llama", 4096, 32, 32, 11008, tied=False).parameters(32_000)
    assert body + 32_000 * 4096 == 6_607_343_616


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_seed_decides_the_weights_and_leaves_the_global_state(family):
    backbone = Backbone("b", family, 32, 1, 2, 64)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (backbone.build(50, pad_id=0, eos_id=1, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    for (name, a), b, c in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert "norm" in name or not torch.equal(a, c), name


def test_start_of_the_weights():
    d, v = 64, 2000
    llama = Backbone("b", "llama", d, 1, 2, 64).build(v, pad_id=0, eos_id=1, seed=0)
    t5 = Backbone("b", "t5", d, 1, 2, 64).build(v, pad_id=0, eos_id=1, seed=0)
    assert llama.model.embed_tokens.weight.std().item() == pytest.approx(d**-0.5, rel=0.02)
    assert llama.lm_head.weight is llama.model.embed_tokens.weight
    assert t5.shared.weight.std().item() == pytest.approx(d**-0.5, rel=0.02)
    assert t5.lm_head.weight is t5.shared.weight
    assert t5.config.scale_decoder_outputs is False
    assert t5.config.dropout_rate == 0.0


def test_t5_starts_with_the_same_logits_as_the_unscaled_one():
    """Scaling the embedding and leaving the head's scale out are one change of variables for the head."""
    backbone = Backbone("b", "t5", 32, 1, 2, 64)
    scaled = backbone.build(50, pad_id=0, eos_id=1, seed=0)
    state = torch.randn(3, 32)
    plain = backbone.empty(backbone.config(50, 0, 1))
    plain.load_state_dict(scaled.state_dict())
    with torch.no_grad():
        plain.shared.weight.mul_(32**0.5)
        assert torch.allclose(scaled.lm_head(state), plain.lm_head(state * 32**-0.5), atol=1e-5)


def test_round_trip():
    backbone = Backbone("b", "llama", 32, 1, 2, 64, lr={"ngram": "0.32/d", "codebook": 0.01})
    assert Backbone.from_dict(backbone.to_dict()) == backbone
    assert backbone.learning_rate("ngram") == 0.01
    assert backbone.lr_rule("ngram") == "0.32/d"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"family": "bert"}, "family"), ({"n_heads": 3}, "multiple of n_heads"), ({"d_ff": 0}, "d_ff"),
        ({"feed_forward": "relu"}, "swiglu"), ({"n_kv_heads": 3, "n_heads": 4}, "n_kv_heads"),
        ({"d_model": 6, "n_heads": 2}, "even"), ({"d_kv": 8}, "T5"), ({"width": 3}, "width"),
    ],
)  # fmt: skip
def test_refuses(change, word):
    values = {
        "name": "b",
        "family": "llama",
        "d_model": 32,
        "n_layers": 1,
        "n_heads": 2,
        "d_ff": 64,
        **change,
    }
    with pytest.raises(BadInput, match=word):
        Backbone.from_dict(values)


def test_refuses_a_method_without_learning_rate():
    with pytest.raises(BadInput, match="codebook"):
        Backbone("b", "llama", 32, 1, 2, 64, lr={"ngram": 0.1}).learning_rate("codebook")
