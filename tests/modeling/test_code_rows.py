"""Code rows begun from centroids: inner products against dense algebra, both embeddings, keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_models import LLAMA, T5

from genret_core.errors import BadInput
from genret_core.modeling import CellSpec, Recipe
from genret_core.modeling.checkpoint import load_model, save_model
from genret_core.modeling.code_rows import begin_from_centroids, centroid_rows
from genret_core.retrieval.codebook import CodebookConfig

L_C, N_C, DIM, FIRST = 3, 5, 7, 40


@pytest.fixture
def centroids() -> np.ndarray:
    sizes = np.array([4, 1, 0.2])[:, None, None]
    return (sizes * np.random.default_rng(0).normal(size=(L_C, N_C, DIM)) + 3).astype(np.float32)


def book(centroids: np.ndarray, positions: str) -> SimpleNamespace:
    return SimpleNamespace(centroids=centroids, config=CodebookConfig(positions=positions))


@pytest.mark.parametrize("d", [32, 15])
def test_rows_of_own_positions_keep_the_products_of_centroids(centroids: np.ndarray, d: int) -> None:
    rows = centroid_rows(centroids, d, own=True, seed=0).reshape(L_C, N_C, d)
    for t in range(L_C):
        centred = (own := centroids[t].astype(np.float64)) - own.mean(axis=0)
        expected = centred @ centred.T
        np.testing.assert_allclose(rows[t] @ rows[t].T, expected * d * N_C / np.trace(expected), rtol=1e-5)
        assert (rows[t] ** 2).mean() == pytest.approx(1)


def test_rows_of_shared_positions_add_up_the_products_of_all(centroids: np.ndarray) -> None:
    rows = centroid_rows(centroids, 16, own=False, seed=0)
    expected = np.zeros((N_C, N_C))
    for t in range(L_C):
        centred = (own := centroids[t].astype(np.float64)) - own.mean(axis=0)
        expected += centred @ centred.T
    np.testing.assert_allclose(rows @ rows.T, expected * 16 * N_C / np.trace(expected), rtol=1e-4, atol=1e-6)


def test_fewer_dimensions_keep_the_largest(centroids: np.ndarray) -> None:
    rows = centroid_rows(centroids, 2, own=False, seed=0)
    centred = (centroids - centroids.mean(axis=1, keepdims=True)).transpose(1, 0, 2).reshape(N_C, -1)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    best = (vectors[:, -2:] * values[-2:]) @ vectors[:, -2:].T
    np.testing.assert_allclose(rows @ rows.T, best * 2 * N_C / values[-2:].sum(), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(rows, centroid_rows(centroids, 2, own=False, seed=0))
    assert not np.allclose(rows, centroid_rows(centroids, 2, own=False, seed=1))


@pytest.mark.parametrize("positions", ["shared", "own"])
@pytest.mark.parametrize("backbone", [LLAMA, replace(LLAMA, tied=False), T5], ids=["tied", "untied", "t5"])
def test_both_embeddings_begin_alike_and_text_stays(
    centroids: np.ndarray, backbone, positions: str, tmp_path: Path
) -> None:
    count = N_C * (L_C if positions == "own" else 1)
    build = {"pad_id": 0, "eos_id": 1, "seed": 3}
    plain, begun = (backbone.build(FIRST + count, **build) for _ in range(2))
    begin_from_centroids(begun, book(centroids, positions), FIRST, seed=3)
    before, after = plain.get_input_embeddings().weight, begun.get_input_embeddings().weight
    assert torch.equal(before[:FIRST], after[:FIRST])
    assert not torch.allclose(before[FIRST:], after[FIRST:])
    size = after[FIRST:].square().mean().sqrt()
    assert float((size / before[FIRST:].square().mean().sqrt()).detach()) == pytest.approx(1, rel=1e-5)
    head = begun.get_output_embeddings().weight
    assert torch.nn.functional.cosine_similarity(head[FIRST:], after[FIRST:]).min() > 1 - 1e-6
    assert torch.equal(plain.get_output_embeddings().weight[:FIRST], head[:FIRST])
    save_model(begun, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert torch.equal(again.get_input_embeddings().weight, after)
    assert torch.equal(again.get_output_embeddings().weight, head)


def test_only_codebook_cells_that_ask_for_it_get_another_key() -> None:
    spec = CellSpec(
        study="s", folder="f", corpus="c", split="train", tokenizer="t", identifiers="i", method="ngram",
        backbone=LLAMA, fraction=1.0, seed=0, recipe=Recipe(), index="x",
    )  # fmt: skip
    codes, begun = replace(spec, method="codebook"), Recipe(init_codes="centroids")
    assert (spec.key, codes.key) == ("e5002491cb6dfb3f", "0300a16fd31153a5")  # as before there was a choice
    assert replace(spec, recipe=begun).key == spec.key
    assert replace(codes, recipe=begun).key != codes.key


def test_without_centroids_that_differ(centroids: np.ndarray) -> None:
    model = LLAMA.build(FIRST + N_C, pad_id=0, eos_id=1, seed=0)
    with pytest.raises(BadInput, match="centroids that differ"):
        begin_from_centroids(model, book(np.ones_like(centroids), "shared"), FIRST, 0)
    with pytest.raises(BadInput, match="init_codes must be one of random, centroids"):
        Recipe(init_codes="zero")
