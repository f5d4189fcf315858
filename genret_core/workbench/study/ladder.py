"""The rungs of a ladder in a study file: sizes of a family, or models that bring their own weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from genret_core.modeling import Backbone, PretrainedBackbone

METHODS = ("ngram", "codebook")
Method = Literal["ngram", "codebook"]


@dataclass(frozen=True)
class BackboneSection(Backbone):
    """One rung of a ladder."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    tag: ClassVar[str] = "~sizes"


@dataclass(frozen=True)
class PretrainedSection(PretrainedBackbone):
    """One rung of a ladder that brings its own weights: `pretrained: google-t5/t5-base`, or a folder."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    tag: ClassVar[str] = "~pretrained"


def _kind(raw: Any) -> str:
    """Tell a pretrained rung from one of sizes: the tag stands in no message (`documents`)."""
    if isinstance(raw, dict):
        return PretrainedSection.tag if "pretrained" in raw else BackboneSection.tag
    return PretrainedSection.tag if isinstance(raw, PretrainedBackbone) else BackboneSection.tag


def _on_its_base(rung: Any, named: Mapping[str, Any]) -> Any:
    """Give a rung whose `pretrained` names another one of its ladder that one's sizes."""
    base = named.get(str(rung.get("pretrained"))) if isinstance(rung, dict) else None
    if base is None or base is rung:
        return rung
    if not isinstance(base.get("pretrain"), dict):
        raise ValueError(
            f"{rung.get('name')} stands on the rung {base['name']}, which is not pretrained; give that one "
            "`pretrain: {steps: ...}`, or name a model on the hub or a folder"
        )
    return {**rung, "base": base}


Rung = Annotated[
    Annotated[BackboneSection, Tag(BackboneSection.tag)]
    | Annotated[PretrainedSection, Tag(PretrainedSection.tag)],
    Discriminator(_kind),
]


class Ladder(BaseModel):
    """Backbones of one family; `lr` is the rule of all that have none of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    family: Literal["llama", "t5", "causal", "seq2seq"]
    lr: float | str | dict[Method, float | str]
    backbones: tuple[Rung, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _hand_down(cls, raw: Any) -> Any:
        """Give every rung the family, and the rule if it has none."""
        if not isinstance(raw, dict) or not isinstance(raw.get("backbones"), (list, tuple)):
            return raw
        shared = {key: raw[key] for key in ("family", "lr") if key in raw}
        rungs = [{**shared, **rung} if isinstance(rung, dict) else rung for rung in raw["backbones"]]
        named = {rung["name"]: rung for rung in rungs if isinstance(rung, dict) and "name" in rung}
        return {**raw, "backbones": [_on_its_base(rung, named) for rung in rungs]}

    @model_validator(mode="after")
    def _rules_can_be_read(self) -> Self:
        for backbone in self.backbones:
            for method in METHODS:
                if not isinstance(backbone.lr, Mapping) or method in backbone.lr:
                    backbone.learning_rate(method)
        return self
