from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from small_models import BACKBONES, EOS, LLAMA, PAD, T5, V, build, fake
from torch.nn import functional as F

from genret_core.errors import BadInput
from genret_core.modeling.bodies import bind
from genret_core.modeling.flops import train_flops
from genret_core.modeling.packing import Packer, training_rows
from genret_core.modeling.training import Recipe, TrainingFailed, train

SMALL = Recipe(batch_queries=4, identifiers_per_row=2)


def plain_loss(model, prompts, pairs, rows):
    """Mean loss per token of a batch by transformers' own forward pass, one identifier at a time."""
    losses = []
    for query, identifiers in zip(rows.query, rows.identifiers, strict=True):
        source = torch.from_numpy(prompts[query].astype(np.int64))[None]
        for row in identifiers[identifiers >= 0]:
            ids = torch.from_numpy(pairs.identifier(row).astype(np.int64))
            if model.config.is_encoder_decoder:
                logits = model(input_ids=source, labels=ids[None]).logits[0]
            else:
                logits = model(torch.cat([source[0], ids])[None]).logits[0, source.shape[1] - 1 : -1]
            losses.append(F.cross_entropy(logits, ids, reduction="none"))
    return torch.cat(losses).mean()


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
@pytest.mark.parametrize("ragged", [False, True])
def test_updates_equal_a_plain_loop(backbone, ragged):
    """Three packed, flat steps against transformers, clip_grad_norm_ and AdamW on single weights."""
    prompts, pairs, owner = fake(6, 4, ragged=ragged)
    recipe, lr, steps = Recipe(**{**SMALL.to_dict(), "warmup": 0.5}), 0.02, 3
    model = build(backbone)
    reference = copy.deepcopy(model).train()
    log = train(model, backbone, prompts, pairs, owner, recipe, seed=4, lr=lr)
    assert log.steps == steps

    optimizer = torch.optim.AdamW(reference.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
    rows = training_rows(owner, prompts.lengths, per_row=2, batch=4, window=1, seed=(4, 0))
    curve = []
    for step, batch in enumerate(rows.batches(4), start=1):
        optimizer.param_groups[0]["lr"] = lr * min(step / 1.5, (steps + 1 - step) / 2.5)
        loss = plain_loss(reference, prompts, pairs, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        optimizer.step()
        curve.append([step, loss.item()])
    assert np.allclose(curve, log.loss_curve, atol=1e-4)
    for (name, weight), expected in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(weight, expected, atol=2e-3), name  # Adam's first steps magnify rounding


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_learns_by_heart(backbone):
    prompts, pairs, owner = fake(4, 2)
    recipe = Recipe(batch_queries=4, identifiers_per_row=2, steps="fixed", n_steps=250)
    model = build(backbone)
    log = train(model, backbone, prompts, pairs, owner, recipe, seed=0, lr=0.02)
    # Two identifiers of a query cannot be told apart at their first token: the floor is ln 2 over 6 tokens.
    assert log.loss_curve[-1][1] == pytest.approx(np.log(2) / 6, abs=0.05)
    assert log.loss_curve[0][1] > 3.0


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_same_seed_same_weights(backbone):
    prompts, pairs, owner = fake(8, 4)
    models = [build(backbone) for _ in range(3)]
    logs = [
        train(model, backbone, prompts, pairs, owner, SMALL, seed=seed, lr=0.01)
        for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    assert logs[0].loss_curve == logs[1].loss_curve != logs[2].loss_curve
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_log_counts():
    prompts, pairs, owner = fake(9, 4)
    log = train(build(LLAMA), LLAMA, prompts, pairs, owner, SMALL, seed=0, lr=0.01)
    assert (log.steps, log.pairs) == (5, 36)  # 18 rows by 4
    assert log.tokens == 2 * prompts.lengths.sum() + 36 * 6
    lengths = np.repeat(prompts.lengths, 2)
    assert log.flops == pytest.approx(train_flops(LLAMA, V, lengths, np.full((18, 2), 6)))
    assert log.loss_curve[-1][0] == 5
    assert log.seconds > 0


def test_fixed_steps_pass_over_the_pairs_again():
    prompts, pairs, owner = fake(9, 4)
    recipe = Recipe(batch_queries=4, identifiers_per_row=2, steps="fixed", n_steps=11)
    log = train(build(LLAMA), LLAMA, prompts, pairs, owner, recipe, seed=0, lr=0.01)
    assert (log.steps, log.pairs) == (11, 11 * 4 * 2)


def test_divergence_is_told():
    prompts, pairs, owner = fake(4, 2)
    model = build(LLAMA)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(TrainingFailed, match=r"step 1 .* learning rate 0\.5"):
        train(model, LLAMA, prompts, pairs, owner, SMALL, seed=0, lr=0.5)


def test_nothing_to_train_on():
    prompts, pairs, owner = fake(4, 2)
    with pytest.raises(BadInput, match="no pairs"):
        train(build(LLAMA), LLAMA, prompts, pairs.select(owner < 0), owner[:0], SMALL, seed=0, lr=0.1)


def test_progress_is_told():
    prompts, pairs, owner = fake(9, 4)
    told = []
    train(
        build(LLAMA), LLAMA, prompts, pairs, owner, SMALL, seed=0, lr=0.01, progress=lambda *x: told.append(x)
    )
    assert [step for step, _, _ in told] == [1, 2, 3, 4, 5]
    assert {steps for _, steps, _ in told} == {5}


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_gradient_reaches_the_rows_of_codes(backbone):
    """Codes are the last ids: their input rows and their output rows both learn (tied: the same rows)."""
    codes = 8
    model = backbone.build(V + codes, pad_id=PAD, eos_id=EOS, seed=0)
    before = [
        m.weight.detach().clone() for m in (model.get_input_embeddings(), model.get_output_embeddings())
    ]
    prompts, pairs, owner = fake(8, 1, length=4)
    pairs.ids[:] = V + np.random.default_rng(0).integers(0, codes, pairs.ids.shape)
    body = bind(model)
    losses = body.losses(Packer.of(prompts, pairs).batch(np.arange(8), np.arange(8)[:, None]))
    for name in ("embedding", "head"):
        if name in body.weights.leaves:
            gradient = torch.autograd.grad(losses.sum(), body.weights.leaves[name], retain_graph=True)[0]
            assert (gradient[V:].abs().sum(1) > 0).all()
    train(model, backbone, prompts, pairs, owner, SMALL, seed=0, lr=0.01)
    after = [m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())]
    for old, new in zip(before, after, strict=True):
        assert ((new - old)[V:].abs().sum(1) > 0).all()


def test_every_weight_must_be_known():
    model = build(LLAMA)
    model.extra = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match="extra"):
        bind(model)


def test_bf16_runs_and_stays_near():
    prompts, pairs, owner = fake(9, 4)
    runs = []
    for precision in ("fp32", "bf16"):
        recipe = Recipe(batch_queries=4, identifiers_per_row=2, precision=precision)
        runs.append(train(build(T5), T5, prompts, pairs, owner, recipe, seed=0, lr=0.005).loss_curve)
    assert np.allclose(runs[0], runs[1], atol=0.05)
    assert runs[0] != runs[1]
