"""Searches with models beyond LLaMA and T5, against scoring all n-grams by plain calls of the model."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import transformers  # noqa: E402
from test_beam_search import EOS, PAD, PROMPTS, STEPS, V, as_dict, documents, make_index, ngrams, search  # noqa: E402

from genret_core.errors import BadInput  # noqa: E402
from genret_core.modeling.forced_keys import force_keys  # noqa: E402
from genret_core.retrieval import plain_calls  # noqa: E402
from genret_core.retrieval.code_index import CodeIndex  # noqa: E402
from genret_core.retrieval.decoders import make_decoder  # noqa: E402
from genret_core.retrieval.own_caches import OwnCausal, decoder_start  # noqa: E402
from genret_core.retrieval.ragged import Ragged  # noqa: E402
from genret_core.retrieval.sharded_index import ShardedIndex  # noqa: E402

SPECIAL = {"vocab_size": V, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": None}
WIDTHS = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 4}
BART = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 64,
}  # fmt: skip
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": PAD}
# name -> (what is special about it, decoder, options of its configuration)
MODELS = {
    "GPT2": ("learned positions", "SharingCausal", GPT | {"n_positions": 64}),
    "Qwen3": ("norms on queries and keys", "SharingCausal", WIDTHS | {"head_dim": 4}),
    "GPTNeoX": ("rotary on a part of each head", "SharingCausal", WIDTHS),
    "Mistral": ("sliding window", "OwnCausal", WIDTHS | {"sliding_window": 3}),
    "Gemma2": (
        "windows in every other layer, capped logits",
        "OwnCausal",
        WIDTHS | {"head_dim": 4, "sliding_window": 3, "query_pre_attn_scalar": 4},
    ),
    "Bloom": ("ALiBi", "OwnCausal", {"hidden_size": 16, "n_layer": 2, "n_head": 4}),
    "MT5": ("no table shared with the input", "SharingSeq2Seq", T5),
    "Bart": ("learned positions", "OwnSeq2Seq", BART | {"decoder_start_token_id": EOS}),
    "Pegasus": ("sinusoids", "OwnSeq2Seq", BART | {"decoder_start_token_id": PAD}),
}


def make(name: str, *, vocab: int = V, seed: int = 1):
    """A model of random weights, all of them large enough to matter."""
    options = SPECIAL | MODELS[name][2] | {"vocab_size": vocab}
    config = getattr(transformers, f"{name}Config")(**options)
    kind = kind_of(name)
    auto = "AutoModelForSeq2SeqLM" if kind == "seq2seq" else "AutoModelForCausalLM"
    model = getattr(transformers, auto).from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def kind_of(name: str) -> str:
    return "seq2seq" if "Seq2Seq" in MODELS[name][1] else "causal"


def plain_scores(model, prompt, identifiers) -> list[float]:
    """Log-probabilities of identifiers by calls without cache or padding, one for those of each length."""
    scores = {}
    for length in {len(identifier) for identifier in identifiers}:
        some = [tuple(identifier) for identifier in identifiers if len(identifier) == length]
        target, before = torch.tensor(some), torch.tensor([list(prompt)] * len(some))
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                start = torch.full((len(some), 1), decoder_start(model, PAD))
                begun = torch.cat([start, target[:, :-1]], dim=1)
                logits = model(input_ids=before, decoder_input_ids=begun, use_cache=False).logits
            else:
                ids = torch.cat([before, target], dim=1)
                logits = model(input_ids=ids, use_cache=False).logits[:, len(prompt) - 1 : -1]
        given = logits.double().log_softmax(-1).gather(-1, target[..., None])
        scores |= dict(zip(some, given.sum((1, 2)).tolist(), strict=True))
    return [scores[tuple(identifier)] for identifier in identifiers]


@pytest.mark.parametrize("name", MODELS)
def test_beams_equal_scoring_every_ngram(tmp_path, name):
    model, kind, index = make(name), kind_of(name), make_index(tmp_path / "index")
    decoder = make_decoder(kind, model, PROMPTS, pad_id=PAD, device="cpu")
    assert type(decoder.inner).__name__ == MODELS[name][1]
    wide, narrow = (search(model, kind, index, beam=beam) for beam in (200, 3))
    everything = sorted(set().union(*(ngrams(n) for n in range(1, STEPS + 1))))
    for query, prompt in enumerate(PROMPTS):
        expected = dict(zip(everything, plain_scores(model, prompt, everything), strict=True))
        found = as_dict(wide, query)
        assert found == pytest.approx(expected, abs=1e-4)
        beams, history = [()], {}
        for length in range(1, STEPS + 1):
            best = sorted((g for g in ngrams(length) if g[:-1] in beams), key=expected.get, reverse=True)
            history |= {g: expected[g] for g in best[:6]}
            beams = best[:3]
        assert as_dict(narrow, query) == pytest.approx(history, abs=1e-4)
    keys = Ragged.of([narrow.tokens(row) for row in range(len(narrow))])
    forced = force_keys(model, PROMPTS, narrow.query, keys, family=kind, pad_id=PAD)
    np.testing.assert_allclose(forced.log_prob, narrow.score, atol=1e-4)


@pytest.mark.parametrize("name", ["Gemma2", "Bart"])
def test_codes_equal_scoring_all_code_sequences(name):
    rng = np.random.default_rng(0)
    codes = V + rng.integers(0, 4, (20, 3))
    model = make(name, vocab=V + 4)
    found = search(model, kind_of(name), CodeIndex.build(codes), beam=100, max_new_tokens=3)
    whole = found.select(found.final)
    distinct = sorted({tuple(row) for row in codes.tolist()})
    for query, prompt in enumerate(PROMPTS):
        expected = dict(zip(distinct, plain_scores(model, prompt, distinct), strict=True))
        assert as_dict(whole, query) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["GPT2", "Gemma2", "MT5", "Bart"])
def test_16_bits(tmp_path, name):
    model, kind = make(name).bfloat16(), kind_of(name)
    found = search(model, kind, make_index(tmp_path / "index"), beam=3)
    assert found.score.dtype == np.float64
    assert (found.score < 0).all()
    for row in range(0, len(found), 7):
        expected = plain_scores(model, PROMPTS[found.query[row]], [found.tokens(row).tolist()])
        assert found.score[row] == pytest.approx(expected[0], abs=0.5)
    keys = Ragged.of([found.tokens(row) for row in range(len(found))])
    forced = force_keys(model, PROMPTS, found.query, keys, family=kind, pad_id=PAD)
    np.testing.assert_allclose(forced.log_prob, found.score, atol=0.5)


@pytest.mark.parametrize("kind", ["tensors", "shards", "shards of tensors"])
def test_the_kind_of_index_makes_no_difference(tmp_path, kind):
    model, one = make("GPT2"), make_index(tmp_path / "one")
    other = one
    if "shards" in kind:
        options = {"vocab_size": V, "tokenizer_key": "toy", "separator_id": EOS}
        ids = np.array([t for d in documents() for t in [*d, EOS]], np.uint16)
        starts = np.concatenate([[0], np.cumsum([len(d) + 1 for d in documents()])])
        other = ShardedIndex.build(ids, starts, tmp_path / "shards", tokens_per_shard=15, **options)
        assert len(other.shards) > 2
    if "tensors" in kind:
        other = other.to("cpu")
    first = np.arange(V) % 3 > 0
    for beam in (3, 40):
        a, b = (search(model, "causal", index, beam=beam, first_tokens=first) for index in (one, other))
        for name in ("query", "ids", "length", "score", "count", "final", "filled"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    codes = CodeIndex.build(2 + np.random.default_rng(1).integers(0, 9, (30, 3)))
    a, b = (search(model, "causal", index, beam=4) for index in (codes, codes.to("cpu")))
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.count, b.count)


def test_a_model_that_departs_from_its_plain_calls_is_refused(tmp_path, monkeypatch):
    """Positions counted with the padding, then a cache that does not follow its beams."""
    index = make_index(tmp_path / "index")
    kept = OwnCausal._forward

    def absolute(self, ids):
        self.mask = torch.ones_like(self.mask)
        return kept(self, ids)

    with monkeypatch.context() as patch:
        patch.setattr(OwnCausal, "_forward", absolute)
        with pytest.raises(BadInput, match=r"Bloom.* gives other probabilities .* after 0 tokens"):
            search(make("Bloom"), "causal", index, beam=3)
    model = make("Bloom")
    plain = OwnCausal.step
    with monkeypatch.context() as patch:
        first = lambda self, tokens, parents: plain(self, tokens, parents // 3 * 3)  # noqa: E731
        patch.setattr(OwnCausal, "step", first)
        with pytest.raises(BadInput, match=r"gives other probabilities .* after 2 tokens"):
            search(model, "causal", index, beam=3)
    search(model, "causal", index, beam=3)


def test_what_rounding_explains_depends_on_the_coarsest_numbers():
    """Logits may have 32 bits and the weights, or what products are made of, 16."""
    logits, model = torch.zeros(3), make("Bloom")
    assert plain_calls._tolerance(model, logits) == 1e-3
    with torch.autocast("cpu", torch.bfloat16):
        assert plain_calls._tolerance(model, logits) == 0.1
    assert plain_calls._tolerance(model, logits.half()) == 2e-2
    assert plain_calls._tolerance(model.bfloat16(), logits) == 0.1


def test_what_was_found_right_is_not_looked_at_again(tmp_path, monkeypatch):
    calls = []
    plain = plain_calls.Compared._plain_call
    monkeypatch.setattr(
        plain_calls.Compared, "_plain_call", lambda *a: calls.append(len(a[0].prompts[a[1]])) or plain(*a)
    )
    model, index = make("Bart"), make_index(tmp_path / "index")
    search(model, "seq2seq", index, PROMPTS.take([0]), beam=3)
    assert calls == [4, 4]  # after 0 and 2 tokens
    search(model, "seq2seq", index, PROMPTS.take([0, 0]), beam=3)
    assert len(calls) == 2
    search(model, "seq2seq", index, PROMPTS.take([1, 2]), beam=3)
    assert calls[2:] == [2, 7, 2, 7]


def test_models_that_cannot_be_searched_with_are_told(tmp_path):
    index = make_index(tmp_path / "index")
    config = transformers.RwkvConfig(
        **SPECIAL, hidden_size=16, attention_hidden_size=16, num_hidden_layers=2, context_length=32
    )
    with pytest.raises(BadInput, match="RwkvForCausalLM keeps no cache"):
        search(transformers.AutoModelForCausalLM.from_config(config), "causal", index)
    prompt = Ragged.of([[5] * 62])  # 64 positions are learned, and four tokens are to be written
    with pytest.raises(
        BadInput, match=r"GPT2LMHeadModel fails in a search, on sequences of up to 6\d tokens"
    ):
        search(make("GPT2"), "causal", index, prompt)
    with pytest.raises(BadInput, match="is an encoder-decoder model; family 'causal' does not fit"):
        search(make("Bart"), "causal", index)
    with pytest.raises(BadInput, match="is no encoder-decoder model"):
        search(make("GPT2"), "seq2seq", index)
    with pytest.raises(BadInput, match="uses sliding_window"):
        search(make("Mistral"), "llama", index)


@pytest.mark.parametrize("name", ["GPT2", "Gemma2", "MT5", "Bart"])
def test_adapters_are_searched_with(tmp_path, name):
    """The same as a model that the adapter was merged into, and not the same as without it."""
    peft = pytest.importorskip("peft")
    model, kind, index = make(name), kind_of(name), make_index(tmp_path / "index")
    without = search(model, kind, index, beam=3)
    task = "SEQ_2_SEQ_LM" if kind == "seq2seq" else "CAUSAL_LM"
    targets = {"GPT2": ["c_attn"], "MT5": ["q", "v"]}.get(name, ["q_proj", "v_proj"])
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=targets, task_type=task)).eval()
    with torch.no_grad():
        for key, weight in adapted.named_parameters():
            if "lora_B" in key:
                weight.normal_(0, 0.5)
    found = search(adapted, kind, index, beam=3)
    merged = search(adapted.merge_and_unload(), kind, index, beam=3)
    np.testing.assert_array_equal(found.ids, merged.ids)
    np.testing.assert_allclose(found.score, merged.score, atol=1e-4)
    assert len(without) != len(found) or np.abs(without.score - found.score).max() > 0.01
