"""How large a model is, from its configuration alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling.backbones import Backbone

T5_FEED_FORWARD = {"relu": "relu", "gated-gelu": "gated-gelu"}


@dataclass(frozen=True)
class Architecture:
    """Sizes of a model.

    Attributes
    ----------
    P : int
        Parameters of the body: all but the input embedding and the output head, tied or not.
    matrices : mapping of str to int
        Weights that multiply activations, as `Backbone.matrix_parameters` names them. Of experts of which a
        token sees a few, that share.
    vocab_size : int
        Rows of the embedding as the model comes.
    tied : bool
        Whether the output head is the input embedding.
    d_model, n_layers, decoder_layers, n_heads, head_width : int
    """

    P: int
    matrices: Mapping[str, int]
    vocab_size: int
    tied: bool
    d_model: int
    n_layers: int
    decoder_layers: int
    n_heads: int
    head_width: int


@functools.lru_cache(maxsize=64)
def architecture_of(folder: str, family: str) -> Architecture:
    """Read the sizes of the model in a folder.

    LLaMA and T5 of the usual make are counted by formula, without torch; all others on the model itself, made
    without memory.
    """
    values = read_json(Path(folder) / "config.json")
    known = described(values, family)
    return known if known is not None else counted(configuration(folder))


def described(values: Mapping[str, Any], family: str) -> Architecture | None:
    """Count a configuration by formula; None if `rung_of` does not know it."""
    rung = rung_of(values, family)
    if rung is None:
        return None
    return Architecture(
        rung.parameters(0)[0], rung.matrix_parameters(), values["vocab_size"],
        bool(values.get("tie_word_embeddings", family == "t5")), rung.d_model, rung.n_layers,
        rung.decoder_layers, rung.n_heads, rung.head_width,
    )  # fmt: skip


def rung_of(values: Mapping[str, Any], family: str) -> Backbone | None:
    """Give LLaMA's or T5's sizes as a rung; None for one with further weights (biases, own heads)."""
    if family == "llama" and not (values.get("attention_bias") or values.get("mlp_bias")):
        heads = values["num_attention_heads"]
        if values.get("head_dim") not in (None, values["hidden_size"] // heads):
            return None
        return Backbone(
            "llama", "llama", values["hidden_size"], values["num_hidden_layers"], heads,
            values["intermediate_size"], n_kv_heads=values.get("num_key_value_heads"),
        )  # fmt: skip
    if family == "t5" and values.get("feed_forward_proj", "relu") in T5_FEED_FORWARD:
        return Backbone(
            "t5", "t5", values["d_model"], values["num_layers"], values["num_heads"], values["d_ff"],
            d_kv=values["d_kv"], n_decoder_layers=values.get("num_decoder_layers"),
            feed_forward=values.get("feed_forward_proj", "relu"),
            n_buckets=values.get("relative_attention_num_buckets", 32),
        )  # fmt: skip
    return None


def described_sizes(rung: Backbone) -> dict[str, Any]:
    """Give a rung's sizes as a configuration, as far as it decides them; its vocabulary is not known yet."""
    if rung.family == "llama":
        return {
            "model_type": "llama", "hidden_size": rung.d_model, "intermediate_size": rung.d_ff,
            "num_hidden_layers": rung.n_layers, "num_attention_heads": rung.n_heads,
            "num_key_value_heads": rung.kv_heads, "tie_word_embeddings": rung.tied, "vocab_size": 0,
        }  # fmt: skip
    return {
        "model_type": "t5", "is_encoder_decoder": True, "d_model": rung.d_model, "d_kv": rung.head_width,
        "d_ff": rung.d_ff, "num_layers": rung.n_layers, "num_decoder_layers": rung.decoder_layers,
        "num_heads": rung.n_heads, "feed_forward_proj": rung.ff_kind, "tie_word_embeddings": True,
        "relative_attention_num_buckets": rung.n_buckets, "dropout_rate": 0.0, "vocab_size": 0,
    }  # fmt: skip


def configuration(folder: str | Path) -> Any:
    """Read the transformers configuration; code that a model brings along is not run.

    Raises
    ------
    BadInput
        transformers has no class for it.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{folder}: the configuration cannot be used: {reason}") from None


def empty_model(config: Any) -> Any:
    """Make the language model of a configuration, with whatever device and dtype are in force."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    try:
        return kind.from_config(config, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{config.model_type} is no language model that can be used: {reason}") from None


def counted(config: Any) -> Architecture:
    """Count any model, made without memory (torch's meta device)."""
    import torch

    with torch.device("meta"):
        model = empty_model(config)
    outside = {id(m.weight) for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    weights = {id(weight): weight for weight in model.parameters()}
    body = sum(weight.numel() for key, weight in weights.items() if key not in outside)
    text = config.get_text_config()
    heads = text.num_attention_heads
    return Architecture(
        P=body,
        matrices=_matrices(model, outside, text),
        vocab_size=model.get_input_embeddings().weight.shape[0],
        tied=len(outside) == 1,
        d_model=text.hidden_size,
        n_layers=text.num_hidden_layers,
        decoder_layers=_decoder_layers(config, text),
        n_heads=heads,
        head_width=_head_width(config, text, heads),
    )


def _decoder_layers(config: Any, text: Any) -> int:
    if not config.is_encoder_decoder:
        return int(text.num_hidden_layers)
    for name in ("num_decoder_layers", "decoder_layers"):
        if getattr(config, name, None):
            return int(getattr(config, name))
    return int(text.num_hidden_layers)


def _head_width(config: Any, text: Any, heads: int) -> int:
    for name in ("head_dim", "d_kv"):
        if getattr(text, name, None):
            return int(getattr(text, name))
    return int(text.hidden_size // heads)


def _matrices(model: Any, outside: set[int], text: Any) -> dict[str, int]:
    """Count the weights of products by part; biases, norms and tables of positions are none."""
    from torch import nn

    parts = (
        {"decoder": 0} if not model.config.is_encoder_decoder else {"encoder": 0, "decoder": 0, "cross_kv": 0}
    )
    encoder = model.get_encoder() if model.config.is_encoder_decoder else None
    inside = set() if encoder is None else {id(weight) for weight in encoder.parameters()}
    seen: set[int] = set(outside)
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            continue
        for weight in module.parameters(recurse=False):
            if weight.dim() < 2 or id(weight) in seen:
                continue
            seen.add(id(weight))
            part = "encoder" if id(weight) in inside else "decoder"
            if part == "decoder" and encoder is not None and _reads_the_encoder(name):
                part = "cross_kv"
            parts[part] += round(weight.numel() * _share(weight, text))
    return parts


def _reads_the_encoder(name: str) -> bool:
    attention, _, matrix = name.rpartition(".")
    across = attention.endswith(("EncDecAttention", "encoder_attn", "cross_attn", "cross_attention"))
    return across and matrix in ("k", "v", "k_proj", "v_proj")


def _share(weight: Any, text: Any) -> float:
    """Give the share of a stack of experts that one token sees; 1 for a plain matrix."""
    if weight.dim() < 3:
        return 1.0
    return float(getattr(text, "num_experts_per_tok", weight.shape[0])) / weight.shape[0]
