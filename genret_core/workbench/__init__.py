"""The person's side of the house: parameters, runs, notebooks, figures, reports and commands.

Modules that notebooks and scripts import:

- `params`: parameters, declared in a notebook's tagged cell and checked from there.
- `documents`: YAML read safely; whatever is wrong in it is told by file, line and key.
- `project`: where the project stands, whatever folder one works in.
- `runs`: finished and unfinished runs: what notebooks read.
- `recorded`: losses from a file or a cell, for `genret cgl` and what departs from Eq. 5.
- `contrasts`: what one change does to CGL and rho, paired by seed and query.
- `watch_cell`: a study looked at from a notebook while it runs; `watch` can be imported from here.
- `execute`: notebooks run with nobody watching, one or several at a time.
- `claims`: what the paper claims, judged from our own numbers.
- `tables`: tables as people read them.
- `doctor`: what of this machine the workbench depends on.

Packages, each of which lists its modules:

- `study`: a whole study, from its file to its index page.
- `pool`: jobs in subprocesses, and what is seen of them.
- `sites`: the same jobs on the nodes of a cluster, through Parsl.
- `notebook`: one notebook's run, from queued to done.
- `history`: studies that were run: listed, shown, compared, cleaned, repeated.
- `replicates`: the uncertainty of points that share their queries.
- `analyses`: what each notebook asks of a study.
- `figures`, `report`: what people are shown.
- `explorer`: which law holds, and how sure one can be: the page to click in.
- `search_panel`: one query looked at closely: what beams write, where that leads, BM25 beside it.
- `retriever`: what a corpus and a trained retriever can be asked.
- `cli`: the commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genret_core.workbench.watch_cell import watch

__all__ = ["watch"]


def __getattr__(name: str) -> Any:
    """Import `watch` when it is asked for: most of what is here needs no widgets."""
    if name == "watch":
        from genret_core.workbench.watch_cell import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
