"""A pretrained backbone from start to end: made once whoever asks for it, in the layout of a hub's model."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout
from safetensors.torch import save_file

from genret_core.files import atomic_folder, write_json
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.layout import StudyFolder
from genret_core.modeling.pretrained.code_rows import extend
from genret_core.modeling.pretraining.batches import Texts
from genret_core.modeling.pretraining.loop import Told, pretrain
from genret_core.modeling.pretraining.spec import FILE, Pretraining
from genret_core.provenance import provenance
from genret_core.retrieval.token_stream import TokenStream
from genret_core.retrieval.tokenizer import TextTokenizer, load_tokenizer

WAIT = 2.0  # seconds between two looks at whether another process is done


class Tell(Protocol):
    """What is called to say how far it is."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        """Report `done` of `total` in a stage."""


def make(spec: Pretraining, device: str, tell: Tell) -> None:
    """Pretrain a backbone unless it is there; of several processes one does and the others wait.

    The lock is the operating system's: it is free as soon as the process that holds it is gone, and whoever
    takes it then goes on from the last state.

    Parameters
    ----------
    spec : Pretraining
    device : str
    tell : callable
        Called with (stage, done, total, loss).

    Raises
    ------
    TrainingFailed
        The loss is no longer a number.
    BadInput
        The corpus has no text.
    """
    if spec.is_made:
        return
    spec.work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(spec.at.with_name(f".{spec.key}.lock"))
    while not spec.is_made:
        try:
            lock.acquire(timeout=WAIT, poll_interval=WAIT / 8)
        except Timeout:
            tell("waits for pretraining")
            continue
        try:
            if not spec.is_made:
                _make(spec, device, tell)
        finally:
            lock.release()


def _make(spec: Pretraining, device: str, tell: Tell) -> None:
    at = StudyFolder(spec.folder).tokenizer(spec.corpus, spec.tokenizer)
    tokenizer, stream = load_tokenizer(at), TokenStream.open(at)
    texts = Texts.of(stream, tokenizer, spec.recipe, spec.objective)
    model = fresh(spec, tokenizer, texts.sentinels).to(device)
    told = pretrain(
        model, spec.backbone, texts, lr=spec.lr, work=spec.work, progress=partial(_told, tell, "pretrain")
    )
    _save(spec, without_sentinels(model, tokenizer.size), tokenizer, at, told, device)
    for state in spec.work.glob("state-*"):
        shutil.rmtree(state, ignore_errors=True)


def fresh(spec: Pretraining, tokenizer: TextTokenizer, sentinels: int) -> Any:
    """Draw the first weights, with rows for the sentinels behind those of the vocabulary."""
    return spec.backbone.build(
        tokenizer.size + sentinels, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, seed=spec.recipe.seed
    )


def without_sentinels(model: Any, size: int) -> Any:
    """Cut a model's embedding down to the vocabulary: no later softmax knows of sentinels."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        if model.get_input_embeddings().weight.shape[0] > size:
            model.resize_token_embeddings(size, mean_resizing=False)
    return model


def _save(
    spec: Pretraining, model: Any, tokenizer: TextTokenizer, source: Path, told: Told, device: str
) -> None:
    """Write a folder that transformers reads, tokenizer included; it appears whole."""
    weights = {name: weight.detach().cpu().contiguous().clone() for name, weight in model.named_parameters()}
    record = {
        "key": spec.key,
        "backbone": spec.backbone.to_dict(),
        "objective": spec.objective,
        "lr": spec.lr,
        "steps": int(told.loss_curve[-1][0]),
        "tokens": told.tokens,
        "final_loss": told.loss_curve[-1][1],
        "flops": told.flops,
        "seconds": told.seconds,
        "loss_curve": told.loss_curve,
        "device": device,
        "provenance": provenance(),
    }
    special = {name: tokenizer.backend.id_to_token(getattr(tokenizer, f"{name[:3]}_id")) for name in SPECIAL}
    with atomic_folder(spec.at) as part:
        model.config.save_pretrained(part)
        save_file(weights, part / "model.safetensors", metadata={"format": "pt"})
        for name in ("tokenizer.json", "tokenizer.meta.json"):
            shutil.copy2(source / name, part / name)
        write_json(part / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **special})
        write_json(part / FILE, record)


SPECIAL = ("pad_token", "eos_token", "unk_token")


def begun(spec: Pretraining, codes: int, seed: int) -> Any:
    """Give a model with a pretrained backbone's weights, and rows for codes drawn like those of the text.

    Parameters
    ----------
    spec : Pretraining
        That is made.
    codes : int
        Tokens that a codebook adds.
    seed : int
        Of the rows for codes.
    """
    model = load_model(spec.at)
    extend(model, model.get_input_embeddings().weight.shape[0], codes, seed)
    return model


def _told(tell: Tell, stage: str, step: int, steps: int, loss: float) -> None:
    tell(stage, step, steps, loss)
