"""Where a number came from: code, versions, machine."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "genret", "torch", "transformers", "tokenizers", "faiss-cpu", "numpy", "scipy", "pandas", "pyarrow",
    "rapidfuzz", "ir-measures", "lmfit", "papermill", "nbconvert", "plotly", "peft", "accelerate", "parsl",
)  # fmt: skip
PACKAGE = Path(__file__).resolve().parent
SOURCES = (".py", ".j2", ".ipynb", ".yaml", ".css", ".js")  # what a number or a page may depend on
BESIDE = (
    "notebooks",
    "params",
    "pyproject.toml",
)  # of a checkout: what belongs to the code beside the package


def provenance() -> dict[str, Any]:
    """Record the code, versions and hardware.

    Returns
    -------
    dict
        `commit` (None where it is not known), `dirty` (whether the checkout holds more than that: changed
        files, or source files that git does not know; None without a checkout), `source` (hash of the
        package's own files, which tells one state of them from another in any case), `python`, `os`, `cpu`,
        `cores` (that may be used), `memory` (of the machine, GB), `gpu` and `cuda` (None without), `versions`
        (of `PACKAGES`, those installed) and `created` (UTC, ISO 8601).
    """
    return {**_fixed(), **_graphics(), "created": datetime.now(UTC).isoformat(timespec="seconds")}


@functools.cache
def _fixed() -> dict[str, Any]:
    commit, dirty = code_state(PACKAGE)
    return {
        "commit": commit,
        "dirty": dirty,
        "source": source_key(PACKAGE),
        "python": platform.python_version(),
        "os": platform.platform(terse=True),
        "cpu": _cpu(),
        "cores": available_cores(),
        "memory": _memory(),
        "versions": _versions(),
    }


def available_cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- the code ----


def code_state(package: Path) -> tuple[str | None, bool | None]:
    """Give the commit that a package's files are from, and whether there is more than that.

    A package that was installed into a folder of someone else's checkout is not of that checkout: what counts
    is whether git knows the package's own files. Failing that, what pip noted of a commit it installed.

    Parameters
    ----------
    package : Path
        Folder of the package.
    """

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=package, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        commit = git("rev-parse", "HEAD").strip()
        changed = git("status", "--porcelain", "--untracked-files=no")
        beside = [str(package.parent / name) for name in BESIDE if (package.parent / name).exists()]
        new = git("ls-files", "--others", "--exclude-standard", "-z", "--", ".", *beside).split("\0")
    except (OSError, subprocess.SubprocessError):
        return _installed_commit(), None
    return commit, bool(changed.strip()) or any(name.endswith(SOURCES) for name in new)


def source_key(package: Path) -> str:
    """Hash a package's own source files: names and content."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in SOURCES and path.is_file():
            found.update(path.relative_to(package).as_posix().encode() + b"\0")
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _installed_commit() -> str | None:
    """Give the commit that pip installed, where it installed one (`pip install git+…`)."""
    try:
        note = json.loads(metadata.distribution("genret").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    commit = note.get("vcs_info", {}).get("commit_id")
    return str(commit) if commit else None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# ---- the machine ----


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    """Give the memory of the machine in GB; None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _graphics() -> dict[str, str | None]:
    """Name the GPU and CUDA; torch is asked if it is there, and never imported for this."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda"):
        name = _driver_gpu()
        return {"gpu": name, "cuda": _cuda_of_torch() if name else None}
    if not torch.cuda.is_available():
        return {"gpu": None, "cuda": None}
    names = [str(torch.cuda.get_device_name())] * torch.cuda.device_count()
    return {"gpu": _counted(names), "cuda": str(torch.version.cuda or torch.version.hip)}


@functools.cache
def _driver_gpu() -> str | None:
    """Ask the driver: a process without torch may start others that compute on the GPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return None
    asked = shutil.which("nvidia-smi")
    if asked is None:
        return None
    try:
        words = [asked, "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return _counted(names) if names else None


def _counted(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"


@functools.cache
def _cuda_of_torch() -> str | None:
    """Read the version of CUDA that the installed torch was made for, without importing it."""
    found = importlib.util.find_spec("torch")
    version = Path(found.origin).with_name("version.py") if found and found.origin else None
    if version is None or not version.is_file():
        return None
    told = re.search(r"^cuda\b[^=]*= *'([\d.]+)'", version.read_text(encoding="utf-8"), re.M)
    return told[1] if told else None
