"""Golden losses: what changes the numbers must raise RECIPE_VERSION: no old cell may pass for a new one."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import LLAMA, T5, build, fake

from genret_core.modeling.losses import score_identifiers
from genret_core.modeling.recipe import RECIPE_VERSION
from genret_core.modeling.training import Recipe, train

# By RECIPE_VERSION: the mean loss of identifiers after 20 updates, and the loss of the last of these. Add a
# line with each version and keep the old ones. (Other instruction sets move them by less than 1e-6.)
GOLDEN = {
    1: {"llama": (14.831445, 4.2593870), "t5": (14.725335, 4.1003728)},
}


def measure(backbone) -> tuple[float, float]:
    prompts, pairs, owner = fake(40, 8, ragged=True)
    model = build(backbone)
    log = train(model, backbone, prompts, pairs, owner, Recipe(), seed=0, lr=0.01)
    assert log.steps == 20
    return float(np.mean(score_identifiers(model, prompts, pairs, owner)[0])), log.loss_curve[-1][1]


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_golden_losses(backbone):
    assert RECIPE_VERSION in GOLDEN, "RECIPE_VERSION was raised: add its golden losses"
    assert measure(backbone) == pytest.approx(GOLDEN[RECIPE_VERSION][backbone.name], rel=2e-5), (
        "training gives other numbers than before: raise RECIPE_VERSION in recipe.py and add these losses"
    )
