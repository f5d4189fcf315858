"""Where the seconds of a search go: the model's passes, look-ups in the index, and the rest.

Nothing in the search knows of it: the model is listened to, and the index is looked at through a twin that
notes how long each call takes.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Index = TypeVar("Index")


class SearchClock:
    """Seconds of the model and of the index.

    A pass within a pass counts once, and so does a call of the index within another. On a device the clock
    waits for a pass to end before it reads the time.

    Attributes
    ----------
    model, index : float
    """

    def __init__(self) -> None:
        self.model = 0.0
        self.index = 0.0
        self._within: dict[str, int] = {"model": 0, "index": 0}
        self._since: dict[str, float] = {"model": 0.0, "index": 0.0}

    @contextmanager
    def listening(self, model: Any) -> Iterator[None]:
        """Time the passes of a model, its encoder's alone among them, while the block runs."""
        wait = _wait_for(next(model.parameters()).device)

        def begin(*_: Any) -> None:
            wait()
            self._begin("model")

        def end(*_: Any) -> None:
            wait()
            self._end("model")

        parts = [model]
        if getattr(model.config, "is_encoder_decoder", False):
            parts.append(model.get_encoder())
        hooks = [part.register_forward_pre_hook(begin) for part in parts]
        hooks += [part.register_forward_hook(end) for part in parts]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def watching(self, index: Index) -> Index:
        """Give a twin of an index whose calls are timed; it shares the index's arrays."""
        kind = type(index)
        names = [name for name in dir(kind) if not name.startswith("_")]
        calls = {name: getattr(kind, name) for name in names if _is_method(kind, name)}
        twin = copy.copy(index)
        timed = type(f"Watched{kind.__name__}", (kind,), {n: self._timed(call) for n, call in calls.items()})
        object.__setattr__(twin, "__class__", timed)
        return twin

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*given: Any, **named: Any) -> Any:
            self._begin("index")
            try:
                return call(*given, **named)
            finally:
                self._end("index")

        return timed

    def _begin(self, what: str) -> None:
        self._within[what] += 1
        if self._within[what] == 1:
            self._since[what] = time.perf_counter()

    def _end(self, what: str) -> None:
        self._within[what] -= 1
        if self._within[what] == 0:
            setattr(self, what, getattr(self, what) + time.perf_counter() - self._since[what])


def _is_method(kind: type, name: str) -> bool:
    """Whether a name is a plain method, of the class or of one above it."""
    found = next(vars(one)[name] for one in kind.__mro__ if name in vars(one))
    return callable(found) and not isinstance(found, (staticmethod, classmethod, type))


def _wait_for(device: Any) -> Callable[[], None]:
    if device.type != "cuda":
        return lambda: None
    import torch

    return functools.partial(torch.cuda.synchronize, device)
