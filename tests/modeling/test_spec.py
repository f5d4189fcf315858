from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from genret_core.errors import BadInput
from genret_core.files import content_key
from genret_core.modeling import Backbone, CellSpec, LossEval, Recipe, SearchEval, StudyFolder
from genret_core.modeling.spec import SWITCHES

BACKBONE = Backbone("llama-d16", "llama", 16, 2, 1, 48, lr={"ngram": "0.32/d", "codebook": 0.01})
SPEC = CellSpec(
    study="demo", folder="runs/demo", corpus="c", split="train", tokenizer="t", identifiers="i",
    method="ngram", backbone=BACKBONE, fraction=1.0, seed=0, recipe=Recipe(), index="x",
    losses=(LossEval("s", "seen", 64),), searches=(SearchEval("s", 10, "seen", 400, scoring={"alpha": 2}),),
)  # fmt: skip


def test_round_trip_through_json():
    assert CellSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"study": "other"}, {"folder": "elsewhere"}, {"losses": ()}, {"searches": ()}, {"index": "y"},
        {"backbone": replace(BACKBONE, name="renamed")}, {"backbone": replace(BACKBONE, lr=0.02)},
        {"recipe": Recipe(lr=0.02)}, {"sweep_sample": "v"},
    ],
    ids=str,
)  # fmt: skip
def test_what_leaves_the_weights_alone_leaves_the_key(change):
    assert replace(SPEC, **change).key == SPEC.key


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "d"}, {"split": "half"}, {"tokenizer": "u"}, {"identifiers": "j"}, {"method": "codebook"},
        {"backbone": replace(BACKBONE, d_ff=64)}, {"backbone": replace(BACKBONE, lr=0.01)}, {"fraction": 0.5},
        {"seed": 1}, {"recipe": Recipe(clip=2.0)}, {"recipe": Recipe(lr=0.01)},
        {"prefix": "Q: "}, {"suffix": "?"},
    ],
    ids=str,
)  # fmt: skip
def test_what_decides_the_weights_changes_the_key(change):
    assert replace(SPEC, **change).key != SPEC.key


def test_key_follows_the_recipe_version(monkeypatch):
    before = SPEC.key
    monkeypatch.setattr("genret_core.modeling.spec.RECIPE_VERSION", 10**6)
    assert replace(SPEC).key != before


def test_the_sample_of_a_sweep_matters_when_there_is_one():
    swept = replace(SPEC, recipe=Recipe(lr_sweep=3), sweep_sample="v")
    assert swept.key != replace(swept, sweep_sample="w").key


def test_evaluations_have_keys_of_their_own():
    plain = content_key({"kind": "losses", "sample": "s", "split": "seen", "n_negatives": 64})
    assert LossEval("s", "seen", 64).key == plain  # as before there was a switch
    assert LossEval("s", "seen", 64, end_and_padding=True).key != plain
    assert LossEval("s", "seen", 64, precision="bf16").key != plain
    keys = {LossEval("s", "seen", 64).key, LossEval("s", "seen", 32).key, LossEval("r", "seen", 64).key}
    beams = {SearchEval("s", b, "seen", 400).key for b in (1, 10)}
    scored = SearchEval("s", 10, "seen", 400, scoring={"alpha": 1}).key
    assert len(keys | beams | {scored}) == 6


def test_searches_with_switches_have_other_keys_and_those_without_keep_theirs():
    assert (
        SearchEval("s", 10, "seen", 400).key == "eb12c185c89dd661"
    )  # as in studies made before there were switches
    assert SearchEval("s", 10, "seen", 400, scoring={"alpha": 2}).key == "82e86d9a32fc90e7"
    keys = {SearchEval("s", 10, "seen", 400, **{name: True}).key for name in SWITCHES}
    keys.add(SearchEval("s", 10, "seen", 400, scoring={"full_score": True}).key)
    assert len(keys | {SearchEval("s", 10, "seen", 400).key}) == 5
    switched = replace(SPEC, searches=(SearchEval("s", 10, "seen", 400, rescore=True, unigrams=True),))
    assert CellSpec.from_dict(json.loads(json.dumps(switched.to_dict()))) == switched


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"method": "title"}, "method"), ({"fraction": 0.0}, "fraction"), ({"fraction": 1.2}, "fraction"),
        ({"recipe": Recipe(lr_sweep=3)}, "sweep_sample"), ({"index": None}, "index"),
    ],
)  # fmt: skip
def test_refuses(change, word):
    with pytest.raises(BadInput, match=word):
        replace(SPEC, **change)


def test_refuses_unknown_keys():
    with pytest.raises(BadInput, match="colour"):
        CellSpec.from_dict({**SPEC.to_dict(), "colour": "red"})


def test_layout():
    at = StudyFolder("runs/demo")
    assert str(at.evaluation("c", "e")) == "runs/demo/cells/c/evals/e"
    assert str(at.tokenizer("k", "t")) == "runs/demo/corpus/k/tokenizer-t"
    assert at.checkpoint("c").parent == at.cell_file("c").parent == at.cell_status("c").parent


def test_no_torch_to_plan_a_study():
    names = "genret_core.modeling, genret_core.modeling.cells"
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
