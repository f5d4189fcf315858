"""Arrays on disk that grow while they are written."""

from __future__ import annotations

import os
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

NO_ARRAY = (SyntaxError, TokenError)
"""What numpy raises for a damaged header, beside OSError, ValueError, TypeError and EOFError."""


class NpyStream:
    """A one-dimensional ``.npy`` file written piece by piece, in a ``with`` block.

    The header is written first for zero rows and again at the end with the true number; numpy leaves room in
    it for any length.
    """

    def __init__(self, path: str | os.PathLike[str], dtype: DTypeLike) -> None:
        self.path = Path(path)
        self.dtype = np.dtype(dtype)
        self.n = 0

    def __enter__(self) -> NpyStream:
        self._file: BinaryIO = self.path.open("wb")
        self._header()
        return self

    def append(self, values: np.ndarray) -> None:
        """Write `values` behind what is there."""
        self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self.n += len(values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:  # closed even if the disk is full
            self._file.seek(0)
            self._header()

    def _header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self.dtype)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": descr, "fortran_order": False, "shape": (self.n,)}
        )
