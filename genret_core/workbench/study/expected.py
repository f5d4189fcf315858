"""How much data a study will have: what its file says before the corpus is read, and what was found after."""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genret_core.files import read_json
from genret_core.modeling import Recipe, StudyFolder
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.grid import longest_identifier
from genret_core.workbench.study.inputs import Inputs

if TYPE_CHECKING:
    from genret_core.retrieval.corpus import Corpus

PROMPT = 14  # tokens of a query, its end included: docstrings 13, Natural Questions 11
PER_WORD = 1.5  # tokens of a word of a passage (10 words of Wikipedia are 12 to 18 tokens)
WORDS = 100  # of a document: DPR's passages; docstrings have 67, MS MARCO's passages 56
KEPT = 0.85  # queries that a reader makes, of those it is asked for
DEFAULT_N_c = 256
SAMPLED = 500  # queries whose length is looked at


@dataclass(frozen=True)
class Data:
    """Sizes of a study's data.

    Attributes
    ----------
    about : bool
        Whether they come from the study's file; what was read is exact but for `prompt`, a mean over some
        queries.
    documents : float or None
        None where neither file nor corpus says it; `queries` alike.
    queries : float or None
        Training queries.
    document_tokens : float or None
        Of all documents.
    pairs : dict of str to float, or None
        Training pairs by method.
    prompt : float
        Tokens of a query with its template.
    identifier : dict of str to float
        Mean tokens of an identifier by method, as it is scored.
    text_vocabulary : int
        Tokens that are no codes; 0 where the model's own tokenizer is taken and not read yet.
    codes : int
        Tokens that a codebook adds.
    """

    about: bool
    documents: float | None
    queries: float | None
    document_tokens: float | None
    pairs: dict[str, float] | None
    prompt: float
    identifier: dict[str, float]
    text_vocabulary: int
    codes: int


def data_of(spec: StudySpec, folder: Path, inputs: Inputs | None) -> Data:
    """Give the sizes of a study's data.

    Parameters
    ----------
    spec : StudySpec
    folder : Path
        The study's folder.
    inputs : Inputs or None
        What was prepared; None before the corpus is read.
    """
    words = len(f"{spec.template.prefix} {spec.template.suffix}".split())
    config = spec.identifiers.ngram
    mean = config.length if config.unit == "tokens" else min(config.length * PER_WORD, config.max_tokens)
    lengths = {"ngram": float(mean), "codebook": float(longest_identifier(spec, "codebook"))}
    prompt = PROMPT + PER_WORD * words
    if inputs is None:
        return _asked(spec, prompt, lengths)
    return _read(spec, folder, inputs, lengths)


def _asked(spec: StudySpec, prompt: float, lengths: dict[str, float]) -> Data:
    documents, queries = asked_for(spec)
    each = {"ngram": spec.identifiers.ngram.n_samples, "codebook": 1}
    return Data(
        about=True,
        documents=documents,
        queries=queries,
        document_tokens=None if documents is None else documents * WORDS * PER_WORD,
        pairs=None if queries is None else {method: queries * n for method, n in each.items()},
        prompt=prompt,
        identifier=lengths,
        text_vocabulary=0 if spec.tokenizer.hub else spec.tokenizer.vocab_size,
        codes=_codes(spec, spec.identifiers.codebook.N_c or DEFAULT_N_c, lengths["codebook"]),
    )


def _read(spec: StudySpec, folder: Path, inputs: Inputs, lengths: dict[str, float]) -> Data:
    from genret_core.retrieval.corpus import Corpus

    at = StudyFolder(folder)
    where = at.corpus(inputs.corpus)
    corpus = Corpus.open(where)
    ngrams = at.ngrams(inputs.corpus, inputs.ngrams)
    pairs = {"ngram": float(n_pairs(ngrams))}
    lengths = {**lengths, "ngram": float(np.load(ngrams / "length.npy", mmap_mode="r").mean())}
    codes = 0
    if inputs.codebook:
        pairs["codebook"] = float(n_pairs(where))
        made = read_json(at.codebook(inputs.corpus, inputs.codebook) / "codebook.json")
        codes, lengths = _codes(spec, made["N_c"], made["L_c"]), {**lengths, "codebook": float(made["L_c"])}
    tokenizer = at.tokenizer(inputs.corpus, inputs.tokenizer)
    queries = np.unique(corpus.training_pairs()[0])
    vocabulary, prompt = _tokenizer(tokenizer, spec, corpus, queries)
    return Data(
        about=False,
        documents=float(corpus.n_documents),
        queries=float(len(queries)),
        document_tokens=float(len(np.load(tokenizer / "ids.npy", mmap_mode="r"))),
        pairs=pairs,
        prompt=prompt,
        identifier=lengths,
        text_vocabulary=vocabulary,
        codes=codes,
    )


def _codes(spec: StudySpec, per_position: int, positions: float) -> int:
    return per_position * (int(positions) if spec.identifiers.codebook.positions == "own" else 1)


def _tokenizer(folder: Path, spec: StudySpec, corpus: Corpus, queries: npt.NDArray[Any]) -> tuple[int, float]:
    """Give the tokens of a vocabulary, and the mean tokens of a prompt: query, template and separator."""
    from genret_core.retrieval.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    some = queries[:: max(1, len(queries) // SAMPLED)]
    around = tokenizer.encode([spec.template.prefix, spec.template.suffix]).lengths.sum()
    mean = tokenizer.encode(list(corpus.query_texts(some))).lengths.mean()
    return tokenizer.size, float(mean + around + 1 + (tokenizer.begin_id is not None))


@functools.lru_cache(maxsize=64)
def n_pairs(folder: Path) -> int:
    """Count the training pairs of the n-gram method, or (in a corpus folder) of the codebook method."""
    if (folder / "pairs.json").is_file():
        return int(read_json(folder / "pairs.json")["n"])
    from genret_core.retrieval.corpus import Corpus

    return len(Corpus.open(folder).training_pairs()[0])


def asked_for(spec: StudySpec) -> tuple[float | None, float | None]:
    """Tell how many documents and training queries a reader is asked for, by parameters or their defaults.

    Returns
    -------
    documents, queries : float or None
        None for what a collection has and the study does not say.
    """
    from genret_core.retrieval.readers import READERS

    defaults = inspect.signature(READERS[spec.corpus.reader]).parameters
    asked = {name: p.default for name, p in defaults.items()} | spec.corpus.parameters
    documents = asked.get("n_documents")
    if documents is not None and "queries_per_document" in asked:
        return float(documents), float(documents * asked["queries_per_document"] * KEPT)
    queries = asked.get("n_queries")
    return tuple(None if n is None else float(n) for n in (documents, queries))  # type: ignore[return-value]


def updates(recipe: Recipe, pairs: float, *, own_loop: bool) -> tuple[int, float]:
    """Count the updates of a training run and the pairs it trains on, passes counted.

    Our own loop fills a batch with rows, each of one query and several of its identifiers; the Trainer with
    as many pairs, each with its query.
    """
    batch = recipe.batch_queries * recipe.identifiers_per_row
    if recipe.n_steps is not None:
        return recipe.n_steps, float(recipe.n_steps * batch)
    rows = math.ceil(pairs / recipe.identifiers_per_row) if own_loop else pairs
    steps = math.ceil(rows / (recipe.batch_queries if own_loop else batch))
    return steps * recipe.epochs, pairs * recipe.epochs
