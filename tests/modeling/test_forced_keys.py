"""Teacher forcing of keys against plain transformers calls and against the search itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import BACKBONES, EOS, LLAMA, PAD, T5, V, build, fake
from torch.utils.flop_counter import FlopCounterMode

from genret_core.modeling import forced_keys
from genret_core.modeling.flops import decoding_flops
from genret_core.modeling.forced_keys import force_keys
from genret_core.modeling.losses import naive_scores
from genret_core.retrieval import batches
from genret_core.retrieval.beam_search import beam_search
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.token_index import TokenIndex


def sharp(backbone):
    model = build(backbone, seed=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5)
    return model


def keys_of(pairs) -> Ragged:
    return Ragged.of([pairs.identifier(row) for row in range(len(pairs))])


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_equals_plain_calls(backbone, monkeypatch):
    model = sharp(backbone)
    prompts, pairs, owner = fake(7, 9, ragged=True)
    expected, _ = naive_scores(model, prompts, pairs, owner)
    together = force_keys(model, prompts, owner, keys_of(pairs), family=backbone.family, pad_id=PAD)
    assert np.abs(together.log_prob + expected).max() < 1e-4
    assert expected.std() > 1.0
    assert together.first is None
    monkeypatch.setattr(batches, "ROWS_PER_STEP", 12)
    apart = force_keys(model, prompts, owner, keys_of(pairs), family=backbone.family, pad_id=PAD)
    assert np.abs(apart.log_prob - together.log_prob).max() < 1e-4
    assert np.array_equal(apart.reads, together.reads)


def test_no_step_reads_more_prefixes_than_allowed(monkeypatch):
    """Keys of many lengths that share nothing: one query has more to read than keys of any one length."""
    monkeypatch.setattr(batches, "ROWS_PER_STEP", 30)
    rows: list[int] = []
    plain = forced_keys.make_decoder

    def watched(*args, **options):
        decoder = plain(*args, **options)
        step = decoder.step
        decoder.step = lambda tokens, parents: rows.append(tokens.size) or step(tokens, parents)
        return decoder

    monkeypatch.setattr(forced_keys, "make_decoder", watched)
    prompts, _, _ = fake(8, 1)
    keys = [[2 + i, *range(5, 5 + i)] for _ in range(8) for i in range(9)]
    query = np.repeat(np.arange(8), 9)
    found = force_keys(build(LLAMA), prompts, query, Ragged.of(keys), family="llama", pad_id=PAD)
    assert found.reads.tolist() == [[8, 7, 6, 5, 4, 3, 2, 1]] * 8
    assert max(rows) == 24
    nothing = force_keys(
        build(LLAMA), prompts, np.arange(8), Ragged.of([[5]] * 8), family="llama", pad_id=PAD
    )
    assert nothing.reads.size == 0


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: b.name)
def test_with_the_prompt_of_the_search_it_gives_the_log_probabilities_of_the_search(tmp_path, backbone):
    rng = np.random.default_rng(3)
    documents = [rng.integers(2, V, n) for n in rng.integers(8, 40, 20)]
    ids = np.concatenate([np.append(d, EOS) for d in documents]).astype(np.uint16)
    starts = np.concatenate([[0], np.cumsum([len(d) + 1 for d in documents])])
    index = TokenIndex.build(ids, starts, tmp_path / "i", vocab_size=V, tokenizer_key="t", separator_id=EOS)
    model = sharp(backbone)
    prompts, _, _ = fake(6, 1)
    found = beam_search(
        model, index, prompts, beam=5, max_new_tokens=6, family=backbone.family, pad_id=PAD, eos_id=EOS
    )
    keys = Ragged.of([found.tokens(row) for row in range(len(found))])
    again = force_keys(model, prompts, found.query, keys, family=backbone.family, pad_id=PAD)
    np.testing.assert_allclose(again.log_prob, found.score, atol=2e-5)
    assert (again.reads <= 5).all()  # only prefixes that the search read, each once
    other = force_keys(
        model, prompts.take(np.arange(6)[::-1]), found.query, keys, family=backbone.family, pad_id=PAD
    )
    assert np.abs(other.log_prob - found.score).max() > 0.1


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_first_tokens(backbone):
    model = sharp(backbone)
    prompts, pairs, owner = fake(5, V, length=1)
    ids = np.tile(np.arange(V, dtype=np.int32), 5)[:, None]
    pairs = type(pairs)(pairs.query, pairs.document, ids, pairs.length, pairs.start)
    expected = -naive_scores(model, prompts, pairs, owner)[0].reshape(5, V)
    nothing = Ragged.of([])
    found = force_keys(
        model, prompts, np.empty(0, int), nothing, family=backbone.family, pad_id=PAD, first_tokens=7
    )
    assert len(found.log_prob) == 0 and found.reads.sum() == 0
    for query in range(5):
        mine = found.first.query == query
        best = np.argsort(-expected[query])[:7]
        assert found.first.token[mine].tolist() == best.tolist()
        np.testing.assert_allclose(found.first.log_prob[mine], expected[query][best], atol=1e-5)


@pytest.mark.parametrize("backbone", [LLAMA, T5], ids=lambda b: b.name)
def test_flops_are_those_of_reading_every_prefix_once(backbone):
    """Keys 5, 5 6 7, 5 6 8, 9 4: read are 5, 9 and 5 6, counted by torch on plain cached calls."""
    model = build(backbone)
    model.set_attn_implementation("eager")
    prompt = torch.randint(2, V, (1, 11))
    keys = Ragged.of([[5], [5, 6, 7], [5, 6, 8], [9, 4]])
    prompts = Ragged.of([prompt[0].numpy()])
    found = force_keys(model, prompts, np.zeros(4, int), keys, family=backbone.family, pad_id=PAD)
    assert found.reads.tolist() == [[2, 1]]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        if backbone.family == "llama":
            out = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
            step = {}
        else:
            encoded = model.encoder(input_ids=prompt)
            start = torch.zeros(1, 1, dtype=torch.long)
            out = model(encoder_outputs=encoded, decoder_input_ids=start, use_cache=True)
            step = {"encoder_outputs": encoded}
        name = "decoder_input_ids" if step else "input_ids"
        for tokens, parents in (([5, 9], [0, 0]), ([6], [0])):
            out.past_key_values.reorder_cache(torch.tensor(parents))
            if step:
                hidden = encoded.last_hidden_state.expand(len(tokens), -1, -1)
                step = {"encoder_outputs": (hidden,)}
            out = model(
                **{name: torch.tensor(tokens)[:, None]},
                **step,
                past_key_values=out.past_key_values,
                use_cache=True,
            )
    flops = decoding_flops(backbone, V, [11], found.reads)
    assert counter.get_total_flops() == flops.total
    assert flops.head == 2 * backbone.d_model * V * 4
