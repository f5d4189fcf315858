"""A transformers model's weights as one flat tensor, so that a step on them is one operation.

At the sizes of a ladder that trains on a laptop, a step costs mostly the number of operations, not their
arithmetic. Matrices that read the same input (query, key, value; gate, up) lie side by side and become one
product; clipping and AdamW act on the flat tensor. The model keeps working as it is: its parameters are
views of the same memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class FlatWeights:
    """All weights of a model in one tensor.

    Attributes
    ----------
    flat : Tensor, shape (n,)
        The weights, in the order of `leaves`.
    leaves : mapping of str to Tensor
        Views of `flat` that require gradients: a matrix or a stack of matrices each.
    """

    flat: Tensor
    leaves: Mapping[str, Tensor]

    @classmethod
    def bind(cls, groups: Mapping[str, Sequence[Tensor]]) -> FlatWeights:
        """Move parameters into one flat tensor and point them to it.

        Parameters
        ----------
        groups : mapping of str to parameters
            Parameters of one group are stacked along their first axis.
        """
        parts = [weight for group in groups.values() for weight in group]
        flat = torch.empty(sum(p.numel() for p in parts), dtype=parts[0].dtype, device=parts[0].device)
        leaves: dict[str, Tensor] = {}
        end = 0
        for name, group in groups.items():
            begin = end
            for weight in group:
                end = begin_of_next = end + weight.numel()
                place = flat[begin_of_next - weight.numel() : begin_of_next].view(weight.shape)
                place.copy_(weight.detach())
                weight.data = place
            shape = (sum(w.shape[0] for w in group), *group[0].shape[1:])
            leaves[name] = flat[begin:end].view(shape).detach().requires_grad_()
        return cls(flat, leaves)

    def gradient(self, loss: Tensor, out: Tensor) -> Tensor:
        """Write the gradient of a scalar with respect to `flat` into `out`, shape (n,), and give it."""
        parts = torch.autograd.grad(loss, list(self.leaves.values()))
        return torch.cat([part.reshape(-1) for part in parts], out=out)


def check_all_bound(model: Any, groups: Mapping[str, Sequence[Tensor]]) -> None:
    """Raise if a parameter of the model is in no group: it would silently not be trained."""
    bound = {id(weight) for group in groups.values() for weight in group}
    left = [name for name, weight in model.named_parameters() if id(weight) not in bound]
    if left:
        raise ValueError(f"{type(model).__name__} has a weight this arithmetic does not know: {left[0]}")
