"""N-grams against plain loops over the specification, and against the documents they come from."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rapidfuzz import fuzz

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.draws import draw, pair_keys, uniforms
from genret_core.retrieval.ngrams import NgramConfig, effective_starts, sample_ngrams, start_probabilities
from genret_core.retrieval.overlap import stop_words
from genret_core.retrieval.token_stream import TokenStream, tokenize_documents
from genret_core.retrieval.tokenizer import TextTokenizer, train_tokenizer

WORDS = """
matrix the array of returns value a sparse Vector norm, is given shape axis in reduce sum with dtype
eigenvalues and decomposition to solve linear system equations from random seed
"""


class World(NamedTuple):
    corpus: Corpus
    stream: TokenStream
    tokenizer: TextTokenizer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Documents of 25 words, and special ones: only stop words; three words; nothing like any query."""
    rng = np.random.default_rng(0)
    words = WORDS.split()
    texts = [" ".join(rng.choice(words, 25)) for _ in range(12)]
    texts += ["the of and to in is a with from the of and to", "sparse matrix norm", "zzzz zzz zzzzz zz zzzz"]
    documents = [Document(f"d{i}", f"title {i}", text) for i, text in enumerate(texts)]
    asked = [" ".join(rng.choice(words, n)) for n in (1, 2, 3, 5, 8, 4)] + ["kkkkk"]
    queries = [Query(f"q{i}", text) for i, text in enumerate(asked)]
    qrels = [Qrel(f"q{i}", f"d{i}", 1, "train") for i in range(len(asked))]
    folder: Path = tmp_path_factory.mktemp("world")
    corpus = write_corpus(folder / "corpus", documents, queries, qrels, {"name": "made"})
    tokenizer = train_tokenizer(corpus, folder / "tokenizer", vocab_size=90)
    return World(corpus, tokenize_documents(corpus, tokenizer, folder / "tokenizer"), tokenizer)


def looped_distribution(
    world: World, query: int, document: int, config: NgramConfig
) -> dict[tuple[int, int], float]:
    """(start token, length) -> probability, word by word as retrieval.md 1.1 tells it."""
    asked = world.corpus.query_text(query).lower().split()
    words = world.corpus.document_text(document).lower().split()
    n_tokens = len(world.stream.document(document))
    begin = world.stream.doc_starts[document]
    first = [t for t in range(n_tokens) if world.stream.word_starts[begin + t]]
    spans = {}
    for j in range(len(words)):
        if config.unit == "tokens":
            end, fits = first[j] + config.length, first[j] + config.length <= n_tokens
        else:
            last = j + config.length
            end, fits = (first[last] if last < len(words) else n_tokens), last <= len(words)
            end = min(end, first[j] + config.max_tokens)
        spans[j] = (first[j], min(end, n_tokens) - first[j], fits)
    places = [j for j in range(len(words)) if words[j] not in stop_words()]
    if config.whole and any(spans[j][2] for j in places):
        places = [j for j in places if spans[j][2]]
    scores = {}
    for j in places:
        window = " ".join(words[j : j + config.window])
        scores[j] = sum(
            fuzz.ratio(" ".join(asked[i : i + config.window]), window) / 100 for i in range(len(asked))
        )
    if not any(scores.values()):
        return {spans[0][:2]: 1.0}
    weights = {j: math.exp(score / config.temperature) for j, score in scores.items()}
    return {spans[j][:2]: weight / sum(weights.values()) for j, weight in weights.items()}


CONFIGS = [
    NgramConfig(),
    NgramConfig(temperature=0.25, ends="clipped", length=7),
    NgramConfig(unit="words", length=6, window=2),
    NgramConfig(unit="words", ends="whole", max_tokens=9, temperature=0.5),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_draws_follow_the_looped_distribution(world: World, config: NgramConfig) -> None:
    n = 4000
    chi2 = freedom = 0.0
    for query, document in [(4, 0), (0, 3), (2, 7), (3, 12), (1, 13), (6, 14), (6, 0)]:
        expected = looped_distribution(world, query, document, config)
        pairs = sample_ngrams(world.corpus, world.stream, [query], [document], config, 5, n_samples=n)
        seen = Counter(zip(pairs.start.tolist(), pairs.length.tolist(), strict=True))
        assert set(seen) <= set(expected)
        chi2 += sum((seen[place] - n * p) ** 2 / (n * p) for place, p in expected.items() if n * p >= 5)
        freedom += sum(n * p >= 5 for p in expected.values()) - 1
    assert chi2 < freedom + 4 * math.sqrt(2 * freedom)  # the draws are seeded: this never flickers


@pytest.mark.parametrize("config", CONFIGS)
def test_effective_starts_agree_with_the_loops(world: World, config: NgramConfig) -> None:
    queries, documents = [4, 0, 2, 3, 1, 6], [0, 3, 7, 12, 13, 14]
    table = effective_starts(world.corpus, world.stream, queries, documents, config)
    for row, (query, document) in enumerate(zip(queries, documents, strict=True)):
        p = list(looped_distribution(world, query, document, config).values())
        assert table["starts"][row] == len(p)
        assert table["effective"][row] == pytest.approx(1 / sum(x * x for x in p))
        assert table["distinct"][row] == pytest.approx(sum(1 - (1 - x) ** config.n_samples for x in p))


@pytest.mark.parametrize("config", CONFIGS)
def test_start_probabilities_are_those_of_the_loops(world: World, config: NgramConfig) -> None:
    for query, document in [(4, 0), (0, 3), (3, 12), (6, 14)]:
        table = start_probabilities(world.corpus, world.stream, query, document, config)
        expected = {start: p for (start, _), p in looped_distribution(world, query, document, config).items()}
        assert dict(zip(table["start"], table["probability"], strict=True)) == pytest.approx(expected)
        words = world.corpus.document_text(document).split()
        assert all(0 <= place < len(words) for place in table["position"])
        begin = int(world.stream.doc_starts[document])
        for place, start in zip(table["position"], table["start"], strict=True):
            assert sum(world.stream.word_starts[begin : begin + start + 1]) == place + 1


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("config", CONFIGS)
def test_every_ngram_is_a_slice_of_its_document(world: World, config: NgramConfig, replacement: bool) -> None:
    config = NgramConfig(**{**config.__dict__, "replacement": replacement})
    query, document = np.divmod(np.arange(7 * 15), 15)
    pairs = sample_ngrams(world.corpus, world.stream, query, document, config, 1)
    assert len(pairs) == 7 * 15 * 10
    assert pairs.query.tolist() == np.repeat(query, 10).tolist()
    assert pairs.document.tolist() == np.repeat(document, 10).tolist()
    assert pairs.ids.shape[1] == config.width
    for row in range(len(pairs)):
        tokens = world.stream.document(pairs.document[row])
        start, length = pairs.start[row], pairs.length[row]
        assert 1 <= length <= config.width
        assert pairs.identifier(row).tolist() == tokens[start : start + length].tolist()
        assert (pairs.ids[row, length:] == -1).all()
        assert world.stream.word_starts[world.stream.doc_starts[pairs.document[row]] + start]


def test_words_are_cut_as_whole_words(world: World) -> None:
    config = NgramConfig(unit="words", length=4)
    pairs = sample_ngrams(world.corpus, world.stream, [4] * 12, range(12), config, 1)
    for row in range(len(pairs)):
        text = world.tokenizer.decode(pairs.identifier(row)).replace(" ", "")
        words = [word.lower() for word in world.corpus.document_text(pairs.document[row]).split()]
        assert text in {"".join(words[j : j + 4]) for j in range(len(words))}


def test_draws_depend_on_nothing_but_seed_and_ids(world: World, tmp_path: Path) -> None:
    config = NgramConfig()
    query, document = np.divmod(np.arange(7 * 15), 15)
    one = sample_ngrams(world.corpus, world.stream, query, document, config, 3)
    again = sample_ngrams(world.corpus, world.stream, query, document, config, 3)
    np.testing.assert_array_equal(one.ids, again.ids)
    order = np.random.default_rng(1).permutation(len(query))[:40]
    some = sample_ngrams(world.corpus, world.stream, query[order], document[order], config, 3)
    np.testing.assert_array_equal(some.start.reshape(-1, 10), one.start.reshape(-1, 10)[order])
    fewer = sample_ngrams(world.corpus, world.stream, query, document, config, 3, n_samples=4)
    np.testing.assert_array_equal(fewer.start.reshape(-1, 4), one.start.reshape(-1, 10)[:, :4])
    other = sample_ngrams(world.corpus, world.stream, query, document, config, 4)
    assert (other.start != one.start).mean() > 0.5
    # the same ids in another order of rows
    corpus = world.corpus
    turned = write_corpus(
        tmp_path / "turned",
        [
            Document(corpus.document_id(i), "t", corpus.document_text(i))
            for i in reversed(range(corpus.n_documents))
        ],
        [Query(corpus.query_id(i), corpus.query_text(i)) for i in reversed(range(corpus.n_queries))],
        [Qrel("q0", "d0", 1, "train")],
        {"name": "turned"},
    )
    stream = tokenize_documents(turned, world.tokenizer, tmp_path / "tokens")
    same = sample_ngrams(turned, stream, 6 - query, 14 - document, config, 3)
    np.testing.assert_array_equal(same.ids, one.ids)


def test_without_replacement_no_start_repeats_until_all_are_used(world: World) -> None:
    config = NgramConfig(replacement=False, n_samples=4, temperature=0.3)
    pairs = sample_ngrams(world.corpus, world.stream, [4] * 12, range(12), config, 2)
    assert all(len(set(starts)) == 4 for starts in pairs.start.reshape(-1, 4).tolist())
    assert pairs.notes == ()
    long = NgramConfig(replacement=False, n_samples=4, length=40)  # longer than the document of three words
    short = sample_ngrams(world.corpus, world.stream, [4], [13], long, 2)
    assert len(set(short.start[:3].tolist())) == 3
    assert short.start[3] == short.start[0]
    assert "1 of 1 pairs have fewer than 4 starts" in short.notes[0]


def test_draws_without_replacement_have_the_right_first_two() -> None:
    p = np.array([0.5, 0.3, 0.2])
    keys = pair_keys(0, [f"a{i}" for i in range(30_000)], ["b"] * 30_000)
    logits = np.tile(np.append(np.log(p), -np.inf), (30_000, 1))
    drawn = draw(logits, keys, 2, replacement=False)
    for first in range(3):
        for second in range(3):
            share = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).mean()
            expected = 0 if first == second else p[first] * p[second] / (1 - p[first])
            assert share == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 30_000))


def test_uniform_numbers_are_uniform_and_independent_of_each_other() -> None:
    keys = pair_keys(7, [str(i) for i in range(20_000)], ["x"] * 20_000)
    u = uniforms(keys, 5)
    assert u.min() >= 0
    assert u.max() < 1
    for column in u.T:
        ordered = np.sort(column)
        assert np.abs(ordered - np.arange(20_000) / 20_000).max() < 1.95 / math.sqrt(
            20_000
        )  # Kolmogorov, p = .001
    assert np.abs(np.corrcoef(u.T) - np.eye(5)).max() < 4 / math.sqrt(20_000)
    assert len(set(pair_keys(0, ["ab", "a"], ["c", "bc"]).tolist())) == 2  # ids are told apart


def test_very_cold_draws_take_the_best_start(world: World) -> None:
    config = NgramConfig(temperature=1e-4)
    best = max(looped_distribution(world, 4, 0, NgramConfig()).items(), key=lambda item: item[1])[0]
    pairs = sample_ngrams(world.corpus, world.stream, [4], [0], config, 0)
    assert set(zip(pairs.start.tolist(), pairs.length.tolist(), strict=True)) == {best}


def test_fall_back_gives_all_rows_and_says_so(world: World) -> None:
    for query, document in [(3, 12), (6, 14)]:  # only stop words; nothing alike
        pairs = sample_ngrams(world.corpus, world.stream, [query, 4], [document, 0], NgramConfig(), 0)
        assert len(pairs) == 20
        assert (pairs.start[:10] == 0).all()
        assert "1 of 2 pairs" in pairs.notes[0]


def test_bad_input_is_told(world: World, tmp_path: Path) -> None:
    for values, message in [
        ({"unit": "letters"}, "one of tokens, words"),
        ({"temperature": 0}, "above 0"),
        ({"length": 0}, "length of n-grams must be 1"),
        ({"ends": "open"}, "one of whole, clipped"),
    ]:
        with pytest.raises(BadInput, match=message):
            sample_ngrams(world.corpus, world.stream, [0], [0], NgramConfig(**values), 0)
    with pytest.raises(BadInput, match="n_samples"):
        sample_ngrams(world.corpus, world.stream, [0], [0], NgramConfig(), 0, n_samples=0)
    documents = [Document("x", "", "other words altogether here")]
    other = write_corpus(tmp_path / "other", documents, [Query("q", "w")], [Qrel("q", "x", 1, "train")], {})
    with pytest.raises(BadInput, match=r"'x' has 4 words .* 25 in the token stream"):
        sample_ngrams(other, world.stream, [0], [0], NgramConfig(), 0)
