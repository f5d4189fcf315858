"""Trained weights on disk: a folder that transformers' `from_pretrained` reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json
from genret_core.modeling.pretrained import FILE
from genret_core.modeling.quiet import quiet

MODELS = {"llama": "LlamaForCausalLM", "t5": "T5ForConditionalGeneration"}


def save_model(model: Any, folder: str | os.PathLike[str]) -> None:
    """Write weights (safetensors) and configuration; the folder appears whole, in place of an older one."""
    from safetensors.torch import save_file

    weights = {name: weight.detach().cpu().clone() for name, weight in model.named_parameters()}
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as part:
        model.config.save_pretrained(part)
        save_file(weights, part / "model.safetensors", metadata={"format": "pt"})


def load_model(folder: str | os.PathLike[str], device: Any = "cpu") -> Any:
    """Read a model for scoring or searching; one that adapts pretrained weights reads these, too.

    Raises
    ------
    BadInput
        The folder holds no model of a known family.
    """
    import transformers

    folder = Path(folder)
    if (folder / FILE).is_file():
        from genret_core.modeling.pretrained.checkpoint import load_trained

        return load_trained(folder, str(device))
    try:
        family = read_json(folder / "config.json")["model_type"]
        kind = getattr(transformers, MODELS[family])
    except (OSError, KeyError, ValueError):
        raise BadInput(
            f"{folder} holds no trained LLaMA or T5 (its config.json is missing or names another model); "
            "train the cell first."
        ) from None
    with quiet():
        return kind.from_pretrained(folder, local_files_only=True).to(device).eval()
