"""N_c and L_c of a codebook: what was asked for, or what the corpus supports; either is told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput

DEFAULT_N_c, DEFAULT_L_c = 256, 32  # the published codebook
LARGEST_N_c = 65_536  # what a code of two bytes can say
POINTS_PER_CENTROID = 39  # below this faiss itself warns
LEAST_EXPLAINED = 0.001


def check_sizes(N_c: int | None, L_c: int | None, n_documents: int) -> None:
    """Refuse sizes that no corpus, or not this one, can have.

    Raises
    ------
    BadInput
        N_c is not from 2 to 65,536 or above the number of documents; L_c is below 1.
    """
    if L_c is not None and L_c < 1:
        raise BadInput(f"L_c of a codebook must be 1 or more, not {L_c}.")
    if N_c is None:
        return
    if not 2 <= N_c <= LARGEST_N_c:
        raise BadInput(f"N_c of a codebook must lie between 2 and {LARGEST_N_c}, not be {N_c}.")
    if N_c > n_documents:
        raise BadInput(
            f"N_c = {N_c} needs as many documents; the corpus has {n_documents}. Take fewer codes."
        )


def codes_per_position(asked: int | None, n_documents: int, notes: list[str]) -> int:
    """Choose N_c: as asked, else 256 or the largest power of two that leaves 39 documents for each code."""
    fits = 1 << max(1, (n_documents // POINTS_PER_CENTROID).bit_length() - 1)
    if asked is None:
        if fits < DEFAULT_N_c:
            notes.append(
                f"N_c shrank from {DEFAULT_N_c} to {fits}: {n_documents} documents leave "
                f"{POINTS_PER_CENTROID} or more for each code."
                if fits * POINTS_PER_CENTROID <= n_documents
                else f"N_c shrank from {DEFAULT_N_c} to {fits}, the fewest there can be: {n_documents} "
                f"documents are fewer than {POINTS_PER_CENTROID} for each code."
            )
        return min(DEFAULT_N_c, fits)
    if asked * POINTS_PER_CENTROID > n_documents:
        notes.append(
            f"N_c = {asked} leaves {n_documents / asked:.1f} documents for each code, "
            f"fewer than the {POINTS_PER_CENTROID} that make good centroids."
        )
    return asked


def positions(
    asked: int | None,
    explained: npt.NDArray[np.float64],
    N_c: int,
    n_documents: int,
    notes: list[str],
    *,
    unique: bool,
) -> int:
    """Choose L_c: as asked, else the levels before the first that explains less than 0.1 % of the variance.

    Where codes are made unique, at least as many as tell all documents apart.
    """
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
    while unique and N_c**kept < n_documents:
        kept += 1
    notes.append(
        f"L_c shrank from {DEFAULT_L_c} to {kept}: position {first + 1} explains less than "
        f"{LEAST_EXPLAINED:.1%} of the variance."
    )
    return kept


def tell_unused(codes: npt.NDArray[np.integer], N_c: int, notes: list[str]) -> None:
    """Note the positions at which less than half of the codes occur."""
    used = [len(np.unique(column)) for column in codes.T]
    thin = [(place, n) for place, n in enumerate(used, start=1) if 2 * n < N_c]
    if thin:
        places = ", ".join(f"{place} ({n})" for place, n in thin[:4]) + (", …" if len(thin) > 4 else "")
        notes.append(
            f"Fewer than half of the {N_c} codes occur at {len(thin)} of {len(used)} positions: {places}."
        )
