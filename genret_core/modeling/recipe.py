"""How a cell is trained: the numbers, without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from genret_core.errors import BadInput

RECIPE_VERSION = 1
"""Part of every training key. Raise it by hand when training gives other numbers than before."""

PRECISIONS = ("fp32", "bf16")
STEPS = ("epoch", "fixed")
INIT_CODES = ("random", "centroids")

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_OVER_D = re.compile(rf"^({_NUMBER})/d$")
_POWER = re.compile(rf"^({_NUMBER})\*\(({_NUMBER})/d\)(?:\^|\*\*)({_NUMBER})$")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run.

    Parameters
    ----------
    batch_queries : int
        Rows of a batch; a row holds one query.
    identifiers_per_row : int
        Identifiers of that query in the row; a step trains on `batch_queries * identifiers_per_row` pairs.
    steps : {"epoch", "fixed"}
        `epoch`: `epochs` passes over the pairs (the paper: one). `fixed`: `n_steps` updates whatever the
        number of pairs, passing over them as often as that takes.
    n_steps : int, optional
        Updates for `steps="fixed"`.
    epochs : int
        Passes for `steps="epoch"`.
    warmup : float
        Share of the updates over which the learning rate rises from 0; it then falls linearly to 0.
    betas, weight_decay : AdamW's
    clip : float
        Largest norm of the gradient of all weights together.
    lr : float, optional
        Learning rate; None takes the backbone's own for the method.
    lr_sweep : {1, 3}
        3: train at lr/2, lr and 2 lr and keep the best by CGL on the validation sample.
    precision : {"fp32", "bf16"}
        `bf16`: products in bfloat16 by autocast, weights and losses in float32.
    train_eos : bool
        Whether the end token is a target after each identifier. Off: identifiers have a fixed length, and
        the end token is not scored.
    length_window : int
        Batches whose rows are drawn together and then sorted by the length of the query, so that a batch
        carries little padding; the order of the batches is random again. 1: off. Worth it where queries
        differ much in length; among short ones it saved 3 % and gave no better losses.
    init_codes : {"random", "centroids"}
        How the embeddings of codes begin: like all others, or from the codebook's centroids (`code_rows`).
        Codebook cells only.
    """

    batch_queries: int = 8
    identifiers_per_row: int = 2
    steps: str = "epoch"
    n_steps: int | None = None
    epochs: int = 1
    warmup: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0
    lr: float | None = None
    lr_sweep: int = 1
    precision: str = "fp32"
    train_eos: bool = False
    length_window: int = 1
    init_codes: str = "random"

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(float(b) for b in self.betas))
        for name in ("batch_queries", "identifiers_per_row", "epochs", "length_window"):
            if int(getattr(self, name)) < 1:
                raise BadInput(f"recipe: {name} must be at least 1, not {getattr(self, name)}.")
        if self.steps not in STEPS:
            raise BadInput(f"recipe: steps must be one of {', '.join(STEPS)}, not {self.steps!r}.")
        if (self.steps == "fixed") != (self.n_steps is not None) or (
            self.n_steps is not None and self.n_steps < 1
        ):
            raise BadInput("recipe: n_steps (1 or more) goes with steps: fixed, and only with it.")
        if not 0.0 <= self.warmup < 1.0:
            raise BadInput(f"recipe: warmup is a share of the steps from 0 to below 1, not {self.warmup}.")
        if len(self.betas) != 2 or not all(0.0 <= b < 1.0 for b in self.betas):
            raise BadInput(f"recipe: betas are two numbers from 0 to below 1, not {self.betas}.")
        if self.clip <= 0 or self.weight_decay < 0:
            raise BadInput("recipe: clip must be above 0 and weight_decay not below 0.")
        if self.lr is not None and self.lr <= 0:
            raise BadInput(f"recipe: lr must be above 0, not {self.lr}; leave it out for the backbone's own.")
        if self.lr_sweep not in (1, 3):
            raise BadInput(f"recipe: lr_sweep must be 1 (off) or 3 (lr/2, lr, 2 lr), not {self.lr_sweep}.")
        if self.init_codes not in INIT_CODES:
            raise BadInput(
                f"recipe: init_codes must be one of {', '.join(INIT_CODES)}, not {self.init_codes!r}."
            )
        if self.precision not in PRECISIONS:
            raise BadInput(
                f"recipe: precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}  # many times asdict's speed
        return {**plain, "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Build from `to_dict` or a parameter file; an unknown key is refused."""
        return cls(**known_fields(cls, values, "recipe"))


def known_fields(cls: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check that every key of `values` is a field of the dataclass `cls`, and give them as a dict."""
    names = {field.name for field in fields(cls)}
    unknown = [key for key in values if key not in names]
    if unknown:
        raise BadInput(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(names))}.")
    return dict(values)


def rule_of(lr: float | str | Mapping[str, float | str], method: str, where: str) -> float | str:
    """Take the learning rate of a method, or the rule for it, where methods may have their own."""
    if not isinstance(lr, Mapping):
        return lr
    if method not in lr:
        raise BadInput(f"{where}: lr has no entry for {method!r}, only {', '.join(lr)}.")
    return lr[method]


def learning_rate(rule: float | str, d_model: int) -> float:
    """Evaluate a learning rate or a rule for it in the width d.

    Parameters
    ----------
    rule : float or str
        A number, `"0.32/d"` (inverse to the width) or `"0.01*(16/d)^0.5"` (a power of it).
    d_model : int
        The width d.

    Examples
    --------
    >>> learning_rate("0.32/d", 64)
    0.005
    >>> learning_rate("0.01*(16/d)^0.5", 64)
    0.005
    """
    if isinstance(rule, str):
        text = rule.replace(" ", "")
        if found := _OVER_D.match(text):
            value = float(found[1]) / d_model
        elif found := _POWER.match(text):
            value = float(found[1]) * (float(found[2]) / d_model) ** float(found[3])
        else:
            try:
                value = float(text)  # YAML reads 1e-3 as text
            except ValueError:
                raise BadInput(
                    f"lr: cannot read {rule!r}; write a number, c/d or c*(d0/d)^p with d the width, "
                    "for example 0.32/d or 0.01*(16/d)^0.5."
                ) from None
    else:
        value = float(rule)
    if not 0.0 < value < float("inf"):
        raise BadInput(f"lr: must be above 0 and finite, not {value} (from {rule!r}).")
    return value
