"""The laws: pure functions of the paper's symbols, each with a declaration that the solver and a reader use.

- `law`: what the solver and the reader need to know about a law, and the register of laws
- `roles`: parameters by the part that they play
- `bases`, `assembly`: what the solver sees, and the way back to the parameters
- `paper`: the paper's laws of one argument; `two_arguments`: Eq. 8 and the surface; `rivals`
- `own`: a user's law in a few lines
"""

from genret_core.scaling.laws.law import (
    EXPONENT,
    Law,
    Nonlinear,
    Parameter,
    Role,
    get_law,
    law_names,
    register,
)
from genret_core.scaling.laws.own import is_own, own_law
from genret_core.scaling.laws.paper import (
    DATA_SIZE,
    INFERENCE,
    MODEL_SIZE,
    data_size,
    inference,
    model_size,
    power,
)
from genret_core.scaling.laws.two_arguments import (
    JOINT,
    JOINT_EXCHANGED,
    SURFACE,
    joint,
    joint_exchanged,
    surface,
)

from genret_core.scaling.laws.rivals import (  # isort: skip  the register keeps this order
    BROKEN,
    CONSTANT,
    EXPONENTIAL,
    LOG_LINEAR,
    POWER,
    broken,
    constant,
    exponential,
    log_linear,
)

__all__ = [
    "BROKEN",
    "CONSTANT",
    "DATA_SIZE",
    "EXPONENT",
    "EXPONENTIAL",
    "INFERENCE",
    "JOINT",
    "JOINT_EXCHANGED",
    "LOG_LINEAR",
    "MODEL_SIZE",
    "POWER",
    "SURFACE",
    "Law",
    "Nonlinear",
    "Parameter",
    "Role",
    "broken",
    "constant",
    "data_size",
    "exponential",
    "get_law",
    "inference",
    "is_own",
    "joint",
    "joint_exchanged",
    "law_names",
    "log_linear",
    "model_size",
    "own_law",
    "power",
    "register",
    "surface",
]
