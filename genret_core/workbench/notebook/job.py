"""What is asked of a notebook's run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """A notebook to run.

    Attributes
    ----------
    notebook : Path
        The notebook; it is never written to.
    params : mapping
        Values for its parameters.
    out : Path
        The run's folder.
    cwd : Path, optional
        The kernel's folder; the project root by default.
    timeout : float, optional
        Seconds for all cells together.
    on_progress : callable, optional
        Called with (code cells done, code cells in all) after each; from several threads if several run.
    inputs : mapping
        Keys of what the notebook reads, for its record.
    parents : sequence of str
        The runs whose results it reads (`cells/<key>`), for its record.
    note : str, optional
        A sentence shown on top of the report (of a preset for looking around, say).
    shared_js : Path, optional
        The `plotly.min.js` that many reports share; without it each report holds its own.
    env : mapping
        Environment variables for the kernel.
    """

    notebook: Path
    params: Mapping[str, Any]
    out: Path
    cwd: Path | None = None
    timeout: float | None = None
    on_progress: Callable[[int, int], None] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parents: Sequence[str] = ()
    note: str | None = None
    shared_js: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
