"""What of this machine the workbench depends on."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from genret_core.provenance import available_cores
from genret_core.workbench import project

NEEDED_DISK = 2.0  # GB: a demo study takes a tenth of it
NEEDED_MEMORY = 4.0  # GB: a worker of the demo takes 0.7
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        What was looked at.
    ok : bool
        Whether it is as it should be.
    told : str
        What was found, and what to do if it is not ok.
    needed : bool
        Whether anything depends on it; if not, some comfort does.
    """

    what: str
    ok: bool
    told: str
    needed: bool = True


def examine() -> list[Finding]:
    """Look at everything the workbench needs, and at what it can use."""
    looks: tuple[Callable[[], Finding], ...] = (
        _python, _torch, _device, _threads, _memory, _packages, _kernel, _project, _disk, _browser, _parsl,
    )  # fmt: skip
    return [look() for look in looks]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, platform.python_version() + ("" if ok else ": 3.11 or newer is needed"))


def _torch() -> Finding:
    try:
        import torch
        import transformers
    except ImportError as error:
        return Finding("torch", False, f"cannot be imported ({error}): `make install` brings it")
    return Finding("torch", True, f"torch {torch.__version__}, transformers {transformers.__version__}")


def _device() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("device", False, "no torch")
    import torch

    if torch.cuda.is_available():
        free, whole = torch.cuda.mem_get_info()
        return Finding(
            "device", True, f"{torch.cuda.get_device_name()}, {free / 1e9:.0f} of {whole / 1e9:.0f} GB free"
        )
    return Finding(
        "device", True, "no GPU: cells run on the processor, which is what demo and quick are made for"
    )


def _threads() -> Finding:
    cores = available_cores()
    return Finding(
        "workers", True, f"{cores} of {os.cpu_count()} cores: {cores} workers with one thread each"
    )


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", True, "not known on this system", needed=False)
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    ok = size >= NEEDED_MEMORY
    return Finding(
        "memory", ok, f"{size:.0f} GB" + ("" if ok else f": {NEEDED_MEMORY:g} GB are wanted"), needed=False
    )


def _packages() -> Finding:
    """Ask for every requirement of the package itself, extras aside."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("genret") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} (wanted {requirement.specifier})")
    if wrong:
        return Finding("packages", False, f"{', '.join(wrong)}: `make install` brings what is missing")
    return Finding("packages", True, "all there, in versions that fit")


def _kernel() -> Finding:
    """Look for the kernel that every notebook names."""
    from jupyter_client.kernelspec import KernelSpecManager

    found = KernelSpecManager().find_kernel_specs().get("python3")
    if found is None:
        return Finding(
            "kernel", False, "Jupyter knows no kernel python3: `python -m ipykernel install --sys-prefix`"
        )
    return Finding("kernel", True, "python3")


def _project() -> Finding:
    root = project.project_root()
    ok = (root / "notebooks").is_dir()
    return Finding(
        "project", ok, str(root) if ok else f"{root} has no notebooks: work in a checkout of genret"
    )


def _disk() -> Finding:
    folder = project.project_root()
    free = shutil.disk_usage(folder).free / 1e9
    ok = free >= NEEDED_DISK and os.access(folder, os.W_OK)
    why = "" if ok else f": {NEEDED_DISK:g} GB that can be written to are wanted"
    return Finding("disk", ok, f"{free:.1f} GB free in {folder}{why}")


def _browser() -> Finding:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        return Finding(
            "browser", False, "no Chromium: reports work, tests of them in a browser are skipped", False
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30)
    return Finding("browser", True, said.stdout.strip() or Path(path).name, False)


def _parsl() -> Finding:
    there = importlib.util.find_spec("parsl") is not None
    return Finding(
        "parsl", there, "there" if there else "not installed: only sweeps over a cluster need it", False
    )
