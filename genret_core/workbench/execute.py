"""Running notebooks with nobody watching: one, or several at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.workbench.notebook.job import Job
from genret_core.workbench.notebook.record import RunRecord
from genret_core.workbench.notebook.run import NotebookRun
from genret_core.workbench.pool.claim import Held

__all__ = ["Job", "execute", "execute_many"]

PATIENCE = 1.5  # seconds between interrupting kernels and ending them


def execute(
    notebook: str | os.PathLike[str],
    params: Mapping[str, Any],
    out: str | os.PathLike[str],
    **options: Any,
) -> RunRecord:
    """Run one notebook in a kernel of its own and keep all of it in a folder.

    The folder gets `status.json`, `run.json`, `params.yaml`, `log.txt` (written as it goes), `executed.ipynb`
    if the notebook ran to its end and else `failed.ipynb`, and `report.html` in both cases.

    Parameters
    ----------
    notebook : path-like
        The notebook; it is never written to.
    params : mapping
        Values for its parameters; they are checked and coerced before anything starts.
    out : path-like
        The run's folder. What an earlier run left there is removed.
    **options
        `cwd`, `timeout`, `on_progress`, `inputs`, `parents`, `note`, `shared_js` and `env`, as in `Job`.

    Returns
    -------
    RunRecord
        How it ended; a notebook that fails does not raise.

    Raises
    ------
    BadInput
        If a parameter cannot be used, or another process runs in the same folder; nothing was written then.
    KeyboardInterrupt
        After the kernel has been stopped and the run marked `killed`.
    """
    run = NotebookRun(Job(Path(notebook), params, Path(out), **options))
    run.check()
    run.begin()
    return run.go()


def execute_many(
    jobs: Iterable[Job], workers: int = 2, *, say: Callable[[str], None] = print
) -> Iterator[RunRecord]:
    """Run notebooks, several at a time, and give each record as it comes.

    Each notebook has its own kernel process; this process only waits for them, so that threads do.

    Parameters
    ----------
    jobs : iterable of Job
        What to run, in this order.
    workers : int
        Notebooks at a time.
    say : callable
        Told which notebook another command is at. It is waited for, and its result taken.

    Yields
    ------
    RunRecord
        In the order in which they end. A notebook that fails does not stop the others. When the caller stops
        listening, or Ctrl-C is pressed, the running kernels are stopped and everything left is `killed`.

    Raises
    ------
    BadInput
        As `execute` does, before the first notebook starts.
    """
    runs = [NotebookRun(job, patient=True) for job in jobs]
    folders = [run.out for run in runs]
    for run in runs:
        if folders.count(run.out) > 1:
            raise BadInput(f"Two notebooks were to run in {run.out}; give each a folder of its own.")
        run.check()
    return _go(runs, workers, say)


def _go(runs: list[NotebookRun], workers: int, say: Callable[[str], None]) -> Iterator[RunRecord]:
    for run in runs:
        run.begin()
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="notebook")
    try:
        going = {pool.submit(run.go): run for run in runs}
        elsewhere: list[NotebookRun] = []
        for future in as_completed(going):
            try:
                record = future.result()
            except Held as other:
                say(f"  {going[future].source.stem} is being run by {other}; waiting for it")
                elsewhere.append(going[future])
            else:
                yield record
        for future in as_completed([pool.submit(run.go, wait=True) for run in elsewhere]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        told = [run.interrupt() for run in runs]
        if any(told):
            time.sleep(PATIENCE)
        for run in runs:
            run.kill()
        pool.shutdown(wait=True)
        for run in runs:
            run.abandon()
