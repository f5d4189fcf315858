"""A kernel's stdout and stderr, up to a limit.

The limit holds in the kernel, so that the rest is never sent, kept or drawn. Importing this module imports
ipykernel: it is named to a kernel when that starts.
"""

from __future__ import annotations

from typing import Any

from ipykernel.iostream import OutStream

from genret_core.workbench.notebook.limits import ENOUGH, ROOM


class LimitedStream(OutStream):  # type: ignore[misc, unused-ignore]
    """A kernel's stdout or stderr that keeps the first `ROOM` characters of each cell, and says so."""

    _cell: Any = None
    _room = ROOM

    def write(self, string: str) -> int:
        """Pass on what there is room for."""
        cell = self.parent_header.get("msg_id")
        if cell != self._cell:
            self._cell, self._room = cell, ROOM
        if not isinstance(string, str) or len(string) <= self._room:
            self._room -= len(string)
            return super().write(string) or len(string)
        if self._room >= 0:
            super().write(string[: self._room] + ENOUGH)
            self._room = -1
        return len(string)
