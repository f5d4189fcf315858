from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval import bucket_sort, prefix_index, suffix_array
from genret_core.retrieval import top_valid as top_valid_module
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.top_valid import top_valid

SEP = 1


def corpora() -> dict[str, tuple[list[list[int]], int, int]]:
    """Documents without separator, vocabulary, separator."""
    rng = np.random.default_rng(3)
    phrase = rng.integers(2, 9, 30).tolist()
    return {
        "random": ([rng.integers(2, 12, n).tolist() for n in rng.integers(1, 60, 40)], 12, SEP),
        "all equal": ([[3] * n for n in (1, 2, 50, 7, 100)], 5, SEP),
        "repeated documents": ([phrase] * 5 + [phrase[:20], phrase[10:] + phrase], 9, SEP),
        "edge of 16 bits": (
            [rng.choice([0, 2, 65534, 65535], n).tolist() for n in rng.integers(1, 40, 12)],
            65536,
            SEP,
        ),
        "beyond 16 bits": (
            [rng.choice([0, 65535, 65536, 70000], n).tolist() for n in rng.integers(1, 40, 12)],
            70001,
            65537,
        ),
        "separator is the last token": ([rng.integers(0, 4, 9).tolist() for _ in range(9)], 5, 4),
        "one-token documents": ([[2], [3], [2], [4], [2]], 6, SEP),
        "empty document": ([[2, 3], [], [2, 3, 4]], 6, SEP),
        "wide": ([rng.integers(2, 200, 100).tolist() for _ in range(40)], 200, SEP),
    }


def stream(documents: list[list[int]], separator: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([t for d in documents for t in [*d, separator]], np.uint32)
    return ids, np.concatenate([[0], np.cumsum([len(d) + 1 for d in documents])])


def build(folder, documents, vocab, separator, **options) -> TokenIndex:
    ids, starts = stream(documents, separator)
    return TokenIndex.build(
        ids, starts, folder, vocab_size=vocab, tokenizer_key="t", separator_id=separator, **options
    )


def followers(documents: list[list[int]], longest: int) -> dict[tuple[int, ...], Counter]:
    """Every n-gram of the documents and the tokens that follow it, by plain scanning."""
    table: dict[tuple[int, ...], Counter] = defaultdict(Counter)
    for document in documents:
        for length in range(longest + 1):
            for start in range(len(document) - length + 1):
                table[tuple(document[start : start + length])].update(
                    document[start + length : start + length + 1]
                )
    return table


@pytest.fixture(params=list(corpora()))
def corpus(request):
    return corpora()[request.param]


@pytest.mark.parametrize("rows_in_memory", [8_000_000, 50])
def test_suffixes_are_in_the_order_of_sorted_slices(corpus, tmp_path, monkeypatch, rows_in_memory):
    documents, vocab, separator = corpus
    monkeypatch.setattr(bucket_sort, "CHUNK", 64)
    index = build(tmp_path / "index", documents, vocab, separator, rows_in_memory=rows_in_memory)
    tokens = index.tokens.tolist() + [separator] * 200
    depth = 66 if vocab == 1024 else 64 + (-64 % (64 // suffix_array.token_bits(vocab)))
    expected = sorted(range(index.n_tokens), key=lambda i: (tokens[i : i + depth], i))
    assert index.suffixes.tolist() == expected
    assert index.tokens.dtype == (np.uint16 if vocab <= 65536 else np.uint32)


def test_dealing_out_at_scale_equals_sorting_at_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    documents = [rng.zipf(1.3, 400).clip(2, 999).tolist() for _ in range(100)]
    whole = build(tmp_path / "a", documents, 1000, SEP)
    monkeypatch.setattr(bucket_sort, "CHUNK", 7_001)
    parts = build(tmp_path / "b", documents, 1000, SEP, rows_in_memory=3_000)
    np.testing.assert_array_equal(whole.suffixes, parts.suffixes)


@pytest.mark.parametrize("enumerate_up_to", [4096, 3])
def test_allowed_extend_and_count_equal_scanning(corpus, tmp_path, monkeypatch, enumerate_up_to):
    monkeypatch.setattr(prefix_index, "ENUMERATE", enumerate_up_to)
    monkeypatch.setattr(prefix_index, "SMALL_SEGMENT", 2 if enumerate_up_to == 3 else 64)
    documents, vocab, separator = corpus
    index = build(tmp_path / "index", documents, vocab, separator)
    table = followers(documents, 4)
    for length in range(5):
        prefixes = [p for p in table if len(p) == length]
        lo, hi = index.find(prefixes)
        if length:
            grams = Counter(tuple(d[i : i + length]) for d in documents for i in range(len(d)))
            assert index.count(prefixes).tolist() == [grams[p] for p in prefixes]
        children = index.allowed(lo, hi, length)
        allowed = children.tokens(len(prefixes))
        for i, prefix in enumerate(prefixes):
            assert allowed[i].tolist() == sorted(table[prefix]), prefix
        sizes = [table[prefixes[p]][t] for p, t in zip(children.parent, children.token, strict=True)]
        assert (children.hi - children.lo).tolist() == sizes
        new_lo, new_hi = index.extend(lo[children.parent], hi[children.parent], length, children.token)
        np.testing.assert_array_equal(new_lo, children.lo)
        np.testing.assert_array_equal(new_hi, children.hi)


def test_extend_refuses_what_does_not_follow(tmp_path):
    index = build(tmp_path / "index", [[2, 3, 2, 4], [3, 3]], 6, SEP)
    lo, hi = index.root(4)
    lo, hi = index.extend(lo, hi, 0, np.array([2, 3, SEP, 5]))
    assert (hi - lo).tolist() == [2, 3, 0, 0]
    lo, hi = index.extend(lo[[0, 0, 1, 1, 2]], hi[[0, 0, 1, 1, 2]], 1, np.array([3, 2, SEP, 3, 2]))
    assert (hi - lo).tolist() == [1, 0, 0, 1, 0]
    assert index.count([[3, SEP], [4, SEP, 3], [SEP], [2, 3, 2, 4], [7], [-1]]).tolist() == [0, 0, 0, 1, 0, 0]


def test_locate_and_documents_equal_scanning(tmp_path):
    documents, vocab, separator = corpora()["random"]
    index = build(tmp_path / "index", documents, vocab, separator)
    for pattern in ([3], [4, 5], [2, 3, 4], [11, 11]):
        found = [
            (row, i)
            for row, d in enumerate(documents)
            for i in range(len(d))
            if d[i : i + len(pattern)] == pattern
        ]
        rows, offsets = index.locate(pattern)
        assert list(zip(rows.tolist(), offsets.tolist(), strict=True)) == found
    lo, hi = index.find([[3], [4, 5], [11, 2, 11, 2, 11]])
    by_interval = index.documents(lo, hi)
    for i, pattern in enumerate([[3], [4, 5]]):
        assert by_interval[i].tolist() == sorted(set(index.locate(pattern)[0].tolist()))
    assert len(by_interval[2]) == index.count([[11, 2, 11, 2, 11]])[0]
    assert len(index.documents(lo[:1], hi[:1], max_hits=3)[0]) <= 3


def test_prefixes_longer_than_the_sorted_depth_are_refused(tmp_path):
    index = build(tmp_path / "index", [[2] * 20], 4, SEP, max_depth=8)
    assert index.count([[2] * 8]).tolist() == [13]
    with pytest.raises(BadInput, match="up to 8 tokens"):
        index.count([[2] * 9])


def dense_top(index, scores, beam_scores, lo, hi, depth, k, group, tokens=None):
    """The definition: mask the matrix, sort all of it."""
    children = index.allowed(lo, hi, depth)
    total = np.full(scores.shape, -np.inf)
    total[children.parent, children.token] = (scores + beam_scores[:, None])[children.parent, children.token]
    if tokens is not None:
        total[:, ~tokens] = -np.inf
    rows = []
    for g in range(group.max() + 1):
        beams = np.flatnonzero(group == g)
        flat = total[beams].ravel()
        for place in np.argsort(-flat, kind="stable")[:k]:
            if flat[place] > -np.inf:
                beam, token = divmod(place, scores.shape[1])
                rows.append((g, beams[beam], token, flat[place]))
    return rows


@pytest.mark.parametrize("narrow", [512, 0, 5])
@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "mostly -inf", "one beam far ahead"])
@pytest.mark.parametrize("name", ["random", "wide", "all equal", "edge of 16 bits"])
def test_top_valid_equals_dense_mask_and_sort(tmp_path, monkeypatch, name, kind, narrow):
    monkeypatch.setattr(top_valid_module, "NARROW", narrow)
    documents, vocab, separator = corpora()[name]
    if vocab > 1000:
        documents, vocab = [[t if t < 9 else t - 65000 for t in d] for d in documents], 536
    index = build(tmp_path / "index", documents, vocab, separator)
    rng = np.random.default_rng(7)
    for depth in (1, 2, 3):
        known = [p for p in followers(documents, depth) if len(p) == depth]
        for k, n_beams in ((1, 3), (4, 7), (40, 10)):
            group = np.repeat([0, 1, 3], n_beams)
            prefixes = [
                known[i]
                for _ in range(3)
                for i in rng.choice(len(known), min(n_beams, len(known)), replace=False)
            ]
            group = np.repeat([0, 1, 3], min(n_beams, len(known)))
            lo, hi = index.find(prefixes)
            scores = rng.standard_normal((len(lo), vocab)).astype(np.float32)
            beam_scores = rng.standard_normal(len(lo))
            if kind == "ties":
                scores, beam_scores = scores.round(), beam_scores.round()
            elif kind == "equal":
                scores[:], beam_scores[:] = -1, -2
            elif kind == "mostly -inf":
                scores[rng.random(scores.shape) < 0.9] = -np.inf
                beam_scores[0] = -np.inf
            elif kind == "one beam far ahead":
                beam_scores[-1] += 50
            top = top_valid(index, scores, beam_scores, lo, hi, depth, k, group)
            got = list(zip(top.group, top.beam, top.token, top.score, strict=True))
            assert got == dense_top(index, scores, beam_scores, lo, hi, depth, k, group)
            new = index.extend(lo[top.beam], hi[top.beam], depth, top.token)
            np.testing.assert_array_equal(np.stack(new), np.stack([top.lo, top.hi]))


def test_top_valid_escalates_when_the_best_scores_are_not_in_the_corpus(tmp_path, monkeypatch):
    """Only the worst-scored tokens follow: both tries fail and all children are listed in the end."""
    monkeypatch.setattr(top_valid_module, "NARROW", 0)
    rng = np.random.default_rng(1)
    documents = [[2, int(t)] for t in rng.integers(3, 40, 500)]
    index = build(tmp_path / "index", documents, 5000, SEP)
    lo, hi = index.find([[2]])
    scores = np.arange(5000, dtype=np.float32)[None]
    top = top_valid(index, scores, np.zeros(1), lo, hi, 1, 6, np.zeros(1, np.int64))
    follow = sorted({d[1] for d in documents}, reverse=True)[:6]
    assert top.token.tolist() == follow
    assert index.count([[2, t] for t in follow]).tolist() == (top.hi - top.lo).tolist()


def test_top_valid_at_the_root_with_a_mask_of_first_tokens(tmp_path):
    documents, vocab, separator = corpora()["random"]
    index = build(tmp_path / "index", documents, vocab, separator)
    rng = np.random.default_rng(2)
    scores = rng.standard_normal((3, vocab)).astype(np.float32)
    tokens = np.zeros(vocab, bool)
    tokens[[3, 5, 7, separator]] = True
    lo, hi = index.root(3)
    group = np.arange(3)
    top = top_valid(index, scores, np.zeros(3), lo, hi, 0, 5, group, tokens=tokens)
    got = list(zip(top.group, top.beam, top.token, top.score, strict=True))
    assert got == dense_top(index, scores, np.zeros(3), lo, hi, 0, 5, group, tokens)
    assert set(top.token) == {3, 5, 7}


def test_save_open_round_trip_is_read_only(tmp_path):
    documents, vocab, separator = corpora()["random"]
    built = build(tmp_path / "index", documents, vocab, separator)
    opened = TokenIndex.open(tmp_path / "index", tokenizer_key="t")
    np.testing.assert_array_equal(built.suffixes, opened.suffixes)
    assert (opened.vocab_size, opened.separator_id, opened.n_documents) == (vocab, separator, len(documents))
    with pytest.raises(ValueError, match="read-only"):
        opened.suffixes[0] = 0
    again = build(tmp_path / "index", documents, vocab, separator)
    assert again.count([[3]]) == built.count([[3]])
    with pytest.raises(BadInput, match="another corpus"):
        build(tmp_path / "index", documents[1:], vocab, separator)


def test_what_does_not_belong_is_refused_when_opened(tmp_path):
    documents, vocab, separator = corpora()["random"]
    folder = tmp_path / "index"
    build(folder, documents, vocab, separator)
    with pytest.raises(BadInput, match="tokenizer t, not other"):
        TokenIndex.open(folder, tokenizer_key="other")
    with pytest.raises(BadInput, match="no token index"):
        TokenIndex.open(tmp_path)


@pytest.mark.parametrize(
    ("ids", "starts", "sentence"),
    [
        ([2, 3, 2], [0, 3], "document 0 does not end in the separator"),
        ([2, SEP, 3, SEP], [0, 4], "inside documents, 1 times"),
        ([2, 9, SEP], [0, 3], "token 1 is 9, outside the vocabulary of 6"),
        ([2, SEP], [0, 3], "doc_starts must rise"),
        ([2, SEP], [0, 0, 2], "doc_starts must rise"),
        ([], [0], "doc_starts must rise"),
    ],
)
def test_bad_streams_are_refused_and_leave_nothing(tmp_path, ids, starts, sentence):
    with pytest.raises(BadInput, match=sentence):
        TokenIndex.build(
            np.array(ids, np.uint16), np.array(starts), tmp_path / "index",
            vocab_size=6, tokenizer_key="t", separator_id=SEP,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
