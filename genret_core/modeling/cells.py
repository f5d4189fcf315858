"""One cell from start to end."""

from __future__ import annotations

from genret_core.modeling.spec import CellSpec, LossEval, SearchEval

__all__ = ["CellSpec", "LossEval", "SearchEval"]
