"""A model as an embedding: against one plain call per text; folders that are no model; codebooks of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import LLAMA, T5
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.modeling import text_encoder
from genret_core.modeling.checkpoint import load_model, save_model
from genret_core.modeling.text_encoder import ModelFolder, TextEncoder, embed_corpus
from genret_core.retrieval.codebook import Codebook, CodebookConfig, fit_codebook
from genret_core.retrieval.codebook_quality import oracle_retrieval
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.readers import read_corpus
from genret_core.retrieval.template import Template
from genret_core.retrieval.tokenizer import load_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    """A study folder with a tokenizer and a cell of each family."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    corpus = read_corpus("synthetic", folder / "corpus" / "abc", {"n_documents": 50, "test_queries": 10})
    tokenizer = train_tokenizer(corpus, folder / "corpus" / "abc" / "tokenizer-t", vocab_size=200)
    for backbone in (LLAMA, T5):
        cell = folder / "cells" / backbone.family
        save_model(backbone.build(tokenizer.size + 4, pad_id=0, eos_id=1, seed=0), cell / "checkpoint")
        told = {"corpus": "abc", "family": backbone.family, "backbone": backbone.name, "method": "ngram"}
        write_json(cell / "cell.json", {**told, "seed": 0})
    return folder, corpus


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_cells_embed_as_one_plain_call_per_text(
    world: tuple[Path, Corpus], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, corpus = world
    monkeypatch.setattr(text_encoder, "_POSITIONS", 300)  # several batches of a block, several blocks
    monkeypatch.setattr(text_encoder, "_BLOCK", 20)
    found = embed_corpus(corpus, str(folder / "cells" / family), "text", device="cpu")
    tokenizer = load_tokenizer(folder / "corpus" / "abc" / "tokenizer-t")
    model = load_model(folder / "cells" / family / "checkpoint")
    reader = model.get_encoder() if family == "t5" else model.model
    rows = np.union1d(corpus.split_queries("test"), corpus.split_queries("validation"))
    assert found.query_rows.tolist() == rows.tolist()
    for texts, vectors in (
        (corpus.document_texts(), found.documents),
        (corpus.query_texts(rows), found.of_queries(corpus, rows)),
    ):
        for text, vector in zip(texts, vectors, strict=True):
            (ids,) = Template().prompts(tokenizer.encode([text]), tokenizer, family)
            with torch.no_grad():
                states = reader(torch.tensor(ids.tolist())[None]).last_hidden_state[0].numpy()
            mean = states.astype(np.float64).mean(axis=0)
            np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=2e-6)
    again = embed_corpus(corpus, str(folder / "cells" / family / "checkpoint"), "text", device="cpu")
    np.testing.assert_array_equal(again.documents, found.documents)
    assert (found.unit, found.notes) == (True, ())


def test_a_codebook_of_them(world: tuple[Path, Corpus], tmp_path: Path) -> None:
    folder, corpus = world
    path = str(folder / "cells" / "t5")
    config = CodebookConfig(N_c=8, L_c=3, embedding="backbone", model=path)
    with pytest.raises(ValueError, match="needs the vectors of the model"):
        fit_codebook(corpus, config)
    fit_codebook(corpus, config, embed_corpus(corpus, path, "text", device="cpu")).save(tmp_path / "book")
    book = Codebook.open(tmp_path / "book")
    assert book.embedding.source == "backbone (t5, ngram, seed 0)"
    assert len(oracle_retrieval(corpus, book, corpus.split_queries("test"), k=(5,))) == 4


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A T5 encoder with a word tokenizer, as transformers saves them."""
    words = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", "one", "two", "three", "four"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "m")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=7, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2, is_encoder_decoder=False
    )
    T5EncoderModel(config).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def test_a_folder_of_transformers(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoder, "MOST_TOKENS", 4)
    encoder = TextEncoder.open(published)
    texts = ["one two three", "", "four", "two " * 9]
    vectors, n_cut = encoder.encode(texts, len(texts))
    assert n_cut == 1
    assert not vectors[1].any()
    plain = T5EncoderModel.from_pretrained(published).eval()
    for row, ids in ((0, [3, 4, 5]), (2, [6]), (3, [4, 4, 4, 4])):
        mean = plain(torch.tensor([ids])).last_hidden_state[0].mean(0).detach().numpy()
        np.testing.assert_allclose(vectors[row], mean / np.linalg.norm(mean), atol=2e-6)
    names = {path.name for path in ModelFolder.find(published).files()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_what_is_no_model_is_told(world: tuple[Path, Corpus], published: Path, tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(BadInput) as caught:
            TextEncoder.open(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no folder" in said(tmp_path / "none")
    whole = (published / "model.safetensors").read_bytes()
    (published / "model.safetensors").write_bytes(whole[:200])
    assert "cannot be loaded" in said(published)
    torch.save({}, published / "pytorch_model.bin")
    (published / "model.safetensors").unlink()
    assert "weights as safetensors" in said(published)  # nothing is unpickled
    (published / "model.safetensors").write_bytes(whole)
    (published / "tokenizer.json").write_text("{")
    assert "tokenizer" in said(published)
    (published / "tokenizer.json").unlink()
    assert "holds no tokenizer" in said(published)
    alone = tmp_path / "elsewhere" / "cells" / "t5"
    shutil.copytree(world[0] / "cells" / "t5", alone)
    assert "where it was trained" in said(alone)


def test_weights_that_are_missing_are_not_drawn(published: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(published / "model.safetensors")
    del weights[next(name for name in weights if "DenseReluDense" in name)]
    save_file(weights, published / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="lacks weights, such as"):
        TextEncoder.open(published)


def test_code_in_the_folder_is_not_run(published: Path, tmp_path: Path) -> None:
    config = json.loads((published / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Config"}}
    (published / "config.json").write_text(json.dumps(config))
    (published / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BadInput, match="cannot be loaded"):
        TextEncoder.open(published)
    assert not (tmp_path / "ran").exists()
