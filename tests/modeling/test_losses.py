"""Scoring with a shared query against one plain transformers call per query and document."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import BACKBONES, LLAMA, T5, V, build, fake

from genret_core.modeling import body as body_module
from genret_core.modeling.bodies import bind
from genret_core.modeling.losses import naive_scores, score_identifiers
from genret_core.modeling.packing import Packer
from genret_core.modeling.pretrained.scoring import is_packable
from genret_core.retrieval.ragged import Ragged

NAMES = [backbone.name for backbone in BACKBONES]


@pytest.fixture(scope="module", params=BACKBONES, ids=NAMES)
def sharp_model(request):
    """A model whose predictions are far from uniform, so that a wrong position or mask shows."""
    model = build(request.param, seed=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5)
    return model


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("positions", [None, 40, 150])
def test_equals_plain_calls(sharp_model, ragged, positions):
    prompts, pairs, owner = fake(7, 9, ragged=ragged)
    expected, tokens = naive_scores(sharp_model, prompts, pairs, owner)
    nll, counted = score_identifiers(sharp_model, prompts, pairs, owner, positions=positions)
    assert np.abs(nll - expected).max() < 1e-4
    assert expected.std() > 1.0
    assert (counted == tokens).all()
    assert nll.dtype == np.float64


def test_our_own_backbones_are_packed(sharp_model):
    """They would be scored rightly, but slowly, by the models' own forward pass."""
    assert is_packable(sharp_model)


def test_single_tokens(sharp_model):
    prompts, pairs, owner = fake(3, 4, length=1)
    expected, _ = naive_scores(sharp_model, prompts, pairs, owner)
    assert np.abs(score_identifiers(sharp_model, prompts, pairs, owner)[0] - expected).max() < 1e-4


def test_losses_do_not_depend_on_what_stands_beside(sharp_model):
    """Padding, order and neighbours change nothing: score all together and one by one."""
    prompts, pairs, owner = fake(6, 5, ragged=True)
    together, _ = score_identifiers(sharp_model, prompts, pairs, owner)
    order = np.random.default_rng(1).permutation(len(pairs))
    shuffled, _ = score_identifiers(sharp_model, prompts, pairs.select(order), owner[order])
    assert np.abs(shuffled - together[order]).max() < 1e-5
    for row in range(0, len(pairs), 7):
        alone = Ragged.of([prompts[int(owner[row])]])
        nll, _ = score_identifiers(sharp_model, alone, pairs.select([row]), np.zeros(1, np.int64))
        assert abs(nll[0] - together[row]) < 1e-5


def test_losses_are_likelihoods(sharp_model):
    """Over all identifiers of one token, the likelihoods of a query add up to one."""
    prompts, pairs, _ = fake(1, V, length=1)
    pairs.ids[:, 0] = np.arange(V)
    nll, _ = score_identifiers(sharp_model, prompts, pairs, np.zeros(V, np.int64))
    assert np.exp(-nll).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_identifiers_do_not_see_each_other(backbone):
    """The likelihood of an identifier has no gradient in its neighbours' embeddings."""
    prompts, pairs, _ = fake(1, 2, length=5)
    pairs.ids[0], pairs.ids[1] = [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]
    body = bind(build(backbone))
    embedding, packer = body.weights.leaves["embedding"], Packer.of(prompts, pairs)

    def gradient(row):
        losses = body.losses(packer.batch(np.array([0]), np.array([row])))
        return torch.autograd.grad(losses[0, 0].sum(), embedding)[0]

    assert torch.allclose(gradient([0, 1]), gradient([0]), atol=1e-5)
    assert gradient([1]).abs().max() > 0.1


def test_the_model_still_works_after_binding():
    model = build(LLAMA)
    ids = torch.randint(2, V, (2, 7))
    with torch.no_grad():
        before = model(ids).logits
        prompts, pairs, owner = fake(2, 2)
        score_identifiers(model, prompts, pairs, owner)
        assert torch.equal(model(ids).logits, before)


@pytest.mark.parametrize("room", [30, 90])
def test_a_full_device_is_answered_with_smaller_batches(sharp_model, monkeypatch, room):
    """Refuse batches above `room` positions, as a device that is full would; every loss stays what it is."""
    prompts, pairs, owner = fake(7, 9, ragged=True)
    expected, _ = score_identifiers(sharp_model, prompts, pairs, owner)
    body = bind(sharp_model)
    plain, refused = body.losses, []

    def cramped(batch, head=None):
        size = batch.prompts.numel() + batch.ids.numel()
        if size > room:
            refused.append(size)
            raise torch.OutOfMemoryError("full")
        return plain(batch, head)

    monkeypatch.setattr(type(body), "losses", lambda self, batch, head=None: cramped(batch, head))
    nll, _ = score_identifiers(body, prompts, pairs, owner, positions=400)
    assert refused and np.abs(nll - expected).max() < 5e-5
    room = 3
    with pytest.raises(MemoryError, match="one identifier"):
        score_identifiers(body, prompts, pairs, owner)


@pytest.mark.parametrize("backbone", BACKBONES, ids=NAMES)
def test_the_head_runs_on_target_positions_only(backbone, monkeypatch):
    """Count the rows that the head multiplies: never more than the places of identifiers in the batches."""
    prompts, pairs, owner = fake(5, 8)
    body = bind(build(backbone))
    linear, plain, rows, places = body_module.F.linear, body.losses, [], []

    def counted(x, weight, bias=None):
        if weight.shape[0] == V:
            rows.append(x.numel() // x.shape[-1])
        return linear(x, weight, bias)

    def seen(self, batch, head=None):
        places.append(batch.ids.numel())
        return plain(batch, head)

    monkeypatch.setattr(body_module.F, "linear", counted)
    monkeypatch.setattr(type(body), "losses", seen)
    score_identifiers(body, prompts, pairs, owner)
    assert 0 < sum(rows) <= sum(places)


@pytest.mark.parametrize("backbone", BACKBONES, ids=NAMES)
def test_half_precision_weights_have_logits_in_full_precision(backbone):
    """Against the same rounded weights in float32: nearer than half-precision logits come, and unbiased."""
    prompts, pairs, owner = fake(6, 30)
    half = build(backbone, seed=1).to(torch.bfloat16)
    exact, _ = score_identifiers(build_like(half), prompts, pairs, owner)
    nll, tokens = score_identifiers(half, prompts, pairs, owner)
    assert np.abs(nll - exact).max() < 0.02 * exact.mean()
    assert abs((nll - exact).mean()) < 2e-3 * exact.mean()
    body = bind(half)
    batch = Packer.of(prompts, pairs).batch(np.array([0]), np.array([[0, 1]]))
    losses = body.losses(batch, body.head.detach().float())
    logits = body.hidden(batch).float() @ body.head.float().T
    places = body.places(2, int(tokens[0]))
    expected = logits.log_softmax(-1)[0][places].gather(-1, batch.ids[0][..., None])[..., 0]
    assert losses.dtype == torch.float32
    assert torch.allclose(losses[0], -expected, atol=1e-5)


def build_like(model):
    """The same weights in float32."""
    import copy

    return copy.deepcopy(model).float()
