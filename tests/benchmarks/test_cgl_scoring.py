"""CGL's losses with the query shared among its identifiers, against one plain call per query and document.

Two samples: the demo's (queries of 14 tokens on average, a relevant document with 10 n-grams of 10 tokens and
64 negatives with one each), and the paper's (a query of 24 tokens, 257 documents with 10 n-grams of 12 to 18
tokens each, which are its 10 words). One thread; both ways take turns. Seconds are of the processor, which
other jobs disturb least. On a quiet machine:

    OMP_NUM_THREADS=1 python -m pytest tests/benchmarks/test_cgl_scoring.py -m benchmark -s
"""

from __future__ import annotations

import os
import statistics
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from genret_core.modeling.backbones import Backbone  # noqa: E402
from genret_core.modeling.losses import naive_scores, score_identifiers  # noqa: E402
from genret_core.retrieval.pairs import Pairs  # noqa: E402
from genret_core.retrieval.ragged import Ragged  # noqa: E402

pytestmark = pytest.mark.benchmark

TURNS, T = 3, 10
# (backbone, vocabulary, queries): two of the demo for each family, and about 30 million parameters in all.
CASES = [
    (Backbone("llama-d64", "llama", 64, 2, 2, 176), 1024, 12),
    (Backbone("llama-d128", "llama", 128, 2, 4, 336), 1024, 12),
    (Backbone("llama-30M", "llama", 512, 6, 8, 1376), 22_000, 1),
    (Backbone("t5-d64", "t5", 64, 2, 2, 128, n_buckets=16), 1024, 12),
    (Backbone("t5-d128", "t5", 128, 2, 4, 256, n_buckets=16), 1024, 12),
    (Backbone("t5-30M", "t5", 512, 4, 8, 1024), 10_000, 1),
]  # fmt: skip


# Of about 30 million parameters in all, the embedding of 32,000 tokens (tied) among them.
PAPER = [
    Backbone("llama-paper-sample", "llama", 384, 10, 6, 1024),
    Backbone("t5-paper-sample", "t5", 384, 4, 6, 1152),
]
PAPER_VOCABULARY, PAPER_TURNS = 32_000, 2


def sample(vocabulary: int, queries: int):
    rng = np.random.default_rng(0)
    prompts = Ragged.of([rng.integers(2, vocabulary, rng.integers(7, 22)) for _ in range(queries)])
    document = np.tile(np.r_[np.zeros(10, np.int32), np.arange(1, 65, dtype=np.int32)], queries)
    owner = np.repeat(np.arange(queries), 74)
    ids = rng.integers(2, vocabulary, (len(owner), T)).astype(np.int32)
    length, start = np.full(len(owner), T, np.int16), np.zeros(len(owner), np.int32)
    return prompts, Pairs(owner.astype(np.int32), document, ids, length, start), owner


def paper_sample(vocabulary: int, documents: int = 257):
    rng = np.random.default_rng(0)
    prompts = Ragged.of([rng.integers(2, vocabulary, 24)])
    document = np.repeat(np.arange(documents, dtype=np.int32), 10)
    length = rng.integers(12, 19, len(document)).astype(np.int16)
    ids = rng.integers(2, vocabulary, (len(document), 18)).astype(np.int32)
    ids[np.arange(18) >= length[:, None]] = -1
    owner = np.zeros(len(document), np.int64)
    return prompts, Pairs(owner.astype(np.int32), document, ids, length, owner.astype(np.int32)), owner


@pytest.mark.parametrize(("backbone", "vocabulary", "queries"), CASES, ids=[case[0].name for case in CASES])
def test_cgl_scoring(benchmark, backbone, vocabulary, queries):
    compare(benchmark, backbone, vocabulary, sample(vocabulary, queries), TURNS)


@pytest.mark.parametrize("backbone", PAPER, ids=lambda backbone: backbone.name)
def test_cgl_scoring_of_the_papers_sample(benchmark, backbone):
    compare(benchmark, backbone, PAPER_VOCABULARY, paper_sample(PAPER_VOCABULARY), PAPER_TURNS)


def compare(benchmark, backbone, vocabulary, inputs, turns):
    """Time both ways in turns, say how they compare, and hold their losses against each other."""
    threads, queries = torch.get_num_threads(), len(inputs[0])
    torch.set_num_threads(1)
    model = backbone.build(vocabulary, pad_id=0, eos_id=1, seed=0)
    seconds: dict[str, list[float]] = {"plain": [], "shared": []}
    losses = {}

    def timed(name, score):
        began = time.process_time()
        losses[name] = score(model, *inputs)[0]
        seconds[name].append(time.process_time() - began)

    try:
        timed("shared", score_identifiers)  # warm-up, not counted
        seconds["shared"].clear()
        benchmark.pedantic(
            timed,
            args=("shared", score_identifiers),
            rounds=turns,
            setup=lambda: timed("plain", naive_scores),
        )
    finally:
        torch.set_num_threads(threads)
    difference = float(np.abs(losses["plain"] - losses["shared"]).max())
    plain, shared = (statistics.median(seconds[name]) / queries for name in ("plain", "shared"))
    body, total = backbone.parameters(vocabulary)
    benchmark.extra_info.update(
        parameters=total, plain_seconds_per_query=plain, shared_seconds_per_query=shared,
        ratio=plain / shared, largest_difference=difference, load=os.getloadavg()[0],
    )  # fmt: skip
    print(
        f"\n{backbone.name} ({body / 1e6:.1f} million parameters, {total / 1e6:.1f} with embeddings): "
        f"plain {plain:.4f} s, shared {shared:.4f} s per query, {plain / shared:.1f} times faster; "
        f"largest difference of a loss {difference:.1e} nats of {losses['plain'].mean():.0f} "
        f"(load of the machine {os.getloadavg()[0]:.1f})"
    )
    assert difference < 1e-4
