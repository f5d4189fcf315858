"""Where a number came from: code, versions, machine."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "genret", "torch", "transformers", "tokenizers", "faiss-cpu", "numpy", "scipy", "pandas", "pyarrow",
    "rapidfuzz", "ir-measures", "lmfit", "papermill", "nbconvert", "plotly",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """Record commit, dirty flag, versions and hardware.

    Returns
    -------
    dict
        `commit`, `dirty` (None outside a git checkout), `python`, `os`, `cpu`, `cores`, `gpu`, `versions`
        (of `PACKAGES`, those installed) and `created` (UTC, ISO 8601).
    """
    return {**_machine(), "created": datetime.now(UTC).isoformat(timespec="seconds")}


@functools.cache
def _machine() -> dict[str, Any]:
    commit, dirty = _git()
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "os": platform.platform(terse=True),
        "cpu": _cpu(),
        "cores": available_cores(),
        "gpu": _gpu(),
        "versions": _versions(),
    }


def available_cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git() -> tuple[str | None, bool | None]:
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    torch = sys.modules.get("torch")  # never import it for this: notebooks that only fit stay light
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
