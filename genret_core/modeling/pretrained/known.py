"""Models whose sizes are known without their files, so that a study of them can be planned anywhere.

Configurations of the original T5 series, LLaMA-2 and LLaMA-3, as the hub has them. They serve for counting
only: to train, score or search, the files must be on the machine.
"""

from __future__ import annotations

from typing import Any


def _t5(d: int, kv: int, ff: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "t5", "is_encoder_decoder": True, "vocab_size": 32_128, "d_model": d, "d_kv": kv,
        "d_ff": ff, "num_layers": layers, "num_decoder_layers": layers, "num_heads": heads,
        "feed_forward_proj": "relu", "relative_attention_num_buckets": 32, "tie_word_embeddings": True,
        "dropout_rate": 0.1,
    }  # fmt: skip


def _llama(d: int, ff: int, layers: int, heads: int, kv: int, vocabulary: int = 32_000) -> dict[str, Any]:
    return {
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": d, "intermediate_size": ff,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "tie_word_embeddings": False,
    }  # fmt: skip


_LLAMA_2 = {
    "7b": _llama(4096, 11_008, 32, 32, 32),
    "13b": _llama(5120, 13_824, 40, 40, 40),
    "70b": _llama(8192, 28_672, 80, 64, 8),
}
_LLAMA_3 = {
    "8B": _llama(4096, 14_336, 32, 32, 8, 128_256),
    "70B": _llama(8192, 28_672, 80, 64, 8, 128_256),
}

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "google-t5/t5-small": _t5(512, 64, 2048, 6, 8),
    "google-t5/t5-base": _t5(768, 64, 3072, 12, 12),
    "google-t5/t5-large": _t5(1024, 64, 4096, 24, 16),
    "google-t5/t5-3b": _t5(1024, 128, 16_384, 24, 32),
    "google-t5/t5-11b": _t5(1024, 128, 65_536, 24, 128),
    **{f"meta-llama/Llama-2-{size}-hf": values for size, values in _LLAMA_2.items()},
    **{f"meta-llama/Llama-2-{size}-chat-hf": values for size, values in _LLAMA_2.items()},
    **{f"meta-llama/Meta-Llama-3-{size}": values for size, values in _LLAMA_3.items()},
    **{f"meta-llama/Meta-Llama-3-{size}-Instruct": values for size, values in _LLAMA_3.items()},
}
"""`config.json` by name on the hub, as far as it decides sizes."""
