"""The sets of released points that a printed law was fitted to, refitted, and how noisy such points are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genret_core.scaling import Fit, fit, get_law, published
from genret_core.scaling.published import Held, PublishedLaw, Released, hold

N = published.N_NEGATIVES
NAMES = {
    "table1:t5": "T5 over size",
    "table1:llama": "LLaMA-2 over size",
    "table2:ngram": "LLaMA-2-7B over data",
    "eqs9-10": "LLaMA-2 over size and data",
}


@dataclass(frozen=True)
class Noise:
    """How far a CGL moves between runs, as far as that is known.

    Attributes
    ----------
    sd : float
        In units of CGL.
    source : str
        Where that is from.
    """

    sd: float
    source: str


@dataclass(frozen=True, eq=False)
class RefittedSet:
    """One set of points, its printed law and our fits.

    Attributes
    ----------
    law : PublishedLaw
    points : Released
    fit : Fit
        With intervals from the residuals.
    noisy : tuple of Fit
        The same with known noise, in the order of `Refits.noises`.
    held : Held
        The printed coefficients on these points.
    """

    law: PublishedLaw
    points: Released
    fit: Fit
    noisy: tuple[Fit, ...]
    held: Held

    @property
    def name(self) -> str:
        """What the set is called in sentences."""
        return NAMES[self.law.id]


@dataclass(frozen=True, eq=False)
class Refits:
    """All sets, refitted.

    Attributes
    ----------
    t5, llama, data, joint : RefittedSet
        Table 1 twice, Table 2 with n-grams, and Eqs 9-10 in the order of the arguments that suits them.
    noises : tuple of Noise
    level : float
        Of all intervals.
    """

    t5: RefittedSet
    llama: RefittedSet
    data: RefittedSet
    joint: RefittedSet
    noises: tuple[Noise, ...]
    level: float

    @property
    def of_one_argument(self) -> tuple[RefittedSet, ...]:
        """The sets of Tables 1 and 2."""
        return self.t5, self.llama, self.data


def refit(*, noise_sd: float | None = None, noise_wide: float = 5e-6, level: float = 0.95) -> Refits:
    """Fit every set of released points again, by least squares to the global optimum.

    Parameters
    ----------
    noise_sd : float, optional
        Standard deviation of a CGL between runs; by default the scatter of the codebook T5 points.
    noise_wide : float
        A second, more cautious one.
    level : float
        Of the intervals.
    """
    stated = "as the parameters state"
    first = scatter_at_chance() if noise_sd is None else Noise(noise_sd, stated)
    noises = (first, Noise(noise_wide, stated))
    sets = {}
    for key, identifier in (
        ("t5", "table1:t5"), ("llama", "table1:llama"), ("data", "table2:ngram"), ("joint", "eq8"),
    ):  # fmt: skip
        (law,) = published.find(identifier)
        sets[key] = _refitted(law, noises, level)
    return Refits(**sets, noises=noises, level=level)


def _refitted(law: PublishedLaw, noises: tuple[Noise, ...], level: float) -> RefittedSet:
    points = published.behind(law)
    assert points is not None  # this is asked of laws whose points were released
    form = "joint_exchanged" if law.exchanged else law.law

    def fitted(sd: float | None) -> Fit:
        return fit(form, points.x, points.y, points.x2, sd=sd, n_negatives=N, level=level)

    ours, noisy = fitted(None), tuple(fitted(noise.sd) for noise in noises)
    return RefittedSet(law, points, ours, noisy, hold(ours, law))


def scatter_at_chance() -> Noise:
    """Estimate the noise between runs by the scatter of the codebook T5 points, which are at chance."""
    rows = published.points(study="model_size", method="codebook", family="t5")
    sd = float(rows["cgl"].std(ddof=1))
    return Noise(sd, f"the scatter of the {len(rows)} codebook T5 points, which are at chance")


def without_head(rows: pd.DataFrame) -> np.ndarray:
    """Give LLaMA-2's sizes without the output head, which the published ones count.

    The head is a matrix of vocabulary by width; the published T5 sizes hold neither embedding nor head.
    """
    widths = {"llama-2-7b": 4096, "llama-2-13b": 5120, "llama-2-70b": 8192}  # Touvron et al., 2023
    vocabulary = 32_000
    return rows["n_params"].to_numpy(float) - vocabulary * rows["model"].map(widths).to_numpy(float)


def exponent(one: RefittedSet) -> str:
    """Name the exponent of a set of one argument."""
    return get_law(one.law.law).with_role("exponent")[0].name
