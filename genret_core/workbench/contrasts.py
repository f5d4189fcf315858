"""What one change does to CGL and rho: training with and without it, paired by seed and query."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.files import read_table
from genret_core.retrieval.cgl import rho_of
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study.collect import evaluation_folder
from genret_core.workbench.study.contrast import Contrast

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A paired difference between two ways of training.

    Attributes
    ----------
    question, method, backbone, instead_of : str
        `instead_of` has its study's name before it if that is another one.
    seeds : tuple of int
        Those that both have.
    n_queries, N : int
        Queries of the sample, and negatives of each.
    CGL, CGL_sd, other_CGL, other_CGL_sd : float
        Mean over seeds and SD between them (nan with one seed), with the change and without.
    difference, low, high : float
        Mean of CGL with the change minus without, and its interval; nan with one seed.
    rho, rho_sd, other_rho, other_rho_sd, rho_difference, rho_low, rho_high : float
        The same of rho; its interval is that of CGL carried over to first order.
    """

    question: str
    method: str
    backbone: str
    instead_of: str
    seeds: tuple[int, ...]
    n_queries: int
    N: int
    CGL: float
    CGL_sd: float
    other_CGL: float
    other_CGL_sd: float
    difference: float
    low: float
    high: float
    rho: float
    rho_sd: float
    other_rho: float
    other_rho_sd: float
    rho_difference: float
    rho_low: float
    rho_high: float

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-like values; what is not known is None."""
        values = {**asdict(self), "seeds": list(self.seeds)}
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values.items()
        }


def contrasts(study: Study, *, split: str | None = None, level: float = 0.95) -> list[Difference]:
    """Measure all contrasts of a study.

    Parameters
    ----------
    study : Study
    split : str, optional
        Queries to measure on; by default the study's first split.
    level : float
        Of the intervals.

    Raises
    ------
    BadInput
        The study has no contrasts, or a side of one is not there yet.
    """
    if not study.spec.contrasts:
        raise BadInput(
            f"{study.name} compares nothing: list `contrasts: [{{question: …, backbone: …, instead_of: …}}]` "
            "in its file."
        )
    return [measure(study, one, split=split, level=level) for one in study.spec.contrasts]


def measure(study: Study, asked: Contrast, *, split: str | None = None, level: float = 0.95) -> Difference:
    """Measure one contrast; see `contrasts`."""
    split = split or study.spec.evaluation.splits[0]
    beside = study if asked.study is None else open_study(study.folder.parent / asked.study)
    if beside.inputs.corpus != study.inputs.corpus:
        raise BadInput(
            f"contrast {asked.question!r}: {beside.name} has another corpus than {study.name}: their queries "
            "cannot be paired."
        )
    new, n = _by_seed(study, asked, asked.backbone, split)
    old, other_n = _by_seed(beside, asked, asked.other, split)
    seeds = sorted(set(new) & set(old))
    if not seeds:
        raise BadInput(
            f"contrast {asked.question!r}: no seed of {asked.backbone} and {asked.other} ({asked.method}) is "
            f"done in both; run `{study.command}`."
        )
    if n != other_n or not all(new[seed].index.equals(old[seeds[0]].index) for seed in seeds):
        raise BadInput(
            f"contrast {asked.question!r}: {asked.backbone} and {asked.other} were measured on different "
            "queries or numbers of negatives; give both studies the same `evaluation`."
        )
    with_it, without = (np.array([side[seed].to_numpy(np.float64) for seed in seeds]) for side in (new, old))
    difference, half = paired(with_it - without, level)
    means = [values.mean(1) for values in (with_it, without)]
    rhos = [np.array([rho_of(float(x), n) for x in side]) for side in means]
    slope = n * math.exp(float(np.mean([side.mean() for side in means])))
    rho_difference = float(rhos[0].mean() - rhos[1].mean())
    return Difference(
        asked.question, asked.method, asked.backbone,
        asked.other if asked.study is None else f"{beside.name}: {asked.other}",
        tuple(seeds), with_it.shape[1], n,
        *_mean_and_sd(means[0]), *_mean_and_sd(means[1]), difference, difference - half, difference + half,
        *_mean_and_sd(rhos[0]), *_mean_and_sd(rhos[1]),
        rho_difference, rho_difference - slope * half, rho_difference + slope * half,
    )  # fmt: skip


def paired(differences: Floats, level: float) -> tuple[float, float]:
    """Give a mean difference and half the width of its interval.

    Two things vary: queries, which all seeds share, and seeds. Their variances of the mean add up, and
    Student's t has the degrees of freedom of Welch and Satterthwaite.

    Parameters
    ----------
    differences : float64[seeds, queries]
    level : float

    Returns
    -------
    mean, half : float
        `half` is nan with a single seed.
    """
    from scipy.stats import t

    n_seeds, n_queries = differences.shape
    mean = float(differences.mean())
    if n_seeds < 2 or n_queries < 2:
        return mean, math.nan
    parts = [(differences.mean(0), n_queries), (differences.mean(1), n_seeds)]
    variances = [float(np.var(values, ddof=1)) / n for values, n in parts]
    total = sum(variances)
    if total == 0:
        return mean, 0.0
    freedom = total**2 / sum(v**2 / (n - 1) for v, (_, n) in zip(variances, parts, strict=True))
    return mean, float(t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)


def _by_seed(study: Study, asked: Contrast, backbone: str, split: str) -> tuple[dict[int, Any], int]:
    """Give the CGL of every query by seed, and N."""
    rows = study.rows(
        "CGL", method=asked.method, backbone=backbone, fraction=asked.fraction, split=split
    ).drop_duplicates("seed")
    found = {}
    for run_id, seed in zip(rows["run_id"], rows["seed"], strict=True):
        table = read_table(evaluation_folder(study.folder, str(run_id)) / "per_query.parquet")
        own = table[table["metric"] == "CGL"]
        found[int(seed)] = own.set_index("query")["value"].sort_index()
    return found, int(rows["n_negatives"].iloc[0]) if len(rows) else 0


def _mean_and_sd(values: Floats) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan
