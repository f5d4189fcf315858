"""One pretrained backbone: what it is made from, its key, where it lies. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.files import content_key, read_json
from genret_core.modeling.backbones import Backbone
from genret_core.modeling.layout import StudyFolder
from genret_core.modeling.pretraining.recipe import PretrainRecipe
from genret_core.modeling.recipe import learning_rate

VERSION = 1
"""Part of every key. Raise it by hand when pretraining gives other weights than before."""

FILE = "pretraining.json"
"""What a pretrained backbone's folder says of how it was made."""

SUMMARY = ("key", "objective", "lr", "steps", "tokens", "final_loss", "flops", "seconds")


@dataclass(frozen=True)
class Pretraining:
    """A backbone to be pretrained on a corpus.

    Parameters
    ----------
    folder : str
        The study folder.
    corpus, tokenizer : str
        Keys of the corpus and of its tokens.
    backbone : Backbone
        With `pretrain`.
    """

    folder: str
    corpus: str
    tokenizer: str
    backbone: Backbone

    @property
    def recipe(self) -> PretrainRecipe:
        """How it is pretrained."""
        assert self.backbone.pretrain is not None
        return PretrainRecipe.from_dict(self.backbone.pretrain)

    @property
    def objective(self) -> str:
        """What it learns to predict."""
        return self.recipe.objective_of(self.backbone.family)

    @property
    def lr(self) -> float:
        """Highest learning rate: the recipe's, else the backbone's own for n-grams."""
        rule = self.recipe.lr if self.recipe.lr is not None else self.backbone.lr_rule("ngram")
        return learning_rate(rule, self.backbone.d_model)

    @property
    def key(self) -> str:
        """Hash of all that decides the weights."""
        recipe = {**self.recipe.to_dict(), "objective": self.objective, "lr": self.lr}
        del recipe["saves"]
        if self.objective == "causal":
            del recipe["noise_density"], recipe["mean_span"]
        inputs = [self.corpus, self.tokenizer]
        return content_key([VERSION, inputs, self.backbone.identity(), recipe])

    @property
    def at(self) -> Path:
        """Its folder, in the layout of a hub's model."""
        return StudyFolder(self.folder).pretrained(self.key)

    @property
    def work(self) -> Path:
        """Where the state of an unfinished run is kept, and the status of the job that makes it."""
        return self.at.with_name(f"{self.key}-work")

    @property
    def is_made(self) -> bool:
        """Whether it is there; it appears as a whole."""
        return (self.at / FILE).is_file()

    def summary(self) -> dict[str, Any]:
        """Say how it was made, for the records of cells; its FLOPs are none of theirs."""
        told = read_json(self.at / FILE)
        return {name: told[name] for name in SUMMARY}
