"""The switches of a search: what they add to the keys, what they cost, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_cells import LLAMA, cell, folder_of, study  # noqa: F401

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.modeling.cell_inputs import CellInputs
from genret_core.modeling.cells import run_cell
from genret_core.modeling.checkpoint import load_model
from genret_core.modeling.evaluations import rank_hypotheses, search_prompts
from genret_core.modeling.flops import decoding_flops
from genret_core.modeling.losses import naive_scores
from genret_core.modeling.search_keys import find_keys, prompts_of
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ranking import rank_ngrams


@pytest.fixture(scope="module")
def world(study):  # noqa: F811
    spec = cell(study, prefix="find ")
    run_cell(spec)
    inputs = CellInputs.open(spec)
    model = load_model(spec.layout.checkpoint(spec.key))
    texts = list(inputs.corpus.query_texts(inputs.sample(spec.searches[0].sample).queries[:12]))
    return spec, inputs, model, texts, inputs.index()


def keys(world, **switches):
    spec, inputs, model, texts, index = world
    return find_keys(model, inputs, replace(spec.searches[0], **switches), texts, index)


def plain_log_probs(model, prompts, h):
    none = np.zeros(len(h), np.int32)
    pairs = Pairs(h.query, none, h.ids, h.length, none)
    return -naive_scores(model, prompts, pairs, h.query)[0]


def test_without_switches_it_is_the_search(world):
    spec, inputs, model, texts, index = world
    found = keys(world)
    h = search_prompts(model, inputs, spec.searches[0], prompts_of(inputs, texts), index)
    for name in ("query", "ids", "score", "lo", "hi"):
        np.testing.assert_array_equal(getattr(found.keys.hypotheses, name), getattr(h, name))
    assert found.rescoring is None and (found.C, found.C_no_head) == (
        found.search.total,
        found.search.without_head,
    )


def test_rescoring_is_from_the_bare_query(world):
    _, inputs, model, texts, _ = world
    before, after = keys(world), keys(world, rescore=True)
    bare = prompts_of(inputs, texts, bare=True)
    assert (bare.lengths < prompts_of(inputs, texts).lengths).all()
    h = after.keys.hypotheses
    np.testing.assert_allclose(h.score, plain_log_probs(model, bare, h), atol=1e-4)
    assert sorted(map(tuple, h.ids)) == sorted(map(tuple, before.keys.hypotheses.ids))
    assert np.abs(np.sort(h.score) - np.sort(before.keys.hypotheses.score)).max() > 1e-3
    assert after.C == after.search.total + after.rescoring.total > before.C == after.search.total
    beams = decoding_flops(LLAMA, inputs.vocab_size, bare.lengths, np.full(5, 4), beam=4)
    assert beams.prefill == after.rescoring.prefill  # the query is read once more
    assert after.rescoring.total <= beams.total  # and no prefix that the search did not read


def test_the_words_of_the_query_and_first_tokens_are_keys_with_their_probabilities(world):
    spec, inputs, model, texts, index = world
    found = keys(world, query_keys=True, unigrams=True)
    h, names = found.keys.hypotheses, np.array(found.keys.names())
    assert {"beam", "query", "unigram"} <= set(names)
    np.testing.assert_allclose(h.score, plain_log_probs(model, prompts_of(inputs, texts), h), atol=1e-4)
    for row in np.flatnonzero(np.char.find(names.astype(str), "query") >= 0):
        said = inputs.tokenizer.decode(h.tokens(row)).strip()
        assert said in " ".join(texts[h.query[row]].lower().split())
    unique = {(q, tuple(ids)) for q, ids in zip(h.query.tolist(), h.ids.tolist(), strict=True)}
    assert len(unique) == len(h)
    assert set(found.keys.unigrams.query.tolist()) == set(range(len(texts)))
    specials = (inputs.tokenizer.pad_id, inputs.tokenizer.eos_id, inputs.tokenizer.sep_id)
    assert not np.isin(found.keys.unigrams.token, specials).any()
    with_them = replace(spec.searches[0], scoring={"full_score": True})
    ranking = rank_hypotheses(found.keys, index, with_them, len(texts))
    again = rank_ngrams(found.keys, index, len(texts), k=50, full_score=True)
    assert ranking.document.tolist() == again.document.tolist()


def test_the_evaluation_tells_what_was_computed(world):
    spec = world[0]
    search = replace(
        spec.searches[0], rescore=True, query_keys=True, unigrams=True, scoring={"full_score": True}
    )
    spec = replace(spec, searches=(*spec.searches, search))
    run_cell(spec)
    plain, switched = (read_json(folder_of(spec, s) / "eval.json") for s in spec.searches)
    assert list(plain["flops"]) == ["search"]
    parts = switched["flops"]
    assert list(parts) == ["search", "rescoring"]
    assert parts["search"] == plain["flops"]["search"]
    head = parts["search"]["head"] + parts["rescoring"]["head"]
    assert switched["C"] == pytest.approx(switched["C_no_head"] + head, rel=1e-12)
    assert switched["C_no_head"] == parts["search"]["without_head"] + parts["rescoring"]["without_head"]
    assert switched["C"] > plain["C"]


def test_codes_can_be_rescored_and_take_no_words(study):  # noqa: F811
    spec = cell(study, "codebook", prefix="find ")
    run_cell(spec)
    inputs, model = CellInputs.open(spec), load_model(spec.layout.checkpoint(spec.key))
    texts = list(inputs.corpus.query_texts(inputs.sample(spec.searches[0].sample).queries[:5]))
    found = find_keys(model, inputs, replace(spec.searches[0], rescore=True), texts, inputs.index())
    h = found.keys.hypotheses
    bare = prompts_of(inputs, texts, bare=True)
    np.testing.assert_allclose(h.score, plain_log_probs(model, bare, h), atol=1e-4)
    with pytest.raises(BadInput, match="codebook"):
        find_keys(model, inputs, replace(spec.searches[0], unigrams=True), texts, inputs.index())
