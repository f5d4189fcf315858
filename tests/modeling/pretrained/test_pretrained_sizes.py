"""Sizes from configurations, against the published counts and a second count; files found and hashed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.modeling import Backbone
from genret_core.modeling.flops import query_flops, row_flops
from genret_core.modeling.pretrained import Lora, PretrainedBackbone, source
from genret_core.modeling.pretrained.architecture import configuration, counted, empty_model
from genret_core.modeling.pretrained.source import find_source


def t5(d, kv, ff, layers, heads, **more):
    return {
        "model_type": "t5", "vocab_size": 32_128, "d_model": d, "d_kv": kv, "d_ff": ff, "num_layers": layers,
        "num_decoder_layers": layers, "num_heads": heads, "is_encoder_decoder": True,
        "feed_forward_proj": "relu", **more,
    }  # fmt: skip


def llama(d, ff, layers, heads, kv, vocabulary=32_000, **more):
    return {
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": d, "intermediate_size": ff,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "tie_word_embeddings": False, **more,
    }  # fmt: skip


PUBLISHED = {  # P as it was published; of LLaMA with the output head
    "small": (t5(512, 64, 2048, 6, 8), 44_057_088),
    "base": (t5(768, 64, 3072, 12, 12), 198_229_248),
    "large": (t5(1024, 64, 4096, 24, 16), 704_769_024),
    "3b": (t5(1024, 128, 16384, 24, 32), 2_818_699_264),
    "11b": (t5(1024, 128, 65536, 24, 128), 11_274_422_272),
    "llama-2-7b": (llama(4096, 11008, 32, 32, 32), 6_607_343_616),
    "llama-2-13b": (llama(5120, 13824, 40, 40, 40), 12_852_024_320),
    "llama-2-70b": (llama(8192, 28672, 80, 64, 8), 68_714_504_192),
    # 8,030,261,248 and 70,553,706,496 parameters in all; one of two matrices of 128,256 rows is out
    "llama-3-8b": (llama(4096, 14336, 32, 32, 8, 128_256), 8_030_261_248 - 128_256 * 4096),
    "llama-3-70b": (llama(8192, 28672, 80, 64, 8, 128_256), 70_553_706_496 - 128_256 * 8192),
}


def rung(folder: Path, values, **change) -> PretrainedBackbone:
    folder.mkdir(exist_ok=True)
    write_json(folder / "config.json", values)
    family = change.pop("family", values["model_type"])
    return PretrainedBackbone("x", family, str(folder), **change)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name, tmp_path):
    values, published = PUBLISHED[name]
    backbone = rung(tmp_path / "m", values)
    assert backbone.P_published == published
    shape, again = backbone.architecture, counted(configuration(tmp_path / "m"))
    assert shape == again
    rows = values["vocab_size"] * shape.d_model
    assert published - (rows if name.startswith("llama") else 0) == shape.P
    assert backbone.parameters(1000)[1] == shape.P + rows * (1 if shape.tied else 2)
    assert shape.tied == (not name.startswith("llama"))


def test_tied_and_untied_llama_have_the_same_body(tmp_path):
    tied, untied = (
        rung(tmp_path / str(t), llama(64, 128, 2, 4, 2, 100, tie_word_embeddings=t)) for t in (True, False)
    )
    assert tied.parameters(100)[0] == untied.parameters(100)[0]
    assert untied.parameters(100)[1] - tied.parameters(100)[1] == 100 * 64
    assert untied.parameters(120)[1] - untied.parameters(100)[1] == 2 * 20 * 64
    for backbone in (tied, untied):
        model = empty_model(configuration(backbone.source.folder))
        assert backbone.parameters(100)[1] == sum(w.numel() for w in model.parameters())


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "qwen2", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
        {"model_type": "gpt2", "vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32},
        {"model_type": "bart", "vocab_size": 96, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3,
         "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
         "decoder_ffn_dim": 56, "is_encoder_decoder": True},
        {"model_type": "mixtral", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4,
         "num_experts_per_tok": 2},
    ],
    ids=lambda values: values["model_type"],
)  # fmt: skip
def test_other_architectures_are_counted_on_the_model(values, tmp_path):
    both = values.get("is_encoder_decoder", False)
    shape = rung(tmp_path / "m", values, family="seq2seq" if both else "causal").architecture
    model = empty_model(configuration(tmp_path / "m"))
    embedding = model.get_input_embeddings().weight
    body = {id(w): w.numel() for w in model.parameters()}
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        body.pop(id(module.weight), None)
    assert sum(body.values()) == shape.P
    assert (shape.vocab_size, shape.d_model) == tuple(embedding.shape)
    # By hand: four square matrices of attention (fewer keys and values), and the feed-forward ones.
    d = 32
    grouped = 2 * d * d + 2 * d * 16
    expected = {
        "qwen2": {"decoder": 2 * (grouped + 3 * d * 64)},
        "gpt2": {"decoder": 2 * (4 * d * d + 2 * d * 128)},
        "bart": {
            "encoder": 2 * (4 * d * d + 2 * d * 48), "decoder": 3 * (6 * d * d + 2 * d * 56),
            "cross_kv": 3 * 2 * d * d,
        },
        "mixtral": {"decoder": 2 * (grouped + 2 * 3 * d * 64 + d * 4)},  # two of four experts, and the router
    }[values["model_type"]]  # fmt: skip
    assert dict(shape.matrices) == expected


def test_flops_are_those_of_the_same_sizes_trained_from_scratch(tmp_path):
    ours = Backbone("b", "llama", 64, 2, 4, 128, n_kv_heads=2, tied=False)
    theirs = rung(tmp_path / "m", llama(64, 128, 2, 4, 2, 100))
    for count in (
        lambda b: row_flops(b, 100, [7], [[5, 5]])[0],
        lambda b: query_flops(b, 100, [7, 9], beam=4, n_tokens=5),
    ):
        assert count(ours) == count(theirs)


def test_the_family_must_be_that_of_the_files(tmp_path):
    values = llama(64, 128, 2, 4, 2, 100)
    with pytest.raises(BadInput, match=r"is a llama, no t5; set family: causal\."):
        _ = rung(tmp_path / "a", values, family="t5").source
    with pytest.raises(BadInput, match="a decoder alone; family seq2seq does not fit"):
        _ = rung(tmp_path / "a", values, family="seq2seq").source
    assert (
        rung(tmp_path / "a", values, family="causal").architecture.P
        == rung(tmp_path / "a", values).architecture.P
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"family": "bert"}, "family must be one of"), ({"precision": "fp8"}, "precision"),
        ({"lora": None, "precision": "bf16"}, "needs 32 bits"),
        ({"lora": None, "quantised": "4bit"}, "needs 32 bits"),
        ({"mask_padding": False}, "max_length goes with"), ({"max_length": 10}, "max_length goes with"),
        ({"fresh": True}, "nothing to adapt"), ({"lora": {"rank": 3}}, "rank"),
        ({"lora": {"r": 0}}, "above 0"),
        ({"micro_batch": 0}, "micro_batch"), ({"colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_refuses(change, word):
    with pytest.raises(BadInput, match=word):
        PretrainedBackbone.from_dict({"name": "x", "family": "t5", "pretrained": "somewhere/else", **change})


def test_published_settings_of_the_adapters():
    t5, llama = (PretrainedBackbone("x", family, "a/b").adapters for family in ("t5", "llama"))
    assert (t5.r, t5.alpha, t5.dropout, t5.targets) == (16, 32, 0.1, ("q", "v"))
    assert (llama.r, llama.alpha, llama.dropout, llama.targets) == (16, 32, 0.0, ("q_proj", "v_proj"))
    own = PretrainedBackbone("x", "llama", "a/b", lora={"targets": ["o_proj"], "dropout": 0.3}).adapters
    assert (own.targets, own.dropout, own.r) == (("o_proj",), 0.3, 16)
    assert Lora.from_dict(own.to_dict()) == own


def test_what_is_not_here_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match="download it once with `hf download nobody/nothing --revision abc`"):
        find_source("nobody/nothing", "abc")
    with pytest.raises(BadInput, match="there is no folder"):
        find_source(str(tmp_path / "gone"))
    with pytest.raises(BadInput, match=r"no config\.json"):
        find_source(str(tmp_path))
    with pytest.raises(BadInput, match="has no revision"):
        find_source(str(tmp_path), "main")


def test_a_model_in_the_hubs_cache_is_found_with_its_commit(tmp_path):
    """The cache's own layout: a branch names a commit, its snapshot links to files by content."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--someone--tiny"
    snapshot = repo / "snapshots" / commit
    for folder in (repo / "refs", repo / "blobs", snapshot):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    (repo / "blobs" / "c").write_text(json.dumps(llama(8, 8, 1, 1, 1, 10)))
    save_file({"w": np.zeros(3, np.float32)}, repo / "blobs" / "w")
    (snapshot / "config.json").symlink_to(repo / "blobs" / "c")
    (snapshot / "model.safetensors").symlink_to(repo / "blobs" / "w")
    code = (
        "from genret_core.modeling.pretrained.source import find_source; s = find_source('someone/tiny');"
        "print(s.name, s.revision, s.content())"
    )
    env = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["someone/tiny", commit, find_source(str(snapshot)).content()], done.stderr


def test_large_files_are_hashed_by_their_header_and_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "WHOLE", 1 << 14)
    monkeypatch.setattr(source, "BLOCKS", 8)
    monkeypatch.setattr(source, "BLOCK", 1 << 10)
    write_json(tmp_path / "config.json", llama(8, 8, 1, 1, 1, 10))
    seen = set()
    for scale in (1.0, 1.0, 2.0):
        save_file({"w": np.full(20_000, scale, np.float32)}, tmp_path / "model.safetensors")
        seen.add(find_source(str(tmp_path)).content())
    assert len(seen) == 2
