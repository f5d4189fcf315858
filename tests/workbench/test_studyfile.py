"""study.yaml: what is refused and how it is said; what a grid comes to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from genret_core.errors import BadInput
from genret_core.workbench import project
from genret_core.workbench.params import check, read_yaml
from genret_core.workbench.study.file import StudySpec, load, save
from genret_core.workbench.study.grid import expand, match_backbones

PARAMS = project.project_root() / "params"
LLAMA = """
family: llama
lr: {ngram: 0.32/d, codebook: 0.01*(16/d)^0.5}
backbones:
  - {name: llama-d16, d_model: 16, n_layers: 2, n_heads: 1, d_ff: 48}
  - {name: llama-d64, d_model: 64, n_layers: 2, n_heads: 2, d_ff: 176}
"""
STUDY = """
name: toy
corpus: {reader: synthetic, n_documents: 50}
ladders: [llama.yaml]
recipe:
  lr: null
grid:
  - {methods: [ngram, codebook], backbones: ["llama/*"], fractions: [0.5, 1.0]}
  - {methods: [ngram], backbones: [llama-d64], fractions: [1.0], seeds: [0, 1]}
search:
  - {methods: [ngram], backbones: ["*"], beams: [1, 5]}
  - {methods: [codebook], backbones: [llama-d16], beams: [5, 5, 10]}
"""


def study(folder: Path, text: str = STUDY, ladder: str = LLAMA) -> Path:
    (folder / "study.yaml").write_text(text)
    (folder / "llama.yaml").write_text(ladder)
    return folder


def test_blocks_are_products_and_the_study_their_union(tmp_path: Path) -> None:
    cells = {cell.name: cell for cell in expand(load(study(tmp_path)))}
    expected = {
        f"llama-d{d} {m}{f} s0" for d in (16, 64) for m in ("ngram", "codebook") for f in (" 50%", "")
    }
    assert set(cells) == expected | {"llama-d64 ngram s1"}
    beams = {name: [search.beam for search in cell.searches] for name, cell in cells.items() if cell.searches}
    assert beams == {
        "llama-d16 ngram s0": [1, 5], "llama-d64 ngram s0": [1, 5], "llama-d16 codebook s0": [5, 10],
    }  # fmt: skip
    assert {s.max_new_tokens for s in cells["llama-d16 codebook s0"].searches} == {32}


def test_learning_rate_rules_reach_the_cells(tmp_path: Path) -> None:
    spec = load(study(tmp_path))
    d64 = next(backbone for backbone in spec.backbones if backbone.d_model == 64)
    assert d64.learning_rate("ngram") == pytest.approx(0.005)
    assert d64.learning_rate("codebook") == pytest.approx(0.005)
    assert spec.lr_rule("llama", "ngram") == "0.32/d"


def test_the_resolved_file_gives_the_same_study(tmp_path: Path) -> None:
    spec = load(study(tmp_path))
    save(spec, tmp_path / "run" / "study.yaml")
    assert load(tmp_path / "run") == spec
    assert "batch_queries: 8" in (tmp_path / "run" / "study.yaml").read_text()


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    spec = load(study(tmp_path, STUDY.replace("lr: null", "lr: 1e-3")))
    assert spec.recipe.lr == 0.001


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: toy", "name: toy\ncorpsu: {}", ["study.yaml:3", "'corpsu'", "did you mean 'corpus'?"]),
        ("name: toy", "name: a/b", ["study.yaml:2", "'a/b'", "letters"]),
        ("lr: null", "batch_query: 3", ["study.yaml:6", "recipe.batch_query", "'batch_queries'"]),
        ("lr: null", "batch_queries: 2.5", ["study.yaml:6", "2.5", "integer"]),
        ("lr: null", "clip: -1", ["study.yaml:5", "clip must be above 0"]),
        ("lr: null", "lr: abc", ["study.yaml:6", "'abc'"]),
        ("n_documents", "n_docments", ["study.yaml:3", "n_docments", "did you mean", "n_documents"]),
        ("reader: synthetic", "reader: synthtic", ["study.yaml:3", "did you mean synthetic?"]),
        ("[0.5, 1.0]", "[0.5, 1.5]", ["study.yaml:8", "(0, 1]", "1.5"]),
        ("[0.5, 1.0]", "[0]", ["study.yaml:8", "(0, 1]"]),
        ("[0.5, 1.0]", "[]", ["study.yaml:8", "grid.0.fractions", "at least 1"]),
        ('"llama/*"', '"lama/*"', ["study.yaml:8", "'lama/*'", "did you mean 'llama/*'?"]),
        ("[llama-d64]", "[llama-d46]", ["study.yaml:9", "did you mean 'llama-d64'?"]),
        ("[llama.yaml]", "[lama.yaml]", ["study.yaml:4", "did you mean 'llama.yaml'?"]),
        ("ngram, codebook]", "ngrams]", ["study.yaml:8", "'ngrams'"]),
        ("beams: [1, 5]", "beams: [0]", ["study.yaml:11", "1 or more"]),
        ("beams: [1, 5]", "beams: [1], fractions: [0.3]", ["study.yaml:11", "names no cell"]),
        ("name: toy", "name: [toy", ["study.yaml:3"]),
        ("name: toy", "name: toy\nname: toy", ["study.yaml:3", "second time"]),
        ("name: toy", "", ["'name' is missing"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in STUDY
    with pytest.raises(BadInput) as caught:
        load(study(tmp_path, STUDY.replace(old, new, 1)))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n_heads: 1", "n_head: 1", ["llama.yaml:5", "n_head", "'n_heads'"]),
        ("0.32/d", "0.32 per d", ["llama.yaml", "cannot read", "0.32/d"]),
        ("family: llama", "family: lama", ["llama.yaml:2", "'lama'"]),
        ("llama-d64", "llama-d16", ["llama-d16", "twice"]),
    ],
)
def test_what_is_wrong_in_a_ladder(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        load(study(tmp_path, ladder=LLAMA.replace(old, new, 1)))
    for word in words:
        assert word in str(caught.value)


def test_unknown_presets_and_folders(tmp_path: Path) -> None:
    shutil.copytree(PARAMS / "test", tmp_path / "params" / "test")
    with pytest.raises(BadInput, match="did you mean 'test'"):
        load("tset", presets=tmp_path / "params")
    with pytest.raises(BadInput, match=r"holds no study\.yaml"):
        load(tmp_path)


@pytest.mark.parametrize("preset", sorted(path.parent.name for path in PARAMS.glob("*/study.yaml")))
def test_presets_load_and_name_themselves(preset: str) -> None:
    spec = load(preset)
    assert spec.name == preset
    assert isinstance(load(PARAMS / preset / "study.yaml"), StudySpec)
    assert len({cell.name for cell in expand(spec)}) == len(expand(spec))


def test_the_demo_asks_what_the_paper_asks() -> None:
    spec = load("demo")
    cells = expand(spec)
    ngram = [cell for cell in cells if cell.method == "ngram"]
    whole = [cell for cell in ngram if cell.fraction == 1]
    assert len(whole) == 9 and all(10 in [s.beam for s in cell.searches] for cell in whole)
    six = {cell.backbone.name for cell in ngram if [s.beam for s in cell.searches] == [1, 5, 10, 20, 50, 100]}
    assert six == {"llama-d128", "t5-d32"}
    for method in ("ngram", "codebook"):
        arm = {c.fraction for c in cells if c.method == method and c.backbone.name == "llama-d64"}
        assert arm == {0.2, 0.4, 0.6, 0.8, 1.0}
    declared = spec.seed_noise["CGL"]
    assert declared is not None and declared.sd == 1.9e-4 and "8 degrees of freedom" in declared.source


@pytest.mark.parametrize(
    "path", sorted(PARAMS.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_parameter_files_read_as_documents(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("#"), "a parameter file opens by saying what it is"
    assert isinstance(yaml.safe_load(text), dict)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "path", sorted(PARAMS.glob("*/[01]*.yaml")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_a_notebooks_parameters_are_ones_it_has(path: Path) -> None:
    notebook = PARAMS.parent / "notebooks" / f"{path.stem}.ipynb"
    values = check(read_yaml(path), notebook)
    assert values["study_dir"] == f"runs/{path.parent.name}"
    command = f"papermill notebooks/{path.stem}.ipynb out.ipynb -f params/{path.parent.name}/{path.name}"
    assert command in path.read_text()


def test_patterns_match_families_and_names(tmp_path: Path) -> None:
    spec = load(study(tmp_path))
    assert match_backbones(spec, "*") == match_backbones(spec, "llama/*") == ["llama-d16", "llama-d64"]
    assert match_backbones(spec, "llama-d6*") == ["llama-d64"]
    assert match_backbones(spec, "t5/*") == []


def test_a_study_says_only_what_differs_from_another(tmp_path: Path) -> None:
    base = load(study(tmp_path))
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "my.yaml"
    own.write_text(
        f"name: own\nextends: {tmp_path}\ncorpus: {{reader: docstrings, packages: [numpy]}}\n"
        "recipe: {warmup: 0.1}\ngrid: [{methods: [ngram, codebook], backbones: [llama-d16]}]\n"
    )
    found = load(own)
    assert found.corpus.parameters == {"packages": ["numpy"]}, "no parameter of another reader is inherited"
    assert (found.recipe.warmup, found.recipe.batch_queries) == (0.1, base.recipe.batch_queries)
    assert found.ladders == base.ladders and found.search == base.search
    assert [cell.name for cell in expand(found)] == ["llama-d16 ngram s0", "llama-d16 codebook s0"]
    own.write_text(f"name: own\nextends: {tmp_path}\ncorpus: {{n_documents: 7}}\n")
    assert load(own).corpus.parameters == {"n_documents": 7} and load(own).corpus.reader == "synthetic"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nextends: nothing-like-it\n", "no study 'nothing-like-it'"),
        ("extends: demo\n", "needs a `name`"),
        ("name: a\nextends: {folder}\n", "extends itself"),
        ("name: a\nextends: demo\nrecpie: {{}}\n", "did you mean 'recipe'"),
    ],
)
def test_what_is_wrong_in_a_study_that_extends_another(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "study.yaml").write_text(text.format(folder=tmp_path))
    with pytest.raises(BadInput, match=words):
        load(tmp_path)
