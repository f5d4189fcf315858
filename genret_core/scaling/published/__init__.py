"""The published study in numbers.

- `printed`: its released points, and its laws as printed
"""

from genret_core.scaling.published.printed import N_NEGATIVES, PublishedLaw, laws, points

__all__ = ["N_NEGATIVES", "PublishedLaw", "laws", "points"]
