"""What a trained cell keeps of a pretrained backbone, and the model that is scored and searched with.

Adapters are kept apart from the weights they stand on (safetensors, in peft's layout) with the codes' rows
beside them, so that a cell of a 70 B model is some megabytes; a model that was trained as a whole is kept as
a whole. Either way what is read back gives the same losses, bit by bit.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json
from genret_core.modeling.pretrained import FILE
from genret_core.modeling.pretrained.backbone import PretrainedBackbone
from genret_core.modeling.pretrained.code_rows import fold
from genret_core.modeling.pretrained.loading import Codes, adapted, load_base
from genret_core.modeling.pretrained.resuming import on_processor, put_trained
from genret_core.modeling.quiet import quiet

ROWS = "code_rows.safetensors"
ADAPTER = "adapter_model.safetensors"


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and what is to be kept of it.

    Attributes
    ----------
    model : PreTrainedModel
        Ready to be scored and searched with: in evaluation mode, the codes' rows among the others, the
        adapters merged or in place.
    backbone : PretrainedBackbone
    codes : Codes
    seed : int
    adapter : mapping of str to Tensor
        Weights of the adapters, on the processor; empty if all weights were trained.
    rows : mapping of str to Tensor
        Rows of the codes; empty if there are none, or all weights were trained.
    """

    model: Any
    backbone: PretrainedBackbone
    codes: Codes
    seed: int
    adapter: dict[str, Tensor]
    rows: dict[str, Tensor]

    @classmethod
    def of(cls, model: Any, backbone: PretrainedBackbone, codes: Codes, seed: int) -> Trained:
        """Take what is to be kept, and make the model ready."""
        inner = model if backbone.adapters is None else model.get_base_model()
        rows = on_processor(dict(inner.code_rows.named_parameters())) if hasattr(inner, "code_rows") else {}
        adapter: dict[str, Tensor] = {}
        if backbone.adapters is not None:
            from peft import get_peft_model_state_dict

            adapter = on_processor(get_peft_model_state_dict(model, save_embedding_layers=False))
            adapter = {name: value for name, value in adapter.items() if "code_rows" not in name}
        return cls(ready(model, backbone), backbone, codes, seed, adapter, rows)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files; the folder appears whole, in place of an older one."""
        shutil.rmtree(folder, ignore_errors=True)
        with atomic_folder(folder) as part:
            write_json(part / FILE, self._told())
            if self.adapter:
                self._write_adapter(part)
            else:
                _write_whole(self.model, part)
            if self.rows:
                save_file(self.rows, part / ROWS, metadata={"format": "pt"})

    def _write_adapter(self, part: Path) -> None:
        settings = self.backbone.adapters
        assert settings is not None
        config = settings.peft_config(self.backbone.decoder_only)
        if config.target_modules is None:  # peft's own choice for this architecture
            config.target_modules = sorted({name.split(".lora_")[0].split(".")[-1] for name in self.adapter})
        config.base_model_name_or_path = self.backbone.pretrained
        config.inference_mode = True
        config.save_pretrained(part)
        written = part / "adapter_config.json"
        values = read_json(written)
        write_json(
            written, {**values, "target_modules": sorted(values["target_modules"])}
        )  # a set until here
        save_file(self.adapter, part / ADAPTER, metadata={"format": "pt"})

    def _told(self) -> dict[str, Any]:
        return {
            "backbone": self.backbone.to_dict(),
            "content": self.backbone.source.content(weights=not self.backbone.fresh),
            "first_code": self.codes.first,
            "codes": self.codes.count,
            "seed": self.seed,
        }


def _write_whole(model: Any, part: Path) -> None:
    model.config.save_pretrained(part)
    save_file(
        on_processor(dict(model.named_parameters())), part / "model.safetensors", metadata={"format": "pt"}
    )


def ready(model: Any, backbone: PretrainedBackbone, *, merge: bool | None = None) -> Any:
    """Make a model ready to be scored and searched with: rows in their place, adapters merged or kept.

    Parameters
    ----------
    merge : bool, optional
        None: as `Lora.merge` says.
    """
    settings = backbone.adapters
    inner = model if settings is None else model.get_base_model()
    if hasattr(inner, "code_rows"):
        fold(inner)
    if settings is not None:
        merge = settings.merge if merge is None else merge
        if merge is None:
            merge = backbone.precision == "fp32" and not backbone.quantised
        inner = model.merge_and_unload() if merge else inner
    return inner.requires_grad_(False).eval()


def load_trained(folder: str | os.PathLike[str], device: str = "cpu", *, merge: bool | None = None) -> Any:
    """Read a trained model back, ready to be scored and searched with.

    Parameters
    ----------
    folder : path-like
        The checkpoint.
    device : str
    merge : bool, optional
        Whether the adapters are added to the weights; None: as it was trained to be used.

    Raises
    ------
    BadInput
        The weights it stands on are not there, or are not those it was trained on.
    """
    folder = Path(folder)
    told = read_json(folder / FILE)
    backbone = _beside(PretrainedBackbone.from_dict(told["backbone"]), folder)
    codes = Codes(told["first_code"], told["codes"])
    if not (folder / ADAPTER).is_file():
        return _load_whole(folder, device)
    if backbone.source.content() != told["content"]:
        raise BadInput(
            f"{folder} was trained on other weights than {backbone.pretrained} holds now; bring those back, "
            "or train the cell again."
        )
    model = load_base(backbone, codes, device=str(device), seed=told["seed"])
    model = adapted(model, backbone, codes, seed=told["seed"], adapter=folder)
    if (folder / ROWS).is_file():
        rows = model.get_base_model().code_rows
        rows.requires_grad_(True)
        put_trained(rows, load_file(folder / ROWS))
    return ready(model, backbone, merge=merge)


def _beside(backbone: PretrainedBackbone, checkpoint: Path) -> PretrainedBackbone:
    """Find what the study pretrained in the study that the checkpoint lies in, which may have been moved."""
    if backbone.base is None or len(checkpoint.resolve().parents) < 3:
        return backbone
    here = checkpoint.resolve().parents[2] / "pretrained" / Path(backbone.pretrained).name
    return replace(backbone, pretrained=str(here)) if here.is_dir() else backbone


def _load_whole(folder: Path, device: str) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    both = bool(read_json(folder / "config.json").get("is_encoder_decoder"))
    kind = AutoModelForSeq2SeqLM if both else AutoModelForCausalLM
    with quiet():
        model: Any = kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    return model.to(device).requires_grad_(False).eval()
