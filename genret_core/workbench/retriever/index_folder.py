"""An index with the tokenizer that made it, so that it can be asked for words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import atomic_folder
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.token_stream import tokenize_documents
from genret_core.retrieval.tokenizer import TextTokenizer, load_tokenizer, train_tokenizer
from genret_core.workbench.study.prepare import find_corpus

CONTEXT = 6  # tokens shown on either side of a place


@dataclass(frozen=True)
class Occurrence:
    """Where words stand: the document's id, the token offset in it, and the words around."""

    document: str
    token: int
    around: str


@dataclass(frozen=True, eq=False)
class Searchable:
    """An index that takes text."""

    index: TokenIndex
    tokenizer: TextTokenizer
    corpus: Any

    def count(self, text: str) -> int:
        """Count how often words stand in the corpus, whole and in this order."""
        tokens = self._tokens(text)
        lo, hi = self.index.find([tokens])
        after = self.index.allowed(lo, hi, len(tokens))
        longer = (after.hi - after.lo)[self._inside_a_word[after.token]].sum()  # "array" in "arrays"
        return int((hi - lo).sum() - longer)

    def locate(self, text: str) -> list[Occurrence]:
        """Find every place of words, whole and in this order."""
        tokens = self._tokens(text)
        documents, offsets = self.index.locate(tokens)
        after = self.index.tokens[self.index.doc_starts[documents] + offsets + len(tokens)]
        whole = ~self._inside_a_word[after]
        found = zip(documents[whole].tolist(), offsets[whole].tolist(), strict=True)
        return [self._occurrence(document, offset, len(tokens)) for document, offset in found]

    @cached_property
    def _inside_a_word(self) -> np.ndarray:
        """Tokens that go on with the word before them, bool[V]; punctuation does not."""
        vocabulary = self.tokenizer.backend.get_vocab(with_added_tokens=True)
        inside = np.zeros(self.tokenizer.size, bool)
        for token, number in vocabulary.items():
            inside[number] = token.lstrip("#")[:1].isalnum()
        specials = [
            number for number, t in self.tokenizer.backend.get_added_tokens_decoder().items() if t.special
        ]
        inside[[*specials, *np.flatnonzero(self.tokenizer.word_start)]] = False
        return inside

    def _tokens(self, text: str) -> list[int]:
        tokens = self.tokenizer.encode([text])[0].tolist()
        if not tokens:
            raise BadInput("the text has no word to look for.")
        return list(tokens)

    def _occurrence(self, document: int, offset: int, length: int) -> Occurrence:
        begin = int(self.index.doc_starts[document])
        end = int(self.index.doc_starts[document + 1]) - 1
        first, last = max(begin, begin + offset - CONTEXT), min(end, begin + offset + length + CONTEXT)
        around = self.tokenizer.decode(self.index.tokens[first:last])
        return Occurrence(self.corpus.document_id(document), offset, around)


def build_index(source: str, out: Path, *, vocab_size: int) -> TokenIndex:
    """Train a tokenizer on a corpus, tokenise it and index the tokens, all into one folder.

    Parameters
    ----------
    source : str
        A corpus folder, or a study's folder, name or preset.
    out : Path
        Must not exist.
    vocab_size : int
        Of the tokenizer.
    """
    if out.exists():
        raise BadInput(f"{out} exists; name a new folder for the index.")
    corpus = find_corpus(source)
    with atomic_folder(out) as part:
        tokenizer = train_tokenizer(corpus, part, vocab_size=vocab_size)
        stream = tokenize_documents(corpus, tokenizer, part)
        TokenIndex.build(
            stream.ids,
            stream.doc_starts,
            part / "index",
            vocab_size=tokenizer.size,
            tokenizer_key=tokenizer.key,
            separator_id=tokenizer.eos_id,
        )
        (part / "corpus.txt").write_text(str(corpus.folder.resolve()) + "\n", encoding="utf-8")
    return TokenIndex.open(out / "index")


def open_index(where: str) -> Searchable:
    """Open the index of a study, or one that `build_index` made."""
    from genret_core.retrieval.corpus import Corpus
    from genret_core.workbench.runs import find_study

    folder = Path(where).expanduser()
    if (folder / "corpus.txt").is_file():
        tokenizer = load_tokenizer(folder)
        corpus = Corpus.open((folder / "corpus.txt").read_text(encoding="utf-8").strip())
        return Searchable(TokenIndex.open(folder / "index", tokenizer.key), tokenizer, corpus)
    study = find_study(where)
    return Searchable(study.index, study.tokenizer, study.corpus)
