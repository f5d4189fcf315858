"""How a backbone is pretrained: the numbers, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling.recipe import PRECISIONS, known_fields

OBJECTIVES = ("auto", "causal", "span_corruption")
OF_FAMILY = {"llama": "causal", "t5": "span_corruption"}


@dataclass(frozen=True)
class PretrainRecipe:
    """The settings of one pretraining run.

    Parameters
    ----------
    objective : {"auto", "causal", "span_corruption"}
        `causal`: the next token (LLaMA). `span_corruption`: spans of the text replaced by sentinels, and the
        spans are what is written (T5, Raffel et al. 2020, Sec. 3.1.4). `auto`: what the family can do.
    steps : int, optional
        Updates.
    epochs : float, optional
        Passes over the corpus; a part of one is allowed. Either this or `steps` must be given.
    batch : int
        Windows of an update.
    length : int
        Most tokens of a window; a longer document is cut into windows of about equal length.
    lr : float or str, optional
        Highest learning rate, or a rule in the width (`recipe.learning_rate`). None: the backbone's own for
        n-grams.
    warmup, betas, weight_decay, clip, precision
        As in `Recipe`.
    noise_density : float
        Share of a window's tokens that is corrupted (span corruption).
    mean_span : float
        Mean length of a corrupted span, in tokens.
    seed : int
        Of the first weights, of the order of the windows and of what is corrupted.
    saves : int
        How often in a run the state is written, from which it goes on after an interruption; 0: never.
    """

    objective: str = "auto"
    steps: int | None = None
    epochs: float | None = None
    batch: int = 16
    length: int = 128
    lr: float | str | None = None
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0
    precision: str = "fp32"
    noise_density: float = 0.15
    mean_span: float = 3.0
    seed: int = 0
    saves: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(float(b) for b in self.betas))
        if self.objective not in OBJECTIVES:
            raise BadInput(
                f"pretrain: objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}."
            )
        if (self.steps is None) == (self.epochs is None):
            raise BadInput("pretrain: give either steps (updates) or epochs (passes over the corpus).")
        for name, least in (("steps", 1), ("batch", 1), ("length", 8), ("saves", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadInput(f"pretrain: {name} must be at least {least}, not {value}.")
        if self.epochs is not None and self.epochs <= 0:
            raise BadInput(f"pretrain: epochs must be above 0, not {self.epochs:g}.")
        if not 0.0 < self.noise_density < 1.0 or self.mean_span < 1.0:
            raise BadInput(
                "pretrain: noise_density is a share between 0 and 1 and mean_span at least 1 token, not "
                f"{self.noise_density:g} and {self.mean_span:g}."
            )
        if not 0.0 <= self.warmup < 1.0 or self.clip <= 0 or self.weight_decay < 0:
            raise BadInput(
                "pretrain: warmup is a share of the steps from 0 to below 1, clip above 0, weight_decay not "
                "below 0."
            )
        if len(self.betas) != 2 or not all(0.0 <= b < 1.0 for b in self.betas):
            raise BadInput(f"pretrain: betas are two numbers from 0 to below 1, not {self.betas}.")
        if self.precision not in PRECISIONS:
            raise BadInput(
                f"pretrain: precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}."
            )

    def objective_of(self, family: str) -> str:
        """Give the objective for a family.

        Raises
        ------
        BadInput
            The family cannot be trained on it.
        """
        able = OF_FAMILY[family]
        if self.objective not in ("auto", able):
            raise BadInput(
                f"pretrain: {family} cannot be trained on objective: {self.objective}; set {able}, or auto."
            )
        return able

    @property
    def spans(self) -> int:
        """Most spans that a window can have: that many sentinels there are."""
        return max(1, round(self.noise_tokens(self.length) / self.mean_span))

    def noise_tokens(self, length: int) -> int:
        """Count the corrupted tokens of a window: at least one, and one stays."""
        return min(max(round(length * self.noise_density), 1), length - 1)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        return {**asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PretrainRecipe:
        """Build from `to_dict` or a ladder file; an unknown key is refused."""
        return cls(**known_fields(cls, values, "pretrain"))
