"""How many weights a pretrained backbone trains, without making it where its layers are known."""

from __future__ import annotations

from genret_core.modeling.backbones import Backbone
from genret_core.modeling.pretrained.architecture import configuration, empty_model, rung_of
from genret_core.modeling.pretrained.backbone import PretrainedBackbone


def trained_weights(backbone: PretrainedBackbone, rows: int, codes: int) -> int:
    """Count what is trained: all weights, or adapters and the rows of the codes.

    An adapter of rank r beside a matrix of m x k adds r (m + k) weights (Hu et al. 2022, Sec. 4.1).

    Parameters
    ----------
    rows : int
        Rows of the embedding, those of the codes among them.
    codes : int
        Tokens that a codebook adds; 0 for the n-gram method.
    """
    settings, shape = backbone.adapters, backbone.architecture
    matrices = 1 if shape.tied else 2
    own = codes * shape.d_model * matrices if backbone.code_rows == "trained" else 0
    if settings is None:
        frozen = 0 if backbone.code_rows == "trained" else codes * shape.d_model * matrices
        return shape.P + rows * shape.d_model * matrices - frozen
    rung = rung_of(backbone.configuration, str(backbone.configuration.get("model_type")))
    sides = None if rung is None or settings.targets is None else linear_sides(rung)
    if sides is None or not set(settings.targets or ()) <= set(sides):
        return own + _counted(backbone)
    return own + settings.r * sum(sides[name] for name in settings.targets or ())


def linear_sides(rung: Backbone) -> dict[str, int]:
    """Sum, for each kind of matrix in LLaMA or T5, the lengths of both sides over all layers."""
    d, inner, ff = rung.d_model, rung.n_heads * rung.head_width, rung.d_ff
    if rung.family == "llama":
        kv, layers = rung.kv_heads * rung.head_width, rung.n_layers
        return {
            **dict.fromkeys(("q_proj", "o_proj"), layers * (d + inner)),
            **dict.fromkeys(("k_proj", "v_proj"), layers * (d + kv)),
            **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), layers * (d + ff)),
        }
    attentions, layers = rung.n_layers + 2 * rung.decoder_layers, rung.n_layers + rung.decoder_layers
    into = ("wi",) if rung.ff_kind == "relu" else ("wi_0", "wi_1")
    return {
        **dict.fromkeys(("q", "k", "v", "o"), attentions * (d + inner)),
        **dict.fromkeys((*into, "wo"), layers * (d + ff)),
    }


def _counted(backbone: PretrainedBackbone) -> int:
    """Count the adapters of any architecture on the model itself, made without memory."""
    import peft
    import torch

    settings = backbone.adapters
    assert settings is not None
    with torch.device("meta"):
        model = empty_model(configuration(backbone.source.folder))
        model = peft.get_peft_model(model, settings.peft_config(backbone.decoder_only))
    return sum(weight.numel() for name, weight in model.named_parameters() if "lora_" in name)
