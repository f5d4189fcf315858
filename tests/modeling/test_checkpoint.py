from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import BACKBONES, EOS, PAD, T5, V, build, fake
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genret_core.errors import BadInput
from genret_core.modeling.checkpoint import load_model, save_model
from genret_core.modeling.losses import naive_scores, score_identifiers
from genret_core.modeling.training import Recipe, train

CODES = 5


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_a_trained_model_scores_the_same_after_a_round_trip(backbone, tmp_path):
    """Code rows of both embeddings included: their identifiers are what is scored."""
    model = backbone.build(V + CODES, pad_id=PAD, eos_id=EOS, seed=0)
    prompts, pairs, owner = fake(8, 3, length=4)
    pairs.ids[:] = V + np.random.default_rng(0).integers(0, CODES, pairs.ids.shape)
    train(model, backbone, prompts, pairs, owner, Recipe(), seed=0, lr=0.02)
    before, _ = score_identifiers(model, prompts, pairs, owner)
    save_model(model, tmp_path / "checkpoint")
    loaded = load_model(tmp_path / "checkpoint")
    assert (score_identifiers(loaded, prompts, pairs, owner)[0] == before).all()
    head, embedding = loaded.get_output_embeddings().weight, loaded.get_input_embeddings().weight
    assert (head.data_ptr() == embedding.data_ptr()) is backbone.tied


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_transformers_reads_it(backbone, tmp_path):
    model = build(backbone)
    save_model(model, tmp_path / "checkpoint")
    kind = AutoModelForSeq2SeqLM if backbone.family == "t5" else AutoModelForCausalLM
    other = kind.from_pretrained(tmp_path / "checkpoint")
    prompts, pairs, owner = fake(3, 2)
    assert (
        naive_scores(other, prompts, pairs, owner)[0] == naive_scores(model, prompts, pairs, owner)[0]
    ).all()


def test_saving_again_replaces(tmp_path):
    save_model(build(T5, seed=0), tmp_path / "checkpoint")
    newer = build(T5, seed=1)
    save_model(newer, tmp_path / "checkpoint")
    assert torch.equal(load_model(tmp_path / "checkpoint").shared.weight, newer.shared.weight)


def test_refuses_a_folder_without_a_model(tmp_path):
    with pytest.raises(BadInput, match="no trained"):
        load_model(tmp_path)
