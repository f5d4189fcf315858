"""The state of a training run on disk: what is trained, AdamW's moments and the step; no pickle.

Nothing random is kept. The order of the pairs follows from the seed, and dropout is seeded anew at every
update, so that a run that goes on from here does what it would have done.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genret_core.files import atomic_folder, read_json, write_json
from genret_core.modeling.pretrained.sharding import like, whole

STATE = "state-"
MICRO_BATCH = "micro_batch.json"


def save_state(
    folder: Path,
    step: int,
    trained: dict[str, Tensor],
    optimizer: Any,
    trainer_state: Any,
    told: dict[str, Any],
    *,
    leads: bool = True,
) -> None:
    """Write the state of a step, whole or not at all, and drop the one before.

    Of several processes that share the weights out all must call this.

    Parameters
    ----------
    trained : mapping of str to Tensor
        What is trained, by name.
    optimizer : torch.optim.Optimizer
    trainer_state : transformers.TrainerState or None
        None where another loop trains.
    told : mapping
        The curve of losses, seconds.
    leads : bool
        Whether this process writes.
    """
    moments = {
        f"{number}.{name}": value
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    moments, trained = whole(moments, keep=leads), whole(trained, keep=leads)
    if not leads:
        return
    with atomic_folder(folder / f"{STATE}{step}") as part:
        save_file(trained, part / "trained.safetensors")
        save_file(moments, part / "optimizer.safetensors")
        if trainer_state is not None:
            trainer_state.save_to_json(str(part / "trainer_state.json"))
        write_json(part / "told.json", told)
    for other in folder.glob(f"{STATE}*"):
        if other.name != f"{STATE}{step}":
            shutil.rmtree(other, ignore_errors=True)


def last_state(folder: Path) -> Path | None:
    """Find the newest whole state."""
    found = [path for path in folder.glob(f"{STATE}*") if path.name[len(STATE) :].isdigit()]
    return max(found, key=lambda path: int(path.name[len(STATE) :]), default=None)


def put_trained(model: Any, values: dict[str, Tensor]) -> None:
    """Write values into the parameters that are trained."""
    places = dict(trained_parameters(model))
    if set(places) != set(values):
        raise ValueError("the state on disk is of another model")
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(like(values[name], place))


def read_trained(state: Path) -> dict[str, Tensor]:
    """Read what was trained."""
    found: dict[str, Tensor] = load_file(state / "trained.safetensors")
    return found


def put_moments(optimizer: Any, state: Path) -> None:
    """Give AdamW its moments back."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(state / "optimizer.safetensors").items():
        number, _, kind = name.partition(".")
        found.setdefault(int(number), {})[kind] = value
    places = [weight for group in optimizer.param_groups for weight in group["params"]]
    for place, moments in found.items():
        for kind, value in moments.items():
            if value.ndim:  # a step is a number
                moments[kind] = like(value, places[place])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": found})


def read_told(state: Path) -> dict[str, Any]:
    """Read what the run had to tell so far."""
    told: dict[str, Any] = read_json(state / "told.json")
    return told


def trained_parameters(model: Any) -> list[tuple[str, Tensor]]:
    """List what is trained, by name."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def on_processor(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to where they can be written from."""
    return whole(tensors)


def noted_micro_batch(folder: Path) -> int | None:
    """Read the micro-batch that an earlier attempt found to fit, if it noted one."""
    path = folder / MICRO_BATCH
    return int(read_json(path)["micro_batch"]) if path.is_file() else None


def note_micro_batch(folder: Path, size: int) -> None:
    """Note a micro-batch for the next attempt."""
    write_json(folder / MICRO_BATCH, {"micro_batch": size})
