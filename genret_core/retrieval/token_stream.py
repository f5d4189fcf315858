"""The corpus as one long row of tokens, memory-mapped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import atomic, read_json, write_json
from genret_core.retrieval import checksums
from genret_core.retrieval.bucket_sort import Progress
from genret_core.retrieval.build_folder import room_on_disk
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.npy_stream import NO_ARRAY, NpyStream

if TYPE_CHECKING:
    from genret_core.retrieval.tokenizer import TextTokenizer

_BATCH = 1_024


@dataclass(frozen=True, eq=False)
class TokenStream:
    """Every document's tokens, each document followed by the end token.

    Parameters
    ----------
    ids : ndarray of uint16 (uint32 if the vocabulary needs it), shape (N,)
    doc_starts : ndarray of int64, shape (n_documents + 1,)
    word_starts : ndarray of bool, shape (N,)
        True at the first token of each white-space word: in a document exactly ``len(text.split())`` times.
    fields : str
        What was tokenised, "text" or "title_text".
    tokenizer_key, corpus_key : str
        What tokenised, and what was tokenised; empty if that is not known.
    """

    ids: np.ndarray
    doc_starts: np.ndarray
    word_starts: np.ndarray
    fields: str = "text"
    tokenizer_key: str = ""
    corpus_key: str = ""

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> TokenStream:
        """Map the stream that `tokenize_documents` wrote into `folder`."""
        folder = Path(folder)
        if not (folder / "tokens.json").is_file():
            raise BadInput(
                f"{folder} holds no tokens (there is no tokens.json); tokenise the documents first."
            )
        try:
            header = read_json(folder / "tokens.json")
            if "blocks" in header:  # streams written before had none
                checksums.check(folder, header["blocks"], again=_AGAIN)
            ids, doc_starts, word_starts = (np.load(folder / f"{x}.npy", mmap_mode="r") for x in _ARRAYS)
            keys = header["tokenizer_key"], header.get("corpus", "")
            stream = TokenStream(ids, doc_starts, word_starts, header["fields"], *keys)
            n = header.get("tokens", len(stream.ids))
            whole = len(stream.ids) == len(stream.word_starts) == stream.doc_starts[-1] == n
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, *NO_ARRAY) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{folder}: the tokens are damaged ({error}); {_AGAIN}.") from None
        if not whole:
            raise BadInput(f"{folder}: the files of the tokens do not belong together; {_AGAIN}.")
        return stream

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.doc_starts) - 1

    def document(self, row: int) -> np.ndarray:
        """Token ids of a document, without the end token; a view."""
        return self.ids[self.doc_starts[row] : self.doc_starts[row + 1] - 1]


_AGAIN = "tokenise the documents again"
_ARRAYS = ("ids", "doc_starts", "word_starts")


def tokenize_documents(
    corpus: Corpus,
    tokenizer: TextTokenizer,
    folder: str | os.PathLike[str],
    fields: str = "text",
    progress: Progress | None = None,
) -> TokenStream:
    """Tokenise all documents, in batches, into `ids.npy`, `doc_starts.npy` and `word_starts.npy`.

    Parameters
    ----------
    corpus : Corpus
    tokenizer : TextTokenizer
    folder : path-like
        May hold other files (the tokenizer's).
    fields : {"text", "title_text"}
    progress : function (stage, done, total), optional
        Called now and then.
    """
    folder = Path(folder)
    dtypes = (np.uint16 if tokenizer.size <= 1 << 16 else np.uint32, np.int64, bool)
    with room_on_disk(folder, "the tokens of the documents"), ExitStack() as stack:
        parts = [stack.enter_context(atomic(folder / f"{name}.npy")) for name in _ARRAYS]
        ids, doc_starts, word_starts = (
            stack.enter_context(NpyStream(part, dtype)) for part, dtype in zip(parts, dtypes, strict=True)
        )
        doc_starts.append(np.zeros(1, np.int64))
        for tokens, flags, lengths in _blocks(corpus, tokenizer, fields):
            doc_starts.append(ids.n + np.cumsum(lengths))
            ids.append(tokens)
            word_starts.append(flags)
            if progress:
                progress("tokenising", doc_starts.n - 1, corpus.n_documents)
    header = {"fields": fields, "tokenizer_key": tokenizer.key, "corpus": corpus.key, "tokens": ids.n}
    blocks = {f"{name}.npy": checksums.of_file(folder / f"{name}.npy") for name in _ARRAYS}
    checksums.note(folder, blocks)
    write_json(folder / "tokens.json", header | {"blocks": blocks})
    return TokenStream.open(folder)


def _blocks(
    corpus: Corpus, tokenizer: TextTokenizer, fields: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give the tokens of many documents at a time, each with its end, where words begin, and the lengths."""
    texts = corpus.document_texts(fields=fields)
    end, no_start = np.array([tokenizer.eos_id], np.int32), np.zeros(1, bool)
    while batch := list(islice(texts, _BATCH)):
        encoded = list(tokenizer.encode_words(batch))
        yield (
            np.concatenate([part for ids, _ in encoded for part in (ids, end)]),
            np.concatenate([part for _, flags in encoded for part in (flags, no_start)]),
            np.array([len(ids) + 1 for ids, _ in encoded]),
        )
