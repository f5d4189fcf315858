"""From text to tokens: a small trained tokenizer, or one from a model hub's cache."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import ArrayLike
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from genret_core.errors import BadInput
from genret_core.files import atomic, read_json, write_json
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.token_stream import TokenStream, tokenize_documents

__all__ = [
    "Ragged",
    "TextTokenizer",
    "TokenStream",
    "hub_tokenizer",
    "load_tokenizer",
    "tokenize_documents",
    "train_tokenizer",
]

SPECIALS = ("<pad>", "</s>", "<sep>", "<unk>")
_WORD = "▁"  # what a trained tokenizer puts before every word
_BATCH = 1_024
_LONG = re.compile(r"\S{200}(?=\S)")  # learning merges takes the longest word times the longest word
_SPACE = ord(" ")
_MOST_WORDS = 1_000_000  # of which the tokens are held, about 0.2 GB
_AGAIN = "make it and what was built with it again"


@dataclass(frozen=True, eq=False)
class TextTokenizer:
    """A tokenizer with the four special ids that the workbench needs.

    Text is taken as words between white space (as `str.split` sees it); how wide the space is, is not kept.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
    pad_id, eos_id, sep_id : int
        Padding; end of a document or of an encoder's input; between a prompt and what is generated.
    unk_id : int
        What stands for a word that the tokenizer would drop.
    key : str
        Hash of the tokenizer and of its special ids.
    by_word : bool
        Whether a word's tokens never depend on the words around it; they are then made once for each word.
    begin_id : int, optional
        What a model's own tokenizer puts before every text; prompts begin with it.
    """

    backend: tokenizers.Tokenizer
    pad_id: int
    eos_id: int
    sep_id: int
    unk_id: int
    key: str
    by_word: bool = False
    begin_id: int | None = None

    @cached_property
    def size(self) -> int:
        """V: number of token ids, specials included."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def word_start(self) -> np.ndarray:
        """Token ids that begin a word, bool, shape (V,); special tokens do not."""
        starts = np.zeros(self.size, bool)
        vocabulary = self.backend.get_vocab(with_added_tokens=True)
        marks = tuple(mark for mark in (_WORD, "Ġ") if any(token.startswith(mark) for token in vocabulary))
        for token, number in vocabulary.items():
            starts[number] = token.startswith(marks) if marks else not token.startswith("##")
        special = [
            number for number, token in self.backend.get_added_tokens_decoder().items() if token.special
        ]
        starts[special] = False
        return starts

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Encode texts; no special token is added, and none is recognised in a text."""
        return Ragged.of(ids for ids, _ in self.encode_words(texts))

    def encode_words(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Encode texts and mark the tokens that begin a word.

        Yields
        ------
        ids : ndarray of int32, shape (n,)
        word_starts : ndarray of bool, shape (n,)
            True at the first token of each white-space word, so exactly ``len(text.split())`` times.
        """
        if self.by_word:
            yield from self._tokens_of_words(texts)
            return
        plain = [self._lead + " ".join(text.split()) for text in texts]
        encodings = self.backend.encode_batch(plain, add_special_tokens=False)
        for text, encoding in zip(plain, encodings, strict=True):
            yield self._with_word_starts(text, encoding)

    def decode(self, ids: ArrayLike) -> str:
        """Turn ids into text, leaving out specials, padding (negative) and ids beyond the vocabulary."""
        return self.backend.decode([int(i) for i in np.ravel(ids) if 0 <= i < self.size])

    def _tokens_of_words(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Put texts together from the tokens of their words; each word is encoded once."""
        split = [text.split() for text in texts]
        known = self._words
        if len(known) > _MOST_WORDS:
            known.clear()
        new = list({word: None for words in split for word in words if word not in known})
        encodings = self.backend.encode_batch(new, add_special_tokens=False)
        for word, encoding in zip(new, encodings, strict=True):
            known[word] = self._with_word_starts(word, encoding)[0].tobytes()
        for words in split:
            tokens = [known[word] for word in words]
            ids = np.frombuffer(b"".join(tokens), np.int32)
            lengths = np.fromiter(map(len, tokens), np.int64, len(tokens)) // ids.itemsize
            starts = np.zeros(len(ids), bool)
            starts[np.cumsum(lengths) - lengths] = True
            yield ids, starts

    @cached_property
    def _words(self) -> dict[str, bytes]:
        """The tokens of the words that were met, int32 as bytes."""
        return {}

    def _with_word_starts(self, text: str, encoding: tokenizers.Encoding) -> tuple[np.ndarray, np.ndarray]:
        ids = np.array(encoding.ids, np.int32)
        ids[self._reserved[ids]] = self.unk_id  # spelled out in the text
        if not text.strip():
            return ids[:0], np.zeros(0, bool)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        # a token belongs to the word of its last character; a space counts with the word behind it
        spaces = np.zeros(len(text) + 1, np.int64)
        np.cumsum(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4") == _SPACE, out=spaces[1:])
        word = spaces[offsets[:, 1]] - len(self._lead)
        n_words = int(spaces[-1]) + 1 - len(self._lead)
        step = np.diff(word, prepend=-1)
        if len(ids) and step[0] == 1 and word[-1] == n_words - 1 and ((step == 0) | (step == 1)).all():
            return ids, step == 1  # every word has its tokens, in order
        lost = np.setdiff1d(np.arange(n_words), word)
        if len(lost):
            _refuse_joined_words(text, offsets)
            place = np.searchsorted(word, lost)
            ids, word = np.insert(ids, place, self.unk_id), np.insert(word, place, lost)
        starts = np.ones(len(ids), bool)
        starts[1:] = word[1:] != word[:-1]
        return ids, starts

    @cached_property
    def _reserved(self) -> np.ndarray:
        """The ids that no text may hold, bool, shape (V,)."""
        reserved = np.zeros(self.size, bool)
        reserved[[self.pad_id, self.eos_id, self.sep_id]] = True
        return reserved

    @cached_property
    def _lead(self) -> str:
        """A space, for tokenizers that know a word by the space before it and do not add the first one."""
        first = [self.backend.encode(text, add_special_tokens=False).ids for text in ("a", " a")]
        plain, spaced = (bool(ids) and bool(self.word_start[ids[0]]) for ids in first)
        return " " if spaced and not plain else ""


def train_tokenizer(
    corpus: Corpus,
    folder: str | os.PathLike[str],
    *,
    vocab_size: int = 1024,
    max_documents: int = 200_000,
    coverage: float = 0.9995,
) -> TextTokenizer:
    """Train a lower-case byte-pair encoding on the documents and the *training* queries, and save it.

    Words are split at white space and punctuation; a word's first token begins with ``▁``.

    Parameters
    ----------
    corpus : Corpus
    folder : path-like
        Where `tokenizer.json` and `tokenizer.meta.json` go.
    vocab_size : int
        Ids wanted, the four specials included; a small corpus may give fewer.
    max_documents : int
        A larger corpus gives this many of its documents, evenly spaced.
    coverage : float
        Part of all characters that the alphabet must cover; rarer characters become ``<unk>``, so that they
        do not eat up the vocabulary. Beyond ASCII, the alphabet never takes more than half of it.
    """
    if not 64 <= vocab_size <= 1 << 20:
        raise BadInput(f"vocab_size is {vocab_size}; give a number from 64 to {1 << 20}.")
    backend = tokenizers.Tokenizer(models.BPE(unk_token=SPECIALS[3]))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace(_WORD, "_")]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Punctuation(),
        ]
    )
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    alphabet = _alphabet(
        backend.normalizer, _training_texts(corpus, max_documents), coverage, vocab_size // 2
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIALS),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),  # exactly ours: its own choice breaks ties at random
        min_frequency=2,
        show_progress=False,
    )
    backend.train_from_iterator(_training_texts(corpus, max_documents), trainer)
    meta = {"pad_id": 0, "eos_id": 1, "sep_id": 2, "unk_id": 3, "source": "trained", "corpus": corpus.key}
    return _save(backend, folder, meta)


def hub_tokenizer(
    name_or_path: str, folder: str | os.PathLike[str], *, local_files_only: bool = True
) -> TextTokenizer:
    """Take the tokenizer of a pretrained model and save what is needed of it in `folder`.

    Parameters
    ----------
    name_or_path : str
        A folder, or a name that the hub's cache holds; `name@revision` for a branch, tag or commit.
    folder : path-like
    local_files_only : bool
        False allows a download.

    Raises
    ------
    BadInput
        If it cannot be had, has no fast version, or has no special ids.
    """
    from transformers import AutoTokenizer  # imports torch where torch is installed: only when asked for

    own = Path(name_or_path).expanduser()
    name, _, revision = (str(own), "", "") if own.is_dir() else name_or_path.partition("@")
    try:
        loaded = AutoTokenizer.from_pretrained(
            name, revision=revision or None, local_files_only=local_files_only, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"the tokenizer {name_or_path!r} cannot be loaded: {reason}") from error
    if not getattr(loaded, "is_fast", False):
        raise BadInput(
            f"the tokenizer {name_or_path!r} has no fast version, which offsets need; choose another."
        )
    eos = _first(loaded.eos_token_id, loaded.sep_token_id)
    pad = _first(loaded.pad_token_id, loaded.unk_token_id, eos)
    sep = _first(loaded.sep_token_id, loaded.bos_token_id, eos)
    if eos is None or pad is None or sep is None:
        raise BadInput(f"the tokenizer {name_or_path!r} has no end-of-text token; choose one that has.")
    backend = tokenizers.Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    meta = {"pad_id": pad, "eos_id": eos, "sep_id": sep, "unk_id": _first(loaded.unk_token_id, sep)}
    begun, bare = (loaded("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    meta["begin_id"] = None if begun[: len(bare)] == bare else begun[0]
    return _save(backend, folder, {**meta, "source": "hub", "name": name_or_path})


def load_tokenizer(folder: str | os.PathLike[str]) -> TextTokenizer:
    """Load a tokenizer that `train_tokenizer` or `hub_tokenizer` saved.

    Raises
    ------
    BadInput
        If there is none, or a file of it is not what was saved: tokens made by it would mean other words.
    """
    folder = Path(folder)
    if not (folder / "tokenizer.meta.json").is_file():
        raise BadInput(f"{folder} holds no tokenizer (there is no tokenizer.meta.json); train one first.")
    try:
        meta = read_json(folder / "tokenizer.meta.json")
        saved = (folder / "tokenizer.json").read_bytes()
        if meta["key"] != _key(saved, meta):
            raise BadInput(f"{folder}: tokenizer.json is not the one that was saved here; {_AGAIN}.")
        backend = tokenizers.Tokenizer.from_buffer(saved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{folder}: the tokenizer is damaged ({type(error).__name__}); {_AGAIN}.") from None
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # a document that says "</s>" does not end there
    pad, eos, sep, unk = (meta[name] for name in ("pad_id", "eos_id", "sep_id", "unk_id"))
    by_word = meta.get("source") == "trained"  # it splits at white space before anything else
    return TextTokenizer(backend, pad, eos, sep, unk, meta["key"], by_word, meta.get("begin_id"))


def _save(
    backend: tokenizers.Tokenizer, folder: str | os.PathLike[str], meta: dict[str, Any]
) -> TextTokenizer:
    folder = Path(folder)
    with atomic(folder / "tokenizer.json") as part:
        backend.save(str(part))
        key = _key(part.read_bytes(), meta)
    write_json(folder / "tokenizer.meta.json", {"key": key, **meta})
    return load_tokenizer(folder)


def _key(saved: bytes, meta: dict[str, Any]) -> str:
    ids = [meta[name] for name in ("pad_id", "eos_id", "sep_id", "unk_id")]
    ids += [meta["begin_id"]] if meta.get("begin_id") is not None else []
    return sha256(saved + repr(ids).encode()).hexdigest()[:16]


def _training_texts(corpus: Corpus, max_documents: int) -> Iterator[str]:
    n = min(corpus.n_documents, max_documents)
    rows = np.arange(n) * corpus.n_documents // n
    queries = corpus.query_texts(corpus.split_queries("train"))
    texts = chain(corpus.document_texts(rows, "title_text"), queries)
    return (_LONG.sub(r"\g<0> ", text) for text in texts)


def _alphabet(
    normalizer: normalizers.Normalizer, texts: Iterator[str], coverage: float, most: int
) -> list[str]:
    counts: Counter[str] = Counter()
    while batch := list(islice(texts, _BATCH)):
        counts.update("".join("".join(normalizer.normalize_str(text).split()) for text in batch))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    covered = np.cumsum([counts[character] for character in ranked]) / max(counts.total(), 1)
    kept = ranked[: min(int(np.searchsorted(covered, coverage)) + 1, most)]
    return sorted({_WORD, *ascii_lowercase, *digits, *punctuation, *kept})


def _first(*ids: int | None) -> int | None:
    return next((number for number in ids if number is not None), None)


def _refuse_joined_words(text: str, offsets: np.ndarray) -> None:
    for first, last in offsets.tolist():
        if " " in text[first:last].strip():
            raise BadInput(
                f"the tokenizer makes one token of several words ({text[first:last]!r}), so n-grams cannot "
                "begin at every word; choose one that splits at white space."
            )
