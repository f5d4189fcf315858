"""The clock of a search: what it counts, and that nothing else changes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_cells import T5, cell, folder_of, study  # noqa: F401

from genret_core.files import read_json
from genret_core.modeling import search_clock
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.cells import run_cell
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.search_clock import SearchClock
from genret_core.modeling.search_keys import find_keys


class Outer(torch.nn.Module):
    """A model whose pass calls its encoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Linear(1, 1)
        self.config = SimpleNamespace(is_encoder_decoder=True)

    def get_encoder(self):
        return self.encoder

    def forward(self, x):
        return self.encoder(x)


def test_a_pass_within_a_pass_counts_once(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(search_clock.time, "perf_counter", lambda: next(now))
    model, clock = Outer(), SearchClock()
    with clock.listening(model):
        model(torch.zeros(1, 1))  # 0 to 1: the encoder inside reads no time
        model.encoder(torch.zeros(1, 1))  # 2 to 3
    model(torch.zeros(1, 1))
    assert clock.model == 2 and clock.index == 0


@pytest.mark.parametrize("method", ["ngram", "codebook"])
def test_a_watched_index_answers_as_the_index_does(study, method):  # noqa: F811
    spec = cell(study, method, T5)
    run_cell(spec)
    inputs = CellInputs.open(spec)
    model, index = load_model(spec.layout.checkpoint(spec.key)), inputs.index()
    clock = SearchClock()
    twin = clock.watching(index)
    assert isinstance(twin, type(index)) and type(index) is not type(twin)
    texts = list(inputs.corpus.query_texts(inputs.sample(spec.searches[0].sample).queries[:5]))
    plain = find_keys(model, inputs, spec.searches[0], texts, index)
    assert clock.index == 0
    with clock.listening(model):
        watched = find_keys(model, inputs, spec.searches[0], texts, twin)
    for name in ("query", "ids", "score", "lo", "hi"):
        one, other = (getattr(found.keys.hypotheses, name) for found in (plain, watched))
        np.testing.assert_array_equal(one, other)
    assert clock.index > 0 and clock.model > 0
    report = read_json(folder_of(spec, spec.searches[0]) / "eval.json")
    parts = [report[f"{name}_seconds"] for name in ("model", "index", "scoring")]
    assert min(parts) > 0 and sum(parts) < report["seconds"]
