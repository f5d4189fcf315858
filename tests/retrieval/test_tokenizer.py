"""Tokenizers: words, specials, languages; and the corpus as a row of tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from genret_core.errors import BadInput
from genret_core.retrieval import token_stream
from genret_core.retrieval.corpus import Corpus, Document, Qrel, Query, write_corpus
from genret_core.retrieval.readers.synthetic import read
from genret_core.retrieval.template import Template
from genret_core.retrieval.tokenizer import (
    TextTokenizer,
    TokenStream,
    hub_tokenizer,
    load_tokenizer,
    tokenize_documents,
    train_tokenizer,
)

HARD = [
    "Solve a x = b (see numpy.linalg.solve) for x; don't re-use it.",
    "tabs\tand\nlines \u00a0 wide\u3000spaces\u2028here\x1ctoo ",
    "İstanbul ŒUVRE ﬁne Straße e\u0301te\u0301 naïve",
    "读者 喜欢 这本书 \u200b zero \u200d width",
    "marks ▁ of ▁words Ġand </s> <pad> <unk> [SEP]",
    "🙂 \u0301 \ufeff x",
    "",
    "   ",
]


def corpus_of(folder: Path, texts: Sequence[str], queries: Sequence[tuple[str, str]] = ()) -> Corpus:
    return write_corpus(
        folder,
        [Document(f"d{i}", "", text) for i, text in enumerate(texts)],
        [Query(f"q{i}", text) for i, (text, _) in enumerate(queries)],
        [Qrel(f"q{i}", "d0", 1, split) for i, (_, split) in enumerate(queries)],
        {},
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read(
        tmp_path_factory.mktemp("corpus") / "c", n_documents=60, test_queries=20, validation_queries=5
    )


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return train_tokenizer(corpus, tmp_path_factory.mktemp("tokenizer"), vocab_size=400)


def pretrained(folder: Path, kind: str) -> Path:
    """Make a hub's folder in small: Unigram like T5's, byte-level BPE like GPT-2's, WordPiece like BERT's."""
    from transformers import PreTrainedTokenizerFast

    texts = ["solve the matrix equation with numpy", "a quick brown fox", *HARD[:3]] * 3
    specials = ["<pad>", "</s>", "<unk>"]
    if kind == "unigram":
        backend = tokenizers.Tokenizer(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=specials, unk_token="<unk>")
    elif kind == "bytes":
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=350, special_tokens=specials, initial_alphabet=alphabet)
    else:
        backend = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
        backend.normalizer = normalizers.BertNormalizer()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=specials)
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    loaded = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    loaded.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["trained", "unigram", "bytes", "wordpiece"])
def tokenizer(
    request: pytest.FixtureRequest, trained: TextTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> TextTokenizer:
    if request.param == "trained":
        return trained
    folder = tmp_path_factory.mktemp(request.param)
    return hub_tokenizer(str(pretrained(folder / "hub", request.param)), folder / "ours")


def assert_words(tokenizer: TextTokenizer, texts: Sequence[str]) -> None:
    for text, (ids, starts) in zip(texts, tokenizer.encode_words(texts), strict=True):
        assert starts.sum() == len(text.split()), text
        assert len(ids) == len(starts)
        assert len(ids) == 0 or starts[0]
        assert not set(ids.tolist()) & {tokenizer.pad_id, tokenizer.eos_id}, text


def test_every_word_begins_at_one_token(tokenizer: TextTokenizer) -> None:
    assert_words(tokenizer, HARD)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=3))
def test_every_word_of_any_text_begins_at_one_token(trained: TextTokenizer, texts: list[str]) -> None:
    assert_words(trained, texts)
    for ids, starts in trained.encode_words(texts):
        assert np.array_equal(starts, trained.word_start[ids])  # its own marks say the same as the offsets


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \u0301Σ▁é\u200d")), max_size=4
    )
)
def test_encoding_each_word_once_is_encoding_the_texts(trained: TextTokenizer, texts: list[str]) -> None:
    assert trained.by_word
    whole = replace(trained, by_word=False).encode_words([*texts, *HARD])
    for one, other in zip(trained.encode_words([*texts, *HARD]), whole, strict=True):
        for found, expected in zip(one, other, strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_words_encode_the_same_alone_and_in_a_text(tokenizer: TextTokenizer) -> None:
    text = "solve the matrix equation with numpy 读者 quickly"
    ids, starts = next(tokenizer.encode_words([text]))
    words = np.split(ids, np.flatnonzero(starts)[1:])
    alone = [part.tolist() for part in tokenizer.encode(text.split())]
    assert [word.tolist() for word in words] == alone
    firsts = ids[starts]
    assert tokenizer.word_start[firsts[firsts != tokenizer.unk_id]].all()


def test_decodes_what_it_encoded(tokenizer: TextTokenizer, trained: TextTokenizer) -> None:
    text = "solve the quick matrix"
    ids = tokenizer.encode([text])[0]
    assert tokenizer.decode(ids).strip() == text
    padded = np.array([*ids, tokenizer.eos_id, tokenizer.pad_id, -1, tokenizer.size + 5])
    assert tokenizer.decode(padded).strip() == text
    assert trained.decode(trained.encode(["Don't (re-use) a.b,  PLEASE"])[0]) == "don't (re-use) a.b, please"


def test_specials_and_size(trained: TextTokenizer) -> None:
    assert (trained.pad_id, trained.eos_id, trained.sep_id, trained.unk_id) == (0, 1, 2, 3)
    assert trained.size == 400 == trained.backend.get_vocab_size() == len(trained.word_start)
    assert not trained.word_start[:4].any()
    marked = [token.startswith("▁") for token in map(trained.backend.id_to_token, range(trained.size))]
    assert trained.word_start.tolist() == marked


def test_rare_characters_leave_room_for_words(tmp_path: Path) -> None:
    rare = " ".join(chr(0x4E00 + i) for i in range(2000))
    plain = "the matrix of the linear system " * 4000
    ours = train_tokenizer(corpus_of(tmp_path / "c", [plain, rare]), tmp_path / "t", vocab_size=256)
    assert sum(ord(token[-1]) > 0x3000 for token in ours.backend.get_vocab()) < 128
    assert len(ours.encode(["matrix"])[0]) == 1
    assert ours.encode([chr(0x4E00 + 1999)])[0][-1] == ours.unk_id
    chinese = train_tokenizer(
        corpus_of(tmp_path / "d", [rare * 20]), tmp_path / "u", vocab_size=4096, coverage=1.0
    )
    assert chinese.unk_id not in chinese.encode([rare])[0]


def test_a_word_without_an_end_is_one_word_and_does_not_hold_up_training(tmp_path: Path) -> None:
    """Learning merges takes the square of the longest word: this one would take hours."""
    rng = np.random.default_rng(0)
    long = "".join(rng.choice(list("abcdef"), 300_000))
    corpus = corpus_of(tmp_path / "c", [f"many words {long} and more words", "more words"])
    tokenizer = train_tokenizer(corpus, tmp_path / "t", vocab_size=120)
    ids, starts = next(iter(tokenizer.encode_words([f"words {long}"])))
    assert starts.sum() == 2
    assert tokenizer.decode(ids) == f"words {long}"


def test_learns_from_documents_and_training_queries_only(tmp_path: Path) -> None:
    queries = [
        ("zyzzyva zyzzyva zyzzyva", "train"),
        ("quokka quokka quokka", "test"),
        ("wombat wombat", "validation"),
    ]
    ours = train_tokenizer(corpus_of(tmp_path / "c", ["a document"], queries), tmp_path / "t", vocab_size=256)
    lengths = ours.encode(["zyzzyva", "quokka", "wombat"]).lengths
    assert lengths[0] == 1
    assert lengths[1] > 2
    assert lengths[2] > 2


def test_same_tokenizer_in_another_process(corpus: Corpus, trained: TextTokenizer, tmp_path: Path) -> None:
    code = (
        "import sys; from genret_core.retrieval.corpus import Corpus;"
        "from genret_core.retrieval.tokenizer import train_tokenizer;"
        "print(train_tokenizer(Corpus.open(sys.argv[1]), sys.argv[2], vocab_size=400).key)"
    )
    for name in ("a", "b"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(corpus.folder), str(tmp_path / name)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == trained.key
    assert train_tokenizer(corpus, tmp_path / "c", vocab_size=300).key != trained.key


def test_loads_what_was_saved(corpus: Corpus, tmp_path: Path) -> None:
    ours = train_tokenizer(corpus, tmp_path, vocab_size=300)
    again = load_tokenizer(tmp_path)
    assert again.key == ours.key
    assert np.array_equal(again.encode(HARD).values, ours.encode(HARD).values)
    assert json.loads((tmp_path / "tokenizer.meta.json").read_text())["corpus"] == corpus.key
    with pytest.raises(BadInput, match="holds no tokenizer"):
        load_tokenizer(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="vocab_size is 10"):
        train_tokenizer(corpus, tmp_path, vocab_size=10)


def test_hub_names_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'no/such-model' cannot be loaded"):
        hub_tokenizer("no/such-model", tmp_path)


@pytest.mark.parametrize(("single", "begin"), [("$A </s>", None), ("<s> $A </s>", 4), ("$A", None)])
def test_what_a_hub_tokenizer_begins_with_is_kept(tmp_path: Path, single: str, begin: int | None) -> None:
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "<s>": 4}
    backend = tokenizers.Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = [("</s>", 1), ("<s>", 4)]
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=specials)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "hub")
    ours = hub_tokenizer(str(tmp_path / "hub"), tmp_path / "ours")
    assert ours.begin_id == load_tokenizer(tmp_path / "ours").begin_id == begin
    ids = Template().prompts(ours.encode(["a a"]), ours, "t5")[0].tolist()
    assert ids == ([] if begin is None else [begin]) + [3, 3, 1]


def test_tokens_of_several_words_are_refused(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=80, special_tokens=["<pad>", "</s>", "<unk>"])
    backend.train_from_iterator(["of the " * 50], trainer)  # no split at white space
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>").save_pretrained(
        tmp_path / "hub"
    )
    ours = hub_tokenizer(str(tmp_path / "hub"), tmp_path / "ours")
    with pytest.raises(BadInput, match="several words"):
        ours.encode(["of the of the"])


@pytest.mark.parametrize("fields", ["text", "title_text"])
def test_stream_is_the_documents_in_order(
    corpus: Corpus, trained: TextTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: str
) -> None:
    monkeypatch.setattr(token_stream, "_BATCH", 7)
    made = tokenize_documents(corpus, trained, tmp_path, fields)
    stream = TokenStream.open(tmp_path)
    assert isinstance(stream.ids, np.memmap)
    assert (stream.fields, stream.tokenizer_key) == (fields, trained.key)
    assert len(stream) == corpus.n_documents
    assert stream.ids.dtype == np.uint16
    ids, starts, words = [], [0], []
    for text in corpus.document_texts(fields=fields):
        encoded = trained.encode([text])[0].tolist()
        ids += [*encoded, trained.eos_id]
        words += [trained.backend.id_to_token(i).startswith("▁") for i in encoded] + [False]
        starts.append(len(ids))
    assert stream.ids.tolist() == ids == made.ids.tolist()
    assert stream.doc_starts.tolist() == starts
    assert stream.word_starts.tolist() == words
    assert trained.decode(stream.document(3)) == next(corpus.document_texts([3], fields)).lower()


def test_large_vocabularies_need_wider_ids(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{f"w{i}": i for i in range(3, 70_000)}}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "hub")
    ours = hub_tokenizer(str(tmp_path / "hub"), tmp_path)
    stream = tokenize_documents(corpus_of(tmp_path / "c", ["w69999 w5", "w65536"]), ours, tmp_path)
    assert stream.ids.dtype == np.uint32
    assert stream.ids.tolist() == [69_999, 5, 1, 65_536, 1]
    with pytest.raises(BadInput, match="holds no tokens"):
        TokenStream.open(tmp_path / "c")
