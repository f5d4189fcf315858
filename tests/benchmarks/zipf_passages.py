"""Passages that are like text to a retriever: made-up words by Zipf's law, in phrases that recur.

As `zipf_corpus`, but written as files: passages as DPR keeps them, queries as id and text, judgements as a
table. A query is a run of words of its passage, one of them replaced.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from zipf_corpus import zipf

WORDS, PHRASES, PASSAGE, QUERY = 200_000, 200_000, 100, 8
BLOCK = 20_000  # passages made at once
_SYLLABLES = [a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("", "n", "r")]


def write_passages(folder: Path, n: int, *, n_test: int = 1_000, seed: int = 0) -> list[Path]:
    """Write `psgs.tsv`, `queries.tsv`, `train.tsv` and `test.tsv`; every 20th passage has a query.

    Returns
    -------
    list of Path
        The files, in the order in which an import takes them.
    """
    rng = np.random.default_rng(seed)
    words = np.array([_word(i) for i in range(WORDS)], object)
    lengths = rng.integers(1, 8, PHRASES)
    phrases = [words[part] for part in np.split(zipf(rng, WORDS, int(lengths.sum())), lengths.cumsum()[:-1])]
    every = min(20, max(1, n // (2 * n_test)))
    tests = set(rng.permutation(n // every)[:n_test].tolist())
    files = [folder / f"{name}.tsv" for name in ("psgs", "queries", "train", "test")]
    passages, queries, train, test = (path.open("w", encoding="utf-8", newline="") for path in files)
    rows = csv.writer(passages, delimiter="\t", lineterminator="\n")
    rows.writerow(["id", "text", "title"])
    for first in range(0, n, BLOCK):
        texts = _texts(rng, phrases, words, min(BLOCK, n - first))
        for i, text in enumerate(texts, first):
            rows.writerow([i + 1, " ".join(text), _title(i, words)])
            if i % every == 0 and i // every < n // every:
                begin = int(rng.integers(0, PASSAGE - QUERY))
                asked = text[begin : begin + QUERY].copy()
                asked[rng.integers(QUERY)] = words[zipf(rng, WORDS, 1)[0]]
                queries.write(f"q{i // every}\t{' '.join(asked)}\n")
                (test if i // every in tests else train).write(f"q{i // every}\t{i + 1}\t1\n")
    for file in (passages, queries, train, test):
        file.close()
    return files


def _texts(rng: np.random.Generator, phrases: list[Any], words: Any, n: int) -> Any:
    """Draw `n` passages of 100 words: phrases with Zipf weights, 15 per cent noise, a quoted word in some."""
    need = n * PASSAGE
    drawn: Any = np.concatenate([phrases[i] for i in zipf(rng, len(phrases), need // 2).tolist()])[:need]
    noise = rng.random(need) < 0.15
    drawn[noise] = words[zipf(rng, WORDS, int(noise.sum()))]
    texts = drawn.reshape(n, PASSAGE)
    texts[:, -1] += "."
    for i in range(0, n, 50):
        texts[i, 3] = f'"{texts[i, 3]}"'
    return texts


def _word(number: int) -> str:
    """Give frequent words few syllables; every word is different."""
    digits = []
    number += 1
    while number:
        number, digit = divmod(number - 1, len(_SYLLABLES))
        digits.append(_SYLLABLES[digit])
    return "".join(digits)


def _title(i: int, words: Any) -> str:
    return f"{words[i % WORDS].capitalize()} {words[(i * 7) % WORDS]} (Part {i // WORDS + 1})"
