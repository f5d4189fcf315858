"""The device that a study is planned for: how fast it computes and how much it holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from genret_core.errors import BadInput
from genret_core.workbench.documents import nearest

SHARE = 0.3
"""Of the peak that training reaches where nothing else is said; small models reach less."""

# Dense bf16 products per second and memory (GB), from the makers' data sheets.
KNOWN = {
    "a100": (312e12, 80.0),
    "a100-40": (312e12, 40.0),
    "h100": (989e12, 80.0),
    "h200": (989e12, 141.0),
    "b200": (2250e12, 180.0),
    "l40s": (362e12, 48.0),
    "rtx4090": (165e12, 24.0),
    "mi300x": (1307e12, 192.0),
}


@dataclass(frozen=True)
class Device:
    """A device.

    Attributes
    ----------
    rate : float or None
        Floating-point operations a second that cells sustain; None: this machine's cores, by what small cells
        took on one (`cost`).
    memory : float or None
        Bytes; None if not known.
    accelerator : bool
        Whether it is a GPU.
    told : str
        What was assumed, for people.
    """

    rate: float | None
    memory: float | None
    accelerator: bool
    told: str


def device_of(flops_rate: str | None = None, memory: float | None = None) -> Device:
    """Settle the device.

    Parameters
    ----------
    flops_rate : str, optional
        `400e12`, or a known device (`h200`: `SHARE` of its peak; `h200:0.15`: that share).
    memory : float, optional
        GB of it; by default the known device's, else what this machine has.

    Raises
    ------
    BadInput
        The rate is neither a number above 0 nor a known device with a share of at most 1.
    """
    if memory is not None and memory <= 0:
        raise BadInput(f"--memory is {memory:g}; give the device's memory in GB, such as 80.")
    if flops_rate is None:
        found, gpu = _own_memory()
        held = memory * 1e9 if memory is not None else found
        of = "a GPU" if gpu or memory is not None else "this machine"
        told = "time: by what small cells took on one core (--flops-rate 400e12 or h200:0.3 for a GPU)"
        return Device(None, held, gpu or memory is not None, f"{told}; memory: {_gb(held)} of {of}")
    rate, known, told = _rate(flops_rate)
    held = memory * 1e9 if memory is not None else known
    return Device(rate, held, True, f"time: {told}, unmeasured; memory: {_gb(held)}")


def _rate(text: str) -> tuple[float, float | None, str]:
    name, _, share = text.partition(":")
    if name.lower() in KNOWN:
        peak, memory = KNOWN[name.lower()]
        part = _number(share) if share else SHARE
        if part is None or not 0 < part <= 1:
            raise BadInput(f"--flops-rate is {text!r}; the share of the peak lies above 0 and at most at 1.")
        told = f"{part:.0%} of the {peak / 1e12:g} TFLOP/s of a {name.lower()}"
        return peak * part, memory * 1e9, told
    rate = _number(text)
    if rate is None or not rate > 0:
        hint = nearest(name, KNOWN)
        raise BadInput(f"--flops-rate is {text!r}; give FLOP/s such as 400e12, or a known device{hint}")
    found, gpu = _own_memory()
    return rate, found if gpu else None, f"{rate / 1e12:g} TFLOP/s"


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) else None


def _own_memory() -> tuple[float | None, bool]:
    """Give the bytes of this machine's first GPU, or of its own memory, and whether it is the GPU's.

    The driver is asked, so that torch need not be imported. `GENRET_DEVICE=cpu` means the machine's own.
    """
    on_processor = os.environ.get("GENRET_DEVICE", "").startswith("cpu")
    if shutil.which("nvidia-smi") and not on_processor:
        asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
            return float(said.split()[0]) * 2**20, True
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            pass  # a driver without a device
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")), False
    return None, False


def _gb(size: float | None) -> str:
    return "not known (--memory 80)" if size is None else f"{size / 1e9:.0f} GB"
