"""What the forward passes of both families share: losses of packed rows from hidden states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genret_core.modeling.packing import Batch
from genret_core.modeling.weights import FlatWeights

LOWEST = torch.finfo(torch.float32).min / 4
"""Added to masked scores: as good as minus infinity, but two of them still add up to a number."""


@dataclass(frozen=True, eq=False)
class Body(ABC):
    """A model bound to flat weights, ready to be trained or to score packed rows.

    Attributes
    ----------
    model : PreTrainedModel
        The transformers model; its parameters are views of `weights.flat`.
    weights : FlatWeights
    """

    model: Any
    weights: FlatWeights
    _tables: dict[tuple[Any, ...], Tensor] = field(default_factory=dict, repr=False)

    @property
    def head(self) -> Tensor:
        """The output head, shape (V, d)."""
        return self.weights.leaves["head" if "head" in self.weights.leaves else "embedding"]

    @abstractmethod
    def hidden(self, batch: Batch) -> Tensor:
        """Give the last hidden states at the positions that predict, shape (B, positions, d)."""

    @abstractmethod
    def places(self, k: int, t: int) -> Tensor:
        """Say at which of `hidden`'s positions each token is predicted, shape (K, T)."""

    def losses(self, batch: Batch, head: Tensor | None = None) -> Tensor:
        """Give each identifier token's negative log-likelihood, float32[B, K, T]; 0 where not scored.

        Parameters
        ----------
        batch : Batch
        head : Tensor, shape (V, d), optional
            The output head in another precision, in which the logits are then computed.
        """
        hidden = self.hidden(batch)
        logits = F.linear(hidden, self.head) if head is None else F.linear(hidden.to(head.dtype), head)
        likelihoods = torch.log_softmax(logits.float(), -1)
        rows, k, t = batch.ids.shape
        targets = self._table("places", k, t, logits.shape[-1]) + batch.ids
        losses = -likelihoods.view(rows, -1).gather(1, targets.view(rows, -1)).view(rows, k, t)
        return losses if batch.scored is None else losses * batch.scored

    def _table(self, name: str, *sizes: int) -> Tensor:
        """Give a table that depends on shapes only, made once."""
        key = (name, *sizes)
        if key not in self._tables:
            made: Callable[..., Tensor] = getattr(self, f"_make_{name}")
            self._tables[key] = made(*sizes).to(self.weights.flat.device)
        return self._tables[key]

    def _make_places(self, k: int, t: int, vocabulary: int) -> Tensor:
        return self.places(k, t) * vocabulary
