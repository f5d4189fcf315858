"""What the constraint costs in a whole search: its share of the time, and the speed without any constraint.

T5 and LLaMA of about 30 million parameters (vocabulary 32,000) over 10 million Zipf tokens, on one thread.
The prompts are cut out of the corpus, and 10 tokens are written.
`share` is the time spent in the index (finding the best allowed continuations, telling which beams have
ended) over the time of the search. The same search without a constraint takes the best continuations of the
whole vocabulary by `torch.topk`, keeps the same history and writes as many tokens; `ratio` is its queries per
second over ours, by median of alternating rounds. Seconds are those of the processor, which on one thread
and a quiet machine are those of the clock.

The weights are random, with the corpus' unigram log-frequencies as bias of the output: a model that has
learnt which tokens are frequent and nothing else (`unigram`), or not even that (`random`): the worst case for
an exact search, since what it finds likely hardly ever follows.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from zipf_corpus import SEP, V  # noqa: E402

from genret_core.modeling.backbones import Backbone  # noqa: E402
from genret_core.retrieval import beam_search as searching  # noqa: E402
from genret_core.retrieval.ragged import Ragged  # noqa: E402
from genret_core.retrieval.token_index import TokenIndex  # noqa: E402
from genret_core.retrieval.top_valid import Continuations  # noqa: E402

pytestmark = pytest.mark.benchmark
PAD, STEPS, ROUNDS = 0, 10, 3
QUERIES = {10: 24, 100: 6}  # beam -> queries
BACKBONES = {
    "llama": Backbone("llama-30m", "llama", d_model=512, n_layers=4, n_heads=8, d_ff=1376),
    "t5": Backbone("t5-30m", "t5", d_model=512, n_layers=2, n_decoder_layers=3, n_heads=8, d_ff=1024),
}


class Clock:
    """A function and the seconds spent in it."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self.run, self.seconds = run, 0.0

    def __call__(self, *args: Any, **options: Any) -> Any:
        begun = time.process_time()
        try:
            return self.run(*args, **options)
        finally:
            self.seconds += time.process_time() - begun


def free_top(index, scores, beam_scores, lo, hi, depth, k, group, *, tokens=None) -> Continuations:
    """Give the `k` best continuations of each query, whatever the corpus holds."""
    n = int(group[-1]) + 1
    total = torch.from_numpy(scores) + torch.from_numpy(beam_scores).float()[:, None]
    total[torch.from_numpy(lo >= hi)] = -torch.inf
    total[:, [PAD, SEP]] = -torch.inf
    best = total.view(n, -1).topk(k)
    beam, token = (x.numpy().ravel() for x in (best.indices // V, best.indices % V))
    owner = np.repeat(np.arange(n), k)
    return Continuations(
        group=owner,
        beam=beam + owner * (len(lo) // n),
        token=token,
        score=best.values.double().numpy().ravel(),
        lo=np.zeros(n * k, np.int64),
        hi=np.ones(n * k, np.int64),
    )


def make_model(family: str, kind: str, index: TokenIndex) -> Any:
    model = BACKBONES[family].build(V, pad_id=PAD, eos_id=SEP, seed=0).eval()
    if kind == "unigram":
        model.lm_head.bias = torch.nn.Parameter(torch.from_numpy(np.log(np.diff(index.first) + 0.5)).float())
    return model


@pytest.mark.parametrize("beam", QUERIES)
@pytest.mark.parametrize("kind", ["unigram", "random"])
@pytest.mark.parametrize("family", BACKBONES)
def test_share_of_the_index_in_a_search(index, benchmark, monkeypatch, family, kind, beam):
    torch.set_num_threads(1)
    model = make_model(family, kind, index)
    rng, n = np.random.default_rng(1), QUERIES[beam]
    starts = rng.integers(0, index.n_tokens - 64, n)
    lengths = rng.integers(8, 24, n)
    prompts = Ragged.of([index.tokens[s : s + m] for s, m in zip(starts, lengths, strict=True)])
    top, ended = Clock(searching.top_valid), Clock(index.ended)

    def search(constraint: Callable[..., Any], ends: Callable[..., Any]) -> float:
        monkeypatch.setattr(searching, "top_valid", constraint)
        object.__setattr__(index, "ended", ends)
        begun = time.process_time()
        found = searching.beam_search(
            model, index, prompts, beam=beam, max_new_tokens=STEPS, family=family, pad_id=PAD, eos_id=SEP
        )
        assert (np.bincount(found.query[found.length == STEPS], minlength=n) > 0).all()
        return time.process_time() - begun

    constrained, free, shares = [], [], []
    try:
        benchmark.pedantic(search, args=(top, ended), rounds=1)  # pages are read, caches warm
        for _ in range(ROUNDS):
            top.seconds = ended.seconds = 0.0
            constrained.append(search(top, ended))
            shares.append((top.seconds + ended.seconds) / constrained[-1])
            free.append(search(free_top, lambda lo, hi, depth: np.zeros(len(lo), bool)))
    finally:
        object.__delattr__(index, "ended")
    share = statistics.median(shares)
    ratio = statistics.median(c / f for c, f in zip(constrained, free, strict=True))
    benchmark.extra_info.update(
        parameters=sum(p.numel() for p in model.parameters()),
        share=round(share, 4),
        queries_per_second=round(n / statistics.median(constrained), 3),
        queries_per_second_free=round(n / statistics.median(free), 3),
        ratio=round(ratio, 3),
        load=os.getloadavg()[0],
    )
    print(f"\n{family}, beam {beam}, {kind} scores: {benchmark.extra_info}")
    assert share < 0.1
