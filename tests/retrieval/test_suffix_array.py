"""Suffixes sorted in pieces: the order of plain sorting, whatever the pieces, and never too much at once."""

from __future__ import annotations

import numpy as np
import pytest

from genret_core.retrieval import bucket_sort, suffix_array
from genret_core.retrieval.bucket_sort import Range, build_suffix_array, deal_out
from genret_core.retrieval.suffix_array import Packing
from genret_core.retrieval.token_index import TokenIndex

MAX = 2**16 - 1


def draw(seed: int) -> tuple[np.ndarray, int]:
    """Tokens of a random vocabulary, some with long repeats or one token nearly everywhere."""
    rng = np.random.default_rng(seed)
    vocab = int(rng.choice([2, 3, 50, 1024, 40_000, 65_536, 65_537, 2**21 + 1]))
    n = int(rng.integers(1, 1_500))
    tokens = rng.integers(0, vocab, n)
    kind = rng.integers(4)
    if kind == 1:
        tokens = np.resize(tokens[: int(rng.integers(1, 40))], n)
    elif kind == 2:
        tokens[rng.random(n) < 0.97] = vocab - 1
    elif kind == 3:
        tokens[rng.random(n) < 0.97] = 0
    return tokens.astype(np.uint16 if vocab <= 2**16 else np.uint32), vocab


def expected(tokens: np.ndarray, n: int, vocab: int, max_depth: int) -> list[int]:
    per_key = Packing.of(tokens, vocab).per_key
    depth = -(-max_depth // per_key) * per_key
    text = tokens.tolist() + tokens[-1:].tolist() * depth
    return sorted(range(n), key=lambda i: (text[i : i + depth], i))


@pytest.mark.parametrize("seed", range(60))
def test_the_order_is_that_of_sorted_slices(seed, monkeypatch):
    tokens, vocab = draw(seed)
    rng = np.random.default_rng(1000 + seed)
    monkeypatch.setattr(bucket_sort, "CHUNK", int(rng.integers(1, 400)))
    monkeypatch.setattr(bucket_sort, "SAMPLE", 100)
    rows_in_memory, max_depth = int(rng.integers(2, 300)), int(rng.integers(1, 20))
    held = []
    plain = suffix_array.sort_rows
    monkeypatch.setattr(
        suffix_array, "sort_rows", lambda rows, *a, **k: held.append(len(rows)) or plain(rows, *a, **k)
    )
    n = len(tokens) - int(rng.integers(0, min(5, len(tokens))))  # the last ones are only looked at
    out = np.empty(n, np.uint32)
    build_suffix_array(tokens, out, vocab_size=vocab, max_depth=max_depth, rows_in_memory=rows_in_memory)
    assert out.tolist() == expected(tokens, n, vocab, max_depth)
    assert max(held, default=0) <= rows_in_memory


def test_the_largest_key_can_be_frequent(monkeypatch):
    tokens = np.full(2_000, MAX, np.uint16)
    tokens[[500, 1_500]] = 7
    monkeypatch.setattr(bucket_sort, "CHUNK", 300)
    out = np.empty(len(tokens), np.uint32)
    build_suffix_array(tokens, out, vocab_size=MAX + 1, max_depth=16, rows_in_memory=100)
    assert out.tolist() == expected(tokens, len(tokens), MAX + 1, 16)


def test_ranges_tile_the_rows_and_know_what_their_rows_share():
    rng = np.random.default_rng(0)
    tokens = np.where(rng.random(30_000) < 0.7, 3, rng.zipf(1.2, 30_000).clip(0, 999)).astype(np.uint16)
    out = np.empty(len(tokens), np.uint32)
    packing = Packing.of(tokens, 1_000)
    ranges = deal_out(packing, out, max_depth=24, rows_in_memory=500)
    assert [part.start for part in ranges] == [0, *(part.stop for part in ranges[:-1])]
    assert ranges[-1].stop == len(tokens)
    padded = np.concatenate([tokens, np.repeat(tokens[-1:], 64)])
    for part in ranges:
        rows = out[part.start : part.stop].astype(np.int64)
        assert (np.diff(rows) > 0).all()
        shared = padded[rows[:, None] + np.arange(part.depth)]
        assert (shared == shared[:1]).all()
        assert len(part) <= 500 or part.depth >= 24
    assert any(part.depth for part in ranges)
    assert len(Range(3, 8)) == 5


def test_several_processes_and_progress_change_nothing(tmp_path):
    rng = np.random.default_rng(0)
    ids = rng.zipf(1.3, 60_000).clip(2, 999).astype(np.uint16)
    ids[199::200] = 1
    starts = np.arange(0, len(ids) + 1, 200)
    options = {"vocab_size": 1_000, "tokenizer_key": "t", "separator_id": 1}
    whole = TokenIndex.build(ids, starts, tmp_path / "whole", **options)
    said: list[tuple[str, int, int]] = []
    parts = TokenIndex.build(
        ids, starts, tmp_path / "parts", **options, rows_in_memory=5_000, jobs=3,
        progress=lambda *step: said.append(step),
    )  # fmt: skip
    np.testing.assert_array_equal(parts.suffixes, whole.suffixes)
    assert list(dict.fromkeys(stage for stage, _, _ in said)) == [
        "checking", "counting", "dealing out", "sorting", "sealing",
    ]  # fmt: skip
    for stage in ("counting", "dealing out", "sorting", "sealing"):
        steps = [(done, total) for name, done, total in said if name == stage]
        assert steps == sorted(steps)
        assert steps[-1] == (60_000, 60_000)
