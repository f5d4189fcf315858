"""Backbones: T5 (encoder-decoder) and LLaMA (decoder-only) of any size, as transformers models.

The class below needs no torch, so that ladders can be read, counted and planned without it; `build` and
`count` import it when called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling.pretraining.recipe import PretrainRecipe
from genret_core.modeling.recipe import known_fields, learning_rate, rule_of

FAMILIES = ("llama", "t5")
FEED_FORWARDS = {"llama": ("swiglu",), "t5": ("gated-gelu", "relu")}


@dataclass(frozen=True)
class Backbone:
    """One size of one family.

    Parameters
    ----------
    name : str
        What tables and figures call it, e.g. `llama-d64`.
    family : {"llama", "t5"}
    d_model : int
        Width d.
    n_layers : int
        Layers; for T5 of the encoder, and of the decoder unless `n_decoder_layers` says otherwise.
    n_heads, n_kv_heads : int
        Attention heads, and key-value heads (LLaMA only; None: as many as heads).
    d_ff : int
        Inner width of the feed-forward layers.
    d_kv : int, optional
        Width of a head; None: d_model / n_heads. Only T5 may depart from that.
    feed_forward : str
        `swiglu` (LLaMA), `gated-gelu` or `relu` (T5; the original series is `relu`). None: the family's
        first.
    n_buckets, max_distance : int
        Buckets of T5's relative positions, and the distance from which on all share the last one.
    tied : bool
        Whether the output head is the input embedding. T5 is always tied here, as in transformers.
    max_positions : int
        Longest sequence (LLaMA).
    lr : float, str or mapping of method to these
        Learning rate or a rule in the width, see `recipe.learning_rate`; a mapping has the keys `ngram`,
        `codebook`.
    pretrain : mapping, optional
        Settings of `PretrainRecipe`: training begins from weights that learned the corpus' text first. None:
        from fresh weights.
    """

    name: str
    family: str
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    n_kv_heads: int | None = None
    d_kv: int | None = None
    n_decoder_layers: int | None = None
    feed_forward: str | None = None
    n_buckets: int = 32
    max_distance: int = 128
    tied: bool = True
    max_positions: int = 2048
    lr: float | str | Mapping[str, float | str] = 1e-3
    pretrain: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        where = f"backbone {self.name}"
        if self.family not in FAMILIES:
            raise BadInput(f"{where}: family must be one of {', '.join(FAMILIES)}, not {self.family!r}.")
        for name in ("d_model", "n_layers", "n_heads", "d_ff"):
            if getattr(self, name) < 1:
                raise BadInput(f"{where}: {name} must be at least 1, not {getattr(self, name)}.")
        if self.d_kv is None and self.d_model % self.n_heads:
            raise BadInput(f"{where}: d_model {self.d_model} is not a multiple of n_heads {self.n_heads}.")
        if self.ff_kind not in FEED_FORWARDS[self.family]:
            raise BadInput(
                f"{where}: feed_forward of {self.family} is {' or '.join(FEED_FORWARDS[self.family])}, "
                f"not {self.ff_kind!r}."
            )
        if self.family == "llama":
            self._check_llama(where)
        elif self.n_kv_heads is not None or not self.tied:
            raise BadInput(
                f"{where}: T5 has no n_kv_heads and is always tied; leave n_kv_heads and tied out."
            )
        if self.pretrain is not None:
            PretrainRecipe.from_dict(self.pretrain).objective_of(self.family)

    def _check_llama(self, where: str) -> None:
        if self.d_kv not in (None, self.d_model // self.n_heads) or self.n_decoder_layers is not None:
            raise BadInput(f"{where}: d_kv and n_decoder_layers are T5's; leave them out.")
        if self.head_width % 2:
            raise BadInput(
                f"{where}: a head must have an even width, not {self.head_width} (rotary positions)."
            )
        if self.n_heads % self.kv_heads:
            raise BadInput(
                f"{where}: n_heads {self.n_heads} is not a multiple of n_kv_heads {self.kv_heads}."
            )

    @property
    def decoder_only(self) -> bool:
        """Whether it is a decoder alone."""
        return self.family == "llama"

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.d_kv or self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Number of key-value heads."""
        return self.n_kv_heads or self.n_heads

    @property
    def decoder_layers(self) -> int:
        """Layers of the decoder; for LLaMA all layers."""
        return self.n_decoder_layers or self.n_layers

    @property
    def ff_kind(self) -> str:
        """Kind of the feed-forward layers."""
        return self.feed_forward or FEED_FORWARDS[self.family][0]

    def lr_rule(self, method: str) -> float | str:
        """Give the learning rate of a method as it was written: a number or a rule in d."""
        return rule_of(self.lr, method, f"backbone {self.name}")

    def learning_rate(self, method: str) -> float:
        """Give the learning rate of a method."""
        return learning_rate(self.lr_rule(method), self.d_model)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        values = asdict(self)
        for name in ("lr", "pretrain"):
            if isinstance(values[name], Mapping):
                values[name] = dict(values[name])
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Backbone:
        """Build from `to_dict` or a ladder file; an unknown key is refused."""
        where = f"backbone {values.get('name', '?')}"
        return cls(**known_fields(cls, values, where))

    def identity(self) -> dict[str, Any]:
        """Give what decides the weights: all but the name, the learning rate and the pretraining.

        Pretraining has a key of its own (`pretraining.spec`), which a cell adds to its own.
        """
        return {k: value for k, value in self.to_dict().items() if k not in ("name", "lr", "pretrain")}

    def matrix_parameters(self) -> dict[str, int]:
        """Count the weights that multiply activations, by part of the body (norms and such out).

        Returns
        -------
        dict
            LLaMA: `decoder`. T5: `encoder`, `decoder` (without the following), `cross_kv`.
        """
        d, inner = self.d_model, self.n_heads * self.head_width
        ff = d * self.d_ff * (2 if self.ff_kind == "relu" else 3)
        if self.family == "llama":
            attention = 2 * d * inner + 2 * d * self.kv_heads * self.head_width
            return {"decoder": self.n_layers * (attention + ff)}
        return {
            "encoder": self.n_layers * (4 * d * inner + ff),
            "decoder": self.decoder_layers * (6 * d * inner + ff),
            "cross_kv": self.decoder_layers * 2 * d * inner,
        }

    def parameters(self, vocab_size: int) -> tuple[int, int]:
        """Count parameters by formula: non-embedding P (both embedding matrices out) and P_total."""
        d = self.d_model
        if self.family == "llama":
            others = d * (2 * self.n_layers + 1)
        else:
            others = d * (2 * self.n_layers + 3 * self.decoder_layers + 2) + 2 * self.n_buckets * self.n_heads
        body = sum(self.matrix_parameters().values()) + others
        return body, body + d * vocab_size * (1 if self.tied else 2)

    def config(self, vocab_size: int, pad_id: int, eos_id: int) -> Any:
        """Give the transformers configuration.

        Parameters
        ----------
        vocab_size : int
            Rows of the embedding; for the codebook method the text vocabulary plus the codes.
        pad_id, eos_id : int
            Special tokens; T5's decoder starts from `pad_id`.
        """
        return (
            self._llama(vocab_size, pad_id, eos_id)
            if self.family == "llama"
            else self._t5(vocab_size, pad_id, eos_id)
        )

    def _llama(self, vocab_size: int, pad_id: int, eos_id: int) -> Any:
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=vocab_size, hidden_size=self.d_model, intermediate_size=self.d_ff,
            num_hidden_layers=self.n_layers, num_attention_heads=self.n_heads,
            num_key_value_heads=self.kv_heads, max_position_embeddings=self.max_positions,
            initializer_range=self.d_model**-0.5, pad_token_id=pad_id, eos_token_id=eos_id,
            bos_token_id=None, tie_word_embeddings=self.tied,
        )  # fmt: skip

    def _t5(self, vocab_size: int, pad_id: int, eos_id: int) -> Any:
        from transformers import T5Config

        config = T5Config(
            vocab_size=vocab_size, d_model=self.d_model, d_kv=self.head_width, d_ff=self.d_ff,
            num_layers=self.n_layers, num_decoder_layers=self.decoder_layers, num_heads=self.n_heads,
            relative_attention_num_buckets=self.n_buckets, relative_attention_max_distance=self.max_distance,
            feed_forward_proj=self.ff_kind, dropout_rate=0.0, pad_token_id=pad_id, eos_token_id=eos_id,
            decoder_start_token_id=pad_id,  # type: ignore[call-arg]
        )  # fmt: skip
        # With the embedding scaled down at its start (build), the head must not scale a second time.
        config.scale_decoder_outputs = False
        return config

    def build(self, vocab_size: int, *, pad_id: int, eos_id: int, seed: int) -> Any:
        """Make the transformers model with fresh weights.

        LLaMA: normal with standard deviation d^-0.5. T5: its own distributions, but the
        embedding, drawn from N(0, 1), is multiplied by d^-0.5: with Adam at the learning rates that the rest
        needs, the unscaled one never learns to read the query.

        Parameters
        ----------
        seed : int
            Of the weights; the caller's random state is left as it was.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.empty(self.config(vocab_size, pad_id, eos_id))
        if self.family == "t5":
            with torch.no_grad():
                model.shared.weight.mul_(self.d_model**-0.5)
        return model.eval()

    def empty(self, config: Any) -> Any:
        """Make the transformers model of a configuration."""
        from transformers import LlamaForCausalLM, T5ForConditionalGeneration

        return LlamaForCausalLM(config) if self.family == "llama" else T5ForConditionalGeneration(config)


def count(backbone: Backbone, vocab_size: int) -> tuple[int, int]:
    """Count P and P_total on the model itself, made without memory (torch's meta device).

    P leaves out both embedding matrices (input and output head), tied or not, for both families.
    """
    import torch

    with torch.device("meta"):
        model = backbone.empty(backbone.config(vocab_size, 0, 1))
    seen = {id(weight): weight.numel() for weight in model.parameters()}
    total = sum(seen.values())
    outside = {
        id(m.weight): m.weight.numel() for m in (model.get_input_embeddings(), model.get_output_embeddings())
    }
    return total - sum(outside.values()), total
