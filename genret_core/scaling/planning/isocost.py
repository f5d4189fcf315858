"""What a run costs, and the line of all model sizes and amounts of data that cost the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genret_core.errors import BadInput
from genret_core.scaling.laws.law import Array

PER_PARAMETER_AND_TOKEN = 6.0  # FLOPs of a forward and a backward pass (Kaplan et al., 2020)
LARGEST = 1e40  # parameters, or pairs: more than any budget buys
HALVINGS = 100

Spending = Callable[[float, float], float]  # (P, D) to what training costs
PerQuery = Callable[[float], float]  # P to the inference FLOPs of one query


@dataclass(frozen=True)
class Cost:
    """What a model costs to train and to serve; grows with P and with D.

    Attributes
    ----------
    training : callable or None
        `training(P, D)`; None: 6 P D t, with D in query-identifier pairs and t tokens in each.
    tokens_per_pair : float
        t of the default.
    n_queries : float
        Queries to be served.
    per_query : callable or None
        Inference FLOPs of one query by a model of size P.
    """

    training: Spending | None = None
    tokens_per_pair: float = 1.0
    n_queries: float = 0.0
    per_query: PerQuery | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tokens_per_pair) and self.tokens_per_pair > 0):
            raise BadInput(f"tokens_per_pair is {self.tokens_per_pair}, but it must be positive.")
        if not (np.isfinite(self.n_queries) and self.n_queries >= 0):
            raise BadInput(f"The number of queries to serve is {self.n_queries}, but it cannot be negative.")

    def serving(self, P: Array) -> Array:
        """Give what inference costs."""
        if self.per_query is None:
            return np.zeros(np.shape(P))
        return self.n_queries * _numbers(np.vectorize(self.per_query, otypes=[float])(P))

    def __call__(self, P: Array, D: Array) -> Array:
        """Give what training and inference cost together."""
        if self.training is None:
            return PER_PARAMETER_AND_TOKEN * self.tokens_per_pair * P * D + self.serving(P)
        return _numbers(np.vectorize(self.training, otypes=[float])(P, D)) + self.serving(P)

    def pairs(self, P: npt.ArrayLike, budget: float) -> Array:
        """Give how many pairs a budget leaves for models of size P; NaN where it leaves none."""
        P = np.asarray(P, dtype=np.float64)
        left = budget - self.serving(P)
        if self.training is None:
            D = left / (PER_PARAMETER_AND_TOKEN * self.tokens_per_pair * P)
            return np.asarray(np.where(D > 0, D, np.nan))
        of_one = np.vectorize(self.training, otypes=[float])
        low, high = np.zeros(P.shape), np.full(P.shape, np.log(LARGEST))
        if (of_one(P, np.exp(high)) < left).any():
            raise BadInput("The cost does not grow with D, so that a budget sets no limit to it.")
        affordable = of_one(P, np.exp(low)) <= left
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            dear = of_one(P, np.exp(middle)) > left
            low, high = np.where(dear, low, middle), np.where(dear, middle, high)
        return np.where(affordable, np.exp(low), np.nan)

    def largest(self, budget: float) -> float:
        """Give the size of the model that a budget trains on a single pair.

        Raises
        ------
        BadInput
            If it does not buy one parameter and one pair, or if the cost does not grow with P.
        """
        one = np.ones(())
        if not np.isfinite(budget) or float(self(one, one)) >= budget:
            raise BadInput(f"A budget of {budget:g} does not pay for one parameter and one pair; raise it.")
        low, high = 0.0, float(np.log(LARGEST))
        if float(self(np.exp(np.array(high)), one)) < budget:
            raise BadInput("The cost does not grow with P, so that a budget sets no limit to it.")
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            dear = float(self(np.exp(np.array(middle)), one)) > budget
            low, high = (low, middle) if dear else (middle, high)
        return float(np.exp(low))


def _numbers(cost: Array) -> Array:
    if np.isnan(cost).any():
        raise BadInput(
            "The cost is no number (NaN) for some P and D; give a function that is defined everywhere."
        )
    return cost
