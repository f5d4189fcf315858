"""Adapters, code rows, checkpoints and scoring of pretrained models, on small ones in hub layout."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hub_models import KINDS, make_hub_model, texts
from torch.nn import functional as F

from genret_core.errors import BadInput
from genret_core.modeling.losses import naive_scores, score_identifiers
from genret_core.modeling.pretrained import PretrainedBackbone
from genret_core.modeling.pretrained.checkpoint import Trained, load_trained
from genret_core.modeling.pretrained.loading import Codes, adapted, load_base
from genret_core.modeling.pretrained.row_losses import target_nll
from genret_core.modeling.pretrained.scoring import is_packable, score_shared
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

FAMILY = {"t5": "t5", "t5-untied": "t5", "llama": "llama", "llama-untied": "llama", "qwen": "causal"}
FIRST, COUNT = 180, 12  # ids of the codes: before the end of the rows, as with T5's spare ones


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder per kind of model."""
    folder = tmp_path_factory.mktemp("hub")
    lines = texts()
    return {kind: make_hub_model(folder / kind, kind, lines) for kind in KINDS}


def rung(hub, kind, **change) -> PretrainedBackbone:
    return PretrainedBackbone(kind, FAMILY[kind], str(hub[kind]), **change)


def fake(n=3, per_query=6, length=5, top=FIRST + COUNT, seed=0):
    rng = np.random.default_rng(seed)
    prompts = Ragged.of([rng.integers(3, FIRST, rng.integers(2, 9)) for _ in range(n)])
    total = n * per_query
    lengths = rng.integers(1, length + 1, total)
    ids = rng.integers(3, top, (total, length)).astype(np.int32)
    ids[np.arange(length) >= lengths[:, None]] = -1
    owner = np.repeat(np.arange(n), per_query)
    pairs = Pairs(
        owner.astype(np.int32), rng.integers(0, 3, total).astype(np.int32), ids, lengths.astype(np.int16),
        np.zeros(total, np.int32),
    )  # fmt: skip
    return prompts, pairs, owner


def loss_of(model, decoder_only):
    """The loss of two rows that read and write codes."""
    ids = torch.tensor([[5, 9, FIRST, FIRST + 3], [7, FIRST + 1, FIRST + 11, 8]])
    if decoder_only:
        logits = model(input_ids=ids).logits
        labels = ids.clone()
        labels[:, :1] = -100
        return target_nll(logits, labels, shifted=False)
    logits = model(input_ids=ids, decoder_input_ids=ids.roll(1, 1)).logits
    return target_nll(logits, ids, shifted=True)


def stir(model):
    """Move what is trained away from its start, as training does."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))


def made(hub, kind, codes=COUNT, **change):
    backbone = rung(hub, kind, **change)
    which = Codes(FIRST, codes)
    base = load_base(backbone, which, device="cpu", seed=1)
    return backbone, which, adapted(base, backbone, which, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_code_rows_apart_are_the_matrix_with_other_rows_held(hub, kind):
    """Loss and gradients equal those of the whole matrices, whose other rows get theirs set to zero."""
    backbone, codes, model = made(hub, kind)
    plain = load_base(backbone, codes, device="cpu", seed=1)
    rows = model.get_base_model().code_rows
    tied = plain.get_input_embeddings().weight is plain.get_output_embeddings().weight
    assert (rows.head is None) == tied
    own, whole = (loss_of(m.eval(), backbone.decoder_only) for m in (model, plain))
    assert own.item() == pytest.approx(whole.item(), rel=1e-6)
    own.backward()
    whole.backward()
    matrices = [plain.get_input_embeddings().weight, plain.get_output_embeddings().weight]
    for part, matrix in zip(rows.parameters(), matrices, strict=False):
        wanted = matrix.grad[FIRST : FIRST + COUNT]
        assert wanted.abs().max() > 1e-3
        assert torch.allclose(part.grad, wanted, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize("kind", ["t5", "llama-untied"])
def test_only_adapters_and_code_rows_are_trained(hub, kind):
    backbone, _, model = made(hub, kind)
    names = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or "code_rows" in name for name in names)
    targets = {name.split(".lora_")[0].split(".")[-1] for name in names if "lora_" in name}
    assert targets == ({"q", "v"} if kind == "t5" else {"q_proj", "v_proj"})
    settings = backbone.adapters
    assert (settings.r, settings.alpha, settings.dropout) == (16, 32, 0.1 if kind == "t5" else 0.0)
    _, _, frozen = made(hub, kind, code_rows="frozen")
    left = {name for name, weight in frozen.named_parameters() if weight.requires_grad}
    assert left == {name for name in names if "lora_" in name}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change", [{}, {"lora": None}, {"precision": "bf16"}, {"code_rows": "frozen"}], ids=str
)
def test_save_and_load_give_the_identical_loss(hub, kind, change, tmp_path):
    backbone, codes, model = made(hub, kind, **change)
    fresh = load_base(backbone, codes, device="cpu", seed=1)
    stir(model)
    trained = Trained.of(model, backbone, codes, 1)
    trained.save(tmp_path / "c")
    assert not [p for p in (tmp_path / "c").iterdir() if p.suffix in (".bin", ".pt", ".pth", ".pkl")]
    again = load_trained(tmp_path / "c")
    with torch.no_grad():
        before, after = (loss_of(m, backbone.decoder_only) for m in (trained.model, again))
    assert torch.equal(before, after)
    embedding, start = (m.get_input_embeddings().weight for m in (again, fresh))
    moved = (embedding[FIRST : FIRST + COUNT] - start[FIRST : FIRST + COUNT]).abs().max()
    assert (moved > 0.05) == (change.get("code_rows") != "frozen")
    if change.get("lora", {}) is not None:
        held = torch.cat(
            [embedding[:FIRST] - start[:FIRST], embedding[FIRST + COUNT :] - start[FIRST + COUNT :]]
        )
        assert not held.any()


@pytest.mark.parametrize("kind", KINDS)
def test_merged_and_unmerged_adapters_give_the_same_losses(hub, kind, tmp_path):
    backbone, codes, model = made(hub, kind)
    stir(model)
    Trained.of(model, backbone, codes, 1).save(tmp_path / "c")
    merged, kept = (load_trained(tmp_path / "c", merge=merge) for merge in (True, False))
    assert not any("lora_" in name for name, _ in merged.named_parameters())
    assert any("lora_" in name for name, _ in kept.named_parameters())
    prompts, pairs, owner = fake()
    a, b = (score_identifiers(m, prompts, pairs, owner)[0] for m in (merged, kept))
    base = load_base(backbone, codes, device="cpu", seed=1).eval()
    assert np.abs(a - b).max() < 1e-4
    assert np.abs(a - naive_scores(base, prompts, pairs, owner)[0]).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positions", [None, 12])
def test_scoring_equals_plain_calls(hub, kind, positions):
    model = load_base(rung(hub, kind), Codes(FIRST, COUNT), device="cpu", seed=1).eval()
    prompts, pairs, owner = fake()
    expected, tokens = naive_scores(model, prompts, pairs, owner)
    shared, counted = score_shared(model, prompts, pairs, owner, positions=positions)
    assert np.abs(shared - expected).max() < 1e-4
    assert (counted == tokens).all()
    assert is_packable(model) == (kind not in ("qwen", "t5-untied"))
    assert np.abs(score_identifiers(model, prompts, pairs, owner)[0] - expected).max() < 1e-4
    assert expected.std() > 1


@pytest.mark.parametrize("kind", ["qwen", "t5-untied"])
def test_full_memory_scores_fewer_identifiers_at_once(hub, kind):
    model = load_base(rung(hub, kind), Codes(FIRST, COUNT), device="cpu", seed=1).eval()
    prompts, pairs, owner = fake()
    expected, _ = score_shared(model, prompts, pairs, owner)
    sizes = []

    def small(module, args, given, limit=2):
        rows = given["decoder_input_ids"] if "decoder_input_ids" in given else given["input_ids"]
        sizes.append(len(rows))
        if len(rows) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = model.register_forward_pre_hook(small, with_kwargs=True)
    found, _ = score_shared(model, prompts, pairs, owner)
    hook.remove()
    assert max(sizes) > 2 and sizes[-1] in (1, 2)
    assert np.abs(found - expected).max() < 1e-5
    model.register_forward_pre_hook(lambda *given: small(*given, limit=0), with_kwargs=True)
    with pytest.raises(MemoryError, match="cannot hold"):
        score_shared(model, prompts, pairs, owner)


def test_logits_of_half_precision_are_taken_in_full(hub):
    """With bf16 weights the head computes as its weights in float32 do."""
    model = load_base(rung(hub, "qwen", precision="bf16"), Codes(FIRST, 0), device="cpu", seed=1).eval()
    prompts, pairs, owner = fake(1, 4)
    nll, _ = score_shared(model, prompts, pairs, owner)
    for row in range(4):
        ids = torch.from_numpy(np.concatenate([prompts[0], pairs.identifier(row)]).astype(np.int64))[None]
        with torch.no_grad():
            hidden = model.model(ids).last_hidden_state[0, len(prompts[0]) - 1 : -1]
        logits = hidden.double() @ model.lm_head.weight.double().T
        expected = F.cross_entropy(logits, ids[0, len(prompts[0]) :], reduction="sum").item()
        assert nll[row] == pytest.approx(expected, rel=2e-3)  # the hidden states still have 8 bits


def test_adapters_open_in_peft_as_they_are(hub, tmp_path):
    """What is saved is an adapter in peft's own layout."""
    import peft

    backbone, codes, model = made(hub, "llama", codes=0)
    stir(model)
    trained = Trained.of(model, backbone, codes, 1)
    trained.save(tmp_path / "c")
    base = load_base(backbone, codes, device="cpu", seed=1)
    opened = peft.PeftModel.from_pretrained(base, tmp_path / "c").merge_and_unload().eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(opened(ids).logits, trained.model(ids).logits)
    config = json.loads((tmp_path / "c" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (16, 32, ["q_proj", "v_proj"])


def test_other_weights_under_an_adapter_are_refused(hub, tmp_path):
    folder = make_hub_model(tmp_path / "hub", "llama", texts(), seed=0)
    backbone = replace(rung(hub, "llama"), pretrained=str(folder))
    codes = Codes(FIRST, 0)
    model = adapted(load_base(backbone, codes, device="cpu", seed=1), backbone, codes, seed=1)
    Trained.of(model, backbone, codes, 1).save(tmp_path / "c")
    load_trained(tmp_path / "c")
    make_hub_model(folder, "llama", texts(), seed=5)
    with pytest.raises(BadInput, match="other weights"):
        load_trained(tmp_path / "c")


def test_missing_weights_and_pickles_are_refused(hub, tmp_path):
    import shutil

    folder = tmp_path / "m"
    shutil.copytree(hub["llama"], folder)
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    backbone = replace(rung(hub, "llama"), pretrained=str(folder))
    with pytest.raises(BadInput, match="pickled"):
        load_base(backbone, Codes(FIRST, 0), device="cpu", seed=0)


def test_four_bits_need_a_gpu(hub):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(BadInput, match="needs a CUDA device"):
        load_base(rung(hub, "llama", quantised="4bit"), Codes(FIRST, 0), device="cpu", seed=0)


def test_loss_of_targets_is_the_cross_entropy_at_them():
    logits, labels = torch.randn(2, 4, 9), torch.tensor([[-100, 3, 4, -100], [-100, -100, 5, 6]])
    expected = sum(
        F.cross_entropy(logits[row, at - 1][None], labels[row, at][None]).item()
        for row, at in ((0, 1), (0, 2), (1, 2), (1, 3))
    )
    assert target_nll(logits, labels, shifted=False).item() == pytest.approx(expected, rel=1e-5)
