"""The laws of the published study as they were printed, digit for digit, and how to ask for one of them.

Source: Cai et al., SIGIR 2025, Tables 1 to 3 and Eqs 9-10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, Law, get_law

PLACES = {"Table 1": "table1", "Table 2": "table2", "Table 3": "table3", "Eqs 9-10": "eqs9-10"}
ALIASES = {"eq8": "eqs9-10", "eq9": "eqs9-10", "eq10": "eqs9-10", "joint": "eqs9-10"}
FAMILIES = {"t5": "t5", "llama": "llama2", "llama2": "llama2"}
METHODS = {"ngram": "ngram", "codebook": "codebook"}


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
    printed : mapping
        The coefficients as they stand in the paper ("0.40"), by the name of the parameter.
    printed_R2 : str
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
    printed: Mapping[str, str]
    printed_R2: str
    exchanged: bool = False
    note: str = ""

    @property
    def id(self) -> str:
        """The name that `find` gives this law alone for, e.g. `table3:t5:k=5`."""
        place = PLACES[self.where]
        family = "llama" if self.family == "llama2" else self.family
        own = {
            "table1": (family,),
            "table2": (self.method,),
            "table3": (family, self.metric.replace("MR@", "k=")),
        }
        return ":".join((place, *own.get(place, ())))

    @property
    def params(self) -> Mapping[str, float]:
        """The coefficients as numbers; with a floor of three digits, which costs T5 2.4 points of R²."""
        return MappingProxyType({name: float(text) for name, text in self.printed.items()})

    @property
    def R2(self) -> float:
        """R² as printed."""
        return float(self.printed_R2)

    @property
    def described(self) -> Law:
        """The law in the register."""
        return get_law(self.law)

    def predict(
        self,
        x: npt.ArrayLike,
        x2: npt.ArrayLike | None = None,
        *,
        as_printed: bool = False,
        clip: bool = True,
    ) -> Array:
        """Evaluate the printed coefficients.

        Parameters
        ----------
        x, x2 : array-like
            P, D or C; for the joint law P and then D.
        as_printed : bool
            Put P and D where Eq. 8 prints them, although the coefficients belong the other way round.
        clip : bool
            Keep to the law's bounds (a miss rate to [0, 1]).
        """
        if self.exchanged and not as_printed and x2 is not None:
            x, x2 = x2, x
        return self.described(x, x2, clip=clip, **self.params)


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


def find(identifier: str) -> tuple[PublishedLaw, ...]:
    """Give the printed laws that an identifier names.

    Parameters
    ----------
    identifier : str
        A place (`table1`, `table2`, `table3`; `eq8`, `eq9`, `eq10`, `eqs9-10` or `joint`), and after it, in
        any order and set off by `:` or `,`, a family (`t5`, `llama`), a method (`ngram`, `codebook`) or a
        metric (`k=5` or `MR@5`). What is not said is not chosen: `table3:k=5` is both families.

    Raises
    ------
    BadInput
        If nothing is of that name; the sentence says what there is.

    Examples
    --------
    >>> [law.id for law in find("table3:k=5")]
    ['table3:t5:k=5', 'table3:llama:k=5']
    """
    place, *selectors = re.split("[:,]", re.sub(r"\s+", "", identifier).lower())
    place = ALIASES.get(place, place)
    here = [law for law in _LAWS if PLACES[law.where] == place]
    if not here:
        raise BadInput(f"There is no published law {identifier!r}; there are {_ids(_LAWS)}.")
    found = [law for law in here if all(_selected(law, one, identifier) for one in selectors)]
    if not found:
        raise BadInput(f"The paper prints no law {identifier!r}; of {place} there are {_ids(here)}.")
    return tuple(found)


def _selected(law: PublishedLaw, selector: str, identifier: str) -> bool:
    if selector in FAMILIES:
        return law.family == FAMILIES[selector]
    if selector in METHODS:
        return law.method == METHODS[selector]
    depth = re.fullmatch(r"(?:k=|mr@)(5|20|100)", selector)
    if depth is None:
        raise BadInput(
            f"{selector!r} in {identifier!r} selects no published law; write a family (t5, llama), a method "
            f"(ngram, codebook) or a depth (k=5, k=20, k=100); there are {_ids(_LAWS)}."
        )
    return law.metric == f"MR@{depth[1]}"


def _ids(some: tuple[PublishedLaw, ...] | list[PublishedLaw]) -> str:
    return ", ".join(law.id for law in some)


def _law(
    law: str, where: str, method: str, family: str, metric: str, values: str, R2: str, **more: Any
) -> PublishedLaw:
    printed = dict(zip(get_law(law).names, values.split(), strict=True))
    return PublishedLaw(law, where, method, family, metric, MappingProxyType(printed), R2, **more)


_SWAPPED = (
    "Eq. 8 as printed gives 0.592 with these coefficients at P = 6,607,343,616 and D = 588,800; with P and D "
    "exchanged it gives 0.00334 (measured: 0.00335)."
)
_LAWS = (
    _law("model_size", "Table 1", "ngram", "t5", "CGL", "2.26e-2 0.40 0.00356", "0.996"),
    _law("model_size", "Table 1", "ngram", "llama2", "CGL", "1.24e8 2.40 0.00328", "0.999"),
    _law("data_size", "Table 2", "ngram", "llama2", "CGL", "1.05e4 3.99 0.00335", "0.990"),
    _law("data_size", "Table 2", "codebook", "llama2", "CGL", "9.28e-1 1.01 0.00389", "0.983"),
    _law(
        "joint", "Eqs 9-10", "ngram", "llama2", "CGL", "6.32e3 3.27 0.95 3.37e5 3.26e-3", "0.976",
        exchanged=True, note=_SWAPPED,
    ),
    _law("inference", "Table 3", "ngram", "t5", "MR@5", "1.60e-4 0.0620 0.3834", "0.915"),
    _law("inference", "Table 3", "ngram", "t5", "MR@20", "3.85e-4 0.0508 0.1276", "0.970"),
    _law("inference", "Table 3", "ngram", "t5", "MR@100", "1.71e-2 0.0755 0.0665", "0.983"),
    _law("inference", "Table 3", "ngram", "llama2", "MR@5", "2.71e9 0.3479 0.2779", "0.999"),
    _law("inference", "Table 3", "ngram", "llama2", "MR@20", "4.16e9 0.4233 0.1859", "0.999"),
    _law("inference", "Table 3", "ngram", "llama2", "MR@100", "4.90e9 0.4862 0.1141", "0.999"),
)  # fmt: skip
