"""Beams of many queries through a transformers model: the prompt once, then one token per beam and step.

Which decoder a model gets follows from its family and, for the general ones, from a stated rule:

- `llama` and `t5` (our own ladders): beams share their query's prompt (`shared_prompt`).
- `causal` and `seq2seq` (any model of transformers): the same where `shared_prompt.can_share` says that the
  model attends in that way, else every beam carries a cache of its own (`own_caches`), which leaves sliding
  windows, ALiBi, learned positions and the like to the model. Either is compared with plain calls of the
  model while it searches, and a model that departs from them is refused (`plain_calls`).

torch is imported when a decoder is used, not with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.own_caches import OwnCausal, OwnSeq2Seq
from genret_core.retrieval.plain_calls import Compared
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.shared_prompt import SharingCausal, SharingSeq2Seq, can_share

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {"llama": "causal", "t5": "seq2seq", "causal": "causal", "seq2seq": "seq2seq"}
FAMILIES = tuple(KINDS)


class Decoder(Protocol):
    """One batch of queries on its way through the model."""

    def start(self) -> Tensor:
        """Read the prompts; give the logits of the first token, [Q, V]."""

    def step(self, tokens: np.ndarray, parents: np.ndarray) -> Tensor:
        """Append a token to every beam.

        Parameters
        ----------
        tokens : int64[Q, B]
            The newest token of each beam.
        parents : int64[Q * B]
            The beam of the step before (counted through all queries) that each one continues.

        Returns
        -------
        Tensor [Q * B, V]
            Logits of the next token.
        """


def make_decoder(family: str, model: Any, prompts: Ragged, *, pad_id: int, device: Any) -> Decoder:
    """Make the decoder of a family for a batch of prompts, without running anything.

    Parameters
    ----------
    family : {"llama", "t5", "causal", "seq2seq"}
        LLaMA (decoder-only), T5 (encoder-decoder), or any decoder-only or encoder-decoder model.
    """
    if family not in KINDS:
        raise BadInput(f"family must be one of {', '.join(FAMILIES)}, not {family!r}.")
    kind = KINDS[family]
    if bool(getattr(model.config, "is_encoder_decoder", False)) != (kind == "seq2seq"):
        raise BadInput(
            f"{type(model).__name__} is {'no ' if kind == 'seq2seq' else 'an '}encoder-decoder model; family "
            f"{family!r} does not fit it."
        )
    sharing: type[SharingCausal | SharingSeq2Seq] = SharingCausal if kind == "causal" else SharingSeq2Seq
    own: type[OwnCausal | OwnSeq2Seq] = OwnCausal if kind == "causal" else OwnSeq2Seq
    given = {"model": model, "prompts": prompts, "pad_id": pad_id, "device": device}
    if family in ("llama", "t5"):
        return sharing(**given)
    inner = sharing(**given) if can_share(model, kind) else own(**given)
    return Compared(inner, model=model, kind=kind, prompts=prompts, pad_id=pad_id, device=device)
