from __future__ import annotations

import pytest

from genret_core.errors import BadInput
from genret_core.modeling.recipe import Recipe, learning_rate


@pytest.mark.parametrize(
    ("rule", "d", "value"),
    [
        (0.004, 64, 0.004), ("1e-3", 64, 0.001), ("0.32/d", 48, 0.32 / 48), (".1 / d", 128, 0.1 / 128),
        ("0.01*(16/d)^0.5", 64, 0.005), ("0.01*(16/d)**.5", 16, 0.01),
    ],
)  # fmt: skip
def test_learning_rate_rules(rule, d, value):
    assert learning_rate(rule, d) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("rule", ["d/2", "0.3/d/d", "__import__('os')", "0/d", -1.0, "nan", float("inf")])
def test_refuses_other_rules(rule):
    with pytest.raises(BadInput, match="lr"):
        learning_rate(rule, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_queries": 0}, {"steps": "epochs"}, {"steps": "fixed"}, {"n_steps": 5}, {"warmup": 1.0},
        {"betas": (0.9, 1.0)}, {"clip": 0.0}, {"lr": 0.0}, {"lr_sweep": 2}, {"precision": "fp16"},
    ],
)  # fmt: skip
def test_refuses(change):
    with pytest.raises(BadInput, match=next(iter(change)).split("_")[0]):
        Recipe(**change)


def test_round_trip_and_unknown_keys():
    recipe = Recipe(steps="fixed", n_steps=20, betas=(0.8, 0.9))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    with pytest.raises(BadInput, match="batchsize"):
        Recipe.from_dict({"batchsize": 3})
