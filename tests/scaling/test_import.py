"""The wing stands alone and comes quickly."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch",
    "plotly",
    "scipy",
    "pandas",
    "lmfit",
    "matplotlib",
    "genret_core.retrieval",
    "genret_core.modeling",
)


def test_nothing_heavy_comes_with_it() -> None:
    program = (
        "import sys; import genret_core.scaling; "
        f"print([m for m in {HEAVY} + ('genret_core.workbench',) if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_is_mounted_without_the_wing() -> None:
    program = (
        "import sys; import genret_core.workbench.cli.fitting.fit; "
        "print([m for m in ('numpy', 'pandas', 'genret_core.scaling') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
