"""A whole study, from its file to its index page. Started again, it does what is left.

What it is:

- `file`: study.yaml, checked before anything runs.
- `ladder`: the rungs of its ladders: sizes, or models that bring their own weights.
- `contrast`: what it compares in pairs.
- `place`: the folder it lives in, and its status.
- `changes`: what differs from how it was run before.
- `choice`: which of its cells to run: named by an expression, or failed before.
- `fresh`: removes what an earlier run made (`--fresh`).
- `lock`: one command at a time in that folder.
- `inputs`: the keys of what all its cells share (corpus, tokenizer, identifiers, evaluation samples).
- `vectors`: the hash of the model or file that a codebook's vectors come from.
- `grid`: from the blocks of the file to the list of cells and the searches of each.
- `variants`: what searches that differ in their switches are called.

What it does:

- `cost`: how long a cell will take.
- `expected`: how much data there will be, by the file or as it was read.
- `estimate`: parameters, updates, FLOPs, memory and disk of a cell.
- `device`: the device that is planned for, its speed and memory.
- `room`: whether cells fit there, and what would.
- `plan`: what would be done (`--dry-run`).
- `plan_table`: that for people.
- `reasons`: what would run and why, cell by cell; `reasons_of_notebooks`: notebook by notebook.
- `dry_run`: that and the plan together.
- `engines`: who runs the cells: this machine's processes, or the nodes of a site.
- `prepare`: makes the shared inputs.
- `baseline`: BM25 on the same queries.
- `answers`: whether what was found holds an answer, where the corpus has answers.
- `bases`: backbones that are pretrained on the corpus, before the cells that begin from them.
- `cells`: trains, scores and searches whatever cells lack.
- `run`: the whole: inputs, cells, tables, notebooks, page.
- `notebooks`: runs those whose source, parameters or rows changed.
- `one_notebook`: runs one by the same rules (`genret run`).

What it leaves:

- `collect`: the two tables, from the cell folders.
- `page`: the index page; `key_figures` are its points and laws, `live_page` keeps it up to date meanwhile.
- `standing`: how a study stands while it runs, read from its folder.
- `points_file`: what was measured and how, as two small files that can be handed on.
- `rebuild`: tables, reports and page, made anew from what is there.
- `bundle`: all of it in one file to hand on; `unbundle` reads such a file, from whoever it comes.

`run_study`, `run_cells`, `make_cells` and `StudyOutcome` can be imported from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genret_core.workbench.study.run import StudyOutcome, make_cells, run_cells, run_study

__all__ = ["StudyOutcome", "make_cells", "run_cells", "run_study"]


def __getattr__(name: str) -> Any:
    """Import `run` when it is asked for: it reads `workbench.runs`, which reads modules of this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from genret_core.workbench.study import run

    return getattr(run, name)
