"""Random pairs and a run of `fit` on them, for tests; started by itself, one process of several."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from genret_core.modeling.pretrained import PretrainedBackbone, sharding
from genret_core.modeling.pretrained.launch import part
from genret_core.modeling.pretrained.loading import Codes, adapted, load_base
from genret_core.modeling.pretrained.resuming import trained_parameters
from genret_core.modeling.pretrained.rows import Layout, order_of
from genret_core.modeling.pretrained.training import fit
from genret_core.modeling.recipe import Recipe
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

FIRST, CODES, BATCH, PAIRS = 180, 8, 6, 27


def material(seed: int = 0):
    """Prompts, pairs of ragged length with codes among their tokens, and the owner of each."""
    rng = np.random.default_rng(seed)
    prompts = Ragged.of([rng.integers(3, FIRST, rng.integers(2, 8)) for _ in range(9)])
    lengths = rng.integers(1, 6, PAIRS)
    ids = rng.integers(FIRST - 5, FIRST + CODES, (PAIRS, 5)).astype(np.int32)
    ids[np.arange(5) >= lengths[:, None]] = -1
    owner = np.repeat(np.arange(9), 3)
    zeros = np.zeros(PAIRS, np.int32)
    return prompts, Pairs(owner.astype(np.int32), zeros, ids, lengths.astype(np.int16), zeros), owner


def model_of(hub, kind, dropout: float = 0.0):
    """A model with adapters and code rows."""
    family = kind.split("-")[0]
    backbone = PretrainedBackbone(kind, family, str(hub[kind]), lora={"dropout": dropout})
    codes = Codes(FIRST, CODES)
    return adapted(load_base(backbone, codes, device="cpu", seed=1), backbone, codes, seed=1)


def layout_of(kind, order, recipe, max_length=None):
    """Rows laid out for a kind."""
    prompts, pairs, owner = material()
    llama = kind.startswith("llama")
    return Layout.of(
        order, prompts, pairs, owner, decoder_only=llama, pad_id=0, start_id=0,
        eos_id=(2 if llama else 1) if recipe.train_eos else None, max_length=max_length,
    )  # fmt: skip


def fitted(hub, kind, recipe, folder, *, dropout=0.0, before=None, lr=0.01, model=None, **how):
    """Train a fresh model; give what `fit` says and the model."""
    model = model_of(hub, kind, dropout) if model is None else model
    if before is not None:
        model.get_base_model().register_forward_pre_hook(before, with_kwargs=True)
    order = order_of(PAIRS, recipe, 0)
    layout = layout_of(kind, order, recipe)
    done = fit(model, order, layout, recipe, Path(folder), lr=lr, seed=0, device="cpu", **how)
    return done, model


def _one_row(module, args, kwargs):
    """Play a device that holds one row."""
    if kwargs["input_ids"].shape[0] > 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")


def main(source: str, kind: str, folder: str) -> None:
    """Train as one of several processes, with the weights shared out if asked; the first one tells."""
    recipe = Recipe(batch_queries=3, identifiers_per_row=2, train_eos=True, warmup=0.2)
    model = None
    if sharding.is_asked():
        with sharding.in_turn("cpu"):
            model = model_of({kind: source}, kind)
            sharding.shard(model, "cpu")
    full = os.environ.get("FULL_ON") == os.environ["RANK"]
    done, model = fitted(
        {kind: source}, kind, recipe, folder, micro_batch=2, model=model, before=_one_row if full else None
    )
    found = sharding.whole(dict(sorted(trained_parameters(model))))
    if os.environ["RANK"] == "0":
        flat = np.concatenate([value.numpy().ravel() for value in found.values()])
        told = {"loss_curve": done.loss_curve, "processes": done.processes, "weights": flat.tolist()}
        told["micro_batch"] = done.micro_batch
        told["shared"] = sharding.is_sharded(model)
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "done.json").write_text(json.dumps(told))
    part()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # as `launch` ends
