"""The shared inputs of a study: made once, found again by their key.

The corpus comes first, then its tokens; the rest does not depend on each other and is made side by side, in
processes of the pool. A step whose folder stands is skipped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, content_key, read_json, write_json
from genret_core.modeling import StudyFolder
from genret_core.retrieval.corpus import Corpus
from genret_core.workbench.pool import Job, JobFailed, Outcome, Progress, run_jobs
from genret_core.workbench.study.answers import keep_answers
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.fresh import remove
from genret_core.workbench.study.inputs import Inputs, given_keys, uses_codes
from genret_core.workbench.study.lock import in_turn
from genret_core.workbench.study.vectors import check_codes

Say = Callable[[str], None]


def prepare(folder: Path, spec: StudySpec, *, workers: int, say: Say = print) -> Inputs:
    """Make whatever of the shared inputs is not there yet.

    Parameters
    ----------
    folder : Path
        The study folder.
    spec : StudySpec
        The study.
    workers : int
        Steps at a time.
    say : callable
        Told what is being made and how long it took.

    Returns
    -------
    Inputs
        Their keys, also kept in `inputs.json`.

    Raises
    ------
    BadInput
        If the corpus cannot be read, or is too small for what is asked of it.
    """
    if uses_codes(spec):
        check_codes(folder, spec.identifiers.codebook)
    inputs = Inputs.read(folder, spec)
    if inputs is not None and all(path.is_dir() for path in inputs.folders(folder)):
        keep_answers(folder, spec, inputs)
        return inputs
    with in_turn(folder / "inputs-lock.json", "the shared inputs", say):
        return _prepare(folder, spec, workers, say)


def _prepare(folder: Path, spec: StudySpec, workers: int, say: Say) -> Inputs:
    given = given_keys(folder, spec, note=True)
    key = _corpus(folder, spec, say)
    validation = len(Corpus.open(StudyFolder(folder).corpus(key)).split_queries("validation")) > 0
    inputs = Inputs.of(spec, key, validation=validation, **given)
    _tokens(folder, spec, inputs, say)
    _side_by_side(folder, spec, inputs, workers, say)
    keep_answers(folder, spec, inputs)
    inputs.write(folder)
    return inputs


def _sweep(folder: Path) -> None:
    """Remove what killed commands had half made; our lock says that nobody else makes inputs."""
    corpus, samples = folder / "corpus", folder / "evaluation"
    for part in [*corpus.glob(".reading-*"), *corpus.rglob(".*.part"), *samples.glob(".*.part")]:
        remove(part)


def find_corpus(source: str) -> Corpus:
    """Open a corpus by its folder, or that of a study (folder or preset), which is read if need be.

    Raises
    ------
    BadInput
        If nothing goes by that name.
    """
    from genret_core.workbench.study.place import place

    if (Path(source) / "corpus.json").is_file():
        return Corpus.open(source)
    here = place(source)
    return Corpus.open(StudyFolder(here.folder).corpus(_corpus(here.folder, here.spec, _to_stderr)))


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


# ---- corpus and tokens ----


def _corpus(folder: Path, spec: StudySpec, say: Say) -> str:
    """Read the corpus, unless this study has read it already; give its key.

    A reader's parameters do not settle its content (docstrings change with package versions), so the key of
    what was read is noted: a study stays with its corpus.
    """
    from genret_core.retrieval.readers import read_corpus

    request = content_key(spec.corpus.model_dump())
    note = folder / "corpus" / "read.json"
    known: dict[str, str] = read_json(note) if note.is_file() else {}
    if request in known and StudyFolder(folder).corpus(known[request]).is_dir():
        return known[request]
    started = time.monotonic()
    say(f"reading the corpus ({spec.corpus.reader}) …")
    part = folder / "corpus" / f".reading-{os.getpid()}"
    corpus = read_corpus(spec.corpus.reader, part, spec.corpus.parameters)
    target = StudyFolder(folder).corpus(corpus.key)
    if not target.is_dir():
        os.rename(part, target)
    write_json(note, {**known, request: corpus.key})
    say(f"  {corpus.n_documents:,} documents, {corpus.n_queries:,} queries{_took(started)}")
    return corpus.key


def _tokens(folder: Path, spec: StudySpec, inputs: Inputs, say: Say) -> None:
    from genret_core.retrieval.token_stream import tokenize_documents
    from genret_core.retrieval.tokenizer import hub_tokenizer, train_tokenizer

    at = StudyFolder(folder)
    target = at.tokenizer(inputs.corpus, inputs.tokenizer)
    if target.is_dir():
        return
    started = time.monotonic()
    corpus = Corpus.open(at.corpus(inputs.corpus))
    with atomic_folder(target) as part:
        if spec.tokenizer.hub:
            tokenizer = hub_tokenizer(spec.tokenizer.hub, part)
        else:
            tokenizer = train_tokenizer(corpus, part, vocab_size=spec.tokenizer.vocab_size)
        stream = tokenize_documents(corpus, tokenizer, part, spec.tokenizer.fields)
        say(f"  {len(stream.ids):,} tokens, vocabulary {tokenizer.size:,}{_took(started)}")


# ---- the rest, side by side ----


@dataclass(frozen=True)
class _Step:
    """One input, or a few that follow from each other."""

    name: str
    make: str  # name of the function below
    split: str
    folders: tuple[Path, ...]
    cost: float


def _steps(folder: Path, spec: StudySpec, inputs: Inputs) -> Iterator[_Step]:
    at = StudyFolder(folder)
    ngrams = at.ngrams(inputs.corpus, inputs.ngrams)
    yield _Step("n-grams of the training pairs", "ngrams", "train", (ngrams,), 10)
    yield _Step("token index", "index", "", (at.index(inputs.corpus, inputs.index),), 1)
    for split in inputs.splits:
        sample = at.sample(inputs.samples[f"ngram/{split}"])
        yield _Step(f"evaluation sample, {split}", "sample", split, (sample,), 8)
    measured = (at.sample(key) for key in inputs.bm25.values())
    yield _Step("BM25", "bm25", "", (at.bm25(inputs.corpus), *measured), 3)
    if inputs.codebook:
        coded = [at.sample(inputs.samples[f"codebook/{split}"]) for split in inputs.splits]
        book = at.codebook(inputs.corpus, inputs.codebook)
        yield _Step("codebook and its samples", "codes", "", (book, *coded), 6)


def _side_by_side(folder: Path, spec: StudySpec, inputs: Inputs, workers: int, say: Say) -> None:
    logs = StudyFolder(folder).corpus(inputs.corpus) / "steps"
    lacking = [step for step in _steps(folder, spec, inputs) if not all(map(Path.is_dir, step.folders))]
    jobs = [
        Job(step.name, step.name, (folder, spec, inputs, step), logs / content_key(step.name)[:8], step.cost)
        for step in lacking
    ]
    for outcome in run_jobs(jobs, _make, workers=workers, watch=_Teller(say)):
        if outcome.error == "BadInput":
            raise BadInput(str(outcome.reason))
        if outcome.state != "done":
            log = outcome.job.folder / "log.txt"
            raise JobFailed(f"{outcome.job.name} could not be made: {outcome.reason} (see {log}).")


class _Teller:
    """Says what is finished as it finishes."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def started(self, job: Job, slot: int) -> None:
        """Nothing to say."""

    def moved(self, job: Job, slot: int, stage: str, done: int, total: int, loss: float | None) -> None:
        """Nothing to say."""

    def waiting(self, job: Job, holder: str, gone: bool = False) -> None:
        """Say it."""
        self.say(f"  {job.name} is being made by {holder}; waiting for it")

    def ended(self, outcome: Outcome, slot: int) -> None:
        """Say it."""
        if outcome.state == "done":
            self.say(f"  {outcome.job.name}, {outcome.seconds:.1f} s")

    def tick(self) -> None:
        """Nothing to say."""


def _make(payload: tuple[Path, StudySpec, Inputs, _Step], progress: Progress) -> None:
    """Make one input, in a process of its own."""
    folder, spec, inputs, step = payload
    {"ngrams": _ngrams, "index": _index, "sample": _sample, "bm25": _bm25, "codes": _codes}[step.make](
        folder, spec, inputs, step
    )


def _ngrams(folder: Path, spec: StudySpec, inputs: Inputs, step: _Step) -> None:
    from genret_core.retrieval.ngrams import sample_ngrams

    corpus, stream = _open(folder, inputs)
    queries, documents = corpus.training_pairs()
    pairs = sample_ngrams(corpus, stream, queries, documents, spec.identifiers.ngram, spec.identifiers.seed)
    pairs.save(step.folders[0])


def _index(folder: Path, spec: StudySpec, inputs: Inputs, step: _Step) -> None:
    from genret_core.retrieval.token_index import TokenIndex
    from genret_core.retrieval.tokenizer import load_tokenizer

    _, stream = _open(folder, inputs)
    tokenizer = load_tokenizer(StudyFolder(folder).tokenizer(inputs.corpus, inputs.tokenizer))
    TokenIndex.build(
        stream.ids,
        stream.doc_starts,
        step.folders[0],
        vocab_size=tokenizer.size,
        tokenizer_key=tokenizer.key,
        separator_id=tokenizer.eos_id,
    )


def _sample(folder: Path, spec: StudySpec, inputs: Inputs, step: _Step) -> None:
    from genret_core.retrieval.sample import ngram_sample

    corpus, stream = _open(folder, inputs)
    asked = spec.evaluation
    sample = ngram_sample(
        corpus,
        stream,
        step.split,
        *_draw(corpus, spec, step.split),
        spec.identifiers.ngram,
        seed=asked.seed,
        ngrams_per_positive=asked.ngrams_per_positive,
        ngrams_per_negative=asked.ngrams_per_negative,
    )
    sample.save(step.folders[0])


def _codes(folder: Path, spec: StudySpec, inputs: Inputs, step: _Step) -> None:
    from genret_core.retrieval.codebook import Codebook, fit_codebook
    from genret_core.retrieval.sample import codebook_sample
    from genret_core.retrieval.tokenizer import load_tokenizer

    corpus, _ = _open(folder, inputs)
    first_code_id = load_tokenizer(StudyFolder(folder).tokenizer(inputs.corpus, inputs.tokenizer)).size
    if not step.folders[0].is_dir():
        config, embedding = spec.identifiers.codebook, None
        if config.model is not None:
            from genret_core.modeling.text_encoder import embed_corpus

            embedding = embed_corpus(corpus, config.model, config.fields)
        fit_codebook(corpus, config, embedding).save(step.folders[0])
    book = Codebook.open(step.folders[0])
    for split, target in zip(inputs.splits, step.folders[1:], strict=True):
        if not target.is_dir():
            drawn = _draw(corpus, spec, split)
            codebook_sample(corpus, book, first_code_id, split, *drawn).save(target)


def _bm25(folder: Path, spec: StudySpec, inputs: Inputs, step: _Step) -> None:
    """Index the corpus for BM25, and measure it on the sample's queries: the line beside every retriever."""
    from genret_core.retrieval.bm25 import Bm25Index
    from genret_core.workbench.study.baseline import measure_bm25

    corpus, _ = _open(folder, inputs)
    index = Bm25Index.of(step.folders[0], corpus)
    for split, target in zip(inputs.bm25, step.folders[1:], strict=True):
        measure_bm25(index, corpus, split, _draw(corpus, spec, split)[0], target)


def _draw(corpus: Corpus, spec: StudySpec, split: str) -> tuple[Any, Any]:
    """Draw the queries and negatives of a split: the same for every method."""
    from genret_core.retrieval.sample import draw_queries_and_negatives

    asked = spec.evaluation
    n_queries = asked.n_queries
    if split == "validation":  # a side sample, for choices: as large as the split allows
        n_queries = min(n_queries, len(corpus.split_queries(split)))
    return draw_queries_and_negatives(corpus, split, n_queries, asked.n_negatives, asked.seed)


def _open(folder: Path, inputs: Inputs) -> tuple[Corpus, Any]:
    from genret_core.retrieval.token_stream import TokenStream

    at = StudyFolder(folder)
    stream = TokenStream.open(at.tokenizer(inputs.corpus, inputs.tokenizer))
    return Corpus.open(at.corpus(inputs.corpus)), stream


def _took(started: float) -> str:
    return f", {time.monotonic() - started:.1f} s"
