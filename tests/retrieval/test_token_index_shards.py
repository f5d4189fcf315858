"""Several shards, and tensors instead of arrays: the same answers as one index gives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from test_token_index import SEP, corpora, followers, stream

from genret_core.errors import BadInput
from genret_core.retrieval import prefix_index, sharded_index
from genret_core.retrieval import top_valid as top_valid_module
from genret_core.retrieval.arrays import arrays_of
from genret_core.retrieval.code_index import CodeIndex
from genret_core.retrieval.sharded_index import ShardedIndex, open_text_index
from genret_core.retrieval.text_index import TextIndex
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.top_valid import top_valid

KINDS = ["tensors", "shards", "shards of tensors"]


def one_and_other(tmp_path, name: str, kind: str) -> tuple[TextIndex, TextIndex, list, int]:
    """Give the same corpus as one index of arrays and as `kind`."""
    documents, vocab, separator = corpora()[name]
    ids, starts = stream(documents, separator)
    options = {"vocab_size": vocab, "tokenizer_key": "t", "separator_id": separator, "max_depth": 12}
    one = other = TokenIndex.build(ids, starts, tmp_path / "one", **options)
    if "shards" in kind:
        longest = int(np.diff(starts).max())
        size = max(longest, len(ids) // 4)
        other = ShardedIndex.build(ids, starts, tmp_path / "shards", tokens_per_shard=size, **options)
        assert len(other.shards) >= 2
        assert all(shard.n_tokens <= size for shard in other.shards)
    if "tensors" in kind:
        pytest.importorskip("torch")
        other = other.to("cpu")
    return one, other, documents, vocab


def plain(values):
    return arrays_of(values).numpy(values)


@pytest.fixture(scope="module", params=[(name, kind) for name in corpora() for kind in KINDS], ids="-".join)
def pair(request, tmp_path_factory):
    return one_and_other(tmp_path_factory.mktemp("pair"), *request.param)


@pytest.fixture(autouse=True)
def halved(monkeypatch):
    """Small intervals count as wide ones."""
    monkeypatch.setattr(prefix_index, "ENUMERATE", 20)
    monkeypatch.setattr(prefix_index, "SMALL_SEGMENT", 4)


def test_prefixes_are_extended_listed_and_counted_alike(pair):
    one, other, documents, vocab = pair
    assert (other.n_tokens, other.n_rows, other.n_documents) == (one.n_tokens, one.n_rows, one.n_documents)
    assert (other.vocab_size, other.separator_id) == (one.vocab_size, one.separator_id)
    rng = np.random.default_rng(0)
    table = followers(documents, 4)
    for depth in range(4):
        prefixes = [p for p in table if len(p) == depth]
        intervals, others = one.find(prefixes), other.find(prefixes)
        np.testing.assert_array_equal(plain(others[1] - others[0]), intervals[1] - intervals[0])
        np.testing.assert_array_equal(plain(other.ended(*others, depth)), one.ended(*intervals, depth))
        children, found = one.allowed(*intervals, depth), other.allowed(*others, depth)
        np.testing.assert_array_equal(plain(found.parent), children.parent)
        np.testing.assert_array_equal(plain(found.token), children.token)
        np.testing.assert_array_equal(plain(found.hi - found.lo), children.hi - children.lo)
        np.testing.assert_array_equal(
            found.tokens(len(prefixes)).values, children.tokens(len(prefixes)).values
        )

        token = rng.integers(-1, vocab + 2, len(prefixes))
        lo, hi = one.extend(*intervals, depth, token)
        new_lo, new_hi = other.extend(*others, depth, token)
        np.testing.assert_array_equal(plain(new_hi - new_lo), hi - lo)
        assert len(set(zip(lo[lo < hi], hi[lo < hi], strict=True))) == len(
            set(plain(new_lo)[lo < hi].tolist())
        )
    patterns = [rng.integers(0, vocab + 1, rng.integers(0, 4)).tolist() for _ in range(200)]
    np.testing.assert_array_equal(plain(other.count(patterns)), one.count(patterns))


def test_places_and_documents_are_the_same(pair):
    one, other, documents, _ = pair
    prefixes = [p for p in followers(documents, 3) if p]
    intervals, others = one.find(prefixes), other.find(prefixes)
    for max_hits in (None, 1, 3):
        owner, position = one.occurrences(*intervals, max_hits)
        other_owner, other_position = (plain(x) for x in other.occurrences(*others, max_hits))
        np.testing.assert_array_equal(other_owner, owner)
        if max_hits is not None:  # in the order in which one index is sorted, even where shards meet
            np.testing.assert_array_equal(other_position, position)
        expected, found = one.documents(*intervals, max_hits), other.documents(*others, max_hits)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.starts, expected.starts)
        places, others_places = one.locate_all(prefixes, max_hits), other.locate_all(prefixes, max_hits)
        for name in ("pattern", "document", "offset"):
            np.testing.assert_array_equal(getattr(others_places, name), getattr(places, name))
    for row, document in enumerate(documents):
        assert one.document(row).tolist() == other.document(row).tolist() == document


@pytest.mark.parametrize("narrow", [512, 0, 5])
def test_the_best_continuations_are_the_same(pair, monkeypatch, narrow):
    monkeypatch.setattr(top_valid_module, "NARROW", narrow)
    one, other, documents, vocab = pair
    rng = np.random.default_rng(narrow)
    for depth, k in ((0, 3), (1, 2), (1, 50), (2, 7), (3, 7)):
        known = [p for p in followers(documents, depth) if len(p) == depth]
        chosen = [rng.choice(len(known), min(6, len(known)), replace=False) for _ in range(3)]
        prefixes = [known[i] for rows in chosen for i in rows]
        group = np.repeat([0, 1, 3], len(chosen[0]))
        scores = rng.standard_normal((len(prefixes), vocab)).astype(np.float32).round(1)
        scores[rng.random(scores.shape) < 0.2] = -np.inf
        beam_scores = rng.standard_normal(len(prefixes)).round(1)
        top = top_valid(one, scores, beam_scores, *one.find(prefixes), depth, k, group)
        same = top_valid(other, scores, beam_scores, *other.find(prefixes), depth, k, group).numpy()
        for name in ("group", "beam", "token", "score"):
            np.testing.assert_array_equal(getattr(same, name), getattr(top, name))
        np.testing.assert_array_equal(same.hi - same.lo, top.hi - top.lo)


@pytest.mark.parametrize("kept", [0, 5, 100])
def test_what_shards_remember_changes_nothing(tmp_path, monkeypatch, kept):
    """Prefixes of one length asked for again and again, some new each time, more than are kept."""
    monkeypatch.setattr(sharded_index, "_REMEMBERED", kept)
    one, other, documents, _ = one_and_other(tmp_path, "random", "shards")
    rng = np.random.default_rng(kept)
    known = {d: [p for p in followers(documents, 3) if len(p) == d] for d in (1, 2, 3)}
    for _ in range(30):
        depth = int(rng.integers(1, 4))
        prefixes = [known[depth][i] for i in rng.integers(0, len(known[depth]), 9)]
        intervals, others = one.find(prefixes), other.find(prefixes)
        np.testing.assert_array_equal(other.ended(*others, depth), one.ended(*intervals, depth))
        children, found = one.allowed(*intervals, depth), other.allowed(*others, depth)
        np.testing.assert_array_equal(found.token, children.token)
        np.testing.assert_array_equal(found.hi - found.lo, children.hi - children.lo)
        token = rng.integers(2, 12, len(prefixes))
        lo, hi = one.extend(*intervals, depth, token)
        new_lo, new_hi = other.extend(*others, depth, token)
        np.testing.assert_array_equal(new_hi - new_lo, hi - lo)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_of_first_tokens_and_empty_beams(tmp_path, kind):
    one, other, _, vocab = one_and_other(tmp_path, "random", kind)
    rng = np.random.default_rng(1)
    scores, tokens = rng.standard_normal((4, vocab)).astype(np.float32), rng.random(vocab) < 0.5
    found = []
    for index in (one, other):
        lo, hi = index.root(4)
        hi[2] = lo[2]
        top = top_valid(index, scores, np.zeros(4), lo, hi, 0, 3, np.arange(4), tokens=tokens).numpy()
        found.append((top.group.tolist(), top.token.tolist(), top.score.tolist(), (top.hi - top.lo).tolist()))
    assert found[0] == found[1]
    assert 2 not in found[0][0]


def test_locate_all_equals_scanning(tmp_path):
    one, _, documents, _ = one_and_other(tmp_path, "random", "")
    patterns = [[3], [4, 5], [2, 3, 4], [11, 11], [99], [SEP], []]
    found = [
        (i, row, start)
        for i, pattern in enumerate(patterns)
        for row, document in enumerate(documents)
        for start in range(len(document) + (not pattern))
        if document[start : start + len(pattern)] == pattern
    ]
    places = one.locate_all(patterns)
    got = zip(places.pattern.tolist(), places.document.tolist(), places.offset.tolist(), strict=True)
    assert list(got) == found
    assert len(places) == one.count(patterns).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_too_long_a_prefix_is_refused_by_all(tmp_path, kind):
    _, other, _, _ = one_and_other(tmp_path, "all equal", kind)
    assert int(other.count([[3] * 12])[0]) > 0
    for question in (
        other.count,
        lambda p: other.allowed(*other.root(), 12),
        lambda p: other.ended(*other.root(), 12),
    ):
        with pytest.raises(BadInput, match="up to 12 tokens"):
            question([[3] * 13])


def test_codes_on_tensors_are_the_same():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    codes = 10 + rng.integers(0, 6, (400, 3))
    one = CodeIndex.build(codes)
    other = one.to("cpu")
    prefixes = [[10 + i] for i in range(7)]
    intervals, others = one.find(prefixes), other.find(prefixes)
    for found, expected in zip(others, intervals, strict=True):
        np.testing.assert_array_equal(plain(found), expected)
    np.testing.assert_array_equal(other.documents(*others).values, one.documents(*intervals).values)
    scores = rng.standard_normal((7, 16)).astype(np.float32)
    group = np.array([0, 0, 0, 1, 1, 2, 2])
    top = top_valid(one, scores, np.zeros(7), *intervals, 1, 4, group)
    same = top_valid(other, scores, np.zeros(7), *others, 1, 4, group).numpy()
    for name in ("group", "beam", "token", "score", "lo", "hi"):
        np.testing.assert_array_equal(getattr(same, name), getattr(top, name))


def make_shards(folder, seed=0, **options) -> ShardedIndex:
    rng = np.random.default_rng(seed)
    ids, starts = stream([rng.integers(2, 30, 20).tolist() for _ in range(30)], SEP)
    settings = {"vocab_size": 30, "tokenizer_key": "t", "separator_id": SEP, "tokens_per_shard": 200}
    return ShardedIndex.build(ids, starts, folder, **settings | options)


def test_a_build_that_was_cut_short_goes_on_where_it_was(tmp_path):
    whole = make_shards(tmp_path / "whole")
    assert [shard.n_documents for shard in whole.shards] == [9, 9, 9, 3]
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole", cut)
    (cut / "shards.json").unlink()
    shutil.rmtree(cut / "0002")
    kept = (cut / "0001" / "header.json").stat().st_mtime_ns
    with pytest.raises(BadInput, match="not complete"):
        ShardedIndex.open(cut)
    again = make_shards(cut)
    assert (cut / "0001" / "header.json").stat().st_mtime_ns == kept
    for one, two in zip(whole.shards, again.shards, strict=True):
        np.testing.assert_array_equal(one.suffixes, two.suffixes)
    assert isinstance(open_text_index(cut, "t"), ShardedIndex)
    assert isinstance(open_text_index(cut / "0000", "t"), TokenIndex)


def test_shards_that_are_missing_changed_or_mixed_are_refused(tmp_path):
    folder = tmp_path / "index"
    make_shards(folder)
    make_shards(tmp_path / "other", seed=1)
    with pytest.raises(BadInput, match="tokenizer t, not u"):
        ShardedIndex.open(folder, "u")
    shutil.move(folder / "0001", tmp_path / "aside")
    with pytest.raises(BadInput, match="no token index"):
        ShardedIndex.open(folder)
    shutil.copytree(tmp_path / "other" / "0001", folder / "0001")
    with pytest.raises(BadInput, match="shard of another index"):
        ShardedIndex.open(folder)
    header = (folder / "shards.json").read_text()
    (folder / "shards.json").write_text(header.replace("3", "4"))
    with pytest.raises(BadInput, match="was changed"):
        ShardedIndex.open(folder)
    (folder / "shards.json").write_text(header[:-9])
    with pytest.raises(BadInput, match="damaged"):
        ShardedIndex.open(folder)


def test_shards_of_different_kinds_and_long_documents_are_refused(tmp_path):
    one, other = make_shards(tmp_path / "a").shards[0], make_shards(tmp_path / "b", vocab_size=31).shards[0]
    with pytest.raises(BadInput, match="not the same vocabulary"):
        ShardedIndex.of([one, other])
    with pytest.raises(BadInput, match="more than 20 tokens"):
        make_shards(tmp_path / "c", tokens_per_shard=20)
