"""Scaling laws: arrays in; fits, intervals and verdicts out.

>>> from genret_core.scaling import fit
>>> print(fit("model_size", P, CGL))  # doctest: +SKIP
"""

from genret_core.scaling import laws, measured, published
from genret_core.scaling.beyond.crossing import crossing
from genret_core.scaling.beyond.extrapolation import predict, rivals
from genret_core.scaling.comparison.compare import compare
from genret_core.scaling.correlation import Correlation, correlation
from genret_core.scaling.fitting import fit
from genret_core.scaling.influence.rows import influence
from genret_core.scaling.intervals import Interval
from genret_core.scaling.laws.law import Law, Nonlinear, Parameter, get_law, law_names, register
from genret_core.scaling.laws.own import own_law
from genret_core.scaling.planning import allocate, next_run, reach
from genret_core.scaling.results import Fit
from genret_core.scaling.verdicts import Verdict

__all__ = [
    "Correlation",
    "Fit",
    "Interval",
    "Law",
    "Nonlinear",
    "Parameter",
    "Verdict",
    "allocate",
    "compare",
    "correlation",
    "crossing",
    "fit",
    "get_law",
    "influence",
    "law_names",
    "laws",
    "measured",
    "next_run",
    "own_law",
    "predict",
    "published",
    "reach",
    "register",
    "rivals",
]
