"""study.yaml: what a study is made of, checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from genret_core.errors import BadInput
from genret_core.files import atomic
from genret_core.modeling import Recipe
from genret_core.retrieval.codebook import CodebookConfig
from genret_core.retrieval.ngrams import NgramConfig
from genret_core.retrieval.scoring import Scoring
from genret_core.workbench import project
from genret_core.workbench.documents import Document, nearest, read_mapping, validate
from genret_core.workbench.study.contrast import Contrast
from genret_core.workbench.study.ladder import METHODS, BackboneSection, Ladder, Method, PretrainedSection

__all__ = ["METHODS", "Ladder", "StudySpec", "load", "save"]

FORBID = ConfigDict(extra="forbid")
Split = Literal["validation", "test", "seen", "unseen"]


class Section(BaseModel):
    """A part of a study file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusSection(BaseModel):
    """`reader` and the parameters of that reader, which the reader itself knows."""

    model_config = ConfigDict(extra="allow", frozen=True)
    reader: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the reader."""
        return dict(self.model_extra or {})


class TokenizerSection(Section):
    """A BPE trained on the corpus (`vocab_size`), or a published tokenizer (`hub`).

    `fields` is what of a document becomes tokens, and so n-grams: `text`, or `title_text`.
    """

    vocab_size: int = Field(default=1024, ge=64)
    hub: str | None = None
    fields: Literal["text", "title_text"] = "text"


@dataclass(frozen=True)
class NgramSection(NgramConfig):
    """n-gram identifiers."""

    __pydantic_config__ = FORBID


@dataclass(frozen=True)
class CodebookSection(CodebookConfig):
    """Learned codes."""

    __pydantic_config__ = FORBID


@dataclass(frozen=True)
class RecipeSection(Recipe):
    """How a cell is trained."""

    __pydantic_config__ = FORBID


class IdentifiersSection(Section):
    """Both kinds of identifiers; `seed` draws the n-grams of the training pairs."""

    ngram: NgramSection = NgramSection()
    codebook: CodebookSection = CodebookSection()
    seed: int = 0

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.ngram.check()
        self.codebook.check()
        return self


class EvaluationSection(Section):
    """The frozen evaluation sample, shared by every cell.

    `end_and_padding` records besides what the end token and padding would add, which is twice more to score.
    `precision` is that of a body while it scores; backbones that bring their weights have one of their own.
    """

    n_queries: int = Field(default=400, ge=1)
    n_negatives: int = Field(default=64, ge=1)
    ngrams_per_positive: int = Field(default=10, ge=1)
    ngrams_per_negative: int = Field(default=1, ge=1)
    seed: int = 1
    splits: tuple[Split, ...] = Field(default=("seen",), min_length=1)
    end_and_padding: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"


class TemplateSection(Section):
    """Text around the query in every prompt, in training and evaluation alike."""

    prefix: str = ""
    suffix: str = ""


class GridBlock(Section):
    """Cells to train: the product of its lists. Patterns: `llama/*`, `t5/t5-d*`, `llama-d64`, `*`."""

    question: str = ""
    methods: tuple[Method, ...] = Field(default=("ngram",), min_length=1)
    backbones: tuple[str, ...] = Field(default=("*",), min_length=1)
    fractions: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)

    @field_validator("fractions")
    @classmethod
    def _fraction(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        for fraction in fractions:
            if not 0 < fraction <= 1:
                raise ValueError(f"a fraction of the training queries lies in (0, 1], not {fraction:g}")
        return fractions


class SearchBlock(GridBlock):
    """Beam searches to run with the cells that the lists name; `name` is what tables call them."""

    name: str | None = Field(None, min_length=1)
    beams: tuple[int, ...] = Field(default=(10,), min_length=1)
    split: Split | None = None
    n_queries: int | None = Field(None, ge=1)
    k: int = Field(default=100, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)
    scoring: dict[str, bool | float] = {}
    rescore: bool = False
    query_keys: bool = False
    unigrams: bool = False

    @field_validator("scoring")
    @classmethod
    def _scoring(cls, scoring: dict[str, bool | float]) -> dict[str, bool | float]:
        Scoring.of(scoring)  # refuses unknown options
        return scoring

    @field_validator("beams")
    @classmethod
    def _beam(cls, beams: tuple[int, ...]) -> tuple[int, ...]:
        if min(beams) < 1:
            raise ValueError(f"a beam is 1 or more, not {min(beams)}")
        return beams


class SeedNoise(Section):
    """SD of a metric between seeds of one cell, and where that number comes from."""

    sd: float = Field(ge=0)
    source: str = Field(min_length=1)


class StudySpec(Section):
    """A whole study, as `study.yaml` says it; the one in its run folder has all defaults written out."""

    name: str
    note: str | None = None
    corpus: CorpusSection
    tokenizer: TokenizerSection = TokenizerSection()
    identifiers: IdentifiersSection = IdentifiersSection()
    evaluation: EvaluationSection = EvaluationSection()
    template: TemplateSection = TemplateSection()
    recipe: RecipeSection = RecipeSection()
    recipe_codebook: dict[str, Any] = {}
    ladders: tuple[Ladder, ...] = Field(min_length=1)
    grid: tuple[GridBlock, ...] = Field(min_length=1)
    search: tuple[SearchBlock, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    seed_noise: dict[str, SeedNoise | None] = {}
    notebooks: tuple[str, ...] = ()
    notebook_parameters: dict[str, dict[str, Any]] = {}
    notebook_timeout: float | None = Field(7200, gt=0)  # seconds for all cells of one; null: no limit
    jobs: int | None = Field(None, ge=1)

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(f"{name!r} names a folder: letters, digits, '.', '_' and '-' only")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key in self.recipe_codebook:
            if key not in RecipeSection.__dataclass_fields__:
                hint = nearest(key, RecipeSection.__dataclass_fields__)
                raise ValueError(f"'recipe_codebook.{key}' is not known here{hint}")
        self.recipe_of("codebook")
        names = [backbone.name for backbone in self.backbones]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the backbone {name!r} stands in the ladders twice")
        for contrast in self.contrasts:
            contrast.check(names)
        return self

    @property
    def backbones(self) -> list[BackboneSection | PretrainedSection]:
        """All backbones of all ladders."""
        return [backbone for ladder in self.ladders for backbone in ladder.backbones]

    def recipe_of(self, method: str) -> Recipe:
        """Give the recipe of a method: `recipe`, with `recipe_codebook` over it for codebook cells."""
        differences = self.recipe_codebook if method == "codebook" else {}
        return Recipe.from_dict({**self.recipe.to_dict(), **differences})

    def lr_rule(self, family: str, method: str) -> str:
        """Say how learning rates were chosen, for the figures that stand on them."""
        own = self.recipe_of(method).lr
        alike = (b for b in self.backbones if b.family == family)
        rules = [str(own if own is not None else b.lr_rule(method)) for b in alike]
        return " or ".join(dict.fromkeys(rules))


def save(spec: StudySpec, path: Path) -> None:
    """Write a study with every default spelled out, so that the folder explains itself."""
    text = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    text = "# The study as it was run: every value, defaults included.\n" + text
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return  # a file that is as it should be keeps its date
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def load(preset_or_path: str | Path, *, presets: Path | None = None) -> StudySpec:
    """Read a study.

    Parameters
    ----------
    preset_or_path : str or Path
        A preset (`demo`, `paper/minder-t5`), a folder that holds `study.yaml` (`params/demo`, `runs/demo`),
        or a YAML file.
        A file with `extends: demo` says only what differs from that study.
    presets : Path, optional
        Where presets lie; by default `params/` of the project.

    Returns
    -------
    StudySpec
        With ladder files and the YAML of every notebook read in.

    Raises
    ------
    BadInput
        If there is no such study, or something in it cannot be used (file, line, key and what to do).
    """
    path = _find(preset_or_path, presets)
    document = read_mapping(path)
    raw = _raw(document, presets, ())
    spec = validate(StudySpec, Document(path, raw, document.node))
    _check_reader(spec.corpus, document)
    from genret_core.workbench.study.grid import expand

    expand(spec, where=document.where)
    return spec


def _raw(document: Document, presets: Path | None, below: tuple[Path, ...]) -> dict[str, Any]:
    """Read in ladder files and notebook parameters, and lay the study over the one that it `extends`."""
    raw, path = dict(document.value), document.path
    if isinstance(raw.get("ladders"), list):
        raw["ladders"] = [_ladder(item, document, i) for i, item in enumerate(raw["ladders"])]
    inherited: dict[str, Any] = {}
    if (parent := raw.pop("extends", None)) is not None:
        if path in below:
            raise BadInput(
                f"{document.where(['extends'])}: {path.name} extends itself; take one of them out."
            )
        if "name" not in raw:
            raise BadInput(f"{path}:1: a study that extends another needs a `name` of its own.")
        inherited = _raw(read_mapping(_find(str(parent), presets)), presets, (*below, path))
    merged = _over(inherited, raw)
    merged["notebook_parameters"] = _notebook_parameters(merged, path.parent)
    return merged


def _over(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay keys over inherited ones: sections key by key, lists and another reader's corpus as a whole."""
    merged = dict(inherited)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(below, dict) and _same_reader(value, below):
            merged[key] = _over(below, value)
    return merged


def _same_reader(own: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
    return bool(own.get("reader", below.get("reader")) == below.get("reader"))


def _find(preset_or_path: str | Path, presets: Path | None) -> Path:
    given = Path(preset_or_path).expanduser()
    for candidate in (given, given / "study.yaml"):
        if candidate.is_file():
            return candidate
    presets = presets or project.project_root() / "params"
    for candidate in (presets / given / "study.yaml", presets / f"{given}.yaml"):
        if candidate.is_file():
            return candidate
    if given.is_dir():
        raise BadInput(f"{given} holds no study.yaml.")
    known = sorted(path.parent.name for path in presets.glob("*/study.yaml"))
    named = (path for path in presets.glob("*/*.yaml") if re.search(r"^name:", path.read_text(), re.M))
    known += sorted(f"{path.parent.name}/{path.stem}" for path in named if path.stem != "study")
    hint = nearest(str(preset_or_path), known)
    raise BadInput(f"there is no study {str(preset_or_path)!r}: neither a file or folder nor a preset{hint}")


def _ladder(item: Any, document: Document, index: int) -> Any:
    if not isinstance(item, str):
        return item
    path = document.path.parent / item
    if not path.is_file():
        known = (
            p.name for p in document.path.parent.glob("*.yaml") if re.search(r"^family:", p.read_text(), re.M)
        )
        raise BadInput(
            f"{document.where(['ladders', index])}: there is no ladder {item!r}{nearest(item, known)}"
        )
    ladder = read_mapping(path)
    validate(Ladder, ladder)  # here, so that a message names this file
    return ladder.value


def _notebook_parameters(raw: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Take each notebook's parameters from `<notebook>.yaml` beside the study, over those in the study."""
    inline = raw.get("notebook_parameters") or {}
    found: dict[str, dict[str, Any]] = dict(inline) if isinstance(inline, dict) else {}
    for name in raw.get("notebooks") or []:
        path = folder / f"{name}.yaml"
        if path.is_file():
            values = read_mapping(path).value
            values.pop("study_dir", None)  # the study passes its own folder
            found[str(name)] = {**found.get(str(name), {}), **values}
    return found


def _check_reader(corpus: CorpusSection, document: Document) -> None:
    """Refuse an unknown reader or reader parameter before anything runs."""
    from genret_core.retrieval.readers import check_reader

    try:
        check_reader(corpus.reader, corpus.parameters)
    except BadInput as error:
        named = [key for key in corpus.model_dump() if repr(key) in str(error) or f" {key} " in str(error)]
        raise BadInput(f"{document.where(['corpus', *named[:1]])}: {error}") from None
