"""How much of a notebook's output is kept, so that none fills a disk or kills a browser."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

LOG_ROOM = 20_000_000  # bytes of `log.txt`, which also gets what passes by jupyter
ROOM = 1_000_000  # characters of what one cell prints to one stream
SHOWN = 5_000_000  # characters of one output that is shown rather than printed; figures may take more
TEXTS = ("text/plain", "text/html", "text/markdown", "text/latex")
ENOUGH = f"\n… this cell printed more than {ROOM:,} characters here; the rest is not kept\n"


def cut(notebook: Any) -> None:
    """Cut texts that a notebook shows after `SHOWN` characters, and say so in their place."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            for kind in TEXTS:
                size = len(data.get(kind, ""))
                if size > SHOWN:
                    head = data[kind][:ROOM] if kind == "text/plain" else ""
                    data[kind] = f"{head}… an output of {size:,} characters was cut here"
            if output.get("output_type") == "error":
                lines = output.get("traceback", [])
                output["traceback"] = [line[:ROOM] for line in lines[-200:]]
                output["evalue"] = str(output.get("evalue", ""))[:ROOM]


def cut_log(path: Path) -> None:
    """Cut a log that has grown beyond `LOG_ROOM`, while whoever writes it goes on at its new end."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_ROOM + 1000:
            os.truncate(path, LOG_ROOM)
            with open(path, "a", encoding="utf-8") as log:
                log.write(f"\n… {LOG_ROOM:,} bytes were printed; most of the rest is not kept\n")
