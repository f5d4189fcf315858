"""How sure a fit is: intervals of its parameters and bands of its curve.

- `interval`: an interval with open ends, and what every source of intervals can tell
- `bootstrap`: resamples of the points
- `draws`: percentiles of refitted replicates or resamples
- `from_noise`: what the next two share: an optimum, a noise, and the misfit that they allow
- `region`: all parameters of a one-exponent law that fit well enough, in closed form
- `profile`: profiles of a law with several nonlinear unknowns
- `maps`: the profile along one number, and the map over exponent and floor
- `linear`: the law about its optimum as a plane: standard errors, leverage, a local band
"""

from genret_core.scaling.intervals.interval import (
    AMPLITUDE,
    ROUNDING,
    Interval,
    Noise,
    NoSpread,
    Spread,
    from_ends,
)

__all__ = ["AMPLITUDE", "ROUNDING", "Interval", "NoSpread", "Noise", "Spread", "from_ends"]
