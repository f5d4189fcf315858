"""What one cell is: which inputs, which backbone, how trained, what measured. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import content_key
from genret_core.modeling.backbones import Backbone
from genret_core.modeling.layout import StudyFolder
from genret_core.modeling.pretrained import PretrainedBackbone
from genret_core.modeling.pretraining.spec import Pretraining
from genret_core.modeling.recipe import RECIPE_VERSION, Recipe, known_fields

METHODS = ("ngram", "codebook")
SWITCHES = ("rescore", "query_keys", "unigrams")  # of a search, beside its beams


@dataclass(frozen=True)
class LossEval:
    """Score the identifiers of a frozen sample: what CGL is made of.

    Parameters
    ----------
    sample : str
        Key of the evaluation sample.
    split : str
        Which queries these are: seen, unseen or validation.
    n_negatives : int
        N, the negatives per query to use; at most those in the sample.
    end_and_padding : bool
        Record, besides, what the end token and padding behind each identifier would add (`padded_losses`).
    precision : {"fp32", "bf16"}
        Of the weights and products of the body while it scores; logits and log-softmax are taken in float32.
    """

    sample: str
    split: str
    n_negatives: int
    end_and_padding: bool = False
    precision: str = "fp32"

    @cached_property
    def key(self) -> str:
        """Key of the evaluation under its cell."""
        return content_key(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values; what is at its default is left out, which keeps older keys."""
        values = {"kind": "losses", **asdict(self)}
        defaults = {"end_and_padding": False, "precision": "fp32"}
        return {name: value for name, value in values.items() if value != defaults.get(name, ...)}


@dataclass(frozen=True)
class SearchEval:
    """Retrieve with a constrained beam and measure the ranking.

    Parameters
    ----------
    sample : str
        Key of the evaluation sample that the queries come from.
    beam : int
        Width of the beam.
    split : str
        Which queries these are: seen, unseen or validation.
    n_queries : int
        The first so many queries of the sample.
    k : int
        Documents to return.
    max_new_tokens : int
        Tokens to generate: the length of an n-gram or of a code sequence.
    scoring : mapping
        Options of the ranking (`retrieval.scoring.Scoring`), e.g. `{"full_score": True}`.
    rescore : bool
        Score all keys anew by teacher forcing from the bare query, without the template's words.
    query_keys : bool
        Let the query's own spans of one to three words be keys, where they occur in the corpus. n-grams only.
    unigrams : bool
        Let the tokens that the model would begin with be keys, and speak for places that no key covers in
        stage 2 (`full_score`). n-grams only.
    """

    sample: str
    beam: int
    split: str
    n_queries: int
    k: int = 100
    max_new_tokens: int = 10
    scoring: Mapping[str, Any] = field(default_factory=dict)
    rescore: bool = False
    query_keys: bool = False
    unigrams: bool = False

    def __post_init__(self) -> None:
        for name in ("beam", "n_queries", "k", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise BadInput(f"search: {name} must be at least 1, not {getattr(self, name)}.")

    @cached_property
    def key(self) -> str:
        """Key of the evaluation under its cell."""
        return content_key(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values; switches that are off are left out, which keeps the older keys."""
        values = {"kind": "search", **asdict(self), "scoring": dict(self.scoring)}
        return {name: value for name, value in values.items() if name not in SWITCHES or value}


@dataclass(frozen=True)
class CellSpec:
    """One unit of work: a backbone x method x fraction x seed, from pairs to losses and searches.

    Parameters
    ----------
    study, folder : str
        Name and folder of the study.
    corpus, split, tokenizer, identifiers : str
        Keys of the inputs; `split` names the relevance judgements to train on. `identifiers` is the key of
        the n-gram pairs or of the codebook, by the method.
    method : {"ngram", "codebook"}
    backbone : Backbone or PretrainedBackbone
    fraction : float
        Share of the training queries, above 0 and at most 1.
    seed : int
        Of the subset of queries, of the first weights and of the order of the batches.
    recipe : Recipe
    losses, searches : tuple
        What to measure; in no key of the training.
    index : str, optional
        Key of the token index; needed by searches of the n-gram method.
    prefix, suffix : str
        Prompt template around the query.
    sweep_sample : str, optional
        Key of the validation sample that chooses the learning rate; needed by `recipe.lr_sweep` above 1.
    """

    study: str
    folder: str
    corpus: str
    split: str
    tokenizer: str
    identifiers: str
    method: str
    backbone: Backbone | PretrainedBackbone
    fraction: float
    seed: int
    recipe: Recipe
    losses: tuple[LossEval, ...] = ()
    searches: tuple[SearchEval, ...] = ()
    index: str | None = None
    prefix: str = ""
    suffix: str = ""
    sweep_sample: str | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadInput(f"cell: method must be one of {', '.join(METHODS)}, not {self.method!r}.")
        if not 0.0 < self.fraction <= 1.0:
            raise BadInput(f"cell: fraction must be above 0 and at most 1, not {self.fraction}.")
        if self.recipe.lr_sweep > 1 and self.sweep_sample is None:
            raise BadInput(
                "cell: lr_sweep needs sweep_sample, the validation sample that chooses the learning rate."
            )
        if self.method == "ngram" and self.searches and self.index is None:
            raise BadInput("cell: searches of the ngram method need index, the key of the token index.")
        made = self.pretraining
        if made is not None and isinstance(self.backbone, PretrainedBackbone):
            object.__setattr__(self, "backbone", replace(self.backbone, pretrained=str(made.at)))

    @property
    def pretraining(self) -> Pretraining | None:
        """What its first weights come from, where they are pretrained by the study."""
        rung = self.backbone if isinstance(self.backbone, Backbone) else self.backbone.base
        if rung is None or rung.pretrain is None:
            return None
        return Pretraining(self.folder, self.corpus, self.tokenizer, rung)

    @property
    def lr(self) -> float:
        """Learning rate: the recipe's, else the backbone's for this method."""
        return self.recipe.lr if self.recipe.lr is not None else self.backbone.learning_rate(self.method)

    @property
    def lr_rule(self) -> float | str:
        """Learning rate as it was written."""
        return self.recipe.lr if self.recipe.lr is not None else self.backbone.lr_rule(self.method)

    @cached_property
    def key(self) -> str:
        """Training key: all that decides the weights, and nothing about evaluations or names."""
        recipe = {**self.recipe.to_dict(), "lr": self.lr}
        if self.method == "ngram" or self.recipe.init_codes == "random":
            del recipe["init_codes"]  # no codes, or as before there was a choice
        made = self.pretraining
        return content_key(
            {
                "version": RECIPE_VERSION,
                "inputs": [self.corpus, self.split, self.tokenizer, self.identifiers, self.method],
                "template": [self.prefix, self.suffix],
                "backbone": self.backbone.identity(),
                "fraction": float(self.fraction),
                "seed": self.seed,
                "recipe": recipe,
                "sweep": self.sweep_sample if self.recipe.lr_sweep > 1 else None,
                **({} if made is None else {"pretraining": made.key}),  # without one, keys are as before
            }
        )

    @property
    def layout(self) -> StudyFolder:
        """Paths of the study."""
        return StudyFolder(self.folder)

    def with_evaluations(self, losses: tuple[LossEval, ...], searches: tuple[SearchEval, ...]) -> CellSpec:
        """Give the same cell with other evaluations; its key stays."""
        return replace(self, losses=losses, searches=searches)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **plain,
            "backbone": self.backbone.to_dict(),
            "recipe": self.recipe.to_dict(),
            "losses": [e.to_dict() for e in self.losses],
            "searches": [e.to_dict() for e in self.searches],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CellSpec:
        """Build from `to_dict`; an unknown key is refused."""
        values = known_fields(cls, values, "cell")
        own = "pretrained" not in values["backbone"]
        values["backbone"] = (Backbone if own else PretrainedBackbone).from_dict(values["backbone"])
        values["recipe"] = Recipe.from_dict(values["recipe"])
        for name, kind in (("losses", LossEval), ("searches", SearchEval)):
            values[name] = tuple(_evaluation(kind, entry) for entry in values.get(name, ()))
        return cls(**values)


def _evaluation(kind: type, entry: Mapping[str, Any]) -> Any:
    plain = {key: value for key, value in entry.items() if key != "kind"}
    return kind(**known_fields(kind, plain, "evaluation"))
