"""Scoring a large sample slice by slice: what was scored before a kill is kept, and processes can share it.

A sample is cut between queries, in the same places whoever scores it. Each slice's losses are a file that
appears whole, so that a run which was stopped goes on with the slices that are missing and ends with the same
bits as one that was not. Several processes, each with a GPU of its own, take every n-th slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genret_core.errors import BadInput
from genret_core.files import atomic, content_key
from genret_core.modeling.bodies import bind
from genret_core.modeling.losses import score_identifiers
from genret_core.modeling.pretrained.scoring import is_packable
from genret_core.retrieval.pairs import Pairs
from genret_core.retrieval.ragged import Ragged

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROWS = 1 << 16
"""Identifiers in a slice, at least (the last may have fewer)."""


@dataclass(frozen=True, eq=False)
class Slices:
    """The slices of a sample, and the files of those that are scored.

    Attributes
    ----------
    folder : Path
        Where their losses lie.
    bounds : int64[n + 1]
        Slice i is the rows ``bounds[i]:bounds[i + 1]`` of the sample's identifiers.
    """

    folder: Path
    bounds: Ints

    @classmethod
    def cut(cls, folder: Path, owner: npt.NDArray[np.integer], rows: int = ROWS) -> Slices:
        """Cut between queries.

        Parameters
        ----------
        folder : Path
            Of this sample and these weights alone (`fingerprint`).
        owner : int[n]
            The query of each identifier, ascending.
        rows : int
            Identifiers in a slice, at least.
        """
        own = np.asarray(owner, np.int64)
        if (np.diff(own) < 0).any():
            raise ValueError("identifiers must be grouped by query, in ascending order")
        bounds = [0]
        for begin in np.flatnonzero(np.diff(own)) + 1:
            if begin - bounds[-1] >= rows:
                bounds.append(int(begin))
        return cls(folder, np.array([*bounds, len(own)], np.int64))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def path(self, i: int) -> Path:
        """File of a slice."""
        return self.folder / f"slice-{i:05d}.npy"

    def missing(self) -> list[int]:
        """Slices that are not scored yet."""
        return [i for i in range(len(self)) if not self.path(i).is_file()]

    def score(
        self,
        model: Any,
        prompts: Ragged,
        pairs: Pairs,
        owner: npt.NDArray[np.integer],
        *,
        part: tuple[int, int] = (1, 1),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Score the slices that are missing.

        Parameters
        ----------
        model, prompts, pairs, owner
            As for `score_identifiers`.
        part : (i, n)
            Only every n-th slice, from the i-th (from 1) on.
        progress : callable, optional
            Called with the slices done and all of them.
        """
        i, n = part
        scorer = bind(model) if is_packable(model) else model
        for at in (at for at in self.missing() if at % n == i - 1):
            rows = slice(int(self.bounds[at]), int(self.bounds[at + 1]))
            queries, local = np.unique(np.asarray(owner)[rows], return_inverse=True)
            chosen = pairs.select(np.arange(rows.start, rows.stop))
            nll, _ = score_identifiers(scorer, prompts.take(queries), chosen, local)
            with atomic(self.path(at)) as temporary, temporary.open("wb") as file:
                np.save(file, nll, allow_pickle=False)
            if progress is not None:
                progress(len(self) - len(self.missing()), len(self))

    def join(self) -> Floats:
        """Give the losses of all slices, float64[n].

        Raises
        ------
        BadInput
            A slice is missing, or a file is not one of this sample.
        """
        if missing := self.missing():
            raise BadInput(
                f"{self.folder}: {len(missing)} of {len(self)} slices are not scored yet; run their part."
            )
        parts = [np.load(self.path(i), allow_pickle=False) for i in range(len(self))]
        for i, found in enumerate(parts):
            if found.shape != (self.bounds[i + 1] - self.bounds[i],):
                raise BadInput(f"{self.path(i)} is not of this sample; remove it and score again.")
        return np.concatenate(parts)


def fingerprint(model: Any, *what: Any) -> str:
    """Hash the sums of a model's weights, and what else the losses depend on: the key of a slice's folder."""
    with torch.no_grad():
        weights = [
            (name, list(weight.shape), str(weight.dtype), float(weight.double().sum()))
            for name, weight in model.named_parameters()
        ]
    return content_key([weights, *what])


def score_in_processes(
    model: Any,
    load: Callable[[str], Any],
    devices: Sequence[str],
    slices: Slices,
    prompts: Ragged,
    pairs: Pairs,
    owner: npt.NDArray[np.integer],
) -> None:
    """Score the missing slices on several devices: here on the first, in a process each on the others.

    Parameters
    ----------
    model : PreTrainedModel
        On the first device.
    load : callable
        Gives the same model on another device; it must be possible to send it to another process.
    devices : sequence of str
        Such as ``["cuda:0", "cuda:1"]``.
    slices, prompts, pairs, owner
        As for `Slices.score`.
    """
    sample, n = (prompts, pairs, owner), len(devices)
    with ProcessPoolExecutor(max(n - 1, 1), mp_context=get_context("spawn")) as pool:
        others = [
            pool.submit(_score_part, load, device, slices, sample, (i, n))
            for i, device in enumerate(devices[1:], start=2)
        ]
        slices.score(model, *sample, part=(1, n))
        for other in others:
            other.result()


def _score_part(
    load: Callable[[str], Any],
    device: str,
    slices: Slices,
    sample: tuple[Ragged, Pairs, npt.NDArray[np.integer]],
    part: tuple[int, int],
) -> None:
    if device == "cpu":
        torch.set_num_threads(1)
    slices.score(load(device), *sample, part=part)
