"""Weights shared out among the processes that train together (FSDP): each holds a part of every layer.

torch's `fully_shard` does it, layer by layer, on GPUs (nccl) and on processors (gloo) alike. The processes
are started by accelerate's launcher, whose file says `distributed_type: FSDP`. accelerate itself shares out
on accelerators only, and by settings of its own; here it only starts the processes, and the Trainer is handed
a model that is ready.

What is read from a checkpoint, kept in a state, and saved is whole in every case: it does not depend on the
number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genret_core.errors import BadInput

LAUNCHED = "ACCELERATE_USE_FSDP"
ASKED = "GENRET_SHARDED"


def is_asked() -> bool:
    """Whether the processes were started to share the weights out; accelerate is told to leave it to us."""
    if os.environ.pop(LAUNCHED, "").lower() == "true" and _processes() > 1:
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # or transformers would read no weights
        os.environ[ASKED] = "true"
    return os.environ.get(ASKED) == "true"


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def in_turn(device: str) -> Iterator[None]:
    """Let the processes of this machine do something one after the other, so that one model is in memory."""
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu")
    for number in range(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))):
        if number == state.local_process_index:
            yield
        state.wait_for_everyone()


def shard(model: Any, device: str) -> None:
    """Share a model out in place, each layer by itself and the rest together.

    Parameters
    ----------
    model : PeftModel or PreTrainedModel
        Whole, in main memory; of what it held, this process keeps its part, on its device.
    device : str
        `cpu`, or `cuda` for the GPU of this process.

    Raises
    ------
    BadInput
        The model is quantised.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(inner, "is_quantized", False):
        raise BadInput(
            "Weights in 4 bits are not shared out (FSDP): leave quantised out, or set distributed_type: "
            "MULTI_GPU in accelerate's file, so that every process holds them all."
        )
    kind = torch.device(device).type
    mesh = init_device_mesh(kind, (_processes(),))
    layers = set(getattr(inner, "_no_split_modules", None) or ())
    for module in list(inner.modules()):
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_sharded(model: Any) -> bool:
    """Whether a model was shared out."""
    return any(hasattr(weight, "full_tensor") for weight in model.parameters())


def whole(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Copy tensors, put together again, to where they can be written from.

    All processes must call this with the same names, in the same order.

    Parameters
    ----------
    keep : bool
        False: take part, and keep nothing.
    """
    found = {}
    for name, value in tensors.items():
        full = value.detach()
        full = full.full_tensor() if hasattr(full, "full_tensor") else full
        if keep:
            found[name] = full.cpu().contiguous().clone()
    return found


def like(value: Tensor, place: Tensor) -> Tensor:
    """Give a whole tensor as `place` holds it: whole, or this process's part of it."""
    if not hasattr(place, "placements"):
        return value
    from torch.distributed.tensor import distribute_tensor

    part: Any = place
    return distribute_tensor(value.to(place.device), part.device_mesh, part.placements, src_data_rank=None)


class Ready(nn.Module):
    """A model that was shared out, as the Trainer takes it: prepared, with the precision of the products."""

    def __init__(self, inner: Any, products: Callable[[], AbstractContextManager[Any]]) -> None:
        super().__init__()
        self.inner, self.products = inner, products

    def forward(self, **inputs: Any) -> Any:
        """Run the model."""
        with self.products():
            return self.inner(**inputs)
