"""Prompts, spelled out."""

from __future__ import annotations

import pytest

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Document, write_corpus
from genret_core.retrieval.template import Template
from genret_core.retrieval.tokenizer import TextTokenizer, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    folder = tmp_path_factory.mktemp("template")
    corpus = write_corpus(
        folder / "corpus", [Document("d", "", "question: what is a matrix? answer")], [], [], {}
    )
    return train_tokenizer(corpus, folder / "tokenizer", vocab_size=128)


@pytest.mark.parametrize(
    ("family", "end"), [("llama", "sep_id"), ("t5", "eos_id"), ("causal", "sep_id"), ("seq2seq", "eos_id")]
)
def test_a_prompt_is_prefix_query_suffix_end(tokenizer: TextTokenizer, family: str, end: str) -> None:
    queries = ["what is a matrix", "", "norm"]
    prefix, suffix, *plain = (part.tolist() for part in tokenizer.encode(["question:", "answer", *queries]))
    prompts = Template("question:", "answer").prompts(tokenizer.encode(queries), tokenizer, family)
    assert [prompt.tolist() for prompt in prompts] == [
        [*prefix, *query, *suffix, getattr(tokenizer, end)] for query in plain
    ]
    bare = Template().prompts(tokenizer.encode(queries), tokenizer, family)
    assert [prompt.tolist() for prompt in bare] == [[*query, getattr(tokenizer, end)] for query in plain]


def test_unknown_family_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(BadInput, match=r"'gpt'.*llama, t5"):
        Template().prompts(tokenizer.encode(["a"]), tokenizer, "gpt")
