"""`sbatch`, `squeue` and `scancel` that run a batch job on this machine, in a process group of its own."""

from __future__ import annotations

import os
from pathlib import Path

SBATCH = """#!/bin/bash
# keeps what was asked for, runs the script with the output where it says, and gives its number
script="$1"
cp "$script" "{state}/$(basename "$script").sbatch"
out=$(sed -n 's/^#SBATCH --output=//p' "$script")
err=$(sed -n 's/^#SBATCH --error=//p' "$script")
CUDA_VISIBLE_DEVICES="{devices}" setsid bash "$script" > "$out" 2> "$err" < /dev/null &
echo "$!" > "{state}/$!.job"
echo "Submitted batch job $!"
"""

SQUEUE = """#!/bin/bash
# squeue --noheader --format='%i %t' --job '1,2'
for one in $(echo "${{@: -1}}" | tr ',' ' '); do
  kill -0 -- "-$one" 2> /dev/null && echo "$one R"
done
exit 0
"""

SCANCEL = """#!/bin/bash
for one in "$@"; do
  kill -- "-$one" 2> /dev/null
  touch "{state}/$one.cancelled"
done
exit 0
"""

SACCT = """#!/bin/bash
echo "Slurm accounting storage is disabled" >&2
exit 1
"""


def install(folder: Path, devices: str = "") -> str:
    """Write the programs and give a PATH that begins with them; `devices` are what a job is given."""
    programs = folder / "slurm"
    programs.mkdir(parents=True)
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL, "sacct": SACCT}.items():
        (programs / name).write_text(text.format(state=programs, devices=devices))
        (programs / name).chmod(0o755)
    return f"{programs}{os.pathsep}{os.environ['PATH']}"
