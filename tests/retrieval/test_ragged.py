"""Ragged against lists of lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret_core.retrieval.ragged import Ragged

lists = st.lists(st.lists(st.integers(-5, 70_000), max_size=6), max_size=8)


@given(lists, st.data())
def test_behaves_like_a_list_of_lists(sequences: list[list[int]], data: st.DataObject) -> None:
    ragged = Ragged.of(sequences)
    assert [part.tolist() for part in ragged] == sequences
    assert ragged.lengths.tolist() == [len(sequence) for sequence in sequences]
    rows = data.draw(st.lists(st.integers(0, len(sequences) - 1), max_size=9)) if sequences else []
    assert [part.tolist() for part in ragged.take(np.array(rows, int))] == [sequences[row] for row in rows]
    width = max(map(len, sequences), default=0)
    expected = [[*sequence, *[-9] * (width - len(sequence))] for sequence in sequences]
    assert ragged.padded(-9).tolist() == expected


def test_takes_masks_and_gives_views() -> None:
    ragged = Ragged.of([[1, 2], [], [3]])
    assert [part.tolist() for part in ragged.take(np.array([True, False, True]))] == [[1, 2], [3]]
    assert ragged[-1].tolist() == [3]
    assert np.shares_memory(ragged[0], ragged.values)
    with pytest.raises(IndexError):
        ragged[3]
    with pytest.raises(ValueError, match="2 does not fit"):
        ragged.padded(0, width=1)
