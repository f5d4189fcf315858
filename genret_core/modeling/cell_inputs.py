"""What a cell reads: corpus, tokenizer, identifiers, samples, index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genret_core.modeling.spec import CellSpec
from genret_core.retrieval.code_index import CodeIndex
from genret_core.retrieval.codebook import Codebook, code_pairs
from genret_core.retrieval.corpus import Corpus, fraction_queries
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged
from genret_core.retrieval.sample import EvaluationSample
from genret_core.retrieval.template import Template
from genret_core.retrieval.token_index import TokenIndex
from genret_core.retrieval.tokenizer import TextTokenizer, load_tokenizer


@dataclass(frozen=True, eq=False)
class CellInputs:
    """The inputs of one cell, opened.

    Attributes
    ----------
    spec : CellSpec
    corpus : Corpus
    tokenizer : TextTokenizer
    codebook : Codebook or None
        Of the codebook method.
    """

    spec: CellSpec
    corpus: Corpus
    tokenizer: TextTokenizer
    codebook: Codebook | None

    @classmethod
    def open(cls, spec: CellSpec) -> CellInputs:
        """Open what the keys of a specification name."""
        at = spec.layout
        coded = spec.method == "codebook"
        return cls(
            spec,
            Corpus.open(at.corpus(spec.corpus)),
            load_tokenizer(at.tokenizer(spec.corpus, spec.tokenizer)),
            Codebook.open(at.codebook(spec.corpus, spec.identifiers)) if coded else None,
        )

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding: the text vocabulary, and the codes of the codebook method."""
        return self.tokenizer.size + (0 if self.codebook is None else self.codebook.n_tokens)

    def prompts(self, queries: npt.ArrayLike) -> Ragged:
        """Make the prompts of queries (rows of the corpus)."""
        template = Template(self.spec.prefix, self.spec.suffix)
        ids = self.tokenizer.encode(list(self.corpus.query_texts(queries)))
        return template.prompts(ids, self.tokenizer, self.spec.backbone.family)

    def training_pairs(self) -> tuple[Ragged, Pairs, npt.NDArray[np.int64]]:
        """Give prompts, pairs and each pair's prompt, for the cell's fraction of the training queries."""
        queries, documents = self.corpus.training_pairs()
        kept = fraction_queries(queries, self.spec.fraction, self.spec.seed)
        if self.codebook is None:
            at = self.spec.layout.ngrams(self.spec.corpus, self.spec.identifiers)
            pairs = Pairs.open(at)
            pairs = pairs.select(np.isin(pairs.query, kept))
        else:
            chosen = np.isin(queries, kept)
            pairs = code_pairs(queries[chosen], documents[chosen], self.codebook, self.tokenizer.size)
        rows, owner = np.unique(pairs.query, return_inverse=True)
        return self.prompts(rows), pairs, owner.astype(np.int64)

    def sample(self, key: str) -> EvaluationSample:
        """Open an evaluation sample."""
        return EvaluationSample.open(self.spec.layout.sample(key))

    def index(self) -> TokenIndex | CodeIndex:
        """Open the token index, or build the (small) index of codes."""
        if self.codebook is not None:
            return CodeIndex.build(self.codebook.token_ids(self.tokenizer.size))
        return TokenIndex.open(
            self.spec.layout.index(self.spec.corpus, str(self.spec.index)), self.tokenizer.key
        )
