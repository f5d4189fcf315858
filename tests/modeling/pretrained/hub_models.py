"""Small models in the layout of a hub: sharded safetensors, a sentencepiece tokenizer, a configuration."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from genret_core.files import write_json

PIECES = 500
KINDS = ("t5", "t5-untied", "llama", "llama-untied", "qwen")


def texts(n: int = 400, seed: int = 0) -> list[str]:
    """Sentences of an invented language."""
    rng = np.random.default_rng(seed)
    syllables = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "zu"]
    words = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(300)]
    return [" ".join(rng.choice(words, 12)) for _ in range(n)]


def sentencepiece_model(path: Path, lines: list[str], kind: str, **ids: int) -> int:
    """Train a tokenizer and write it where a hub has it; give its size."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, model_type=kind, vocab_size=PIECES,
        hard_vocab_limit=False, minloglevel=2, byte_fallback=kind == "bpe", **ids,
    )  # fmt: skip
    path.write_bytes(written.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue()).get_piece_size()


def make_hub_model(folder: Path, kind: str, lines: list[str], *, seed: int = 0) -> Path:
    """Write a model of a kind: random, but far from uniform in what it predicts."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind.startswith("t5"):
        size = sentencepiece_model(
            folder / "spiece.model", lines, "unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1
        )
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "extra_ids": 4})
    elif kind == "qwen":
        size = PIECES  # comes without a tokenizer
    else:
        size = sentencepiece_model(folder / "tokenizer.model", lines, "bpe", unk_id=0, bos_id=1, eos_id=2)
        write_json(
            folder / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}
        )
    rows = -(-(size + 8) // 8) * 8  # as published models do, with rows that no token has
    torch.manual_seed(seed)
    model = _model(kind, rows)
    if kind == "t5-untied":  # as the later series: a head of its own, and no scale before it
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "relative" not in name:
                weight.normal_(0, 0.3 if kind.startswith("t5") else 0.2)
    model.save_pretrained(folder, max_shard_size="40KB")
    assert (folder / "model.safetensors.index.json").is_file()
    return folder


def _model(kind: str, rows: int):
    if kind.startswith("t5"):
        config = T5Config(
            vocab_size=rows, d_model=32, d_kv=12, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=2,
            relative_attention_num_buckets=8, relative_attention_max_distance=20, dropout_rate=0.0,
            feed_forward_proj="relu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
            tie_word_embeddings=kind == "t5",
        )  # fmt: skip
        return T5ForConditionalGeneration(config)
    sizes = {
        "vocab_size": rows, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2,
        "tie_word_embeddings": kind == "llama",
    }  # fmt: skip
    if kind == "qwen":
        return Qwen2ForCausalLM(Qwen2Config(**sizes))
    return LlamaForCausalLM(LlamaConfig(**sizes))
