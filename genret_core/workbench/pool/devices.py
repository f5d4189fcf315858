"""GPUs, shared out among workers: a job sees its own and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
CHOSEN = "GENRET_DEVICE"  # devices that the user named: they stand as they are
OTHERS = ("ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")  # what engines may have set besides


def visible_devices(environment: Mapping[str, str] | None = None) -> list[str]:
    """List the GPUs that this process may use, by what `CUDA_VISIBLE_DEVICES` or the driver calls them.

    The driver is asked by its own command, so that torch need not be imported.
    """
    environment = os.environ if environment is None else environment
    if VISIBLE in environment:
        named = [name.strip() for name in environment[VISIBLE].split(",")]
        return named[: named.index("-1")] if "-1" in named else [name for name in named if name]
    if not shutil.which("nvidia-smi"):
        return []
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []  # a driver without a device
    return [str(i) for i, _ in enumerate(line for line in said.stdout.splitlines() if line.startswith("GPU"))]


def pinned(slot: int, devices: Sequence[str], wanted: int | None = 1) -> dict[str, str | None]:
    """Give the environment that shows a job its GPUs.

    Parameters
    ----------
    slot : int
        Which of the workers does the job, counted from 0: with one GPU each, worker i has device i mod n.
    devices : sequence of str
        The GPUs that the workers share.
    wanted : int or None
        GPUs that the job uses at a time; None: all.

    Returns
    -------
    dict
        Environment variables; None: to be taken away. Empty where there is nothing to share out, or where
        the user named devices in `GENRET_DEVICE`.
    """
    if not devices or os.environ.get(CHOSEN):
        return {}
    wanted = len(devices) if wanted is None else min(wanted, len(devices))
    mine = [devices[(slot * wanted + i) % len(devices)] for i in range(wanted)]
    return {VISIBLE: ",".join(mine), **dict.fromkeys(OTHERS)}
