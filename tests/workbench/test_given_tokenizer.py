"""A published tokenizer is told apart by the content of its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genret_core.errors import BadInput
from genret_core.workbench.study.file import load
from genret_core.workbench.study.inputs import Inputs, given_keys


def test_the_key_of_a_trained_tokenizer_stays() -> None:
    """As of studies that were made before the content of published ones counted."""
    inputs = Inputs.of(
        load("demo"), "0dfc69c9378a2803", validation=True, **given_keys(Path("/nowhere"), load("demo"))
    )
    assert inputs.tokenizer == "043473b50a2f4edd"


def test_the_key_follows_the_files_and_is_noted(tmp_path: Path) -> None:
    def key(**how: bool) -> str:
        return Inputs.of(spec, "c", validation=True, **given_keys(tmp_path / "study", spec, **how)).tokenizer

    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "tokenizer.json").write_text("{}")
    (hub / "config.json").write_text("{}")
    path = tmp_path / "study.yaml"
    path.write_text(
        f"name: given\ncorpus: {{reader: synthetic}}\ntokenizer: {{hub: {hub}}}\n"
        "ladders:\n- family: llama\n  lr: 0.01\n  backbones:\n"
        "  - {name: a, d_model: 16, n_layers: 1, n_heads: 1, d_ff: 32}\n"
        "grid:\n- {methods: [ngram]}\n"
    )
    spec = load(path)
    first = key(note=True)
    (hub / "config.json").write_text("{ }")  # no file of the tokenizer
    assert key() == first
    (hub / "tokenizer.json").write_text("{ }")
    second = key(note=True)
    assert second != first
    shutil.rmtree(hub)
    assert key() == second  # what was noted stays, though the files are gone
    with pytest.raises(BadInput, match=r"not on this machine"):
        given_keys(tmp_path / "another", spec)
