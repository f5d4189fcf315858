"""Pairs: selecting, joining, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.pairs import Pairs


def some_pairs(n: int, width: int, seed: int, notes: tuple[str, ...] = ()) -> Pairs:
    rng = np.random.default_rng(seed)
    length = rng.integers(1, width + 1, n).astype(np.int16)
    ids = np.where(np.arange(width) < length[:, None], rng.integers(0, 99, (n, width)), -1).astype(np.int32)
    query, document, start = rng.integers(0, 50, (3, n)).astype(np.int32)
    return Pairs(query, document, ids, length, start, notes)


def test_save_and_open_give_the_same(tmp_path: Path) -> None:
    pairs = some_pairs(20, 6, 0, ("a note",))
    pairs.save(tmp_path / "pairs")
    again = Pairs.open(tmp_path / "pairs")
    for name in ("query", "document", "ids", "length", "start"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pairs, name))
        assert getattr(again, name).dtype == getattr(pairs, name).dtype
    assert again.notes == ("a note",)
    assert isinstance(again.ids, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again.ids[0, 0] = 1


def test_select_takes_rows_or_a_mask() -> None:
    pairs = some_pairs(10, 4, 1)
    mask = pairs.query % 2 == 0
    rows = [i for i in range(10) if pairs.query[i] % 2 == 0]
    for chosen in (pairs.select(mask), pairs.select(rows)):
        assert chosen.query.tolist() == [pairs.query[i] for i in rows]
        assert [chosen.identifier(i).tolist() for i in range(len(chosen))] == [
            pairs.ids[i, : pairs.length[i]].tolist() for i in rows
        ]
    assert pairs.select([7, 2]).document.tolist() == [pairs.document[7], pairs.document[2]]


def test_concat_pads_the_narrower() -> None:
    first, second = some_pairs(3, 4, 2, ("x",)), some_pairs(2, 7, 3, ("x", "y"))
    joined = Pairs.concat([first, second])
    assert joined.ids.shape == (5, 7)
    assert joined.notes == ("x", "y")
    for i in range(5):
        part, row = (first, i) if i < 3 else (second, i - 3)
        assert joined.identifier(i).tolist() == part.identifier(row).tolist()
        assert (joined.ids[i, joined.length[i] :] == -1).all()
        assert joined.start[i] == part.start[row]


def test_a_folder_without_pairs_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no pairs"):
        Pairs.open(tmp_path)
