"""The switches of a search in study.yaml: which cells get them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from genret_core.errors import BadInput
from genret_core.workbench.study.file import load, save
from genret_core.workbench.study.grid import expand

LADDER = """
family: llama
lr: 0.01
backbones:
  - {name: small, d_model: 16, n_layers: 2, n_heads: 1, d_ff: 48}
"""
STUDY = """
name: toy
corpus: {reader: synthetic, n_documents: 50}
ladders: [ladder.yaml]
grid:
  - {methods: [ngram, codebook]}
search:
  - {methods: [ngram, codebook], beams: [5]}
  - methods: [ngram, codebook]
    beams: [5]
    rescore: true
    query_keys: true
    unigrams: true
    scoring: {full_score: true, single_key: 0.5}
"""


def study(folder: Path, text: str = STUDY) -> Path:
    (folder / "study.yaml").write_text(text)
    (folder / "ladder.yaml").write_text(LADDER)
    return folder


def test_searches_that_differ_in_switches_are_two_and_codes_take_no_words(tmp_path: Path) -> None:
    spec = load(study(tmp_path))
    cells = {cell.method: cell.searches for cell in expand(spec)}
    switches = {
        method: [(s.rescore, s.query_keys, s.unigrams) for s in searches]
        for method, searches in cells.items()
    }
    off, on = (False, False, False), (True, True, True)
    assert switches == {"ngram": [off, on], "codebook": [off, (True, False, False)]}
    assert dict(cells["ngram"][1].scoring) == {"full_score": True, "single_key": 0.5}
    save(spec, tmp_path / "written.yaml")
    assert expand(load(tmp_path / "written.yaml")) == expand(spec)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{full_scores: true}", r"study\.yaml:14.*no option 'full_scores'"),
        ("{single_key: 2}", r"study\.yaml:14.*between 0 and 1"),
        ("{sort_by_length: true, sort_by_freq: true}", r"study\.yaml:14.*exclude each other"),
    ],
)
def test_options_of_scoring_are_checked_before_anything_runs(tmp_path: Path, given: str, said: str) -> None:
    text = STUDY.replace("{full_score: true, single_key: 0.5}", given)
    with pytest.raises(BadInput, match=said):
        load(study(tmp_path, text))
