"""The shared inputs of a study, by key: what every cell is trained and measured on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json, write_json
from genret_core.modeling import StudyFolder
from genret_core.workbench.study.file import StudySpec
from genret_core.workbench.study.vectors import tokenizer_key, vectors_key

FILE = "inputs.json"
READ = "corpus/read.json"  # which corpus was read for which section of a study's file
LATER = {"codes": None, "model": None, "collisions": None, "positions": "shared"}


@dataclass(frozen=True)
class Inputs:
    """Keys of the inputs.

    Attributes
    ----------
    corpus : str
        Hash of the corpus' content; all others follow from it and from the study file.
    tokenizer, index, ngrams, codebook : str
        `codebook` is empty when no cell of the study uses codes.
    splits : tuple of str
        Splits that have a sample: those measured or searched, and validation where the corpus has one.
    samples : dict
        Evaluation samples by `method/split`.
    bm25 : dict
        BM25's evaluation by split.
    """

    corpus: str
    tokenizer: str
    index: str
    ngrams: str
    codebook: str
    splits: tuple[str, ...]
    samples: dict[str, str]
    bm25: dict[str, str]

    @staticmethod
    def of(
        spec: StudySpec, corpus: str, *, validation: bool, vectors: str = "", tokenizer: str = ""
    ) -> Inputs:
        """Derive all keys from the study and what it was given.

        Parameters
        ----------
        spec : StudySpec
        corpus : str
            Key of the corpus.
        validation : bool
            Whether it has a validation split.
        vectors : str
            Hash of the model or file that a codebook's vectors come from (`vectors_key`).
        tokenizer : str
            Hash of the files of a published tokenizer (`tokenizer_key`); empty if it is trained here.
        """
        splits = tuple(name for name in wanted_splits(spec) if name != "validation" or validation)
        published = [tokenizer] if tokenizer else []
        tokenizer = content_key([corpus, "tokenizer", spec.tokenizer.model_dump(), *published])
        who = spec.identifiers
        ngrams = content_key([tokenizer, "ngrams", who.seed, _plain(who.ngram)])
        codebook = _codebook_key(spec, corpus, vectors) if uses_codes(spec) else ""
        elsewhere = {"splits", "end_and_padding", "precision"}  # what does not change the draw
        drawn = spec.evaluation.model_dump(exclude=elsewhere)
        samples, bm25 = {}, {}
        for split in splits:
            samples[f"ngram/{split}"] = content_key([ngrams, "sample", split, drawn])
            if codebook:
                samples[f"codebook/{split}"] = content_key([codebook, "sample", split, drawn])
            if split in measured_splits(spec):
                bm25[split] = "bm25-" + content_key([corpus, split, drawn["n_queries"], drawn["seed"]])
        index = content_key([tokenizer, "index"])
        return Inputs(corpus, tokenizer, index, ngrams, codebook, splits, samples, bm25)

    @staticmethod
    def read(folder: Path, spec: StudySpec) -> Inputs | None:
        """Read what a study folder was prepared with; None if nothing, or if the study changed since."""
        try:
            found = read_json(folder / FILE)
        except (OSError, ValueError):
            return None
        try:
            given = given_keys(folder, spec)
        except BadInput:
            return None
        corpus, splits = found.get("corpus"), found.get("splits")
        if not isinstance(corpus, str) or not isinstance(splits, list):
            return None
        if corpus_of(folder, spec) not in (None, corpus):
            return None
        inputs = Inputs.of(spec, corpus, validation="validation" in splits, **given)
        return inputs if {**asdict(inputs), "splits": list(inputs.splits)} == found else None

    def write(self, folder: Path) -> None:
        """Note in the study folder that everything is there."""
        write_json(folder / FILE, asdict(self))

    def folders(self, folder: Path) -> list[Path]:
        """List the folders that hold them."""
        at = StudyFolder(folder)
        found = [
            at.corpus(self.corpus),
            at.tokenizer(self.corpus, self.tokenizer),
            at.index(self.corpus, self.index),
            at.ngrams(self.corpus, self.ngrams),
            at.bm25(self.corpus),
        ]
        found += [at.codebook(self.corpus, self.codebook)] if self.codebook else []
        return [*found, *(at.sample(key) for key in (*self.samples.values(), *self.bm25.values()))]


def corpus_of(folder: Path, spec: StudySpec) -> str | None:
    """Give the key of the corpus that was read for this study; "" if none was, None if it was not noted."""
    try:
        known = read_json(folder / READ)
    except (OSError, ValueError):
        return None
    return str(known.get(content_key(spec.corpus.model_dump()), ""))


def given_keys(folder: Path, spec: StudySpec, *, note: bool = False) -> dict[str, str]:
    """Hash the files that a study was given: what `Inputs.of` takes as `vectors` and `tokenizer`.

    Raises
    ------
    BadInput
        They are not there, and nothing is noted of them.
    """
    vectors = vectors_key(folder, spec.identifiers.codebook, note=note) if uses_codes(spec) else ""
    return {"vectors": vectors, "tokenizer": tokenizer_key(folder, spec.tokenizer.hub, note=note)}


def uses_codes(spec: StudySpec) -> bool:
    """Whether any cell of the study learns codes."""
    return any("codebook" in block.methods for block in spec.grid)


def measured_splits(spec: StudySpec) -> list[str]:
    """List the splits that cells are scored or searched on."""
    searched = [block.split for block in spec.search if block.split]
    return list(dict.fromkeys([*spec.evaluation.splits, *searched]))


def wanted_splits(spec: StudySpec) -> list[str]:
    """List the splits that need a sample: those measured, and validation for choices."""
    return list(dict.fromkeys([*measured_splits(spec), "validation"]))


def _codebook_key(spec: StudySpec, corpus: str, vectors: str) -> str:
    """Key of a codebook; where its vectors lie is left out, what they are counts."""
    config = spec.identifiers.codebook
    values = _plain(config)
    if config.unique == (config.codes is None):  # what is done anyway, said or not
        values.pop("collisions", None)
    if vectors:
        values |= {"embedding": "backbone" if values.pop("model", None) else "given", "vectors": vectors}
    return content_key([corpus, "codebook", values])


def _plain(config: object) -> dict[str, object]:
    values: dict[str, object] = asdict(config)  # type: ignore[call-overload]
    for name, default in LATER.items():  # keys of codebooks made before there was a choice stay as they were
        if values.get(name, default) == default:
            values.pop(name, None)
    return values
