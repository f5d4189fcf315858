"""Windows of the corpus: all of it, each document by itself, in an order that the seed settles."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.modeling.pretraining.recipe import PretrainRecipe
from genret_core.modeling.pretraining.windows import Windows

STARTS = np.array([0, 4, 5, 105, 106, 171, 173])  # documents of 3, 0, 99, 0, 64 and 1 tokens, and their ends


@pytest.mark.parametrize("ends", [True, False])
def test_windows_cover_every_document_and_cross_none(ends: bool) -> None:
    windows = Windows.of(STARTS, 32, ends=ends)
    covered = np.zeros(STARTS[-1], int)
    for begin, length in zip(windows.begins, windows.lengths, strict=True):
        assert 2 <= length <= 32
        covered[begin : begin + length] += 1
        document = np.searchsorted(STARTS, begin, side="right") - 1
        assert begin + length <= STARTS[document + 1] - (not ends)
    expected = np.zeros(STARTS[-1], int)
    for begin, end in zip(STARTS[:-1], STARTS[1:] - (not ends), strict=True):
        expected[begin:end] = end - begin >= 2  # a single token is no text to learn from
    assert covered.tolist() == expected.tolist()


def test_a_long_document_is_cut_into_equal_parts() -> None:
    windows = Windows.of(np.array([0, 101]), 32, ends=False)
    assert windows.lengths.tolist() == [25, 25, 25, 25]


def test_every_epoch_reads_every_window_once_and_seeds_decide_the_order() -> None:
    starts = np.cumsum(np.r_[0, np.random.default_rng(0).integers(3, 90, 200)])
    windows, recipe = Windows.of(starts, 40, ends=True), PretrainRecipe(epochs=2, batch=8)
    steps = windows.steps(recipe)
    assert steps == 2 * -(-len(windows) // 8)
    drawn = list(islice(windows.batches(recipe), steps))
    first, second = drawn[: steps // 2], drawn[steps // 2 :]
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(windows)))
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    again = list(islice(windows.batches(recipe), steps))
    assert all((a == b).all() for a, b in zip(drawn, again, strict=True))
    other = PretrainRecipe(epochs=2, batch=8, seed=1)
    assert (
        np.concatenate(list(islice(windows.batches(other), steps))).tolist() != np.concatenate(drawn).tolist()
    )
    padded = sum(windows.lengths[rows].max() * len(rows) for rows in drawn)
    assert padded < 1.1 * 2 * windows.lengths.sum()  # little of a batch is padding


def test_a_corpus_without_text_is_refused() -> None:
    with pytest.raises(BadInput, match="no text to learn from"):
        Windows.of(np.array([0, 1, 2]), 32, ends=True)
