"""What end tokens and padding would add, against one plain transformers call per identifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import BACKBONES, EOS, PAD, build, fake
from torch.nn import functional as F

from genret_core.modeling.losses import score_identifiers
from genret_core.modeling.padded_losses import padded_losses


def by_position(model, prompt, labels) -> np.ndarray:
    """Give the loss of every label, the model's own forward pass over query and labels."""
    source, targets = torch.tensor(prompt)[None].long(), torch.tensor(labels)[None].long()
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = torch.full_like(targets[:, :1], model.config.decoder_start_token_id)
            inputs = torch.cat([start, targets[:, :-1]], 1)
            mask = torch.ones_like(inputs)
            logits = model(input_ids=source, decoder_input_ids=inputs, decoder_attention_mask=mask).logits
        else:
            whole = torch.cat([source, targets], 1)
            logits = model(whole, attention_mask=torch.ones_like(whole)).logits[:, source.shape[1] - 1 : -1]
    return F.cross_entropy(logits[0], targets[0], reduction="none").numpy()


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_end_and_padding_against_plain_calls(backbone):
    prompts, pairs, owner = fake(4, 5, ragged=True)
    pairs.document[:] = np.tile([7, 7, 7, 8, 9], 4)  # three identifiers of one document, and one each of two
    model = build(backbone, seed=2)

    def score(identifiers, what):
        return score_identifiers(model, prompts, identifiers, owner)[0]

    found = padded_losses(score, pairs, owner, score(pairs, ""), eos_id=EOS, pad_id=PAD)
    lengths = np.asarray(pairs.length)
    for row in range(len(pairs)):
        batch = (owner == owner[row]) & (pairs.document == pairs.document[row])
        pads = lengths[batch].max() - lengths[row]
        labels = [*pairs.identifier(row), EOS, *[PAD] * pads]
        losses = by_position(model, prompts[int(owner[row])], labels)
        end = lengths[row]
        assert found["pads"][row] == pads
        assert found["eos_nll"][row] == pytest.approx(losses[end], abs=1e-4)
        assert found["pad_nll"][row] == pytest.approx(losses[end + 1 :].sum(), abs=1e-4)
    assert found["pads"].max() > 1 and (found["pad_nll"][found["pads"] == 0] == 0).all()
