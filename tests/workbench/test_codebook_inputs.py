"""Studies whose codebooks quantise given vectors or a model's: keys by content, inputs made, faults told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.files import read_json
from genret_core.retrieval.codebook import CodebookConfig
from genret_core.workbench.runs import Study
from genret_core.workbench.study.file import load
from genret_core.workbench.study.inputs import Inputs
from genret_core.workbench.study.prepare import prepare
from genret_core.workbench.study.vectors import vectors_key

STUDY = """
extends: test
name: toy
corpus: {{reader: synthetic, n_documents: 60, test_queries: 20}}
identifiers:
  codebook: {codebook}
evaluation: {{n_queries: 15, n_negatives: 10}}
notebooks: []
"""


def study(folder: Path, codebook: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(STUDY.format(codebook=codebook))
    return path


def test_keys_of_earlier_codebooks_stay() -> None:
    """Keys as of studies that were made before vectors, sharing and positions could be chosen."""
    inputs = Inputs.of(load("demo"), "0dfc69c9378a2803", validation=True)
    assert inputs.codebook == "9e419d960021a328"
    assert inputs.samples["codebook/seen"] == "2daedf48ca8a3d29"


def test_keys_follow_content_and_not_the_place(tmp_path: Path) -> None:
    def key(name: str, values: np.ndarray | None) -> str:
        if values is not None:
            np.save(tmp_path / name, values)
        return vectors_key(tmp_path / "study", CodebookConfig(embedding=str(tmp_path / name)), note=True)

    ones = np.ones((3, 2))
    first = key("a.npy", ones)
    assert key("a.npy", None) == first  # from the note
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "a.npy", ones)
    there = CodebookConfig(embedding=str(tmp_path / "other" / "a.npy"))
    assert vectors_key(tmp_path / "study", there) == first
    second = key("a.npy", 2 * ones)
    (tmp_path / "a.ids").write_text("x\ny\nz\n")
    third = key("a.npy", None)
    assert len({first, second, third}) == 3
    os.remove(tmp_path / "a.npy")
    assert key("a.npy", None) == third  # what was noted stays, though the file is gone
    with pytest.raises(BadInput, match=r"no file .*b\.npy"):
        key("b.npy", None)
    assert vectors_key(tmp_path / "nowhere", CodebookConfig()) == ""


def test_a_study_of_given_vectors_and_one_of_its_model(tmp_path: Path) -> None:
    """Inputs of a study with given vectors; a cell of it then embeds the documents for another study."""
    vectors = np.random.default_rng(0).normal(size=(60, 8))
    np.save(tmp_path / "v.npy", vectors)
    said: list[str] = []
    spec = load(
        study(
            tmp_path,
            f"{{N_c: 6, L_c: 3, embedding: {tmp_path / 'v.npy'}, positions: own, collisions: shared}}",
        )
    )
    folder = tmp_path / "runs" / "toy"
    inputs = prepare(folder, spec, workers=1, say=said.append)
    assert Inputs.read(folder, spec) == inputs
    made = Study(folder, spec)
    assert made.codebook.embedding.source == "given, v.npy"
    np.testing.assert_array_equal(
        made.codebook.embedding.of_documents(made.corpus, "text"), vectors.astype("f4")
    )
    sample = made.sample("codebook", "seen")
    first = made.tokenizer.size
    assert np.asarray(sample.pairs.ids).min() >= first
    assert (np.asarray(sample.pairs.ids)[:, 1] >= first + 6).all()
    os.remove(tmp_path / "v.npy")
    assert Inputs.read(folder, spec) == inputs  # the study is whole without the file
    np.save(tmp_path / "v.npy", 2 * vectors)
    assert Inputs.read(folder, spec) is None

    cell = next(cell for cell in made.plan if cell.method == "codebook")
    from genret_core.modeling.cells import run_cell

    run_cell(cell.with_evaluations((), ()), device="cpu")
    where = folder / "cells" / cell.key
    other = load(study(tmp_path, f"{{N_c: 4, L_c: 4, embedding: backbone, model: {where}}}"))
    target = tmp_path / "runs" / "other"
    prepare(target, other, workers=1, say=said.append)
    book = Study(target, other).codebook
    assert book.embedding.source.startswith("backbone (")
    assert book.embedding.dim == cell.backbone.d_model
    assert book.centroids.shape == (4, 4, cell.backbone.d_model)
    assert read_json(target / "corpus" / "vectors.json")


@pytest.mark.parametrize(
    ("codebook", "told"),
    [
        ("{embedding: dense}", "tfidf, backbone or the path of a .npy file"),
        ("{embedding: backbone}", "model .* goes with embedding: backbone"),
        ("{model: runs/x}", "only with it"),
        ("{collisions: none}", "must be unique or shared"),
        ("{positions: all}", "must be shared or own"),
        ("{N_c: 1}", "between 2 and 65536"),
        ("{N_c: 70000}", "between 2 and 65536"),
    ],
)
def test_a_study_file_is_refused_before_anything_runs(tmp_path: Path, codebook: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        load(study(tmp_path, codebook))
    assert "toy.yaml" in str(caught.value)


def test_vectors_that_are_not_there_are_told_before_the_corpus_is_read(tmp_path: Path) -> None:
    spec = load(study(tmp_path, f"{{embedding: {tmp_path / 'none.npy'}}}"))
    with pytest.raises(BadInput, match="no file"):
        prepare(tmp_path / "runs" / "toy", spec, workers=1, say=lambda line: pytest.fail(line))
