"""The released points of the published study.

Source of every point: the column `source_note` of its row. The points behind Figs 3 and 6 and behind the
codebook half of Fig. 5 were not released: draw those laws as curves, never as points.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array, get_law
from genret_core.scaling.published.printed import PublishedLaw

if TYPE_CHECKING:
    import pandas as pd

N_NEGATIVES = 256  # of every published CGL
COLUMNS = {"P": "n_params", "D": "n_pairs"}
STUDIES = {"model_size": "model_size", "data_size": "data_size", "joint": None}  # the joint law takes both


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


@dataclass(frozen=True, eq=False)
class Released:
    """The released points that a printed law was fitted to.

    Attributes
    ----------
    rows : DataFrame
        As `points` gives them.
    x, y : float array [n]
        The law's argument and its value.
    x2 : float array [n] or None
        Second argument of the joint law: `x` is P then, and `x2` is D.
    """

    rows: pd.DataFrame
    x: Array
    y: Array
    x2: Array | None


def behind(law: PublishedLaw) -> Released | None:
    """Give the points that a printed law was fitted to; None where they were not released."""
    if law.law not in STUDIES:
        return None
    try:
        rows = points(study=STUDIES[law.law], method=law.method, family=law.family)
    except BadInput:
        return None
    described = get_law(law.law)
    x2 = None if described.x2 is None else rows[COLUMNS[described.x2]].to_numpy(float)
    return Released(rows, rows[COLUMNS[described.x]].to_numpy(float), rows["cgl"].to_numpy(float), x2)
