"""CGL's losses with the query shared among its identifiers, against one plain call per query and document.

Queries have 14 tokens on average, one relevant document with 10 n-grams and 64 negatives with one each, as
in the demo. One thread; both ways take turns. Seconds are of the processor, which other jobs disturb least.
"""

from __future__ import annotations

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


def sample(vocabulary: int, queries: int):
    rng = np.random.default_rng(0)
    prompts = Ragged.of([rng.integers(2, vocabulary, rng.integers(7, 22)) for _ in range(queries)])
    document = np.tile(np.r_[np.zeros(10, np.int32), np.arange(1, 65, dtype=np.int32)], queries)
    owner = np.repeat(np.arange(queries), 74)
    ids = rng.integers(2, vocabulary, (len(owner), T)).astype(np.int32)
    length, start = np.full(len(owner), T, np.int16), np.zeros(len(owner), np.int32)
    return prompts, Pairs(owner.astype(np.int32), document, ids, length, start), owner


@pytest.mark.parametrize(("backbone", "vocabulary", "queries"), CASES, ids=[case[0].name for case in CASES])
def test_cgl_scoring(benchmark, backbone, vocabulary, queries):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = backbone.build(vocabulary, pad_id=0, eos_id=1, seed=0)
    inputs = sample(vocabulary, queries)
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
            rounds=TURNS,
            setup=lambda: timed("plain", naive_scores),
        )
    finally:
        torch.set_num_threads(threads)
    difference = float(np.abs(losses["plain"] - losses["shared"]).max())
    plain, shared = (statistics.median(seconds[name]) / queries for name in ("plain", "shared"))
    benchmark.extra_info.update(
        parameters=backbone.parameters(vocabulary)[1], plain_seconds_per_query=plain,
        shared_seconds_per_query=shared, ratio=plain / shared, largest_difference=difference,
    )  # fmt: skip
    print(
        f"\n{backbone.name}: plain {plain:.4f} s, shared {shared:.4f} s per query, "
        f"{plain / shared:.1f} times faster; largest difference of a loss {difference:.1e} nats"
    )
    assert difference < 1e-4
