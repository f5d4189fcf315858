"""Bytes by formula against what torch holds: weights, gradients, moments, tensors kept for backward."""

from __future__ import annotations

import warnings

import pytest
import torch

from genret_core.files import write_json
from genret_core.modeling.backbones import Backbone
from genret_core.modeling.bodies import bind
from genret_core.modeling.memory import NF4, Setting, activations, training, weight_bytes
from genret_core.modeling.packing import Batch
from genret_core.modeling.pretrained import Lora, PretrainedBackbone
from genret_core.modeling.pretrained.counting import trained_weights

V, ROWS, S, T = 32, 8, 16, 16
LLAMA = Backbone("l", "llama", 64, 3, 4, 176, n_kv_heads=2)
T5 = Backbone("t", "t5", 64, 2, 2, 128, n_decoder_layers=3)
T5_RELU = Backbone("r", "t5", 64, 3, 4, 256, d_kv=24, feed_forward="relu")
ALL = pytest.mark.parametrize("rung", [LLAMA, T5, T5_RELU], ids=lambda rung: rung.name)


def saved(run, weights) -> int:
    """Count the bytes of what a forward pass keeps, weights aside."""
    own = {weight.untyped_storage().data_ptr() for weight in weights}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = run()
    del loss
    return sum(storage.nbytes() for storage in kept.values())


def adapted(rung: Backbone):
    import peft

    model = rung.build(V, pad_id=0, eos_id=1, seed=0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1 if rung.family == "t5" else 0.0  # as the pretrained T5s have it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = Lora().filled(rung.family).peft_config(rung.decoder_only)
        return peft.get_peft_model(model, config).train()


def step(model, rung: Backbone) -> torch.Tensor:
    """Run a micro-batch of transformers' model with padding in it."""
    ids, seen = torch.randint(2, V, (ROWS, S)), torch.ones(ROWS, S, dtype=torch.long)
    seen[0, -2:] = 0
    if rung.decoder_only:
        whole, mask = torch.randint(2, V, (ROWS, S + T)), torch.cat([seen.flip(1), seen], 1)
        logits = model(input_ids=whole, attention_mask=mask.flip(1), use_cache=False).logits
    else:
        out = torch.randint(2, V, (ROWS, T))
        logits = model(input_ids=ids, attention_mask=seen, decoder_input_ids=out, use_cache=False).logits
    return logits.float().logsumexp(-1).sum()


@ALL
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("products", ["fp32", "bf16"])
def test_what_our_own_bodies_keep(rung, k, products):
    body = bind(rung.build(V, pad_id=0, eos_id=1, seed=0))
    batch = Batch(torch.randint(2, V, (ROWS, S)), None, torch.randint(2, V, (ROWS, k, T)), None)
    leaves = [*body.weights.leaves.values(), body.weights.flat]
    with torch.autocast("cpu", torch.bfloat16, enabled=products == "bf16"):
        measured = saved(lambda: body.losses(batch).sum(), leaves)
    targets = k * (T - 1) if rung.decoder_only else k * T
    found = training(
        rung, Setting(products=products), vocabulary=V, tied=True, trained=rung.parameters(V)[1], rows=ROWS,
        prompt=S, targets=targets,
    )  # fmt: skip
    assert found.activations + found.casts == pytest.approx(measured, rel=0.35)


@ALL
def test_what_adapters_keep_and_how_many_are_trained(rung, tmp_path):
    model = adapted(rung)
    measured = saved(lambda: step(model, rung), list(model.parameters()))
    setting = Setting(own_loop=False, adapters=True, dropout=rung.family == "t5")
    predicted = activations(rung, setting, rows=ROWS, prompt=S, targets=T)
    assert predicted == pytest.approx(measured, rel=0.35)
    write_json(tmp_path / "config.json", rung.config(V, 0, 1).to_dict())
    backbone = PretrainedBackbone("x", rung.family, str(tmp_path))
    real = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained_weights(backbone, V, 0) == real
    assert trained_weights(backbone, V, 7) == real + 7 * 64
    every = PretrainedBackbone("y", rung.family, str(tmp_path), lora={"r": 4, "targets": _all(rung)})
    assert trained_weights(every, V, 0) == _counted_by_peft(rung, every)


def _all(rung: Backbone) -> list[str]:
    if rung.family == "llama":
        return ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return ["q", "k", "v", "o", "wo", *(("wi",) if rung.ff_kind == "relu" else ("wi_0", "wi_1"))]


def _counted_by_peft(rung: Backbone, backbone: PretrainedBackbone) -> int:
    import peft

    model = rung.build(V, pad_id=0, eos_id=1, seed=0)
    settings = backbone.adapters
    assert settings is not None
    model = peft.get_peft_model(model, settings.peft_config(rung.decoder_only))
    return sum(weight.numel() for name, weight in model.named_parameters() if "lora_" in name)


@ALL
@pytest.mark.parametrize("adapters", [False, True])
def test_weights_gradients_and_moments_to_the_byte(rung, adapters):
    model = adapted(rung) if adapters else rung.build(V, pad_id=0, eos_id=1, seed=0).train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained)
    step(model, rung).backward()
    optimiser.step()
    n = sum(weight.numel() for weight in trained)
    found = training(
        rung, Setting(own_loop=False, adapters=adapters), vocabulary=V, tied=True, trained=n, rows=ROWS,
        prompt=S, targets=T,
    )  # fmt: skip
    assert found.weights == sum(weight.nbytes for weight in model.parameters())
    assert found.gradients == sum(weight.grad.nbytes for weight in trained)
    moments = [value for state in optimiser.state.values() for value in state.values() if value.dim()]
    assert found.optimiser == sum(value.nbytes for value in moments)
    assert found.total == sum(found.to_dict().values())


def test_precisions_and_recomputing():
    body, embedding = LLAMA.parameters(0)[0], V * 64
    matrices = sum(LLAMA.matrix_parameters().values())
    held = {
        name: weight_bytes(body, matrices, embedding, 10, Setting(adapters=True, weights=name))
        for name in ("fp32", "bf16", "4bit")
    }
    assert held["fp32"] - 40 == 2 * (held["bf16"] - 40) == 4 * (body + embedding)
    assert held["4bit"] == pytest.approx(matrices * NF4 + 4 * (body - matrices + embedding) + 40)
    kept = activations(LLAMA, Setting(), rows=4, prompt=9, targets=9)
    assert activations(LLAMA, Setting(recomputed=True), rows=4, prompt=9, targets=9) < kept
    assert activations(LLAMA, Setting(), rows=8, prompt=9, targets=9) == 2 * kept
