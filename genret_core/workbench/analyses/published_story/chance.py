"""How far the released points lie from chance, and what those at chance say of the noise between runs."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from genret_core.retrieval.cgl import chance, rho_of
from genret_core.scaling import published
from genret_core.workbench import tables
from genret_core.workbench.analyses.published_story.sets import N, Refits
from genret_core.workbench.figures import style

FEW_DIGITS = 6  # a value with fewer is not the output of a program


def chance_table() -> Styler:
    """Set out how far each released series lies from chance."""
    found = by_set()
    shown = pd.DataFrame(
        {
            "points over": found["study"].map({"model_size": "model size", "data_size": "data"}),
            "series": [
                style.series_name(str(m), str(f))
                for m, f in zip(found["method"], found["family"], strict=True)
            ],
            "points": found["points"],
            "ρ, first": found["first"],
            "ρ, last": found["last"],
            "farthest from chance": found["farthest"],
            "SD of CGL, 10⁻⁶": 1e6 * found["scatter"],
        }
    )
    formats = {"ρ, first": "{:.4f}", "ρ, last": "{:.4f}", "farthest from chance": "{:.2%}"}
    formats["SD of CGL, 10⁻⁶"] = "{:.2f}"
    caption = f"Distance from chance (CGL {chance(N):.8f}, ρ = 1, for N = {N})"
    return tables.styled(shown, caption=caption, formats=formats)


def chance_words(refits: Refits) -> str:
    """Say what the series at chance are good for."""
    found = by_set()
    t5, llama = (
        found[(found["method"] == "codebook") & (found["family"] == family)].iloc[0]
        for family in ("t5", "llama2")
    )
    lines = [
        f"- **T5 with codes is at chance**: mean ρ {t5['mean']:.5f}, no point farther off than "
        f"{t5['farthest']:.2%}. Its points differ by noise alone, and their SD, "
        f"{tables.significant(t5['scatter'])} ({t5['share']:.3%} of CGL), is the one handle that the "
        "released points give on the noise between runs.",
        f"- **LLaMA-2 with codes** lies within {llama['farthest']:.2%} of chance.",
    ]
    for row in typed_by_hand().itertuples():
        lines.append(
            f"- The value of {row.model} with codes is given with {row.digits} digits, where the others have "
            "all of theirs; we show it and rest nothing on it."
        )
    lines.append(
        f"- Intervals below are given for two sizes of that noise: SD "
        f"{tables.significant(refits.noises[0].sd, 2)} ({refits.noises[0].source}) and "
        f"{tables.significant(refits.noises[1].sd, 2)} ({refits.noises[1].source})."
    )
    return "\n".join(lines)


def by_set() -> pd.DataFrame:
    """Describe every released series in CGL and in rho: ends, scatter, and distance from chance."""
    rows = []
    for (study, method, family), part in published.points().groupby(
        ["study", "method", "family"], sort=False
    ):
        rho = [rho_of(value, N) for value in part["cgl"]]
        rows.append(
            {
                "study": study,
                "method": method,
                "family": family,
                "points": len(part),
                "first": rho[0],
                "last": rho[-1],
                "mean": float(np.mean(rho)),
                "farthest": float(np.max(np.abs(np.array(rho) - 1))),
                "scatter": float(part["cgl"].std(ddof=1)),
                "share": float(part["cgl"].std(ddof=1) / chance(N)),
            }
        )
    return pd.DataFrame(rows)


def typed_by_hand() -> pd.DataFrame:
    """Give the released rows whose value has too few digits to come from a program."""
    table = published.points()
    digits = table["cgl"].map(lambda value: len(Decimal(repr(float(value))).as_tuple().digits))
    return table.assign(digits=digits)[digits < FEW_DIGITS]
