"""Small backbones and random pairs, for tests of modeling."""

from __future__ import annotations

import numpy as np

from genret_core.modeling.backbones import Backbone
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

V, PAD, EOS = 60, 0, 1
LLAMA = Backbone("llama", "llama", 16, 2, 2, 32)
GROUPED = Backbone("llama-grouped", "llama", 24, 3, 4, 40, n_kv_heads=2, tied=False)
T5 = Backbone("t5", "t5", 16, 2, 2, 32, n_buckets=8, max_distance=20)
RELU = Backbone("t5-relu", "t5", 16, 1, 2, 32, d_kv=12, n_decoder_layers=2, feed_forward="relu")
BACKBONES = (LLAMA, GROUPED, T5, RELU)


def build(backbone: Backbone, seed: int = 0):
    return backbone.build(V, pad_id=PAD, eos_id=EOS, seed=seed)


def fake(queries: int, per_query: int, length: int = 6, *, ragged: bool = False, seed: int = 0):
    """Give prompts, pairs and the owner of each pair."""
    rng = np.random.default_rng(seed)
    prompts = Ragged.of([rng.integers(2, V, rng.integers(2, 12)) for _ in range(queries)])
    n = queries * per_query
    lengths = rng.integers(1, length + 1, n) if ragged else np.full(n, length)
    ids = rng.integers(2, V, (n, length)).astype(np.int32)
    ids[np.arange(length) >= lengths[:, None]] = -1
    owner = np.repeat(np.arange(queries), per_query)
    document = rng.integers(0, 4, n).astype(np.int32)
    pairs = Pairs(owner.astype(np.int32), document, ids, lengths.astype(np.int16), np.zeros(n, np.int32))
    return prompts, pairs, owner
