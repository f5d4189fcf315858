"""Pretraining: losses as transformers computes them, models begun from it, keys, interruptions."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genret_core.files import read_json
from genret_core.modeling import Backbone, CellSpec, PretrainedBackbone, Recipe, StudyFolder
from genret_core.modeling.pretrained.loading import Codes, load_base
from genret_core.modeling.pretrained.rows import IGNORED
from genret_core.modeling.pretraining import making
from genret_core.modeling.pretraining.batches import Texts, batch_loss
from genret_core.modeling.pretraining.loop import pretrain
from genret_core.modeling.pretraining.spec import Pretraining
from genret_core.retrieval.readers import read_corpus
from genret_core.retrieval.token_stream import TokenStream
from genret_core.retrieval.tokenizer import tokenize_documents, train_tokenizer

PRETRAIN = {"steps": 40, "batch": 8, "length": 24, "lr": 0.01, "saves": 3}
LLAMA = Backbone("llama", "llama", 16, 2, 2, 32, pretrain=PRETRAIN)
T5 = Backbone("t5", "t5", 16, 1, 2, 32, pretrain=PRETRAIN)
BOTH = pytest.mark.parametrize("backbone", [LLAMA, T5], ids=["llama", "t5"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study folder with a corpus and its tokens."""
    at = StudyFolder(tmp_path_factory.mktemp("study"))
    found = read_corpus("synthetic", at.corpus("corpus"), {"n_documents": 60, "test_queries": 10})
    words = at.tokenizer("corpus", "words")
    tokenizer = train_tokenizer(found, words, vocab_size=200)
    tokenize_documents(found, tokenizer, words)
    return at.path


def pretraining(folder: Path, backbone: Backbone) -> Pretraining:
    return Pretraining(str(folder), "corpus", "words", backbone)


def opened(folder: Path) -> tuple[TokenStream, object]:
    from genret_core.retrieval.tokenizer import load_tokenizer

    at = StudyFolder(folder).tokenizer("corpus", "words")
    return TokenStream.open(at), load_tokenizer(at)


@pytest.fixture
def elsewhere(corpus: Path, tmp_path: Path) -> Path:
    """The same study, without anything pretrained."""
    (tmp_path / "corpus").symlink_to(corpus / "corpus")
    return tmp_path


def quiet(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
    """Say nothing."""


@BOTH
def test_losses_are_those_of_transformers_and_padding_adds_nothing(corpus: Path, backbone) -> None:
    stream, tokenizer = opened(corpus)
    made = pretraining(corpus, backbone)
    texts = Texts.of(stream, tokenizer, made.recipe, made.objective)
    model = making.fresh(made, tokenizer, texts.sentinels)
    order = np.argsort(texts.windows.lengths)
    rows = np.array([order[0], order[-1]])
    assert texts.windows.lengths[rows[0]] < texts.windows.lengths[rows[1]]
    batch, _ = texts.batch(rows, (0, 1))
    singles, counts = [], []
    for at in range(2):
        real = batch["labels"][at] != IGNORED
        labels = batch["labels"][at][real][None]
        read = batch["input_ids"][at][batch["attention_mask"][at] > 0][None]
        if backbone.decoder_only:  # transformers shifts by itself
            whole = torch.cat([read, labels[:, -1:]], 1)
            begin = int(texts.windows.begins[rows[at]])
            assert whole[0].tolist() == texts.ids[begin : begin + whole.shape[1]].tolist()
            loss = model(input_ids=whole, labels=whole).loss
        else:
            loss = model(input_ids=read, labels=labels).loss
        singles.append(float(loss.detach()))
        counts.append(int(real.sum()))
    expected = np.average(singles, weights=counts)
    assert float(batch_loss(model, batch).detach()) == pytest.approx(expected, rel=1e-5)


@BOTH
def test_documents_that_were_held_out_become_more_likely(corpus: Path, backbone) -> None:
    stream, tokenizer = opened(corpus)
    made = pretraining(corpus, backbone)
    texts = Texts.of(stream, tokenizer, made.recipe, made.objective)
    cut = int(stream.doc_starts[45])
    held = np.flatnonzero(texts.windows.begins >= cut)
    windows = texts.windows
    seen = replace(
        texts,
        windows=type(windows)(windows.begins[windows.begins < cut], windows.lengths[windows.begins < cut]),
    )
    model = making.fresh(made, tokenizer, texts.sentinels)
    batch, _ = texts.batch(held, (7,))
    with torch.no_grad():
        before = float(batch_loss(model, batch))
    told = pretrain(model, backbone, seen, lr=made.lr)
    with torch.no_grad():
        after = float(batch_loss(model, batch))
    assert after < before - 0.3
    assert told.loss_curve[-1][0] == 40 and told.tokens > 0 and told.flops > 0


@BOTH
def test_a_model_begins_with_the_weights_and_knows_no_sentinel(corpus: Path, backbone) -> None:
    made = pretraining(corpus, backbone)
    making.make(made, "cpu", quiet)
    _, tokenizer = opened(corpus)
    stored = load_file(made.at / "model.safetensors")
    begun = making.begun(made, 5, seed=3)
    adapted = load_base(
        PretrainedBackbone("lora", backbone.family, str(made.at), base=backbone),
        Codes(tokenizer.size, 5), device="cpu", seed=3,
    )  # fmt: skip
    for model in (begun, adapted):
        names = dict(model.named_parameters())
        assert set(names) == set(stored)
        for name, weight in names.items():
            kept = weight[: len(stored[name])] if weight.shape != stored[name].shape else weight
            assert torch.equal(kept, stored[name])
        assert model.get_input_embeddings().weight.shape[0] == tokenizer.size + 5
    assert making.begun(made, 0, seed=3).get_output_embeddings().weight.shape[0] == tokenizer.size


def test_the_folder_is_one_of_a_hub(corpus: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = pretraining(corpus, LLAMA)
    making.make(made, "cpu", quiet)
    model = AutoModelForCausalLM.from_pretrained(made.at, local_files_only=True)
    words = AutoTokenizer.from_pretrained(made.at, local_files_only=True)
    assert len(words) == model.config.vocab_size
    told = read_json(made.at / "pretraining.json")
    assert told["objective"] == "causal" and told["steps"] == 40 and told["final_loss"] < 5
    assert made.summary()["flops"] == told["flops"]


@BOTH
def test_killed_and_begun_again_it_is_the_same(corpus: Path, elsewhere: Path, backbone) -> None:
    whole, cut = pretraining(corpus, backbone), pretraining(elsewhere, backbone)
    assert whole.key == cut.key
    making.make(whole, "cpu", quiet)

    def killed(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        if done == 27:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        making.make(cut, "cpu", killed)
    assert not cut.at.exists() and [path.name for path in cut.work.iterdir()] == ["state-20"]
    steps: list[int] = []
    making.make(cut, "cpu", lambda stage, done=0, total=0, loss=None: steps.append(done))
    assert steps[0] == 21  # it went on from the state, and made no step twice
    one, other = (load_file(made.at / "model.safetensors") for made in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    one, other = (read_json(made.at / "pretraining.json") for made in (whole, cut))
    for name in ("loss_curve", "tokens", "flops", "final_loss"):
        assert one[name] == other[name]
    assert not list(cut.work.iterdir())


def test_of_several_that_need_it_one_makes_it(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, calls = pretraining(elsewhere, LLAMA), []
    honest, gate = making._make, threading.Barrier(2)

    def counted(*args) -> None:
        calls.append(threading.get_ident())
        honest(*args)

    def ask() -> None:
        gate.wait()
        making.make(made, "cpu", quiet)

    monkeypatch.setattr(making, "_make", counted)
    monkeypatch.setattr(making, "WAIT", 0.2)
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and made.is_made


def cell(backbone: Backbone | PretrainedBackbone) -> CellSpec:
    return CellSpec(
        study="s", folder="/nowhere", corpus="c", split="train", tokenizer="t", identifiers="i",
        method="ngram", backbone=backbone, fraction=1.0, seed=0, recipe=Recipe(),
    )  # fmt: skip


def test_keys_tell_what_a_cell_begins_from_and_nothing_else() -> None:
    plain = replace(LLAMA, pretrain=None)
    begun, base = cell(LLAMA), cell(LLAMA).pretraining
    assert cell(plain).pretraining is None and base is not None
    assert begun.key != cell(plain).key
    lora = cell(PretrainedBackbone("l", "llama", "llama", base=LLAMA))
    assert lora.pretraining is not None and lora.pretraining.key == base.key
    assert isinstance(lora.backbone, PretrainedBackbone) and lora.backbone.pretrained == str(base.at)
    assert CellSpec.from_dict(lora.to_dict()).key == lora.key != begun.key

    def other(**change) -> str:
        return cell(replace(LLAMA, pretrain={**PRETRAIN, **change})).key

    assert begun.key == other(saves=0) == other(noise_density=0.3) == cell(replace(LLAMA, name="x")).key
    assert len({begun.key, other(steps=41), other(lr=0.02), other(seed=1), other(length=32)}) == 5
    assert lora.key != cell(replace(lora.backbone, base=replace(LLAMA, pretrain={**PRETRAIN, "seed": 1}))).key
    spans = [cell(replace(T5, pretrain={**PRETRAIN, "noise_density": x})).key for x in (0.15, 0.3)]
    assert spans[0] != spans[1]
