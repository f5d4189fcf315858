"""Backbones that bring their own weights: a hub's or a folder's, adapted by LoRA or trained as a whole.

- `backbone`: one such rung of a ladder, and what of it goes into a training key.
- `source`: the files it stands on, from the hub's cache or a folder; their content as a hash.
- `known`: configurations of the published models, for planning without their files.
- `architecture`: parameter counts and matrices of any transformers configuration.
- `counting`: how many weights are trained.
- `lora`: the settings of the adapters and their defaults by family.
- `loading`: the model with its adapters and code rows, ready to be trained.
- `code_rows`: the rows of the codebook's tokens, in the input embedding and in the output head.
- `rows`: the order and layout of training rows, whatever the micro-batch and the number of processes.
- `row_losses`: the loss of a micro-batch.
- `fitting_size`: a micro-batch that fits every process, found before they train together.
- `training`: the Trainer that trains them.
- `sharding`: weights shared out among processes (FSDP).
- `resuming`: its state on disk, without pickle.
- `checkpoint`: what a trained cell keeps, and the model that is scored and searched with.
- `scoring`: generation losses of models whose weights cannot be packed.
- `launch`: several processes that train one cell together.
- `cell`: one cell's training from start to end.

Importing this package does not import torch.
"""

from genret_core.modeling.pretrained.backbone import PretrainedBackbone
from genret_core.modeling.pretrained.lora import Lora

FILE = "pretrained.json"
"""What a checkpoint of such a backbone says of itself; a checkpoint without it is another kind's."""

__all__ = ["FILE", "Lora", "PretrainedBackbone"]
