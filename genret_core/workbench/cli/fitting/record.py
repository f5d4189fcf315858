"""Where a fit of the command line came from: file, rows, versions, command."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import typer

from genret_core.workbench.cli.fitting.command import words_of
from genret_core.workbench.cli.fitting.points import Chosen


def provenance(ctx: typer.Context, chosen: Chosen) -> dict[str, Any]:
    """Say what a fit was made of.

    Returns
    -------
    dict
        `command`, `file`, `sha256`, `columns`, `where`, `rows` (those used, from 1 below the header),
        `genret`, `python`, `versions`, `created` (UTC).
    """
    return {
        "command": words_of(ctx),
        "file": chosen.table.source,
        "sha256": chosen.table.sha256,
        "columns": dict(chosen.names),
        "where": list(chosen.options.where or []),
        "rows": list(chosen.used),
        "genret": metadata.version("genret"),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("numpy", "scipy")},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
