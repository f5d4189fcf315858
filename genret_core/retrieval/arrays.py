"""The few array operations that the index needs, on numpy arrays and on torch tensors alike.

`PrefixIndex` and `top_valid` are written once, against these names; with tensors they run where the tensors
are, on a GPU for instance. This module never imports torch: whoever has a tensor has imported it.
"""

from __future__ import annotations

import abc
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # a numpy array or a torch tensor
_UNSIGNED = {16: 0xFFFF, 32: 0xFFFF_FFFF}


class Arrays(abc.ABC):
    """One kind of array. Numbers are int64 and float64, unless they are stored more tightly."""

    @abc.abstractmethod
    def ints(self, values: Any) -> Array:
        """Give values as int64."""

    @abc.abstractmethod
    def floats(self, values: Any) -> Array:
        """Give values as float64."""

    @abc.abstractmethod
    def given(self, values: Any) -> Array:
        """Give values as they are, as this kind of array."""

    @abc.abstractmethod
    def numpy(self, values: Array) -> np.ndarray:
        """Give values as a numpy array."""

    @abc.abstractmethod
    def full(self, n: int, value: bool | int | float) -> Array:
        """Give `n` times a value."""

    @abc.abstractmethod
    def arange(self, start: int, stop: int) -> Array:
        """Count from `start` up to `stop` - 1."""

    @abc.abstractmethod
    def gather(self, stored: Array, rows: Array) -> Array:
        """Read a stored column at some rows; rows out of range are moved into it."""

    @abc.abstractmethod
    def concatenate(self, parts: Sequence[Array]) -> Array:
        """Put arrays end to end."""

    @abc.abstractmethod
    def where(self, condition: Array, yes: Array, no: Array) -> Array:
        """Choose between two arrays."""

    @abc.abstractmethod
    def maximum(self, left: Array, right: Array) -> Array:
        """Give the larger of two arrays, place by place."""

    @abc.abstractmethod
    def nonzero(self, mask: Array) -> tuple[Array, ...]:
        """Give the places where a mask holds, one array per dimension."""

    @abc.abstractmethod
    def repeat(self, values: Array, times: Array | int) -> Array:
        """Give each value several times in a row."""

    @abc.abstractmethod
    def cumsum(self, values: Array) -> Array:
        """Add up from the first to each value."""

    @abc.abstractmethod
    def sort(self, values: Array) -> Array:
        """Give values in rising order."""

    @abc.abstractmethod
    def argsort(self, values: Array, *, stable: bool = False) -> Array:
        """Give the order that sorts; equal values keep theirs if it is `stable`."""

    @abc.abstractmethod
    def lexsort(self, keys: Sequence[Array]) -> Array:
        """Give the order that sorts by the last key, then the one before it and so on."""

    @abc.abstractmethod
    def searchsorted(self, values: Array, wanted: Array, *, right: bool = False) -> Array:
        """Say where `wanted` would go into rising `values`; behind equal ones if `right`."""

    @abc.abstractmethod
    def counts(self, group: Array, n: int, weights: Array | None = None) -> Array:
        """Count the members of each of `n` groups, or add up their weights."""

    @abc.abstractmethod
    def largest(self, values: Array, axis: int) -> Array:
        """Give the largest values along an axis."""

    @abc.abstractmethod
    def kth_largest(self, values: Array, group: Array, k: int, n_groups: int) -> Array:
        """Give the k-th largest value of each group (ascending), -inf where there are fewer."""

    def flatnonzero(self, mask: Array) -> Array:
        """Give the places where a mask of one dimension holds."""
        return self.nonzero(mask)[0]

    def changes(self, *columns: Array) -> Array:
        """Mark the rows that differ from the row before them in any column; the first one does."""
        new = self.full(len(columns[0]), True)
        for i, column in enumerate(columns):
            differs = column[1:] != column[:-1]
            new[1:] = differs if i == 0 else new[1:] | differs
        return new

    def distinct(self, values: Array) -> tuple[Array, Array, Array]:
        """Give the distinct values in rising order, where each stands first, and which one each value is."""
        order = self.argsort(values, stable=True)
        new = self.changes(values[order])
        which = self.full(len(values), 0)
        which[order] = self.cumsum(self.ints(new)) - 1
        first = order[new]
        return values[first], first, which


class NumpyArrays(Arrays):
    """Numpy arrays."""

    def ints(self, values: Any) -> Array:
        """Give values as int64."""
        return np.asarray(values, np.int64)

    def floats(self, values: Any) -> Array:
        """Give values as float64."""
        return np.asarray(values, np.float64)

    def given(self, values: Any) -> Array:
        """Give values as they are, as a numpy array."""
        return np.asarray(values)

    def numpy(self, values: Array) -> np.ndarray:
        """Give values as they are."""
        return np.asarray(values)

    def full(self, n: int, value: bool | int | float) -> Array:
        """Give `n` times a value."""
        return np.full(n, value)

    def arange(self, start: int, stop: int) -> Array:
        """Count from `start` up to `stop` - 1."""
        return np.arange(start, stop)

    def gather(self, stored: Array, rows: Array) -> Array:
        """Read a stored column at some rows; rows out of range are moved into it."""
        return stored.take(rows, mode="clip")

    def concatenate(self, parts: Sequence[Array]) -> Array:
        """Put arrays end to end."""
        return np.concatenate(parts)

    def where(self, condition: Array, yes: Array, no: Array) -> Array:
        """Choose between two arrays."""
        return np.where(condition, yes, no)

    def maximum(self, left: Array, right: Array) -> Array:
        """Give the larger of two arrays, place by place."""
        return np.maximum(left, right)

    def nonzero(self, mask: Array) -> tuple[Array, ...]:
        """Give the places where a mask holds, one array per dimension."""
        return np.nonzero(mask)

    def repeat(self, values: Array, times: Array | int) -> Array:
        """Give each value several times in a row."""
        return np.repeat(values, times)

    def cumsum(self, values: Array) -> Array:
        """Add up from the first to each value."""
        return np.cumsum(values)

    def sort(self, values: Array) -> Array:
        """Give values in rising order."""
        return np.sort(values)

    def argsort(self, values: Array, *, stable: bool = False) -> Array:
        """Give the order that sorts; equal values keep theirs if it is `stable`."""
        return np.argsort(values, kind="stable" if stable else None)

    def lexsort(self, keys: Sequence[Array]) -> Array:
        """Give the order that sorts by the last key, then the one before it and so on."""
        return np.lexsort(tuple(keys))

    def searchsorted(self, values: Array, wanted: Array, *, right: bool = False) -> Array:
        """Say where `wanted` would go into rising `values`; behind equal ones if `right`."""
        return np.searchsorted(values, wanted, side="right" if right else "left")

    def distinct(self, values: Array) -> tuple[Array, Array, Array]:
        """Give the distinct values in rising order, where each stands first, and which one each value is."""
        return np.unique(values, return_index=True, return_inverse=True)

    def counts(self, group: Array, n: int, weights: Array | None = None) -> Array:
        """Count the members of each of `n` groups, or add up their weights."""
        return np.bincount(group, weights=weights, minlength=n)

    def largest(self, values: Array, axis: int) -> Array:
        """Give the largest values along an axis."""
        return values.max(axis=axis)

    def kth_largest(self, values: Array, group: Array, k: int, n_groups: int) -> Array:
        """Give the k-th largest value of each group (ascending), -inf where there are fewer."""
        sizes = np.bincount(group, minlength=n_groups)
        kth = np.full(n_groups, -np.inf)
        ends = np.cumsum(sizes)
        for g in np.flatnonzero(sizes >= k):
            part = values[ends[g] - sizes[g] : ends[g]]
            kth[g] = np.partition(part, len(part) - k)[len(part) - k]
        return kth


class TorchArrays(Arrays):
    """Torch tensors on one device.

    Torch reckons with signed numbers only, so columns of 16 and 32 bits are stored as the signed type of the
    same size and read back without their sign: a token index takes the same 6 bytes a token as on disk.
    """

    def __init__(self, torch: Any, device: Any) -> None:
        self.torch = torch
        self.device = torch.device(device)

    def stored(self, column: np.ndarray) -> Array:
        """Copy a column of the index to the device."""
        signed = {"uint16": np.int16, "uint32": np.int32, "uint64": np.int64}.get(column.dtype.name)
        values = np.array(column if signed is None else column.view(signed))
        return self.torch.from_numpy(values).to(self.device)

    def ints(self, values: Any) -> Array:
        """Give values as int64."""
        return self.given(values).to(self.torch.int64)

    def floats(self, values: Any) -> Array:
        """Give values as float64."""
        return self.given(values).to(self.torch.float64)

    def given(self, values: Any) -> Array:
        """Give values as they are, as a tensor on the device."""
        if not isinstance(values, self.torch.Tensor):
            values = self.torch.from_numpy(np.ascontiguousarray(values))
        return values.to(self.device)

    def numpy(self, values: Array) -> np.ndarray:
        """Give values as a numpy array."""
        return values.cpu().numpy()

    def full(self, n: int, value: bool | int | float) -> Array:
        """Give `n` times a value."""
        kind = {bool: self.torch.bool, int: self.torch.int64}.get(type(value), self.torch.float64)
        return self.torch.full((n,), value, dtype=kind, device=self.device)

    def arange(self, start: int, stop: int) -> Array:
        """Count from `start` up to `stop` - 1."""
        return self.torch.arange(start, stop, device=self.device)

    def gather(self, stored: Array, rows: Array) -> Array:
        """Read a stored column at some rows; rows out of range are moved into it."""
        read = stored[rows.clamp(0, len(stored) - 1)].to(self.torch.int64)
        mask = _UNSIGNED.get(8 * stored.element_size())
        return read if mask is None else read & mask

    def concatenate(self, parts: Sequence[Array]) -> Array:
        """Put tensors end to end."""
        return self.torch.cat(list(parts))

    def where(self, condition: Array, yes: Array, no: Array) -> Array:
        """Choose between two tensors."""
        return self.torch.where(condition, yes, no)

    def maximum(self, left: Array, right: Array) -> Array:
        """Give the larger of two tensors, place by place."""
        return self.torch.maximum(left, right)

    def nonzero(self, mask: Array) -> tuple[Array, ...]:
        """Give the places where a mask holds, one tensor per dimension."""
        return tuple(self.torch.nonzero(mask, as_tuple=True))

    def repeat(self, values: Array, times: Array | int) -> Array:
        """Give each value several times in a row."""
        return self.torch.repeat_interleave(values, times)

    def cumsum(self, values: Array) -> Array:
        """Add up from the first to each value."""
        return self.torch.cumsum(values, 0)

    def sort(self, values: Array) -> Array:
        """Give values in rising order."""
        return self.torch.sort(values).values

    def argsort(self, values: Array, *, stable: bool = False) -> Array:
        """Give the order that sorts; equal values keep theirs if it is `stable`."""
        return self.torch.argsort(values, stable=stable)

    def lexsort(self, keys: Sequence[Array]) -> Array:
        """Give the order that sorts by the last key, then the one before it and so on."""
        order = self.arange(0, len(keys[0]))
        for key in keys:
            order = order[self.argsort(key[order], stable=True)]
        return order

    def searchsorted(self, values: Array, wanted: Array, *, right: bool = False) -> Array:
        """Say where `wanted` would go into rising `values`; behind equal ones if `right`."""
        return self.torch.searchsorted(values, wanted.contiguous(), right=right)

    def counts(self, group: Array, n: int, weights: Array | None = None) -> Array:
        """Count the members of each of `n` groups, or add up their weights."""
        return self.torch.bincount(group, weights=weights, minlength=n)

    def largest(self, values: Array, axis: int) -> Array:
        """Give the largest values along an axis."""
        return values.amax(dim=axis)

    def kth_largest(self, values: Array, group: Array, k: int, n_groups: int) -> Array:
        """Give the k-th largest value of each group (ascending), -inf where there are fewer."""
        kth = self.full(n_groups, -float("inf"))
        ordered = values[self.lexsort((-values, group))]
        sizes = self.counts(group, n_groups)
        enough = self.flatnonzero(sizes >= k)
        kth[enough] = ordered[(self.cumsum(sizes) - sizes)[enough] + k - 1]
        return kth


NUMPY = NumpyArrays()


def arrays_of(values: Any) -> Arrays:
    """Tell which kind some values are; what is no tensor counts as numpy's."""
    if type(values).__module__.partition(".")[0] == "torch":
        return TorchArrays(sys.modules["torch"], values.device)
    return NUMPY
