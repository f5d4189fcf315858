"""The published study in numbers.

- `printed`: its laws as printed, digit for digit, and how to ask for one: `find("table1:t5")`
- `released`: its released points, and which of them a printed law was fitted to
- `digits`: what a printed digit leaves open; `nearby`: the best coefficients within the last printed digits
- `held`: printed coefficients held against points: squared errors, rounding, exchanged arguments
- `judging`: what is said of them, and from which thresholds
"""

from genret_core.scaling.published.held import Held, hold
from genret_core.scaling.published.printed import PublishedLaw, find, laws
from genret_core.scaling.published.released import N_NEGATIVES, Released, behind, points

__all__ = ["N_NEGATIVES", "Held", "PublishedLaw", "Released", "behind", "find", "hold", "laws", "points"]
