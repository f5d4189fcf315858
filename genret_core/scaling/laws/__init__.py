"""The laws: pure functions of the paper's symbols, each with a declaration that the solver and a reader use.

- `law`: what the solver and the reader need to know about a law, and the register of laws
- `bases`: bases of the laws on centred log arguments
- `paper`: the laws of the paper and their rivals
"""

from genret_core.scaling.laws.law import EXPONENT, Law, Nonlinear, Parameter, get_law, law_names, register
from genret_core.scaling.laws.paper import (
    CONSTANT,
    DATA_SIZE,
    INFERENCE,
    JOINT,
    LOG_LINEAR,
    MODEL_SIZE,
    POWER,
    constant,
    data_size,
    inference,
    joint,
    log_linear,
    model_size,
    power,
)

__all__ = [
    "CONSTANT",
    "DATA_SIZE",
    "EXPONENT",
    "INFERENCE",
    "JOINT",
    "LOG_LINEAR",
    "MODEL_SIZE",
    "POWER",
    "Law",
    "Nonlinear",
    "Parameter",
    "constant",
    "data_size",
    "get_law",
    "inference",
    "joint",
    "law_names",
    "log_linear",
    "model_size",
    "power",
    "register",
]
