from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration  # noqa: E402

from genret_core.errors import BadInput  # noqa: E402
from genret_core.retrieval import batches  # noqa: E402
from genret_core.retrieval.beam_search import beam_search  # noqa: E402
from genret_core.retrieval.code_index import CodeIndex  # noqa: E402
from genret_core.retrieval.decoders import make_decoder  # noqa: E402
from genret_core.retrieval.ragged import Ragged  # noqa: E402
from genret_core.retrieval.token_index import TokenIndex  # noqa: E402

PAD, EOS, V, STEPS = 0, 1, 13, 4
FAMILIES = ("llama", "t5")


def make_model(family: str, vocab: int = V, attention: str = "sdpa", seed: int = 0, **options):
    torch.manual_seed(seed)
    if family == "llama":
        config = LlamaConfig(
            vocab_size=vocab, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=options.get("kv_heads", 4), initializer_range=0.4,
            pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, tie_word_embeddings=True,
            attn_implementation=attention,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()
    config = T5Config(
        vocab_size=vocab, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, dropout_rate=0.1,
        relative_attention_num_buckets=8, relative_attention_max_distance=6, feed_forward_proj="gated-gelu",
        pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=PAD, attn_implementation=attention,
    )  # fmt: skip
    config.scale_decoder_outputs = False
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # every weight matters: distance tables and norms too
            parameter.normal_(0, 0.5)
        model.shared.weight.mul_(0.6)
    return model


def documents() -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [rng.integers(2, V - 1, n).tolist() for n in (9, 5, 1, 12, 3, 7)]


def make_index(folder) -> TokenIndex:
    ids = np.array([t for d in documents() for t in [*d, EOS]], np.uint16)
    starts = np.concatenate([[0], np.cumsum([len(d) + 1 for d in documents()])])
    return TokenIndex.build(ids, starts, folder, vocab_size=V, tokenizer_key="toy", separator_id=EOS)


PROMPTS = Ragged.of([[5, 3, 9, 12], [7, 12], [4, 4, 8, 2, 6, 10, 12], [11, 12], [2, 3, 12]])


def teacher_forced(model, family, prompt, identifier) -> float:
    """Sum of log-probabilities of an identifier by one plain forward call, without cache or padding."""
    target = torch.tensor([list(identifier)])
    with torch.no_grad():
        if family == "llama":
            ids = torch.cat([torch.tensor([list(prompt)]), target], dim=1)
            logits = model(input_ids=ids).logits[:, len(prompt) - 1 : -1]
        else:
            begun = torch.cat([torch.tensor([[PAD]]), target[:, :-1]], dim=1)
            logits = model(input_ids=torch.tensor([list(prompt)]), decoder_input_ids=begun).logits
    return logits.double().log_softmax(-1).gather(-1, target[..., None]).sum().item()


def ngrams(length: int) -> set[tuple[int, ...]]:
    return {tuple(d[i : i + length]) for d in documents() for i in range(len(d) - length + 1)}


def search(model, family, index, prompts=PROMPTS, **options):
    settings = {"beam": 200, "max_new_tokens": STEPS, "pad_id": PAD, "eos_id": EOS, **options}
    return beam_search(model, index, prompts, family=family, **settings)


def as_dict(found, query):
    rows = np.flatnonzero(found.query == query)
    return {tuple(found.tokens(r).tolist()): found.score[r] for r in rows}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_wide_beams_find_every_ngram_with_its_teacher_forced_probability(tmp_path, family, attention):
    model = make_model(family, attention=attention)
    index = make_index(tmp_path / "index")
    found = search(model, family, index)
    everything = set().union(*(ngrams(n) for n in range(1, STEPS + 1)))
    for query, prompt in enumerate(PROMPTS):
        scores = as_dict(found, query)
        assert len(scores) == (found.query == query).sum()  # every prefix once
        assert set(scores) == everything
        for identifier in list(everything)[::7]:
            assert scores[identifier] == pytest.approx(
                teacher_forced(model, family, prompt, identifier), abs=1e-4
            )
    assert model.config._attn_implementation == attention
    count = index.count([found.tokens(r).tolist() for r in range(len(found))])
    np.testing.assert_array_equal(found.count, count)
    final = {tuple(found.tokens(r).tolist()) for r in np.flatnonzero(found.final)}
    ends = {g for n in range(1, STEPS) for g in ngrams(n) if not any(h[:n] == g for h in ngrams(n + 1))}
    assert final == ngrams(STEPS) | ends
    assert ends
    assert (found.filled == max(len(ngrams(n)) for n in range(1, STEPS + 1))).all()
    assert "could not fill 200 beams for 5 of 5 queries" in found.note()


def exhaustive_beams(model, family, prompt, beam):
    """A plain beam search: score all, sort, keep; remembered are the best 2 * beam of each step."""
    beams, history = [()], {}
    for length in range(1, STEPS + 1):
        options = [g for g in ngrams(length) if g[:-1] in beams]
        scored = sorted(((teacher_forced(model, family, prompt, g), g) for g in options), reverse=True)
        history.update({g: s for s, g in scored[: 2 * beam]})
        beams = [g for _, g in scored[:beam]]
    return history


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_narrow_beams_equal_a_plain_beam_search(tmp_path, family, beam):
    model = make_model(family, seed=3)
    found = search(model, family, make_index(tmp_path / "index"), beam=beam)
    for query, prompt in enumerate(PROMPTS):
        expected = exhaustive_beams(model, family, prompt, beam)
        scores = as_dict(found, query)
        assert set(scores) == set(expected)
        for identifier, score in scores.items():
            assert score == pytest.approx(expected[identifier], abs=1e-4)
    assert found.note() is None


@pytest.mark.parametrize("family", ["llama", "t5", "causal"])
def test_full_memory_halves_the_batch_and_finds_the_same(tmp_path, family, monkeypatch):
    """A device that holds two queries: 5 are tried, then 2, 2 and 1; the scores are those of one batch."""
    model, index = make_model(family.replace("causal", "llama"), seed=3), make_index(tmp_path / "index")
    expected = search(model, family, index, beam=3)
    sizes = []

    def small(module, args, given):
        rows = next(x for x in (given.get("input_ids"), given.get("decoder_input_ids")) if x is not None)
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    hook = model.register_forward_pre_hook(small, with_kwargs=True)
    found = search(model, family, index, beam=3)
    assert [size for before, size in zip([0, *sizes], sizes, strict=False) if size != before] == [5, 2, 1]
    for query in range(len(PROMPTS)):
        before, after = as_dict(expected, query), as_dict(found, query)
        assert list(after) == list(before)
        assert list(after.values()) == pytest.approx(list(before.values()), abs=1e-5)
    hook.remove()

    def never(module, args, given):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    model.register_forward_pre_hook(never, with_kwargs=True)
    with pytest.raises(MemoryError, match="cannot hold the search of one query with 3 beams"):
        search(model, family, index, beam=3)


@pytest.mark.parametrize("family", FAMILIES)
def test_beams_of_a_step_follow_from_what_is_free(family, monkeypatch):
    """What is counted of a beam is what the search holds of it."""
    model = make_model(family, kv_heads=2)
    assert batches.rows_per_step(model, "cpu", 5) == batches.ROWS_PER_STEP
    decoder = make_decoder(family, model, PROMPTS, pad_id=PAD, device="cpu")
    decoder.start()
    steps, beams = 5, 7
    parents = np.repeat(np.arange(len(PROMPTS)), beams)
    for step in range(steps):
        tokens = np.full((len(PROMPTS), beams), 3)
        logits = decoder.step(tokens, parents if step == 0 else np.arange(len(parents)))
    if family == "t5":  # its first token is one of the past
        steps += 1
    held = sum(x.numel() * x.element_size() for pair in decoder.past.generated for x in pair)
    each = batches.LOGITS * logits.numel() * 4 + batches.CACHES * held
    assert batches.beam_bytes(model, steps) == each / len(parents)
    free = 100 * batches.beam_bytes(model, steps) / batches.SHARE
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    assert batches.rows_per_step(model, "cuda", steps) == 100
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1, 1))
    assert batches.rows_per_step(model, "cuda", steps) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_equals_one_by_one_and_the_order_is_that_of_the_prompts(tmp_path, family):
    model, index = make_model(family, seed=1), make_index(tmp_path / "index")
    together = search(model, family, index, beam=5, batch_queries=5)
    for batch in (1, 2):
        apart = search(model, family, index, beam=5, batch_queries=batch)
        for name in ("query", "ids", "length", "lo", "hi", "final", "filled"):
            np.testing.assert_array_equal(getattr(apart, name), getattr(together, name))
        np.testing.assert_allclose(apart.score, together.score, atol=1e-5)
    alone = search(model, family, index, PROMPTS.take([2]), beam=5)
    assert as_dict(alone, 0).keys() == as_dict(together, 2).keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_history_only_the_last_beams_remain(tmp_path, family):
    model, index = make_model(family), make_index(tmp_path / "index")
    all_, last = (search(model, family, index, beam=3, keep_history=keep) for keep in (True, False))
    for query in range(len(PROMPTS)):
        rows = all_.final & (all_.query == query)
        assert {tuple(i) for i in all_.ids[rows].tolist()} == {
            tuple(i) for i in last.ids[last.query == query].tolist()
        }
    assert last.final.all()
    assert len(last) < len(all_)


def test_grouped_key_value_heads_give_teacher_forced_probabilities(tmp_path):
    model = make_model("llama", kv_heads=2)
    found = search(model, "llama", make_index(tmp_path / "index"), beam=4)
    for row in range(0, len(found), 9):
        expected = teacher_forced(model, "llama", PROMPTS[found.query[row]], found.tokens(row))
        assert found.score[row] == pytest.approx(expected, abs=1e-4)


def test_first_tokens_limit_the_beginning_only(tmp_path):
    index = make_index(tmp_path / "index")
    first = np.zeros(V, bool)
    first[[3, 5, 6]] = True
    found = search(make_model("llama"), "llama", index, first_tokens=first)
    expected = {g for n in range(1, STEPS + 1) for g in ngrams(n) if g[0] in (3, 5, 6)}
    assert set(as_dict(found, 0)) == expected


def test_a_prefix_that_is_rare_enough_finishes(tmp_path):
    index = make_index(tmp_path / "index")
    model = make_model("llama")
    found = search(model, "llama", index, stop_at_count=2)
    all_ = search(model, "llama", index)
    grams = {n: ngrams(n) for n in range(1, STEPS + 1)}
    often = {g for n in grams for g in grams[n] if index.count([g])[0] > 2}
    expected = {g for n in grams for g in grams[n] if n == 1 or g[:-1] in often}
    for query in range(len(PROMPTS)):
        scores = as_dict(found, query)
        assert set(scores) == expected
        assert scores == pytest.approx({g: s for g, s in as_dict(all_, query).items() if g in expected})
    final = {tuple(found.tokens(r).tolist()) for r in np.flatnonzero(found.final)}
    assert final == {g for g in expected if g not in often or len(g) == STEPS}
    assert {len(g) for g in final} > {1}


@pytest.mark.parametrize("family", FAMILIES)
def test_codes_equal_scoring_all_code_sequences(family):
    first, n_codes, length = V, 3, 3
    codes = np.array(list(product(range(n_codes), repeat=length)))[::2]
    codes = np.concatenate([codes, codes[:2]])  # two documents share their codes
    index = CodeIndex.build(first + codes)
    model = make_model(family, vocab=V + n_codes)
    found = search(model, family, index, beam=100, max_new_tokens=length)
    whole = found.select(found.final)
    for query, prompt in enumerate(PROMPTS):
        scores = as_dict(whole, query)
        assert set(scores) == {tuple(row) for row in (first + codes).tolist()}
        for identifier, score in scores.items():
            assert score == pytest.approx(teacher_forced(model, family, prompt, identifier), abs=1e-4)
    assert (whole.count == [1 + (list(r - first) in codes[:2].tolist()) for r in whole.ids]).all()
    longer = search(model, family, index, beam=100, max_new_tokens=length + 2)
    np.testing.assert_array_equal(longer.ids, found.ids)
    np.testing.assert_array_equal(longer.final, found.final)


def test_the_model_is_left_as_it_was(tmp_path):
    model, index = make_model("t5"), make_index(tmp_path / "index")
    expected = search(model, "t5", index, beam=3)
    model.train()
    again = search(model, "t5", index, beam=3)  # dropout is 0.1: only evaluation mode repeats the scores
    assert model.training
    np.testing.assert_array_equal(again.score, expected.score)


def test_bad_input_is_told(tmp_path):
    model, index = make_model("llama"), make_index(tmp_path / "index")
    with pytest.raises(BadInput, match="beam must be at least 1"):
        search(model, "llama", index, beam=0)
    with pytest.raises(BadInput, match="stop_at_count must be at least 0"):
        search(model, "llama", index, stop_at_count=-1)
    with pytest.raises(BadInput, match="prompt 1 is empty"):
        search(model, "llama", index, Ragged.of([[2], [], [3]]))
    with pytest.raises(BadInput, match="family must be one of"):
        search(model, "gpt", index)
    with pytest.raises(BadInput, match="not with eos_id 7"):
        search(model, "llama", index, eos_id=7)
    larger = TokenIndex.build(
        np.array([3, 20, EOS], np.uint16), np.array([0, 3]), tmp_path / "larger",
        vocab_size=40, tokenizer_key="toy", separator_id=EOS,
    )  # fmt: skip
    with pytest.raises(BadInput, match="index holds token 20, the model knows 13 tokens only"):
        search(model, "llama", larger)
    with pytest.raises(BadInput, match="index holds token 30, the model knows 13 tokens only"):
        search(model, "llama", CodeIndex.build(np.array([[3, 4], [30, 3]])))
    with torch.no_grad():
        model.model.norm.weight[0] = torch.nan
    with pytest.raises(BadInput, match="gives NaN"):
        search(model, "llama", index)
