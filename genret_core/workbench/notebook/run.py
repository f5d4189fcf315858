"""One notebook from queued to done.

papermill does the running; what happened is written down here. (papermill's own record calls every cell
`completed` after a timeout or a dead kernel, and a notebook that left early with `sys.exit(0)` a success.)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import yaml

from genret_core.errors import BadInput
from genret_core.files import atomic, write_json
from genret_core.provenance import provenance
from genret_core.workbench.notebook.job import Job
from genret_core.workbench.notebook.kernel import START_TIMEOUT, Kernel, started
from genret_core.workbench.notebook.limits import cut, cut_log
from genret_core.workbench.notebook.record import (
    RunRecord,
    answer_of,
    now,
    open_run,
    title_of,
)
from genret_core.workbench.params import check, declared
from genret_core.workbench.pool import Heartbeat, read_status, write_status
from genret_core.workbench.pool.claim import FILE as LOCK_FILE
from genret_core.workbench.pool.claim import Claim, ClaimLost, Held, Sights, claim, claimed, held_for_sure
from genret_core.workbench.pool.process import told
from genret_core.workbench.project import project_root

FILES = ("partial.ipynb", "executed.ipynb", "failed.ipynb", "log.txt", "report.html", "run.json")
STOPPED = "killed: it was stopped"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class _Ending:
    """How the cells ended."""

    state: str
    reason: str | None = None
    error: str | None = None


class NotebookRun:
    """A run while it goes on: check, begin, go; another thread may interrupt and kill it."""

    def __init__(self, job: Job, *, patient: bool = False) -> None:
        self.job = job
        self.patient = patient  # whether another command that runs the same is waited for
        self.queued = False
        self.lost: str | None = None  # who took the lock over
        self.source = Path(job.notebook).resolve()
        self.out = Path(job.out).resolve()
        self.values: dict[str, Any] = {}
        self.kernel: Kernel | None = None
        self.heart: Heartbeat | None = None
        self.stopped = threading.Event()
        self.began: str | None = None
        self.cell = self.cells = 0
        self.index = -1
        self.timings: dict[str, float] = {}
        self.interruption: KeyboardInterrupt | None = None

    # ---- before ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse what cannot run, before anything is written."""
        self.values = check(self.job.params, self.source)
        if self.patient:
            return
        holder = held_for_sure(self.out / LOCK_FILE)
        if holder is None and (self.out / "status.json").is_file():
            status = read_status(self.out)
            holder = status if status["state"] == "running" and status.get("pid") != os.getpid() else None
        if holder is not None:
            raise BadInput(f"{self.out} is in use by {told(holder)}; wait for it or stop it.")

    def begin(self) -> None:
        """Clear the folder of an earlier run and queue this one, unless another command is at it."""
        with contextlib.suppress(Held), claimed(self.out / LOCK_FILE):
            self._clear()

    def _clear(self) -> None:
        for name in FILES:
            (self.out / name).unlink(missing_ok=True)
        for part in self.out.glob(".*.part"):
            part.unlink(missing_ok=True)
        with atomic(self.out / "params.yaml") as part:
            head = f"# Runs again with: papermill {self.source.name} OUT.ipynb -f params.yaml\n"
            body = yaml.safe_dump(self.values, sort_keys=False, allow_unicode=True)
            part.write_text(head + body, encoding="utf-8")
        write_status(self.out, "queued", name=self.source.stem)
        self.queued = True

    # ---- from outside ---------------------------------------------------------------------------------

    def interrupt(self) -> bool:
        """Ask a running notebook to stop; say whether there was one."""
        self.stopped.set()
        return self.kernel is not None and self.kernel.interrupt()

    def kill(self) -> None:
        """End a running notebook at once."""
        if self.kernel is not None:
            self.kernel.kill()

    def abandon(self) -> None:
        """Mark a notebook that never came to its turn."""
        if self.began is None:
            reason = "killed: it was stopped before it began"
            with contextlib.suppress(Held, OSError), claimed(self.out / LOCK_FILE):
                write_status(self.out, "killed", name=self.source.stem, reason=reason)

    # ---- the run --------------------------------------------------------------------------------------

    def go(self, *, wait: bool = False) -> RunRecord:
        """Run the notebook, unless another command has run it since it was queued.

        Parameters
        ----------
        wait : bool
            Wait for another command that is at it.

        Raises
        ------
        Held
            Another command is at it, and it is not to be waited for.
        """
        seen: Sights = {}
        while True:
            try:
                own = claim(self.out / LOCK_FILE, seen=seen)
                break
            except Held:
                if not wait:
                    raise
            if self.stopped.wait(0.5):
                return RunRecord(self.source.stem, self.out, "killed", STOPPED)
        try:
            if read_status(self.out)["state"] != "queued" or not self.queued:
                theirs = open_run(self.out) if (self.out / "status.json").is_file() else None
                if theirs is not None and theirs.done:
                    return theirs
                self._clear()
            record = self._claimed_run(own)
        finally:
            own.release()
        return record if self.lost is None else self.go(wait=True)

    def _renew(self, own: Claim) -> None:
        """Renew the lock; where another command has it, end the kernel and leave the folder to it."""
        cut_log(self.out / "log.txt")
        try:
            own.renew()
        except ClaimLost as error:
            if self.lost is None:
                self.lost = str(error)
                self.kill()

    def _claimed_run(self, own: Claim) -> RunRecord:
        """Run the cells, keep the notebook, make the report; the state is written last."""
        self.lost = None
        self.began, clock = now(), time.monotonic()
        write_status(self.out, "running", name=self.source.stem, started=self.began)
        with Heartbeat(self.out, of=self._pid, pulse=lambda: self._renew(own)) as self.heart:
            with open(self.out / "log.txt", "a", encoding="utf-8", buffering=1) as log:
                ending = self._run_cells(log)
                cut_log(self.out / "log.txt")
                self.timings["cells"] = time.monotonic() - clock - self.timings.get("kernel", 0.0)
                if ending.reason:
                    log.write(f"\n{ending.reason}\n")
            if self.lost is not None:
                return open_run(self.out)
            record = self._keep(ending, clock)
            self.heart.tell("report")
            rendered = time.monotonic()
            record = self._report(record)
            self.timings["report"] = time.monotonic() - rendered
            timings = {key: round(value, 3) for key, value in self.timings.items()}
            write_json(self.out / "run.json", {**record.to_dict(), "timings": timings})
            told = {"reason": record.reason, "started": record.started, "ended": record.ended}
            peak = round(self.heart.peak, 1)
            write_status(self.out, record.state, name=record.name, **told, peak_memory=peak)
        if self.interruption is not None:
            raise self.interruption
        return open_run(self.out)

    def _pid(self) -> int | None:
        return None if self.kernel is None else self.kernel.process.pid

    def _run_cells(self, log: TextIO) -> _Ending:
        """Run the cells; a kernel that does not come up is tried once more."""
        try:
            try:
                return self._in_a_kernel(log)
            except Exception as error:
                if self.cell or self.stopped.is_set():
                    raise
                log.write(f"the kernel did not start ({type(error).__name__}: {error}); once more\n")
                return self._in_a_kernel(log)
        except KeyboardInterrupt as interruption:
            self.interruption = interruption
            return _Ending("killed", STOPPED)
        except Exception as error:
            if "Kernel died" in str(error) and self.kernel is not None:  # before it was there to run anything
                return _Ending("killed", self.kernel.epitaph(self.heart.peak if self.heart else None))
            return _Ending("failed", f"{type(error).__name__}: {error}", type(error).__name__)

    def _in_a_kernel(self, log: TextIO) -> _Ending:
        clock = time.monotonic()
        cwd = self.job.cwd or project_root(self.source.parent)
        with started(cwd=Path(cwd), log=log, env=self.job.env) as kernel:
            self.kernel = kernel
            if self.stopped.is_set():
                return _Ending("killed", STOPPED)
            try:
                return self._through_papermill(kernel, log, clock)
            except KeyboardInterrupt:
                kernel.stop()
                raise

    def _through_papermill(self, kernel: Kernel, log: TextIO, clock: float) -> _Ending:
        import papermill  # slow to import; the kernel boots meanwhile

        plain = {p.name: p.default for p in declared(self.source)}
        given = {name: value for name, value in self.values.items() if value != plain[name]}
        self.cells = _code_cells(self.source) + bool(given)
        deadline = None if self.job.timeout is None else time.monotonic() + self.job.timeout
        try:
            notebook = papermill.execute_notebook(
                str(self.source),
                str(self.out / "partial.ipynb"),
                parameters=given,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stdout_file=log,
                stderr_file=log,
                start_timeout=START_TIMEOUT,
                **self._client_settings(kernel, log, clock, deadline),
            )
        except Exception as error:
            return self._bad_ending(error, kernel, deadline)
        if notebook.metadata.papermill.exception:
            return _Ending("failed", f"it left early, with sys.exit in code cell {self.cell}", "SystemExit")
        return _Ending("done")

    def _client_settings(
        self, kernel: Kernel, log: TextIO, clock: float, deadline: float | None
    ) -> dict[str, Any]:
        """Give what papermill hands on to nbclient."""

        def left(cell: Any) -> int | None:
            return None if deadline is None else max(1, math.ceil(deadline - time.monotonic()))

        def ready(notebook: Any) -> None:
            self.timings["kernel"] = time.monotonic() - clock

        return {
            "km": kernel.manager,
            "timeout_func": left,
            "iopub_timeout": 60,  # its 4 s are too few on a crowded machine
            "store_widget_state": False,  # one FigureWidget would put 5 MB of plotly.js into the notebook
            "on_notebook_start": ready,
            "on_cell_execute": lambda cell, cell_index: self._cell_starts(cell_index, log),
            "on_cell_executed": lambda cell, cell_index, execute_reply: self._cell_ends(execute_reply, log),
        }

    def _bad_ending(self, error: Exception, kernel: Kernel, deadline: float | None) -> _Ending:
        """Say what papermill's exception means."""
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        if self.stopped.is_set():
            return _Ending("killed", STOPPED)
        if isinstance(error, PapermillExecutionError):
            sentence = str(error.evalue).strip().split("\n")[0]
            told = sentence if error.ename == "BadInput" else f"{error.ename}: {sentence}".rstrip(": ")
            return _Ending("failed", told, error.ename)
        if isinstance(error, DeadKernelError):
            return _Ending("killed", kernel.epitaph(self.heart.peak if self.heart is not None else None))
        if isinstance(error, CellTimeoutError) and deadline is not None and time.monotonic() >= deadline:
            kernel.stop()
            return _Ending("timeout", f"timeout: it was not done after {self.job.timeout:g} s")
        raise error

    def _cell_starts(self, index: int, log: TextIO) -> None:
        self.cell, self.index = self.cell + 1, index
        log.write(f"\n--- {time.strftime('%H:%M:%S')} cell {self.cell} of {self.cells}\n")
        self._tell()

    def _tell(self) -> None:
        if self.heart is not None:
            self.heart.tell("cell", self.cell, self.cells)

    def _cell_ends(self, reply: Mapping[str, Any], log: TextIO) -> None:
        content = reply["content"]
        if content["status"] == "error":
            log.write(COLOURS.sub("", "\n".join(content.get("traceback", []))) + "\n")
        self._tell()
        if self.job.on_progress is not None:
            self.job.on_progress(self.cell, self.cells)

    # ---- after ----------------------------------------------------------------------------------------

    def _keep(self, ending: _Ending, clock: float) -> RunRecord:
        """Write what was run and how into the notebook, and give it its final name."""
        import nbformat

        partial = self.out / "partial.ipynb"
        notebook = nbformat.read(partial if partial.is_file() else self.source, as_version=4)
        cut(notebook)
        record = RunRecord(
            name=self.source.stem,
            folder=self.out,
            state=ending.state,
            reason=ending.reason,
            error=ending.error,
            started=self.began,
            ended=now(),
            seconds=round(time.monotonic() - clock, 3),
            title=title_of(notebook.cells),
            answer=answer_of(notebook.cells),
            cell=None if ending.state == "done" else self.cell,
            cells=self.cells,
            parameters=self.values,
            inputs=dict(self.job.inputs),
            parents=list(self.job.parents),
            provenance=provenance(),
        )
        self._correct(notebook, ending)
        more = {
            "note": self.job.note,
            "parameter_order": list(self.values),
        }  # a notebook's file sorts its keys
        notebook.metadata["genret"] = {**record.to_dict(), **more}
        nbformat.write(notebook, partial)
        os.replace(partial, record.notebook)
        return record

    def _correct(self, notebook: Any, ending: _Ending) -> None:
        """Take back what papermill says of cells that never ran, and paths that mean nothing elsewhere."""
        papermill = notebook.metadata.get("papermill", {})
        papermill.update(input_path=self.source.name, output_path=None)
        notebook.metadata.pop("widgets", None)
        if ending.state in ("killed", "timeout"):
            papermill["exception"] = True
            for index, cell in enumerate(notebook.cells):
                if index >= self.index and "papermill" in cell.metadata:
                    cell.metadata.papermill["status"] = "failed" if index == self.index else "pending"

    def _report(self, record: RunRecord) -> RunRecord:
        try:
            from genret_core.workbench.report.exporter import render

            render(record.notebook, record.report, shared_js=self.job.shared_js)
        except Exception as error:  # the notebook stands; the run counts as failed until its page can be made
            reason = f"its report could not be made: {type(error).__name__}: {error}"
            return replace(record, state="failed", reason=record.reason or reason, error=type(error).__name__)
        return record


def _code_cells(notebook: Path) -> int:
    """Count the code cells that will run."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return sum(cell["cell_type"] == "code" and bool("".join(cell["source"]).strip()) for cell in cells)
