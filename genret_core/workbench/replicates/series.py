"""Measurements along one axis with joint replicates, and arithmetic on all replicates at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Series:
    """Measurements along one axis, with their joint replicates.

    Attributes
    ----------
    x : float array [n]
        Sizes, pairs or FLOPs; positive. Several points may share an x (seeds).
    y : float array [n]
        The measured values.
    draws : float array [n, m]
        Replicates; column j of every series is the same resampling of the queries.
    """

    x: np.ndarray
    y: np.ndarray
    draws: np.ndarray

    def columns(self) -> np.ndarray:
        """Put the measured values in front of the replicates: [n, 1 + m]."""
        return np.column_stack([self.y, self.draws])


def slope(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Fit a straight line on ln x to every column and give its slope.

    Parameters
    ----------
    x : float array [n]
    columns : float array [n, m]

    Returns
    -------
    float array [m]
        Change of y per unit of ln x.
    """
    u = np.log(np.asarray(x, dtype=float))
    u = u - u.mean()
    return (u @ (columns - columns[0])) / (
        u @ u
    )  # from the first row: a constant has slope 0, not a rounding


def interpolate(x: np.ndarray, columns: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate every column on ln x; points that share an x are averaged first.

    Returns
    -------
    float array [places, m]
    """
    distinct, which = np.unique(x, return_inverse=True)
    mean = np.zeros((len(distinct), columns.shape[1]))
    np.add.at(mean, which, columns)
    mean /= np.bincount(which)[:, None]
    u, at = np.log(distinct), np.log(places)
    right = np.clip(np.searchsorted(u, at), 1, max(len(u) - 1, 1))
    if len(u) == 1:
        return np.repeat(mean, len(places), axis=0)
    weight = ((at - u[right - 1]) / (u[right] - u[right - 1]))[:, None]
    return mean[right - 1] * (1 - weight) + mean[right] * weight


def common_places(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Give the x of either series inside the range that both cover, sorted."""
    low, high = max(np.min(a), np.min(b)), min(np.max(a), np.max(b))
    every = np.unique(np.concatenate([a, b]))
    return every[(every >= low) & (every <= high)]


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate column by column: [cells, m] and [cells, m] give [m]; NaN where a column is constant."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=0) / spread
