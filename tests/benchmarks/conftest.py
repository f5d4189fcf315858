"""The corpus that several benchmarks search, built once: see `zipf_corpus`."""

from __future__ import annotations

import time

import numpy as np
import pytest
from zipf_corpus import SEP, V, write_corpus

from genret_core.retrieval.token_index import TokenIndex

N = 10_000_000


@pytest.fixture(scope="session")
def index(tmp_path_factory) -> TokenIndex:
    """Index 10 million Zipf tokens."""
    folder = tmp_path_factory.mktemp("index")
    write_corpus(folder, N)
    begun = time.perf_counter()
    made = TokenIndex.build(
        np.load(folder / "ids.npy"), np.load(folder / "starts.npy"), folder / "index",
        vocab_size=V, tokenizer_key="zipf", separator_id=SEP,
    )  # fmt: skip
    print(f"\n{N:,} tokens sorted in {time.perf_counter() - begun:.1f} s")
    return made
