"""Training one cell of a pretrained backbone."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.code_rows import begin_from_centroids
from genret_core.modeling.flops import BACKWARDS, row_flops
from genret_core.modeling.pretrained import sharding
from genret_core.modeling.pretrained.backbone import PretrainedBackbone
from genret_core.modeling.pretrained.checkpoint import Trained
from genret_core.modeling.pretrained.loading import Codes, adapted, load_base
from genret_core.modeling.pretrained.resuming import put_trained, trained_parameters
from genret_core.modeling.pretrained.rows import Layout, order_of
from genret_core.modeling.pretrained.training import fit
from genret_core.modeling.quiet import quiet
from genret_core.modeling.spec import CellSpec
from genret_core.modeling.training import Progress


def train_cell(
    spec: CellSpec, inputs: CellInputs, lr: float, device: str, progress: Progress | None = None
) -> tuple[Trained | None, dict[str, Any]]:
    """Train a cell, or go on where it was interrupted; give the model and what `cell.json` says of it.

    Where the processes share the weights out, the first one gives the model, in main memory, and the others
    give none.

    Parameters
    ----------
    spec : CellSpec
        With a `PretrainedBackbone`.
    inputs : CellInputs
    lr : float
        Highest learning rate.
    device : str
    progress : callable, optional
        Called with (step, steps, loss).

    Raises
    ------
    BadInput
        There are no pairs, or the tokenizer is not the model's.
    TrainingFailed
        The loss is no longer a number.
    """
    backbone = spec.backbone
    assert isinstance(backbone, PretrainedBackbone)
    check_tokenizer(backbone, inputs)
    prompts, pairs, owner = inputs.training_pairs()
    if len(pairs) == 0:
        raise BadInput(
            "There are no pairs to train on; raise the fraction or give the corpus training queries."
        )
    own = inputs.tokenizer
    codes = Codes(own.size, inputs.vocab_size - own.size)
    shares = sharding.is_asked()
    place = "cuda:" + os.environ.get("LOCAL_RANK", "0") if device == "cuda" else device

    def begun(place: str) -> Any:
        base = load_base(backbone, codes, device=place, seed=spec.seed)
        if spec.recipe.init_codes == "centroids" and inputs.codebook is not None:
            begin_from_centroids(base, inputs.codebook, codes.first, spec.seed)
        return adapted(base, backbone, codes, seed=spec.seed)

    with quiet():
        with sharding.in_turn(device) if shares else nullcontext():
            model = begun("cpu" if shares else place)
            rows = model.get_input_embeddings().weight.shape[0]
            if shares:
                sharding.shard(model, device)
        config = model.config
        order = order_of(len(pairs), spec.recipe, spec.seed)
        flawed = not backbone.mask_padding
        layout = Layout.of(
            order, prompts, pairs, owner, decoder_only=backbone.decoder_only,
            # the published code pads decoder-only rows with the end token
            pad_id=own.eos_id if flawed and backbone.decoder_only else own.pad_id,
            start_id=0 if backbone.decoder_only else config.decoder_start_token_id,
            eos_id=own.eos_id if spec.recipe.train_eos else None,
            max_length=backbone.max_length,
        )  # fmt: skip
        state = spec.layout.cell(spec.key) / f"training-{lr:g}"
        done = fit(
            model, order, layout, spec.recipe, state, lr=lr, seed=spec.seed, device=device,
            micro_batch=backbone.micro_batch, saves=backbone.saves,
            gradient_checkpointing=backbone.gradient_checkpointing, progress=progress,
        )  # fmt: skip
        trained = sum(weight.numel() for _, weight in trained_parameters(model))
        result = None
        if shares:
            leads = os.environ.get("RANK", "0") == "0"
            learned = sharding.whole(dict(trained_parameters(model)), keep=leads)
            if leads:
                model = begun("cpu")
                put_trained(model, learned)
        if not shares or leads:
            result = Trained.of(model, backbone, codes, spec.seed)
    used = order[order >= 0]
    read, written = prompts.lengths[owner[used]], np.asarray(pairs.length, np.int64)[used]
    written = written + (layout.eos_id is not None)
    flops = row_flops(backbone, rows, read, written[:, None])
    tokens = int(read.sum() + written.sum())
    return result, {
        "D": len(pairs),
        "n_queries": len(prompts),
        "lr": lr,
        "steps": done.steps,
        "pairs": len(used),
        "tokens": tokens,
        "tokens_per_second": tokens / done.seconds,
        "train_flops": BACKWARDS[backbone.adapters is not None] * float(flops.sum()),
        "train_seconds": done.seconds,
        "train_cpu_seconds": done.cpu_seconds,
        "loss_curve": done.loss_curve,
        "device": device,
        "trained_parameters": trained,
        "micro_batch": done.micro_batch,
        "processes": done.processes,
        "P_published": backbone.P_published,
        "source": backbone.identity()["source"],
    }


def check_tokenizer(backbone: PretrainedBackbone, inputs: CellInputs) -> None:
    """Refuse a tokenizer whose ids mean something else to the model.

    A folder without a tokenizer of its own is taken to fit if it has rows enough: so do models that were
    trained here. What the study itself pretrained has the study's tokenizer.
    """
    folder, fits = backbone.source.folder, backbone.fresh or backbone.base is not None
    if fits or not any((folder / name).is_file() for name in TOKENIZERS):
        return
    from tempfile import TemporaryDirectory

    from genret_core.retrieval.tokenizer import hub_tokenizer

    with TemporaryDirectory() as part:
        own = hub_tokenizer(str(folder), part)
    ours, theirs = (t.backend.get_vocab(with_added_tokens=True) for t in (inputs.tokenizer, own))
    if ours != theirs:
        raise BadInput(
            f"backbone {backbone.name}: the study's tokenizer is not that of {backbone.pretrained}; set "
            f"tokenizer.hub: {backbone.pretrained}."
        )


TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
