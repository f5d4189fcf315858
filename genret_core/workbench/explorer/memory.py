"""What was computed, kept while it may be asked again, and no longer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

HELD = 96  # weights together


class Memory:
    """Results by what they depend on; those that were not asked for longest are forgotten first.

    Parameters
    ----------
    held : int
        Weights that are kept together.
    """

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Any], weight: int = 1) -> Any:
        """Give what is kept under `key`, or compute it; what raises is not kept."""
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key][0]
        value = compute()
        self._found[key] = (value, weight)
        while len(self._found) > 1 and sum(weight for _, weight in self._found.values()) > self._held:
            self._found.popitem(last=False)
        return value

    def __contains__(self, key: Hashable) -> bool:
        return key in self._found

    def __len__(self) -> int:
        return len(self._found)
