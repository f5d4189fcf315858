"""An index with the tokenizer that made it, so that it can be asked for words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.retrieval.bucket_sort import Progress
from genret_core.retrieval.build_folder import build_folder
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.readers import is_collection, read_collection
from genret_core.retrieval.sharded_index import ShardedIndex, open_text_index, verify_text_index
from genret_core.retrieval.text_index import TextIndex
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.token_stream import TokenStream, tokenize_documents
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

    index: TextIndex
    tokenizer: TextTokenizer
    corpus: Any

    def count(self, text: str) -> int:
        """Count how often words stand in the corpus, whole and in this order."""
        tokens = self._tokens(text)
        lo, hi = self.index.find([tokens])
        after = self.index.allowed(lo, hi, len(tokens))
        longer = (after.hi - after.lo)[self._inside_a_word[after.token]].sum()  # "array" in "arrays"
        return int((hi - lo).sum() - longer)

    def locate(self, text: str, limit: int | None = None) -> list[Occurrence]:
        """Find every place of words, whole and in this order, or the first `limit` of them."""
        tokens = self._tokens(text)
        documents, offsets = self.index.locate(tokens)
        starts = self.index.document_start(documents)
        whole = np.flatnonzero(~self._inside_a_word[self.index.tokens_at(starts + offsets + len(tokens))])
        found = zip(documents[whole[:limit]].tolist(), offsets[whole[:limit]].tolist(), strict=True)
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
        tokens = self.index.document(document)
        around = self.tokenizer.decode(tokens[max(0, offset - CONTEXT) : offset + length + CONTEXT])
        return Occurrence(self.corpus.document_id(document), offset, around)


def build_index(
    source: str,
    out: Path,
    *,
    vocab_size: int,
    max_depth: int = 64,
    jobs: int = 1,
    tokens_per_shard: int | None = None,
    progress: Progress | None = None,
) -> TextIndex:
    """Train a tokenizer on a corpus, tokenise it and index the tokens, all into one folder.

    Parameters
    ----------
    source : str
        A corpus folder, a study's folder, name or preset, or a collection in BEIR's layout, whose corpus is
        then written into the folder too.
    out : Path
        Must not exist.
    vocab_size : int
        Of the tokenizer.
    max_depth : int
        Longest run of tokens that can be looked for.
    jobs : int
        Processes that sort.
    tokens_per_shard : int, optional
        Cut the index into files of at most so many tokens.
    progress : function (stage, done, total), optional
        Called now and then.
    """
    if out.exists():
        raise BadInput(f"{out} exists; name a new folder for the index.")
    with build_folder(out) as part:
        if is_collection(source):
            corpus, at = read_collection(part / "corpus", source), "corpus"
        else:
            corpus = find_corpus(source)
            at = str(corpus.folder.resolve())
        tokenizer = train_tokenizer(corpus, part, vocab_size=vocab_size)
        stream = tokenize_documents(corpus, tokenizer, part, progress=progress)
        options: dict[str, Any] = {
            "vocab_size": tokenizer.size,
            "tokenizer_key": tokenizer.key,
            "separator_id": tokenizer.eos_id,
            "max_depth": max_depth,
            "jobs": jobs,
            "progress": progress,
        }
        if tokens_per_shard is None:
            TokenIndex.build(stream.ids, stream.doc_starts, part / "index", **options)
        else:
            ShardedIndex.build(
                stream.ids, stream.doc_starts, part / "index", tokens_per_shard=tokens_per_shard, **options
            )
        (part / "corpus.txt").write_text(at + "\n", encoding="utf-8")
    return open_text_index(out / "index")


def _corpus_of(folder: Path) -> Corpus:
    """Open the corpus that an index was built for, or raise BadInput."""
    try:
        (place,) = (folder / "corpus.txt").read_text(encoding="utf-8").splitlines()
        corpus = Corpus.open(folder / place)
    except (UnicodeDecodeError, ValueError, OSError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{folder / 'corpus.txt'} is damaged; build the index again.") from None
    if TokenStream.open(folder).corpus_key not in ("", corpus.key):
        raise BadInput(f"{folder} was built for another corpus than {corpus.folder}; build it again.")
    return corpus


def check_index(where: str) -> TextIndex:
    """Read every byte of an index, or raise BadInput with the file that was changed and where."""
    folder = Path(where).expanduser()
    if not (folder / "corpus.txt").is_file():
        from genret_core.workbench.runs import find_study

        study = find_study(where)
        folder = study.layout.index(study.inputs.corpus, study.inputs.index)
    else:
        folder = folder / "index"
    verify_text_index(folder)
    return open_text_index(folder)


def open_index(where: str) -> Searchable:
    """Open the index of a study, or one that `build_index` made."""
    from genret_core.workbench.runs import find_study

    folder = Path(where).expanduser()
    if (folder / "corpus.txt").is_file():
        tokenizer = load_tokenizer(folder)
        index = open_text_index(folder / "index", tokenizer.key)
        return Searchable(index, tokenizer, _corpus_of(folder))
    study = find_study(where)
    return Searchable(study.index, study.tokenizer, study.corpus)
