"""Backbones, training, generation losses, FLOPs, and one cell from start to end.

Importing this package, and the classes below, does not import torch.
"""

from genret_core.modeling.backbones import Backbone
from genret_core.modeling.layout import StudyFolder
from genret_core.modeling.pretrained import PretrainedBackbone
from genret_core.modeling.recipe import RECIPE_VERSION, Recipe
from genret_core.modeling.spec import CellSpec, LossEval, SearchEval

__all__ = [
    "RECIPE_VERSION",
    "Backbone",
    "CellSpec",
    "LossEval",
    "PretrainedBackbone",
    "Recipe",
    "SearchEval",
    "StudyFolder",
]
