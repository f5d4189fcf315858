"""Other solvers on the points of a fit, for its certificate.

- `unknowns`: all unknowns of a law at once, and the residuals of its points
- `search`: another global search
- `single_precision`: what common practice would find, in float32 and in float64
"""

from genret_core.scaling.second_opinion.search import SecondOpinion, second_solver
from genret_core.scaling.second_opinion.single_precision import Restarts, StallCheck, float32_check

__all__ = ["Restarts", "SecondOpinion", "StallCheck", "float32_check", "second_solver"]
