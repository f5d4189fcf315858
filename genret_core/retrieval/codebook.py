"""Codebook identifiers: a document is a sequence of L_c codes out of N_c (Sec. 3.2 of the paper).

Documents are embedded and their vectors quantised level by level, so that documents with a common prefix of
codes are alike. Unlike in the published data, codes are made unique: an identifier names one document.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.embeddings import TfidfEmbedding, fit_tfidf
from genret_core.retrieval.given_codes import centroids_of, read_codes, shared_codes
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.quantiser import encode, explained_variance, make_unique, train_centroids

DEFAULT_N_c, DEFAULT_L_c = 256, 32  # the published codebook
POINTS_PER_CENTROID = 39  # below this faiss itself warns
LEAST_EXPLAINED = 0.001


@dataclass(frozen=True)
class CodebookConfig:
    """How a codebook is made.

    Attributes
    ----------
    N_c : int, optional
        Codes per position, a power of two. Default: 256, or the largest that leaves 39 documents for each.
    L_c : int, optional
        Positions. Default: 32, or as many as explain 0.1 % of the variance or more each.
    embedding : {"tfidf"}
        What is quantised: TF-IDF reduced by a truncated SVD.
    embedding_dim : int
        Dimensions of the embedding.
    seed : int
    fields : {"text", "title_text"}
        What of a document is embedded.
    beam : int
        Partial codes kept while a vector is encoded; 1 takes the nearest centroid level after level.
    codes : str, optional
        File of codes that were given to the documents (`codes.jsonl` of an import, `docid_to_smtid.json`).
        They are taken as they are, shared ones too.
    """

    N_c: int | None = None
    L_c: int | None = None
    embedding: str = "tfidf"
    embedding_dim: int = 64
    seed: int = 0
    fields: str = "text"
    beam: int = 1
    codes: str | None = None


@dataclass(frozen=True, eq=False)
class Codebook:
    """The codes of all documents, and what made them.

    Attributes
    ----------
    codes : uint16[n_documents, L_c]
        All rows different, unless they were given and documents share theirs.
    N_c, L_c : int
    explained : float64[L_c]
        Part of the variance of the embeddings that each level explains.
    n_collisions : int
        Documents whose codes were those of an earlier document and had to be moved.
    notes : tuple of str
        What was shrunk, or is thin.
    config : CodebookConfig
        What was asked for.
    centroids : float32[L_c, N_c, dim]
    embedding : TfidfEmbedding
    """

    codes: npt.NDArray[np.uint16]
    N_c: int
    L_c: int
    explained: npt.NDArray[np.float64]
    n_collisions: int
    notes: tuple[str, ...]
    config: CodebookConfig
    centroids: npt.NDArray[np.float32]
    embedding: TfidfEmbedding

    def __len__(self) -> int:
        return len(self.codes)

    def token_ids(self, first_code_id: int) -> npt.NDArray[np.int32]:
        """Give the codes as token ids, `first_code_id` + code in every position; int32[n_documents, L_c]."""
        return first_code_id + self.codes.astype(np.int32)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the codebook; the folder appears whole."""
        with atomic_folder(folder) as part:
            for name in ("codes", "explained", "centroids"):
                np.save(part / f"{name}.npy", getattr(self, name))
            self.embedding.save(part / "embedding")
            scalars = {name: getattr(self, name) for name in ("N_c", "L_c", "n_collisions", "notes")}
            write_json(part / "codebook.json", {**scalars, "config": asdict(self.config)})

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> Codebook:
        """Read a saved codebook; the codes are mapped from disk.

        Raises
        ------
        BadInput
            The folder holds none.
        """
        folder = Path(folder)
        if not (folder / "codebook.json").is_file():
            raise BadInput(f"{folder} holds no codebook (there is no codebook.json); make one first.")
        saved = read_json(folder / "codebook.json")
        return Codebook(
            codes=np.load(folder / "codes.npy", mmap_mode="r"),
            N_c=saved["N_c"],
            L_c=saved["L_c"],
            explained=np.load(folder / "explained.npy"),
            n_collisions=saved["n_collisions"],
            notes=tuple(saved["notes"]),
            config=CodebookConfig(**saved["config"]),
            centroids=np.load(folder / "centroids.npy"),
            embedding=TfidfEmbedding.open(folder / "embedding"),
        )


def fit_codebook(corpus: Corpus, config: CodebookConfig) -> Codebook:
    """Embed the documents of a corpus, quantise the embeddings and make the codes unique.

    Values of N_c and L_c that are not given shrink to what the corpus supports; values that are given are
    kept. Either is told in `notes`.

    Raises
    ------
    BadInput
        N_c is no power of two; more codes than documents; fewer possible codes than documents; unknown
        embedding; codes that were given and do not fit the corpus.
    """
    if config.codes is not None:
        return _given(corpus, config, config.codes)
    _check(config, corpus.n_documents)
    notes: list[str] = []
    N_c = _codes_per_position(config.N_c, corpus.n_documents, notes)
    L_c = DEFAULT_L_c if config.L_c is None else config.L_c
    if N_c**L_c < corpus.n_documents:
        raise BadInput(
            f"N_c = {N_c} and L_c = {L_c} give {N_c**L_c} identifiers for {corpus.n_documents} documents; "
            "take more of either."
        )
    embedding, vectors = fit_tfidf(corpus, dim=config.embedding_dim, seed=config.seed, fields=config.fields)
    if embedding.dim < config.embedding_dim:
        notes.append(
            f"The corpus supports {embedding.dim} dimensions of the {config.embedding_dim} asked for."
        )
    centroids = train_centroids(vectors, N_c, L_c, seed=config.seed, beam=config.beam)
    codes = encode(vectors, centroids, beam=config.beam)
    kept = _positions(config.L_c, explained_variance(vectors, codes, centroids), N_c, len(codes), notes)
    if kept < L_c:
        centroids = centroids[:kept]
        codes = encode(vectors, centroids, beam=config.beam)
    codes, moved = make_unique(vectors, codes, centroids)
    return Codebook(
        codes=codes.astype(np.uint16),
        N_c=N_c,
        L_c=kept,
        explained=explained_variance(vectors, codes, centroids),
        n_collisions=moved,
        notes=tuple(notes),
        config=config,
        centroids=centroids,
        embedding=embedding,
    )


def _given(corpus: Corpus, config: CodebookConfig, path: str) -> Codebook:
    """Take given codes; centroids and explained variance tell how they divide our own embeddings."""
    codes = read_codes(path, corpus)
    L_c = codes.shape[1]
    N_c = 1 << max(1, int(codes.max()).bit_length())  # a power of two, as for codes of our own
    for name, asked, found in (("N_c", config.N_c, N_c), ("L_c", config.L_c, L_c)):
        if asked is not None and asked != found:
            raise BadInput(
                f"{name} = {asked} is asked for, but the codes in {path} have {found}; leave it out."
            )
    embedding, vectors = fit_tfidf(corpus, dim=config.embedding_dim, seed=config.seed, fields=config.fields)
    centroids = centroids_of(vectors, codes, N_c)
    shared = shared_codes(codes)
    told = f"The codes were given; {shared} of {len(codes)} documents share theirs with another."
    return Codebook(
        codes=codes,
        N_c=N_c,
        L_c=L_c,
        explained=explained_variance(vectors, codes, centroids),
        n_collisions=0,
        notes=(told,),
        config=config,
        centroids=centroids,
        embedding=embedding,
    )


def code_pairs(
    queries: npt.ArrayLike, documents: npt.ArrayLike, codebook: Codebook, first_code_id: int
) -> Pairs:
    """Give the codes of documents as identifiers, a row per pair of a query and a document.

    Parameters
    ----------
    queries, documents : int[n]
        Rows of the corpus.
    codebook : Codebook
    first_code_id : int
        Token id of code 0: the size of the text vocabulary.
    """
    query, document = (np.asarray(rows, np.int32).reshape(-1) for rows in (queries, documents))
    ids = first_code_id + codebook.codes[document].astype(np.int32)
    length = np.full(len(query), codebook.L_c, np.int16)
    return Pairs(query, document, ids, length, np.full(len(query), -1, np.int32))


def _check(config: CodebookConfig, n_documents: int) -> None:
    if config.embedding != "tfidf":
        raise BadInput(f"embedding must be tfidf, not {config.embedding!r}.")
    for name, value in (("L_c", config.L_c), ("embedding_dim", config.embedding_dim), ("beam", config.beam)):
        if value is not None and value < 1:
            raise BadInput(f"{name} of a codebook must be 1 or more, not {value}.")
    if config.N_c is None:
        return
    if config.N_c < 2 or config.N_c > 65536 or config.N_c & (config.N_c - 1):
        below = 1 << max(1, min(16, config.N_c.bit_length() - 1)) if config.N_c > 1 else 2
        raise BadInput(
            f"N_c must be a power of two from 2 to 65536, not {config.N_c}; take {below}"
            + (f" or {2 * below}." if below < config.N_c < 65536 else ".")
        )
    if config.N_c > n_documents:
        raise BadInput(
            f"N_c = {config.N_c} needs as many documents; the corpus has {n_documents}. Take fewer codes."
        )


def _codes_per_position(asked: int | None, n_documents: int, notes: list[str]) -> int:
    fits = 1 << max(1, (n_documents // POINTS_PER_CENTROID).bit_length() - 1)
    if asked is None:
        if fits < DEFAULT_N_c:
            notes.append(
                f"N_c shrank from {DEFAULT_N_c} to {fits}: {n_documents} documents leave "
                f"{POINTS_PER_CENTROID} or more for each code."
            )
        return min(DEFAULT_N_c, fits)
    if asked > fits:
        notes.append(
            f"N_c = {asked} leaves {n_documents / asked:.1f} documents for each code, "
            f"fewer than the {POINTS_PER_CENTROID} that make good centroids."
        )
    return asked


def _positions(
    asked: int | None, explained: npt.NDArray[np.float64], N_c: int, n_documents: int, notes: list[str]
) -> int:
    """Keep the levels before the first that explains too little, but enough to tell all documents apart."""
    weak = np.flatnonzero(explained < LEAST_EXPLAINED)
    if len(weak) == 0:
        return len(explained)
    first = int(weak[0])
    if asked is not None:
        notes.append(
            f"Position {first + 1} of L_c = {asked} explains less than {LEAST_EXPLAINED:.1%} of the variance."
        )
        return asked
    kept = max(1, first)
    while N_c**kept < n_documents:
        kept += 1
    notes.append(
        f"L_c shrank from {DEFAULT_L_c} to {kept}: position {first + 1} explains less than "
        f"{LEAST_EXPLAINED:.1%} of the variance."
    )
    return kept
