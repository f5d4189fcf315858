"""The published study in numbers: its released points, and its laws as printed.

Source of the laws: Cai et al., SIGIR 2025, Tables 1 to 3 and Eqs 9-10. Source of the points: the column
`source_note` of each row. The points behind Figs 3 and 6 and behind the codebook half of Fig. 5 were not
released: draw those laws as curves, never as points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, get_law

if TYPE_CHECKING:
    import pandas as pd

N_NEGATIVES = 256  # of every published CGL


@dataclass(frozen=True)
class PublishedLaw:
    """A law with the coefficients that were printed.

    Attributes
    ----------
    law : str
        Name in the register of laws.
    where : str
        Table or equations of the paper.
    method, family, metric : str
    params : mapping
        As printed, so with a floor of three digits: for T5 that rounding alone costs 2.4 points of R².
    R2 : float
        As printed.
    exchanged : bool
        Whether the coefficients belong to the law with its two arguments exchanged: true of Eqs 9-10, whose
        gamma and alpha go with the data and eta with the model size, against Eq. 8 as printed.
    note : str
    """

    law: str
    where: str
    method: str
    family: str
    metric: str
    params: Mapping[str, float]
    R2: float
    exchanged: bool = False
    note: str = ""

    def predict(
        self, x: npt.ArrayLike, x2: npt.ArrayLike | None = None, *, as_printed: bool = False
    ) -> Array:
        """Evaluate the printed coefficients, clipped to the law's bounds.

        Parameters
        ----------
        x, x2 : array-like
            P, D or C; for the joint law P and then D.
        as_printed : bool
            Put P and D where Eq. 8 prints them, although the coefficients belong the other way round.
        """
        if self.exchanged and not as_printed and x2 is not None:
            x, x2 = x2, x
        return get_law(self.law)(x, x2, clip=True, **self.params)


def points(*, study: str | None = None, method: str | None = None, family: str | None = None) -> pd.DataFrame:
    """Give the released points, or those of one study, method or family.

    Returns
    -------
    DataFrame
        `study` (model_size, data_size), `method`, `family`, `model`, `n_params` (LLaMA's as published: with
        the output head), `n_pairs` (NaN where not recorded), `cgl`, `source_note`; in the source's order.

    Raises
    ------
    BadInput
        If no row is left; what there is, is named.
    """
    import pandas as pd  # a quarter of a second that fits do not need

    with resources.files(__package__).joinpath("data/published_points.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    for column, value in (("study", study), ("method", method), ("family", family)):
        if value is not None:
            left = table[table[column] == value]
            if left.empty:
                there = ", ".join(sorted(table[column].unique()))
                raise BadInput(f"No published points have {column} = {value!r}; there are {there}.")
            table = left
    return table.reset_index(drop=True)


def laws(**wanted: Any) -> tuple[PublishedLaw, ...]:
    """Give the printed laws, or those with the attributes `wanted`, e.g. `laws(family="t5", metric="MR@5")`.

    Raises
    ------
    BadInput
        If none is left.
    """
    found = tuple(law for law in _LAWS if all(getattr(law, key) == value for key, value in wanted.items()))
    if not found:
        asked = ", ".join(f"{key} = {value!r}" for key, value in wanted.items())
        raise BadInput(f"The paper prints no law with {asked}; see published.laws() for all {len(_LAWS)}.")
    return found


def _law(
    law: str, where: str, method: str, family: str, metric: str, values: str, R2: float, **more: Any
) -> PublishedLaw:
    names = get_law(law).names
    params = dict(zip(names, (float(value) for value in values.split()), strict=True))
    return PublishedLaw(law, where, method, family, metric, MappingProxyType(params), R2, **more)


_SWAPPED = (
    "Eq. 8 as printed gives 0.592 with these coefficients at P = 6,607,343,616 and D = 588,800; with P and D "
    "exchanged it gives 0.00334 (measured: 0.00335)."
)
_LAWS = (
    _law("model_size", "Table 1", "ngram", "t5", "CGL", "2.26e-2 0.40 0.00356", 0.996),
    _law("model_size", "Table 1", "ngram", "llama2", "CGL", "1.24e8 2.40 0.00328", 0.999),
    _law("data_size", "Table 2", "ngram", "llama2", "CGL", "1.05e4 3.99 0.00335", 0.990),
    _law("data_size", "Table 2", "codebook", "llama2", "CGL", "9.28e-1 1.01 0.00389", 0.983),
    _law(
        "joint", "Eqs 9-10", "ngram", "llama2", "CGL", "6.32e3 3.27 0.95 3.37e5 3.26e-3", 0.976,
        exchanged=True, note=_SWAPPED,
    ),
    _law("inference", "Table 3", "ngram", "t5", "MR@5", "1.60e-4 0.0620 0.3834", 0.915),
    _law("inference", "Table 3", "ngram", "t5", "MR@20", "3.85e-4 0.0508 0.1276", 0.970),
    _law("inference", "Table 3", "ngram", "t5", "MR@100", "1.71e-2 0.0755 0.0665", 0.983),
    _law("inference", "Table 3", "ngram", "llama2", "MR@5", "2.71e9 0.3479 0.2779", 0.999),
    _law("inference", "Table 3", "ngram", "llama2", "MR@20", "4.16e9 0.4233 0.1859", 0.999),
    _law("inference", "Table 3", "ngram", "llama2", "MR@100", "4.90e9 0.4862 0.1141", 0.999),
)  # fmt: skip
