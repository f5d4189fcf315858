"""Residual quantisation: each level picks the centroid nearest to what earlier levels left over (faiss)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

POINTS = 256  # per centroid, what faiss's own clustering uses at most


def train_centroids(
    vectors: npt.NDArray[np.float32], N_c: int, L_c: int, *, seed: int, beam: int = 1
) -> npt.NDArray[np.float32]:
    """Train a residual quantiser on `POINTS` × N_c of the vectors, drawn at random if there are more.

    The residual quantiser of faiss has a power of two of centroids per level. For any other number its own
    clustering is called level by level, which gives the same centroids to the last bit where both can.

    Parameters
    ----------
    vectors : float32[n, dim]
        N_c of them or more.
    N_c, L_c : int
        Centroids per level, and levels.
    seed : int
    beam : int
        Partial codes kept per vector. With 1, each level is trained on what the nearest centroids left
        over. The default of faiss, 5, trains it on the residuals of second-best centroids as well, which
        measured worse: a larger error, less even codes and prefixes that tell less (5,406 passages, N_c 32
        and 128, L_c 4 and 8). Where N_c is no power of two, training is that of 1 whatever is asked for;
        `encode` keeps as many as asked for.

    Returns
    -------
    float32[L_c, N_c, dim]
        Centroids. They are made level by level: the first do not depend on how many follow.
    """
    if len(vectors) > POINTS * N_c:
        rows = np.random.default_rng(seed).choice(len(vectors), POINTS * N_c, replace=False)
        vectors = vectors[np.sort(rows)]
    vectors = np.ascontiguousarray(vectors, np.float32)
    if N_c & (N_c - 1):
        return _train_by_level(vectors, N_c, L_c, seed)
    faiss = _faiss()
    quantiser = faiss.ResidualQuantizer(vectors.shape[1], L_c, N_c.bit_length() - 1)
    quantiser.max_beam_size = beam
    quantiser.cp.seed = seed
    quantiser.cp.min_points_per_centroid = 1  # how many there are is told in the notes, not on the terminal
    quantiser.train(vectors)
    return faiss.vector_to_array(quantiser.codebooks).reshape(L_c, N_c, -1)


def _train_by_level(
    vectors: npt.NDArray[np.float32], N_c: int, L_c: int, seed: int
) -> npt.NDArray[np.float32]:
    """Cluster what the levels before left over, as the residual quantiser of faiss does with a beam of 1."""
    faiss = _faiss()
    left, levels = vectors.copy(), []
    for _ in range(L_c):
        told = faiss.ProgressiveDimClusteringParameters()
        told.seed, told.min_points_per_centroid = seed, 1
        clustering = faiss.ProgressiveDimClustering(left.shape[1], N_c, told)
        clustering.train(len(left), faiss.swig_ptr(left), faiss.ProgressiveDimIndexFactory())
        centroids = faiss.vector_to_array(clustering.centroids).reshape(N_c, -1)
        _, nearest = faiss.knn(left, centroids, 1)
        left -= centroids[nearest[:, 0]]
        levels.append(centroids)
    return np.stack(levels)


def encode(
    vectors: npt.NDArray[np.float32], centroids: npt.NDArray[np.float32], *, beam: int = 1
) -> npt.NDArray[np.int64]:
    """Give the codes of vectors, int64[n, L_c]: with a beam of 1, the nearest centroid level after level."""
    faiss = _faiss()
    L_c, N_c, dim = centroids.shape
    bits = (N_c - 1).bit_length()
    tables = np.full((L_c, 1 << bits, dim), _far(vectors, centroids), np.float32)
    tables[:, :N_c] = centroids
    quantiser = faiss.ResidualQuantizer(dim, L_c, bits)
    quantiser.max_beam_size = beam
    faiss.copy_array_to_vector(tables.ravel(), quantiser.codebooks)
    quantiser.is_trained = True
    packed = quantiser.compute_codes(np.ascontiguousarray(vectors, np.float32))
    return faiss.unpack_bitstrings(packed, L_c, bits).astype(np.int64)


def _far(vectors: npt.NDArray[np.float32], centroids: npt.NDArray[np.float32]) -> float:
    """Give a number that makes a centroid of it farther than any other, for the places behind N_c."""
    largest = max(float(np.abs(vectors).max(initial=1)), float(np.abs(centroids).max(initial=1)))
    return 1e3 * largest * len(centroids)


def decode(codes: npt.NDArray[Any], centroids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sum the centroids of codes; fewer columns than levels give the approximation by those levels."""
    total = np.zeros((len(codes), centroids.shape[2]), np.float32)
    for level in range(codes.shape[1]):
        total += centroids[level][codes[:, level]]
    return total


def explained_variance(
    vectors: npt.NDArray[np.float32], codes: npt.NDArray[Any], centroids: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Give the part of the variance around the mean vector that each level explains, float64[L_c]."""
    total = float(((vectors - vectors.mean(axis=0)) ** 2).sum(dtype=np.float64))
    left, errors = vectors.copy(), [total]
    for level in range(codes.shape[1]):
        left -= centroids[level][codes[:, level]]
        errors.append(float((left**2).sum(dtype=np.float64)))
    return -np.diff(errors) / total if total > 0 else np.zeros(codes.shape[1])


def make_unique(
    vectors: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], centroids: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], int]:
    """Move the codes of documents that share theirs with an earlier one.

    The last code goes to the nearest free one (by the distance of the centroid to what the levels before
    left over). If none is free below that prefix, the code before the last is changed too, and so on
    upwards.

    Returns
    -------
    codes : int64[n, L_c]
        All different.
    n_moved : int
        Documents whose code was changed.
    """
    L_c, N_c, _ = centroids.shape
    _, first = np.unique(codes, axis=0, return_index=True)
    settled = np.zeros(len(codes), bool)
    settled[first] = True
    unique, used = codes.copy(), _Used(codes, settled.copy(), {})
    moved = np.flatnonzero(~settled).tolist()
    for row in moved:
        depth = L_c - 1  # codes kept
        while depth >= 0 and used.count(codes[row, :depth]) == N_c ** (L_c - depth):
            depth -= 1
        if depth < 0:
            raise ValueError(f"{len(codes)} documents do not fit into {N_c}^{L_c} codes")
        unique[row] = _nearest_free(vectors[row], codes[row, :depth], centroids, used)
        used.add(unique[row])
    return unique, len(moved)


@dataclass
class _Used:
    """How many documents lie below a prefix; counted for a depth when it is first asked for."""

    codes: npt.NDArray[np.int64]
    settled: npt.NDArray[np.bool_]
    counts: dict[int, Counter[bytes]]
    added: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def count(self, prefix: npt.NDArray[np.int64]) -> int:
        depth = len(prefix)
        if depth not in self.counts:
            known = np.concatenate([self.codes[self.settled], *(code[None] for code in self.added)])
            self.counts[depth] = Counter(code[:depth].tobytes() for code in known)
        return self.counts[depth][prefix.tobytes()]

    def add(self, code: npt.NDArray[np.int64]) -> None:
        self.added.append(code)
        for depth, counter in self.counts.items():
            counter[code[:depth].tobytes()] += 1


def _nearest_free(
    vector: npt.NDArray[np.float32],
    prefix: npt.NDArray[np.int64],
    centroids: npt.NDArray[np.float32],
    used: _Used,
) -> npt.NDArray[np.int64]:
    """Go down from a prefix under which a code is free, each time to the nearest child under which one is."""
    L_c, N_c, _ = centroids.shape
    left = vector - decode(prefix[None], centroids)[0]
    for level in range(len(prefix), L_c):
        room = N_c ** (L_c - level - 1)
        for code in np.argsort(((centroids[level] - left) ** 2).sum(axis=1), kind="stable"):
            child = np.append(prefix, code)
            if used.count(child) < room:
                left, prefix = left - centroids[level][code], child
                break
    return prefix


def _faiss() -> Any:
    """Import faiss where it is used, with one thread: sums then always run in the same order."""
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
