from __future__ import annotations

import numpy as np
import pytest
from small_models import EOS, fake

from genret_core.modeling.packing import Packer, group_rows, training_rows


@pytest.mark.parametrize("per_row", [1, 2, 3, 7])
def test_rows_hold_one_query_and_every_identifier_once(per_row):
    owner = np.random.default_rng(0).integers(0, 9, 101)
    rows = group_rows(owner, per_row)
    found = rows.identifiers[rows.identifiers >= 0]
    assert sorted(found) == list(range(101))
    for query, identifiers in zip(rows.query, rows.identifiers, strict=True):
        members = identifiers[identifiers >= 0]
        assert 1 <= len(members) <= per_row
        assert (owner[members] == query).all()
    full = np.bincount(owner) // per_row  # rows are filled up before another is begun
    assert (np.bincount(rows.query[(rows.identifiers >= 0).sum(1) == per_row], minlength=9) == full).all()


def test_rows_of_a_size_by_query():
    owner = np.repeat([0, 1], 6)
    rows = group_rows(owner, np.array([2, 4]))
    assert (rows.identifiers >= 0).sum(1).tolist() == [2, 2, 2, 4, 2]


def test_no_identifiers_no_rows():
    assert len(group_rows(np.empty(0, np.int64), 3)) == 0


@pytest.mark.parametrize("window", [1, 4])
def test_epoch_is_random_complete_and_repeatable(window):
    prompts, _, owner = fake(60, 5)
    lengths = prompts.lengths
    plan = {"per_row": 2, "batch": 8, "window": window}
    one, same, other = (training_rows(owner, lengths, **plan, seed=s) for s in ((3, 0), (3, 0), (3, 1)))
    assert (one.identifiers == same.identifiers).all()
    assert not (one.identifiers == other.identifiers).all()
    assert sorted(one.identifiers[one.identifiers >= 0]) == list(range(300))
    assert len(one) == 60 * 3


def test_window_saves_padding():
    prompts, _, owner = fake(200, 2)

    def waste(window):
        rows = training_rows(owner, prompts.lengths, per_row=2, batch=8, window=window, seed=0)
        sizes = [prompts.lengths[batch.query] for batch in rows.batches(8)]
        return sum((size.max() - size).sum() for size in sizes)

    assert waste(16) < 0.25 * waste(1)


def test_batch_layout():
    prompts, pairs, _ = fake(4, 3, length=5, ragged=True)
    packer = Packer.of(prompts, pairs)
    identifiers = np.array([[0, 2], [4, -1]])
    batch = packer.batch(np.array([0, 1]), identifiers)
    width = max(len(prompts[0]), len(prompts[1]))
    for row in (0, 1):
        padding = width - len(prompts[row])
        assert batch.prompts[row, padding:].tolist() == prompts[row].tolist()
        assert batch.padding is None or batch.padding[row].sum() == padding
    assert batch.scored is not None
    assert batch.scored[1, 1].sum() == 0
    for row, column in ((0, 0), (0, 1), (1, 0)):
        expected = pairs.identifier(identifiers[row, column]).tolist()
        assert batch.ids[row, column, : len(expected)].tolist() == expected
        assert batch.scored[row, column].sum() == len(expected)
    tokens = len(prompts[0]) + len(prompts[1]) + sum(int(pairs.length[i]) for i in (0, 2, 4))
    assert packer.tokens(np.array([0, 1]), identifiers) == tokens


def test_equal_lengths_need_no_masks():
    prompts, pairs, _ = fake(3, 2)
    batch = Packer.of(prompts, pairs).batch(np.array([1]), np.array([[2, 3]]))
    assert batch.padding is None
    assert batch.scored is None


def test_end_token_is_appended_on_request():
    prompts, pairs, _ = fake(2, 2, length=4, ragged=True)
    packer = Packer.of(prompts, pairs, eos_id=EOS)
    for row in range(4):
        ids = packer.ids[row, : packer.lengths[row]].tolist()
        assert ids == [*pairs.identifier(row).tolist(), EOS]
