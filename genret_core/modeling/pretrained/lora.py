"""LoRA's settings: the published ones by family, each of which can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling.recipe import known_fields

DROPOUT = {"t5": 0.1, "llama": 0.0}
TARGETS = {"t5": ("q", "v"), "llama": ("q_proj", "v_proj")}


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters beside some matrices of the body: W + (alpha / r) B A.

    Parameters
    ----------
    r, alpha : int
        Rank and scale; 16 and 32 in all published runs.
    dropout : float, optional
        Of the adapters' input. None: 0.1 for T5 and other encoder-decoders, 0 for decoder-only models, as
        published.
    targets : tuple of str, optional
        Names of the matrices. None: `q`, `v` (T5), `q_proj`, `v_proj` (LLaMA), as published; for other
        architectures what peft knows for them.
    merge : bool, optional
        Whether the adapters are added to the weights before scoring and searching. None: where the weights
        have 32 bits; with 16 bits most of a small change would be rounded away.
    """

    r: int = 16
    alpha: int = 32
    dropout: float | None = None
    targets: tuple[str, ...] | None = None
    merge: bool | None = None

    def __post_init__(self) -> None:
        if self.targets is not None:
            names = (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)
            object.__setattr__(self, "targets", names)
        if self.r < 1 or self.alpha <= 0:
            raise BadInput(f"lora: r and alpha must be above 0, not {self.r} and {self.alpha}.")
        if self.dropout is not None and not 0.0 <= self.dropout < 1.0:
            raise BadInput(f"lora: dropout lies from 0 to below 1, not {self.dropout}.")
        if self.targets == ():
            raise BadInput("lora: targets names no matrix; leave it out for the family's own.")

    def filled(self, family: str) -> Lora:
        """Give the settings with the family's own values where none were given."""
        kind = {"seq2seq": "t5", "causal": "llama"}.get(family, family)
        dropout = DROPOUT[kind] if self.dropout is None else self.dropout
        targets = TARGETS.get(family) if self.targets is None else self.targets
        return Lora(self.r, self.alpha, float(dropout), targets, self.merge)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        return {**asdict(self), "targets": None if self.targets is None else list(self.targets)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Lora:
        """Build from `to_dict` or a ladder file; an unknown key is refused."""
        return cls(**known_fields(cls, values, "lora"))

    def peft_config(self, decoder_only: bool) -> Any:
        """Give peft's configuration of them."""
        from peft import LoraConfig, TaskType

        return LoraConfig(
            r=self.r, lora_alpha=self.alpha, lora_dropout=float(self.dropout or 0.0),
            target_modules=None if self.targets is None else list(self.targets),
            task_type=TaskType.CAUSAL_LM if decoder_only else TaskType.SEQ_2_SEQ_LM,
        )  # fmt: skip
