"""The constrained step against a dense mask over the vocabulary, both exact, in the same run.

A corpus of 10 million tokens (see `zipf_corpus`), vocabulary 32,000. Beams are prefixes drawn from it.
Scores are log-probabilities of two kinds: `language`, in which what follows in the corpus is likely, as a
trained model has it; and `random`, the worst case, in which it is not.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from zipf_corpus import SEP, V

torch = pytest.importorskip("torch")

from genret_core.retrieval.token_index import TokenIndex  # noqa: E402
from genret_core.retrieval.top_valid import top_valid  # noqa: E402

pytestmark = pytest.mark.benchmark
DEPTHS, ROUNDS = range(1, 10), 5


def draw_beams(index: TokenIndex, n: int, depth: int, rng: np.random.Generator):
    """Distinct prefixes of the corpus, drawn by frequency, that something follows."""
    lo, hi = np.empty(0, np.int64), np.empty(0, np.int64)
    while len(lo) < n:
        positions = rng.integers(0, index.n_tokens - depth - 1, 4 * n)
        grams = index.tokens[positions[:, None] + np.arange(depth + 1)]
        grams = grams[(grams != SEP).all(axis=1), :depth]
        new_lo, new_hi = index.find(grams.tolist())
        lo, first = np.unique(np.concatenate([lo, new_lo]), return_index=True)
        hi = np.concatenate([hi, new_hi])[first]
    kept = rng.permutation(len(lo))[:n]
    return lo[kept], hi[kept]


def make_scores(index: TokenIndex, lo, hi, depth: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    logits = rng.standard_normal((len(lo), V)).astype(np.float32) * 2
    if kind == "language":
        logits += np.log(np.diff(index.first) + 1).astype(np.float32)
        children = index.allowed(lo, hi, depth)
        share = (children.hi - children.lo) / (hi - lo)[children.parent]
        logits[children.parent, children.token] += 12 + np.log(share).astype(np.float32)
    return torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()


def dense_step(index: TokenIndex, scores, beam_scores, lo, hi, depth: int, k: int):
    """Mask everything that may not follow, add, take the top of all beams x vocabulary."""
    children = index.allowed(lo, hi, depth)
    total = torch.full(scores.shape, -torch.inf)
    allowed = torch.from_numpy(children.parent), torch.from_numpy(children.token)
    total[allowed] = torch.from_numpy(scores)[allowed] + torch.from_numpy(beam_scores).float()[allowed[0]]
    return torch.topk(total.flatten(), k)


def milliseconds(run) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times)


@pytest.mark.parametrize("kind", ["language", "random"])
@pytest.mark.parametrize("beam", [10, 100])
def test_constrained_step_beats_a_dense_mask(index, benchmark, beam, kind):
    torch.set_num_threads(1)
    rng = np.random.default_rng(beam)
    group = np.zeros(beam, np.int64)
    lazy, dense, cases = [], [], []
    for depth in DEPTHS:
        lo, hi = draw_beams(index, beam, depth, rng)
        scores = make_scores(index, lo, hi, depth, kind, rng)
        beam_scores = -rng.exponential(3, beam)
        args = (index, scores, beam_scores, lo, hi, depth, 2 * beam)
        top, expected = top_valid(*args, group), dense_step(*args)
        found = expected.values[expected.values > -torch.inf].numpy()
        np.testing.assert_allclose(top.score, found, rtol=1e-5)
        lazy.append(milliseconds(lambda args=args: top_valid(*args, group)))
        dense.append(milliseconds(lambda args=args: dense_step(*args)))
        cases.append(args)
    benchmark.extra_info.update(
        lazy_ms=[round(x, 3) for x in lazy],
        dense_ms=[round(x, 3) for x in dense],
        ratio_of_means=round(sum(dense) / sum(lazy), 2),
        median_ratio=round(statistics.median(d / z for d, z in zip(dense, lazy, strict=True)), 2),
    )
    print(f"\nbeam {beam}, {kind} scores, depths 1-9 (ms): {benchmark.extra_info}")
    benchmark.pedantic(lambda: [top_valid(*args, group) for args in cases], rounds=3)
    assert sum(dense) > sum(lazy)
