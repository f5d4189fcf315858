"""11: the paper's own points, refitted: what they show and what they cannot.

- `sets`: the released points behind each printed law, our fits of them, and the noise between runs
- `chance`: how far the points lie from chance
- `laws`: Tables 1 and 2: optimum, printed digits, intervals, verdicts
- `joint`: Eqs 8 to 10: order of the arguments, distance from the optimum, single precision
- `single_points`: what three points cannot show, and what hangs on one point
- `rivals`: other laws on the same points
- `misses`: Table 3, read
- `told`: the answer, and where the numbers are from
"""

from genret_core.workbench.analyses.published_story.chance import chance_table, chance_words
from genret_core.workbench.analyses.published_story.joint import joint_law
from genret_core.workbench.analyses.published_story.laws import (
    interval_table,
    refit_table,
    refit_words,
    sizes,
    verdict_table,
)
from genret_core.workbench.analyses.published_story.misses import read_table_3
from genret_core.workbench.analyses.published_story.rivals import (
    comparison_table,
    comparison_words,
    comparisons,
)
from genret_core.workbench.analyses.published_story.sets import refit
from genret_core.workbench.analyses.published_story.single_points import (
    data_exponent,
    three_points,
    three_points_words,
)
from genret_core.workbench.analyses.published_story.told import sentence, sources

__all__ = [
    "chance_table",
    "chance_words",
    "comparison_table",
    "comparison_words",
    "comparisons",
    "data_exponent",
    "interval_table",
    "joint_law",
    "read_table_3",
    "refit",
    "refit_table",
    "refit_words",
    "sentence",
    "sizes",
    "sources",
    "three_points",
    "three_points_words",
    "verdict_table",
]
