"""Codebook identifiers: a document is a sequence of L_c codes out of N_c (Sec. 3.2 of the paper).

Documents are embedded and their vectors quantised level by level, so that documents with a common prefix of
codes are alike. Documents that come to the same codes are told apart by moving one of them to a free code
(`unique`), or share the identifier, as in the published data (`shared`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import atomic_folder, read_json, write_json
from genret_core.retrieval.codebook_sizes import (
    DEFAULT_L_c,
    check_sizes,
    codes_per_position,
    positions,
    tell_unused,
)
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.embeddings import fit_tfidf
from genret_core.retrieval.given_codes import centroids_of, read_codes, shared_codes
from genret_core.retrieval.given_vectors import read_vectors
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.quantiser import encode, explained_variance, make_unique, train_centroids
from genret_core.retrieval.stored_embedding import Embedding, open_embedding

COLLISIONS = ("unique", "shared")
POSITIONS = ("shared", "own")


@dataclass(frozen=True)
class CodebookConfig:
    """How a codebook is made.

    Attributes
    ----------
    N_c : int, optional
        Codes per position. Default: 256, or the largest power of two that leaves 39 documents for each.
    L_c : int, optional
        Positions. Default: 32, or as many as explain 0.1 % of the variance or more each.
    embedding : str
        What is quantised. `tfidf`: TF-IDF reduced by a truncated SVD. `backbone`: mean last hidden states of
        the trained model in `model`. Else the path of a `.npy` file with a vector for every document.
    embedding_dim : int
        Dimensions of `tfidf`; a model or a file has its own.
    seed : int
    fields : {"text", "title_text"}
        What of a document is embedded.
    beam : int
        Partial codes kept while a vector is encoded; 1 takes the nearest centroid level after level.
    codes : str, optional
        File of codes that were given to the documents (`codes.jsonl` of an import, `docid_to_smtid.json`).
    model : str, optional
        Of `embedding: backbone`: the folder of a cell (`runs/demo/cells/<key>`), or of any transformers model
        with its tokenizer and weights as safetensors.
    collisions : {"unique", "shared"}, optional
        Documents with the same codes: `unique` moves all but the first to the nearest free code, `shared`
        leaves them one identifier, and a search that writes it finds them all. Default: unique, but given
        codes stay as they are.
    positions : {"shared", "own"}
        Whether code c is the same token at every position (N_c new tokens, as in the scaling study), or one
        of its own at each (L_c × N_c, as in RIPOR).
    """

    N_c: int | None = None
    L_c: int | None = None
    embedding: str = "tfidf"
    embedding_dim: int = 64
    seed: int = 0
    fields: str = "text"
    beam: int = 1
    codes: str | None = None
    model: str | None = None
    collisions: str | None = None
    positions: str = "shared"

    @property
    def unique(self) -> bool:
        """Whether every document gets codes of its own."""
        return self.codes is None if self.collisions is None else self.collisions == "unique"

    def check(self) -> None:
        """Refuse what means nothing on any corpus.

        Raises
        ------
        BadInput
            Naming the key.
        """
        for name, number in (("embedding_dim", self.embedding_dim), ("beam", self.beam)):
            if number < 1:
                raise BadInput(f"{name} of a codebook must be 1 or more, not {number}.")
        check_sizes(self.N_c, self.L_c, 1 << 62)
        for name, value, known in (
            ("collisions", self.collisions, (None, *COLLISIONS)),
            ("positions", self.positions, POSITIONS),
        ):
            if value not in known:
                named = " or ".join(str(one) for one in known if one)
                raise BadInput(f"{name} of a codebook must be {named}, not {value!r}.")
        if self.embedding not in ("tfidf", "backbone") and not self.embedding.endswith(".npy"):
            raise BadInput(
                f"embedding of a codebook must be tfidf, backbone or the path of a .npy file, "
                f"not {self.embedding!r}."
            )
        if (self.embedding == "backbone") != (self.model is not None):
            raise BadInput(
                "model (the folder of a trained model) goes with embedding: backbone, and only with it."
            )


@dataclass(frozen=True, eq=False)
class Codebook:
    """The codes of all documents, and what made them.

    Attributes
    ----------
    codes : uint16[n_documents, L_c]
        All rows different, unless `config` lets documents share theirs.
    N_c, L_c : int
    explained : float64[L_c]
        Part of the variance of the embeddings that each level explains.
    n_collisions : int
        Documents that came to the codes of an earlier document: moved if codes are unique, else shared.
    notes : tuple of str
        What was shrunk, or is thin.
    config : CodebookConfig
        What was asked for.
    centroids : float32[L_c, N_c, dim]
    embedding : Embedding
        The vectors that were quantised; of given codes those that their quality is measured on.
    """

    codes: npt.NDArray[np.uint16]
    N_c: int
    L_c: int
    explained: npt.NDArray[np.float64]
    n_collisions: int
    notes: tuple[str, ...]
    config: CodebookConfig
    centroids: npt.NDArray[np.float32]
    embedding: Embedding

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_tokens(self) -> int:
        """Tokens that codes add to the vocabulary: N_c, or as many at every position."""
        return self.N_c * (self.L_c if self.config.positions == "own" else 1)

    def token_ids(
        self, first_code_id: int, rows: npt.NDArray[np.integer] | None = None
    ) -> npt.NDArray[np.int32]:
        """Give the codes of documents (all, or some rows) as token ids, int32[n, L_c].

        A code's token is `first_code_id` + code; if positions have codes of their own, N_c further at each.
        """
        codes = self.codes if rows is None else self.codes[rows]
        step = self.N_c if self.config.positions == "own" else 0
        return first_code_id + codes.astype(np.int32) + step * np.arange(self.L_c, dtype=np.int32)

    def in_words(self, token_ids: Sequence[int], first_code_id: int) -> str:
        """Write code tokens for people, `c12 c7`: the code at each position."""
        return " ".join(f"c{(token - first_code_id) % self.N_c}" for token in token_ids)

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
            embedding=open_embedding(folder / "embedding"),
        )


def fit_codebook(corpus: Corpus, config: CodebookConfig, embedding: Embedding | None = None) -> Codebook:
    """Embed the documents of a corpus, quantise the embeddings and settle collisions.

    Values of N_c and L_c that are not given shrink to what the corpus supports; values that are given are
    kept. Either is told in `notes`.

    Parameters
    ----------
    corpus : Corpus
    config : CodebookConfig
    embedding : Embedding, optional
        Needed by `embedding: backbone`, for which a model reads the corpus first.

    Raises
    ------
    BadInput
        More codes than documents; fewer possible codes than documents that are to be told apart; an
        unknown option; vectors or codes that were given and do not fit the corpus.
    """
    config.check()
    notes: list[str] = []
    codes: npt.NDArray[Any]
    if config.codes is None:  # what can be refused early is
        check_sizes(config.N_c, config.L_c, corpus.n_documents)
        N_c = codes_per_position(config.N_c, corpus.n_documents, notes)
        L_c = DEFAULT_L_c if config.L_c is None else config.L_c
        _check_room(config, N_c, L_c, corpus.n_documents)
    if embedding is None:
        embedding, vectors = _embed(corpus, config, notes)
    else:
        vectors = embedding.of_documents(corpus, config.fields)
    notes += embedding.notes
    vectors = np.ascontiguousarray(vectors, np.float32)
    if config.codes is not None:
        codes, N_c = _given(corpus, config, config.codes)
        centroids = centroids_of(vectors, codes, N_c)
        shared = shared_codes(codes)
        told = f"{shared} of {len(codes)} documents share theirs with another"
        notes.insert(0, f"The codes were given; {told}{' and were told apart' if config.unique else ''}.")
    else:
        centroids = train_centroids(vectors, N_c, L_c, seed=config.seed, beam=config.beam)
        codes = encode(vectors, centroids, beam=config.beam)
        explained = explained_variance(vectors, codes, centroids)
        kept = positions(config.L_c, explained, N_c, len(codes), notes, unique=config.unique)
        if kept < L_c:
            centroids = centroids[:kept]
            codes = encode(vectors, centroids, beam=config.beam)
    tell_unused(codes, N_c, notes)
    n_collisions = len(codes) - len(np.unique(codes, axis=0))
    if config.unique:
        codes, n_collisions = make_unique(vectors, codes.astype(np.int64), centroids)
    return Codebook(
        codes=codes.astype(np.uint16),
        N_c=N_c,
        L_c=codes.shape[1],
        explained=explained_variance(vectors, codes, centroids),
        n_collisions=n_collisions,
        notes=tuple(notes),
        config=config,
        centroids=centroids,
        embedding=embedding,
    )


def _embed(
    corpus: Corpus, config: CodebookConfig, notes: list[str]
) -> tuple[Embedding, npt.NDArray[np.float32]]:
    """Embed the documents without a model."""
    if config.embedding == "backbone":
        raise ValueError("embedding: backbone needs the vectors of the model; embed the corpus first")
    if config.embedding != "tfidf":
        given = read_vectors(config.embedding, corpus)
        return given, given.documents
    embedding, vectors = fit_tfidf(corpus, dim=config.embedding_dim, seed=config.seed, fields=config.fields)
    if embedding.dim < config.embedding_dim:
        notes.append(
            f"The corpus supports {embedding.dim} dimensions of the {config.embedding_dim} asked for."
        )
    return embedding, vectors


def _check_room(config: CodebookConfig, N_c: int, L_c: int, n_documents: int) -> None:
    if config.unique and N_c**L_c < n_documents:
        raise BadInput(
            f"N_c = {N_c} and L_c = {L_c} give {N_c**L_c} identifiers for {n_documents} documents; take more "
            "of either, or let documents share them (collisions: shared)."
        )


def _given(corpus: Corpus, config: CodebookConfig, path: str) -> tuple[npt.NDArray[np.uint16], int]:
    """Read given codes, and choose N_c for them: as asked, else the power of two that holds the largest."""
    codes = read_codes(path, corpus)
    most, L_c = int(codes.max()), codes.shape[1]
    if config.L_c is not None and config.L_c != L_c:
        raise BadInput(f"L_c = {config.L_c} is asked for, but the codes in {path} have {L_c}; leave it out.")
    if config.N_c is not None and config.N_c <= most:
        raise BadInput(
            f"N_c = {config.N_c} is asked for, but the codes in {path} go up to {most}; leave it out or take "
            f"{most + 1} or more."
        )
    N_c = config.N_c or 1 << max(1, most.bit_length())
    _check_room(config, N_c, L_c, len(codes))
    return codes, N_c


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
    ids = codebook.token_ids(first_code_id, document)
    length = np.full(len(query), codebook.L_c, np.int16)
    return Pairs(query, document, ids, length, np.full(len(query), -1, np.int32))
