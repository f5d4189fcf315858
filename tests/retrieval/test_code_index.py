from __future__ import annotations

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.code_index import CodeIndex
from genret_core.retrieval.top_valid import top_valid


@pytest.mark.parametrize(
    ("n", "length", "n_codes", "first"),
    [(300, 4, 5, 20), (1, 3, 4, 0), (50, 1, 3, 7), (400, 9, 3, 65530), (200, 6, 4, 1000)],
)
def test_intervals_equal_scanning(n, length, n_codes, first):
    codes = first + np.random.default_rng(n).integers(0, n_codes, (n, length))
    index = CodeIndex.build(codes)
    assert index.codes.tolist() == sorted(codes.tolist())
    for depth in range(length):
        prefixes = sorted({tuple(row[:depth]) for row in codes.tolist()})
        lo, hi = index.find(prefixes)
        allowed = index.allowed(lo, hi, depth).tokens(len(prefixes))
        for i, prefix in enumerate(prefixes):
            rows = [r for r, row in enumerate(codes.tolist()) if tuple(row[:depth]) == prefix]
            assert index.documents(lo[i : i + 1], hi[i : i + 1])[0].tolist() == rows
            assert allowed[i].tolist() == sorted({int(codes[r, depth]) for r in rows})
    lo, hi = index.find(codes.tolist())
    for row, documents in enumerate(index.documents(lo, hi)):
        assert row in documents
        assert all(codes[d].tolist() == codes[row].tolist() for d in documents)
    assert len(index.allowed(lo, hi, length).token) == 0
    assert index.extend(lo, hi, length, codes[:, -1])[1].tolist() == lo.tolist()


def test_top_valid_over_codes_equals_scoring_every_child():
    rng = np.random.default_rng(0)
    codes = 10 + rng.integers(0, 30, (5000, 3))
    index = CodeIndex.build(codes)
    lo, hi = index.find([[10], [11], [39]])
    scores = rng.standard_normal((3, 40)).astype(np.float32)
    top = top_valid(index, scores, np.array([0.5, 0, -1]), lo, hi, 1, 4, np.array([0, 0, 1]))
    best = []
    for g, firsts in enumerate([[10, 11], [39]]):
        options = [
            (scores[b, c] + np.array([0.5, 0, -1])[b], b, c)
            for b, first in enumerate([10, 11, 39])
            if first in firsts
            for c in {int(x) for x in codes[codes[:, 0] == first, 1]}
        ]
        best += [(g, b, c) for _, b, c in sorted(options, key=lambda o: -o[0])[:4]]
    assert list(zip(top.group, top.beam, top.token, strict=True)) == best


def test_a_matrix_is_asked_for():
    with pytest.raises(BadInput, match="documents x codes"):
        CodeIndex.build(np.array([3, 4]))
