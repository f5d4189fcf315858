"""One cell from start to end: pairs, training, losses, searches. It needs no notebook and no kernel.

What lies whole in the cell's folder is not made again: a cell that was trained is only measured, and only as
far as a measurement is missing. Importing this module does not import torch; `run_cell` does.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.modeling.pretrained import PretrainedBackbone
from genret_core.modeling.spec import CellSpec, LossEval, SearchEval
from genret_core.modeling.whole import checkpoint_is_broken, evaluation_is_whole, json_is_whole
from genret_core.provenance import provenance

__all__ = ["CellFailed", "CellSpec", "LossEval", "Progress", "SearchEval", "run_cell"]


class CellFailed(RuntimeError):
    """A cell that could not be finished; the sentence says which and why."""


class Progress(Protocol):
    """What a cell calls to say how far it is."""

    def __call__(self, stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        """Report `done` of `total` in a stage: `train`, `losses seen`, `beam 10`."""


def run_cell(
    spec: CellSpec, progress: Progress | None = None, *, device: str | None = None
) -> dict[str, Any]:
    """Train a cell and measure what its specification asks for, as far as that is not there.

    Parameters
    ----------
    spec : CellSpec
    progress : callable, optional
        Called with (stage, done, total, loss).
    device : str, optional
        Where to compute. By default `GENRET_DEVICE`, else a GPU if there is one. Several, as in
        ``cuda:0,cuda:1``, share the scoring of a large sample; the first does the rest.

    Returns
    -------
    dict
        What `cell.json` says.

    Raises
    ------
    CellFailed
        Training diverged.
    BadInput
        An input is missing, or asked for what it does not hold.
    """
    from genret_core.modeling.cell_inputs import CellInputs
    from genret_core.modeling.checkpoint import load_model
    from genret_core.modeling.evaluations import evaluate_losses, evaluate_search
    from genret_core.modeling.training_state import forget_training

    tell = progress or _silent
    at, key = spec.layout, spec.key
    devices = choose_devices(device)
    where = devices[0]
    inputs = CellInputs.open(spec)
    model = None
    evaluations: tuple[LossEval | SearchEval, ...] = (*spec.losses, *spec.searches)
    lacking = [e for e in evaluations if not evaluation_is_whole(at.evaluation(key, e.key), e)]
    trained = json_is_whole(at.cell_file(key)) and not checkpoint_is_broken(at.checkpoint(key))
    if not trained or (lacking and not at.checkpoint(key).is_dir()):
        if _leads():
            at.cell_file(key).unlink(missing_ok=True)  # until there is a whole checkpoint again
        model = _train_and_save(spec, inputs, where, tell)
        if not _leads():  # of several processes that trained together, the first goes on alone
            return {}
    forget_training(at.cell(key))
    for evaluation in lacking:
        folder = at.evaluation(key, evaluation.key)
        shutil.rmtree(folder, ignore_errors=True)  # of one that was cut off
        model = model or load_model(at.checkpoint(key), where)
        if isinstance(evaluation, LossEval):
            tell(f"losses {evaluation.split}")
            evaluate_losses(model, inputs, evaluation, folder, devices)
        else:
            tell(f"beam {evaluation.beam}")
            evaluate_search(model, inputs, evaluation, folder)
    cell: dict[str, Any] = read_json(at.cell_file(key))
    return cell


def _train_and_save(spec: CellSpec, inputs: Any, device: str, tell: Progress) -> Any:
    """Train, write the checkpoint and then `cell.json`, whose presence says that the checkpoint is whole.

    Returns
    -------
    The model to measure; None if it is to be read from where it was saved.
    """
    from genret_core.modeling.training import TrainingFailed

    _pretrain(spec, device, tell)
    if isinstance(spec.backbone, PretrainedBackbone) and spec.backbone.launch is not None:
        from genret_core.modeling.pretrained.launch import LaunchFailed, is_one_of_several, train_together

        if not is_one_of_several():
            try:
                train_together(spec, device, tell)
            except LaunchFailed as error:
                raise CellFailed(str(error)) from error
            return None
    at, model = spec.layout.checkpoint(spec.key), None
    tried: list[dict[str, Any]] = []
    try:
        if spec.recipe.lr_sweep == 1:
            trained, log = _train(spec, inputs, spec.lr, device, partial(_told, tell, "train"))
            if _leads():
                _save(spec, trained, at)
            model = _bare(spec, trained)
        else:
            log, tried, best = _sweep(spec, inputs, device, tell)
            if _leads():
                shutil.rmtree(at, ignore_errors=True)
                best.rename(at)
    except TrainingFailed as error:
        raise CellFailed(f"{spec.backbone.name} ({spec.method}, seed {spec.seed}): {error}") from error
    if not _leads():
        return None
    write_json(spec.layout.cell_file(spec.key), _cell(spec, inputs, log, tried))
    return model


def _pretrain(spec: CellSpec, device: str, tell: Progress) -> None:
    """Make the weights that a cell begins from, if the study pretrains them and nobody has made them yet."""
    made = spec.pretraining
    if made is None:
        return
    from genret_core.modeling.pretraining.making import make
    from genret_core.modeling.training import TrainingFailed

    try:
        make(made, device, tell)
    except TrainingFailed as error:
        raise CellFailed(f"{made.backbone.name}: {error}") from error


def _save(spec: CellSpec, trained: Any, folder: Path) -> None:
    """Write a model, or what a pretrained one learned."""
    from genret_core.modeling.checkpoint import save_model

    if isinstance(spec.backbone, PretrainedBackbone):
        trained.save(folder)
    else:
        save_model(trained, folder)


def _bare(spec: CellSpec, trained: Any) -> Any:
    """Give the model to measure."""
    return getattr(trained, "model", None) if isinstance(spec.backbone, PretrainedBackbone) else trained


def _sweep(
    spec: CellSpec, inputs: Any, device: str, tell: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    """Train at lr/2, lr and 2 lr and keep the model with the least CGL on the validation sample."""
    from genret_core.modeling.evaluations import sample_losses
    from genret_core.modeling.sweep import Trial, sweep
    from genret_core.retrieval.cgl import cgl_per_query, summarise

    def train(number: int, lr: float) -> Trial:
        trained, log = _train(spec, inputs, lr, device, partial(_told, tell, f"train {number}/3"))

        def score() -> float:
            losses = sample_losses(_bare(spec, trained), inputs, inputs.sample(str(spec.sweep_sample)))
            return float(summarise(cgl_per_query(losses)).CGL)

        return Trial(log, score, partial(_save, spec, trained))

    if isinstance(spec.backbone, PretrainedBackbone):
        from genret_core.modeling.pretrained.sharding import is_asked

        if is_asked():
            raise BadInput(
                f"{spec.backbone.name}: lr_sweep measures every rate with a whole model, which processes "
                "that share the weights out (FSDP) do not have; set lr_sweep: 1, or another file in launch."
            )
    rates = (spec.lr / 2, spec.lr, 2 * spec.lr)
    return sweep(rates, train, spec.layout.cell(spec.key), leads=_leads())


def _train(
    spec: CellSpec, inputs: Any, lr: float, device: str, progress: Callable[[int, int, float], None]
) -> tuple[Any, dict[str, Any]]:
    if isinstance(spec.backbone, PretrainedBackbone):
        from genret_core.modeling.pretrained.cell import train_cell

        return train_cell(spec, inputs, lr, device, progress)
    from genret_core.modeling.code_rows import begin_from_centroids
    from genret_core.modeling.training import train

    prompts, pairs, owner = inputs.training_pairs()
    if spec.pretraining is not None:
        from genret_core.modeling.pretraining.making import begun

        model = begun(spec.pretraining, inputs.vocab_size - inputs.tokenizer.size, spec.seed)
    else:
        own = inputs.tokenizer
        model = spec.backbone.build(inputs.vocab_size, pad_id=own.pad_id, eos_id=own.eos_id, seed=spec.seed)
    if spec.recipe.init_codes == "centroids" and inputs.codebook is not None:
        begin_from_centroids(model, inputs.codebook, inputs.tokenizer.size, spec.seed)
    model = model.to(device)
    state = spec.layout.cell(spec.key) / f"training-{lr:g}"
    log = train(
        model, spec.backbone, prompts, pairs, owner, spec.recipe,
        seed=spec.seed, lr=lr, progress=progress, state=state,
    )  # fmt: skip
    return model, {
        "D": len(pairs),
        "n_queries": len(prompts),
        "lr": log.lr,
        "steps": log.steps,
        "pairs": log.pairs,
        "tokens": log.tokens,
        "tokens_per_second": log.tokens_per_second,
        "train_flops": log.flops,
        "train_seconds": log.seconds,
        "train_cpu_seconds": log.cpu_seconds,
        "loss_curve": log.loss_curve,
        "device": device,
    }


def _cell(spec: CellSpec, inputs: Any, log: dict[str, Any], sweep: list[dict[str, Any]]) -> dict[str, Any]:
    body, total = spec.backbone.parameters(inputs.vocab_size)
    return {
        "cell": spec.key,
        "study": spec.study,
        "corpus": spec.corpus,
        "method": spec.method,
        "family": spec.backbone.family,
        "backbone": spec.backbone.name,
        "P": body,
        "P_total": total,
        "fraction": spec.fraction,
        "seed": spec.seed,
        "lr_rule": spec.lr_rule,
        "lr_sweep": sweep,
        **log,
        "peak_memory": _peak_memory(),
        "recipe": spec.recipe.to_dict(),
        "backbone_config": spec.backbone.to_dict(),
        **({} if spec.pretraining is None else {"pretraining": spec.pretraining.summary()}),
        "provenance": provenance(),
    }


def choose_device(asked: str | None = None) -> str:
    """Choose where to compute: as asked, else `GENRET_DEVICE` (the first of several), else a GPU if any.

    On a processor each cell gets one thread, unless OMP_NUM_THREADS says otherwise.
    """
    return choose_devices(asked)[0]


def choose_devices(asked: str | None = None) -> list[str]:
    """Choose where to compute, as `choose_device`; several stand behind each other with commas between."""
    import torch

    named = asked or os.environ.get("GENRET_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    devices = [name.strip() for name in named.split(",")]
    if devices[0] == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return devices


def _leads() -> bool:
    """Whether this process saves and measures: the only one, or the first of several."""
    return int(os.environ.get("RANK", "0")) == 0


def _peak_memory() -> float | None:
    """Give the largest resident memory of this process so far, MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _told(tell: Progress, stage: str, step: int, steps: int, loss: float) -> None:
    tell(stage, step, steps, loss if math.isfinite(loss) else None)


def _silent(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
    """Say nothing."""
