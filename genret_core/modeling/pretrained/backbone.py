"""A rung of a ladder that brings its own weights. Needs no torch until it is counted or built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling.backbones import Backbone
from genret_core.modeling.pretrained.architecture import (
    Architecture,
    architecture_of,
    described,
    described_sizes,
)
from genret_core.modeling.pretrained.known import CONFIGURATIONS
from genret_core.modeling.pretrained.lora import Lora
from genret_core.modeling.pretrained.source import Source, find_source
from genret_core.modeling.recipe import known_fields, learning_rate, rule_of

FAMILIES = {"llama": False, "t5": True, "causal": False, "seq2seq": True}
"""Families, and whether they are encoder-decoders; the last two are any model of the kind."""

PRECISIONS = ("fp32", "bf16")
CODE_ROWS = ("trained", "frozen")
QUANTISED = (None, "4bit")
HOW_IT_RUNS = (
    "name", "lr", "pretrained", "revision", "base", "micro_batch", "saves", "gradient_checkpointing",
    "launch",
)  # fmt: skip
"""Fields that do not decide the weights, or do so through the content of the files."""


@dataclass(frozen=True)
class PretrainedBackbone:
    """A transformers model, adapted to a study's pairs.

    Parameters
    ----------
    name : str
        What tables and figures call it.
    family : {"llama", "t5", "causal", "seq2seq"}
        LLaMA and T5 are known in full; any other decoder-only model is `causal`, any other encoder-decoder
        `seq2seq`.
    pretrained : str
        Name on the hub (`google-t5/t5-base`, read from the cache), a folder, or a rung of sizes of the same
        ladder that says how to `pretrain` it.
    revision : str, optional
        Branch, tag or commit on the hub.
    lora : mapping or None
        Settings of `Lora`; an empty mapping is the published one. None: all weights are trained.
    precision : {"fp32", "bf16"}
        Of the weights that stay as they are; what is trained always has 32 bits. (`precision` of the recipe
        is that of the products.)
    quantised : {None, "4bit"}
        4 bits for the matrices that stay as they are; on a CUDA device only, with bitsandbytes.
    code_rows : {"trained", "frozen"}
        The codebook tokens' rows of the input embedding and of the output head. `frozen` leaves them as they
        were drawn, which is the published flaw.
    mask_padding : bool
        False: padding counts as targets, to `max_length`, which is the published flaw.
    max_length : int, optional
        Tokens of a row (decoder-only) or of a target (encoder-decoder), for `mask_padding: false` only.
    fresh : bool
        True: the configuration with weights drawn at random instead of the stored ones.
    micro_batch : int, optional
        Pairs that the device computes at once; None: a whole batch. Halved when memory runs out; the batch of
        an update stays what the recipe says.
    gradient_checkpointing : bool
        Compute activations twice instead of keeping them.
    saves : int
        How often in a run the state is written, from which it goes on after an interruption; 0: never.
    launch : int or str, optional
        Processes of this machine that train together, each with a part of every batch; or a file of
        `accelerate config`, for `accelerate launch`.
    lr : float, str or mapping of method to these
        Learning rate or a rule in the width, see `recipe.learning_rate`.
    base : Backbone, optional
        The rung that `pretrained` names, if it does; filled in by the ladder.
    """

    name: str
    family: str
    pretrained: str
    revision: str | None = None
    lora: Mapping[str, Any] | None = field(default_factory=dict)
    precision: str = "fp32"
    quantised: str | None = None
    code_rows: str = "trained"
    mask_padding: bool = True
    max_length: int | None = None
    fresh: bool = False
    micro_batch: int | None = None
    gradient_checkpointing: bool = False
    saves: int = 10
    launch: int | str | None = None
    lr: float | str | Mapping[str, float | str] = 3e-4
    base: Backbone | None = None

    def __post_init__(self) -> None:
        where = f"backbone {self.name}"
        if isinstance(self.base, Mapping):
            object.__setattr__(self, "base", Backbone.from_dict(self.base))
        if self.base is not None and (self.base.pretrain is None or self.fresh or self.revision):
            raise BadInput(
                f"{where}: it stands on {self.base.name}, which must have `pretrain`; leave fresh and "
                "revision out."
            )
        choices = {
            "family": FAMILIES, "precision": PRECISIONS, "code_rows": CODE_ROWS, "quantised": QUANTISED,
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                told = ", ".join(str(value) for value in known)
                raise BadInput(f"{where}: {name} must be one of {told}, not {getattr(self, name)!r}.")
        if self.lora is None and (self.quantised or self.precision != "fp32"):
            raise BadInput(
                f"{where}: without lora all weights are trained, which needs 32 bits: set precision: fp32 "
                "and quantised: null (the recipe's precision: bf16 makes the products fast), or give lora."
            )
        if self.mask_padding != (self.max_length is None):
            raise BadInput(f"{where}: max_length goes with mask_padding: false, and only with it.")
        if self.fresh and self.lora is not None:
            raise BadInput(f"{where}: fresh weights have nothing to adapt; set lora: null.")
        if (self.micro_batch is not None and self.micro_batch < 1) or self.saves < 0:
            raise BadInput(f"{where}: micro_batch must be at least 1 and saves at least 0.")
        if isinstance(self.launch, int) and self.launch < 1:
            raise BadInput(f"{where}: launch must be at least 1, not {self.launch}.")
        if self.lora is not None:
            Lora.from_dict(self.lora)

    @property
    def decoder_only(self) -> bool:
        """Whether it is a decoder alone."""
        return not FAMILIES[self.family]

    @property
    def adapters(self) -> Lora | None:
        """LoRA's settings with the family's defaults filled in; None if all weights are trained."""
        return None if self.lora is None else Lora.from_dict(self.lora).filled(self.family)

    @property
    def source(self) -> Source:
        """The files.

        Raises
        ------
        BadInput
            They are not on this machine, or hold a model of another family.
        """
        found = find_source(self.pretrained, self.revision)
        kind = found.config.get("model_type")
        both = bool(found.config.get("is_encoder_decoder", kind == "t5"))
        if self.family in ("llama", "t5") and kind != self.family:
            general = "seq2seq" if both else "causal"
            raise BadInput(
                f"backbone {self.name}: {self.pretrained} is a {kind}, no {self.family}; set family: "
                f"{general}."
            )
        if both != FAMILIES[self.family]:
            is_ = "an encoder-decoder" if both else "a decoder alone"
            raise BadInput(
                f"backbone {self.name}: {self.pretrained} is {is_}; family {self.family} does not fit."
            )
        return found

    @property
    def is_here(self) -> bool:
        """Whether the files are on this machine."""
        if self.base is not None:
            return (Path(self.pretrained) / "config.json").is_file()
        try:
            find_source(self.pretrained, self.revision)
        except BadInput:
            return False
        return True

    @property
    def configuration(self) -> Mapping[str, Any]:
        """`config.json`, or what is known of it without the files (`known`)."""
        known = self._planned
        return known if known is not None and not self.is_here else self.source.config

    @property
    def architecture(self) -> Architecture:
        """Its sizes; of models that are known, without their files."""
        known = self._planned
        if known is not None and not self.is_here:
            shape = described(known, str(known["model_type"]))
            assert shape is not None
            return shape
        return architecture_of(str(self.source.folder), self.family)

    @property
    def _planned(self) -> Mapping[str, Any] | None:
        """What is known of the configuration without the files."""
        return CONFIGURATIONS.get(self.pretrained) if self.base is None else described_sizes(self.base)

    def lr_rule(self, method: str) -> float | str:
        """Give the learning rate of a method as it was written: a number or a rule in d."""
        return rule_of(self.lr, method, f"backbone {self.name}")

    def learning_rate(self, method: str) -> float:
        """Give the learning rate of a method; only a rule in the width needs the files."""
        rule = self.lr_rule(method)
        return learning_rate(rule, self.d_model if isinstance(rule, str) and "d" in rule else 1)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        values = {**asdict(self), "base": None if self.base is None else self.base.to_dict()}
        for name in ("lora", "lr"):
            if isinstance(values[name], Mapping):
                values[name] = dict(values[name])
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PretrainedBackbone:
        """Build from `to_dict` or a ladder file; an unknown key is refused."""
        return cls(**known_fields(cls, values, f"backbone {values.get('name', '?')}"))

    def identity(self) -> dict[str, Any]:
        """Give what decides the trained weights: settings, and the content of the files.

        Files that are pretrained by the study have a key of their own (`pretraining.spec`), which a cell adds
        to its own.
        """
        lora = self.adapters
        settings = {key: value for key, value in self.to_dict().items() if key not in HOW_IT_RUNS}
        return {
            **settings,
            "lora": None if lora is None else lora.to_dict(),
            "source": ["pretrained here"] if self.base is not None else self._content(),
        }

    def _content(self) -> list[str | None]:
        source = self.source
        return [source.name, source.revision, source.content(weights=not self.fresh)]

    @property
    def d_model(self) -> int:
        """Width d."""
        return self.architecture.d_model

    @property
    def n_layers(self) -> int:
        """Layers; of an encoder-decoder those of the encoder."""
        return self.architecture.n_layers

    @property
    def decoder_layers(self) -> int:
        """Layers of the decoder; of a decoder alone all layers."""
        return self.architecture.decoder_layers

    @property
    def n_heads(self) -> int:
        """Attention heads."""
        return self.architecture.n_heads

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.architecture.head_width

    def matrix_parameters(self) -> dict[str, int]:
        """Count the weights that multiply activations, by part of the body, as `Backbone` does."""
        return dict(self.architecture.matrices)

    def parameters(self, vocab_size: int) -> tuple[int, int]:
        """Count P (the body) and P_total with the embedding rows of this vocabulary; adapters are out."""
        shape = self.architecture
        rows = max(vocab_size, shape.vocab_size)
        return shape.P, shape.P + rows * shape.d_model * (1 if shape.tied else 2)

    @property
    def P_published(self) -> int:
        """P as the paper counts it: for LLaMA the output head is in, for T5 it is not."""
        shape = self.architecture
        return shape.P + (shape.vocab_size * shape.d_model if self.decoder_only else 0)
