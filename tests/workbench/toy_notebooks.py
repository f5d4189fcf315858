"""Small notebooks for tests of running and rendering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
PARAMETERS = "study_dir: str = 'runs/demo'  # the study to read\nlr: float = 1e-3  # learning rate\n"
CHECK = "from genret_core.workbench.params import check_globals\ncheck_globals(globals())"


def notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook; a cell that starts with `%md ` is markdown, the first code cell declares."""
    made: list[Any] = []
    for source in (cells[0], parameters, *cells[1:]) if cells[0].startswith("%md") else (parameters, *cells):
        if source.startswith("%md "):
            made.append(v4.new_markdown_cell(source.removeprefix("%md ")))
        else:
            tags = ["parameters"] if source == parameters else []
            made.append(v4.new_code_cell(source, metadata={"tags": tags}))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=made, metadata=KERNEL), path)
    return path


def executed(path: Path, cells: Sequence[tuple[str, Sequence[dict[str, Any]]]], **metadata: Any) -> Path:
    """Write a notebook as if it had been run: (source, outputs) of each cell; markdown starts with `%md `."""
    made: list[Any] = []
    for source, outputs in cells:
        if source.startswith("%md "):
            made.append(v4.new_markdown_cell(source.removeprefix("%md ")))
        else:
            given = [_output(output) for output in outputs]
            made.append(v4.new_code_cell(source, outputs=given, execution_count=1))
    nbformat.write(v4.new_notebook(cells=made, metadata={**KERNEL, **metadata}), path)
    return path


def _output(given: dict[str, Any]) -> Any:
    kind = given.get("output_type", "display_data")
    return v4.new_output(kind, **{key: value for key, value in given.items() if key != "output_type"})
