"""Numbers and laws as people write them: nothing is added to a number, and nothing is lost."""

from __future__ import annotations

import re

import numpy as np
import pytest

from genret_core.workbench.explorer.prose import readable, short_title, with_titles

UNITS = {"": 0, "M": 6, "G": 9, "T": 12}
LOW = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("P = 3.578e+09 (1.85 times)", "P = 3.578G (1.85 times)"),
        ("6.1e+10 [1.1e+10, open)", "61G [11G, open)"),
        ("rmse 8.112e-06", "rmse 8.112 × 10⁻⁶"),
        ("2.9e+10 times the error", "2.9 × 10¹⁰ times the error"),
        ("6e+21 FLOPs", "6 × 10²¹ FLOPs"),
        ("[-0.3, -1e-05] (-49%)", "[−0.3, −10⁻⁵] (−49%)"),
        ("T5-3B, LLaMA-2, rows 5-10, a-1e3", "T5-3B, LLaMA-2, rows 5-10, a-1e3"),
        ("<i>0.5e-3x</i>", "<i>0.5e-3x</i>"),
    ],
)
def test_numbers_stand_as_on_the_axes(given: str, told: str) -> None:
    assert readable(given) == told
    assert readable(told) == told


def test_every_digit_stays() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        text = f"{rng.uniform(-10, 10):.{rng.integers(0, 8)}e}"
        text = f"{float(text) * 10.0 ** rng.integers(-30, 30):.{rng.integers(0, 8)}e}"
        assert value(readable(text)) == pytest.approx(float(text), rel=1e-12), text


def value(told: str) -> float:
    """Read a number back."""
    found = re.fullmatch(r"(−?)(?:([\d.]+)([MGT]?)(?: × 10([⁻⁰-⁹¹²³]+))?|10([⁻⁰-⁹¹²³]+))", told)
    assert found, told
    sign, digits, unit, power, alone = found.groups()
    number = float(digits or 1) * 10.0 ** (UNITS[unit or ""] + int((power or alone or "0").translate(LOW)))
    return -number if sign else number


def test_laws_are_called_by_their_titles() -> None:
    said = with_titles("predicted best by model_size, next by power; a power law without one does as well")
    assert said == (
        "predicted best by model size (Eq. 6), next by power law without a floor; "
        "a power law without one does as well"
    )
    assert short_title("Model size (Eq. 6)") == "Model size"
