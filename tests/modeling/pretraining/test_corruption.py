"""Span corruption: nothing is lost, and as much is corrupted as was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret_core.errors import BadInput
from genret_core.modeling.pretraining.corruption import corrupt, restored, span_mask
from genret_core.modeling.pretraining.recipe import PretrainRecipe

FIRST = 50


def test_the_example_of_the_module() -> None:
    mask = np.array([0, 0, 1, 1, 0, 0, 1, 1], bool)
    read, written = corrupt(np.arange(8), mask, FIRST)
    assert read.tolist() == [0, 1, 50, 4, 5, 51]
    assert written.tolist() == [50, 2, 3, 51, 6, 7]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, FIRST - 1), min_size=2, max_size=80),
    st.floats(0.01, 0.95),
    st.floats(1, 9),
    st.integers(0, 1000),
)
def test_targets_and_corrupted_text_give_the_text_back(ids, density, mean, seed) -> None:
    recipe = PretrainRecipe(steps=1, noise_density=density, mean_span=mean, length=max(8, len(ids)))
    noise = recipe.noise_tokens(len(ids))
    mask = span_mask(len(ids), noise, mean, np.random.default_rng(seed))
    read, written = corrupt(ids, mask, FIRST)
    assert restored(read, written, FIRST, 80).tolist() == ids
    sentinels = [token for token in read.tolist() if token >= FIRST]
    assert sentinels == list(range(FIRST, FIRST + len(sentinels)))  # each once, in order
    assert [token for token in written.tolist() if token >= FIRST] == sentinels
    assert mask.sum() == noise and len(written) == noise + len(sentinels)


def test_noise_density_and_mean_span_are_as_asked() -> None:
    rng = np.random.default_rng(0)
    recipe = PretrainRecipe(steps=1, length=200)  # T5's: 15 %, 3 tokens
    masks = [span_mask(200, recipe.noise_tokens(200), recipe.mean_span, rng) for _ in range(300)]
    begins = [mask & ~np.roll(mask, 1) for mask in masks]
    assert {int(mask.sum()) for mask in masks} == {30}
    assert {int(begin.sum()) for begin in begins} == {10} == {recipe.spans}
    lengths = np.concatenate([np.diff(np.flatnonzero(np.diff(np.r_[0, mask, 0])))[::2] for mask in masks])
    assert lengths.mean() == 3 and lengths.min() == 1 and lengths.max() > 8
    # every place is corrupted about as often as another, but for the first, which always stays
    share = np.mean(masks, axis=0)
    assert share[0] == 0 and abs(share[20:180].mean() - 0.15) < 0.01


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "either steps"),
        ({"steps": 5, "epochs": 1}, "either steps"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"epochs": -1}, "epochs must be above 0"),
        ({"steps": 1, "objective": "denoise"}, "objective must be one of"),
        ({"steps": 1, "noise_density": 1.0}, "noise_density is a share"),
        ({"steps": 1, "length": 4}, "length must be at least 8"),
        ({"steps": 1, "precision": "fp16"}, "precision must be one of"),
        ({"steps": 1, "epoch": 2}, "unknown key 'epoch'"),
    ],
)
def test_what_is_wrong_in_a_recipe(values, words) -> None:
    with pytest.raises(BadInput, match=words):
        PretrainRecipe.from_dict(values)


def test_a_family_learns_what_it_can() -> None:
    assert PretrainRecipe(steps=1).objective_of("t5") == "span_corruption"
    with pytest.raises(BadInput, match="llama cannot be trained on objective: span_corruption"):
        PretrainRecipe(steps=1, objective="span_corruption").objective_of("llama")
