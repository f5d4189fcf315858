"""A pretrained model in memory: its weights, rows for the codes, adapters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from genret_core.errors import BadInput
from genret_core.modeling.pretrained.architecture import configuration, empty_model
from genret_core.modeling.pretrained.backbone import PretrainedBackbone
from genret_core.modeling.pretrained.code_rows import attach, extend
from genret_core.modeling.quiet import quiet


@dataclass(frozen=True)
class Codes:
    """Token ids of a codebook: `count` from `first` on; the ids below are the tokenizer's."""

    first: int
    count: int


def load_base(backbone: PretrainedBackbone, codes: Codes, *, device: str, seed: int) -> Any:
    """Load the weights, or draw them where `fresh` says so, with rows for the codes.

    Parameters
    ----------
    backbone : PretrainedBackbone
    codes : Codes
        `count` is 0 for the n-gram method.
    device : str
    seed : int
        Of rows for codes, and of fresh weights.

    Raises
    ------
    BadInput
        The files lack weights, or 4 bits are not possible here.
    """
    folder = backbone.source.folder
    config = configuration(folder)
    if backbone.fresh:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = empty_model(config).float()
    else:
        backbone.source.weight_files  # noqa: B018 - refuses pickled weights before anything is read
        model = _stored(folder, config, backbone, device)
    extend(model, codes.first, codes.count, seed)
    return model if backbone.quantised else model.to(device)


def adapted(model: Any, backbone: PretrainedBackbone, codes: Codes, *, seed: int, adapter: Any = None) -> Any:
    """Put adapters and code rows of their own on a loaded model; only what is trained requires gradients.

    Parameters
    ----------
    model : PreTrainedModel
        From `load_base`.
    seed : int
        Of the adapters' first weights.
    adapter : path-like, optional
        Folder with trained adapters; by default they are new, and change nothing yet.

    Returns
    -------
    PeftModel, or the model itself if all weights are trained
    """
    trained = backbone.code_rows == "trained"
    settings = backbone.adapters
    rows = None
    if codes.count and (settings is not None or not trained):
        rows = attach(model, codes.first, codes.count, trained=trained)
    if settings is None:
        return model
    import peft

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's remarks on tied embeddings, which it does not touch here
        torch.manual_seed(seed)
        if backbone.quantised:
            model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        if adapter is not None:
            model = peft.PeftModel.from_pretrained(model, adapter, is_trainable=True, local_files_only=True)
        else:
            model = _with_adapters(model, backbone)
    if rows is not None:
        rows.requires_grad_(trained)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return model


def _with_adapters(model: Any, backbone: PretrainedBackbone) -> Any:
    import peft

    settings = backbone.adapters
    assert settings is not None
    try:
        return peft.get_peft_model(model, settings.peft_config(backbone.decoder_only))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"backbone {backbone.name}: lora does not fit the model: {reason}") from None


def _stored(folder: Any, config: Any, backbone: PretrainedBackbone, device: str) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    options: dict[str, Any] = {"dtype": torch.bfloat16 if backbone.precision == "bf16" else torch.float32}
    if backbone.quantised:
        options |= {"quantization_config": four_bits(device), "device_map": {"": device}}
    try:
        with quiet():
            loaded: Any = kind.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
                output_loading_info=True, **options,
            )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{folder}: the weights cannot be loaded: {reason}") from None
    model, told = loaded
    if told["missing_keys"]:
        lacking = sorted(told["missing_keys"])
        raise BadInput(
            f"{folder} holds no weights for {lacking[0]}"
            + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else "")
            + "; it is no whole language model."
        )
    return model


def four_bits(device: str) -> Any:
    """Give the configuration of 4-bit weights.

    Raises
    ------
    BadInput
        There is no CUDA device, or bitsandbytes is not installed.
    """
    import importlib.util

    if not device.startswith("cuda") or not torch.cuda.is_available():
        raise BadInput("quantised: 4bit needs a CUDA device; leave quantised out.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput(
            "quantised: 4bit needs bitsandbytes; install it (pip install bitsandbytes) or leave it out."
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )  # fmt: skip
