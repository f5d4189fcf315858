"""Parameters by the part that they play in a law: what a reader is told of them, and their bounds."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import numpy as np

from genret_core.scaling.laws.law import EXPONENT, Parameter

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def scale(name: str, argument: str = "x") -> Parameter:
    """Describe gamma of (gamma / x)^alpha, in units of that argument (`wording` fills in its name)."""
    meaning = f"the {{{argument}}} at which the falling term is 1"
    return Parameter(name, *written(name), "scale", meaning, 0.0, np.inf)


def factor(name: str, meaning: str) -> Parameter:
    """Describe a factor of the falling term, in units of y."""
    return Parameter(name, *written(name), "scale", meaning, 0.0, np.inf)


def exponent(name: str, meaning: str = "exponent") -> Parameter:
    """Describe an exponent."""
    return Parameter(name, *written(name), "exponent", meaning, *EXPONENT)


def floor(name: str) -> Parameter:
    """Describe the value that remains at infinite x."""
    return Parameter(name, *written(name), "floor", "floor (irreducible)", 0.0, np.inf)


def shape(name: str, meaning: str, low: float = 0.0, high: float = np.inf) -> Parameter:
    """Describe a nonlinear parameter that is no exponent."""
    return Parameter(name, *written(name), "shape", meaning, low, high)


def written(name: str) -> tuple[str, str]:
    r"""Write a name of code in Unicode and in LaTeX.

    >>> written("lambda_P"), written("c0")
    (('λ_P', '\\lambda_P'), ('c₀', 'c_0'))
    """
    stem, _, index = name.partition("_")
    letters = stem.rstrip("0123456789")
    digits = stem[len(letters) :]
    symbol = letters
    latex = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    if letters.islower():
        greek = "LAMDA" if letters == "lambda" else letters.upper()
        with suppress(KeyError):  # not a Greek letter: it stands as it is
            symbol, latex = unicodedata.lookup(f"GREEK SMALL LETTER {greek}"), rf"\{letters}"
    below = digits + (index if not digits or not index else f", {index}").replace("_", " ")
    subscript = below if len(below) < 2 else rf"{{\mathrm{{{below}}}}}"
    return (
        symbol + digits.translate(SUBSCRIPTS) + (f"_{index}" if index else ""),
        latex + (f"_{subscript}" if below else ""),
    )
