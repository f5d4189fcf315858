"""One kernel for one notebook: its own sockets, its own environment, gone when the notebook ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from genret_core.workbench.pool import ONE_THREAD, process_lives
from genret_core.workbench.pool.memory import kills_counted, why_killed

ENVIRONMENT = {
    **ONE_THREAD,
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data: the exporter draws them, once and offline
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no debugger's warning in the log
    "TQDM_DISABLE": "1",  # a bar per tick is garbage in a log and dead text in a report
}
STREAM = "genret_core.workbench.notebook.stream.LimitedStream"
START_TIMEOUT = 180  # seconds a kernel may take to answer on a crowded machine
LONGEST_PREFIX = 80  # a Unix socket's path has about 107 characters, of which jupyter adds a few


@dataclass(frozen=True)
class Kernel:
    """A running kernel: what talks to it (`manager`) and its process."""

    manager: Any
    process: subprocess.Popen[bytes]
    kills: int | None = None  # what the system had killed for lack of memory when it started

    def kill(self) -> None:
        """End the kernel and everything it started, at once; safe to call from any thread."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(
                    self.process.pid, signal.SIGKILL
                )  # jupyter_client gives each kernel its own session
        else:
            self.process.kill()

    def stop(self, patience: float = 2.0) -> None:
        """Interrupt what runs, so that a pool inside can write down its state; then end it all."""
        if self.interrupt():
            time.sleep(patience)
        self.kill()

    def interrupt(self) -> bool:
        """Interrupt the kernel and what it started; say whether it was there to hear it."""
        if self.process.poll() is None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGINT)
                return True
        return False

    def epitaph(self, peak: float | None = None) -> str:
        """Say how the kernel ended, from its exit status and the most memory that it was seen to take, MB."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)
        code = self.process.returncode
        if code == -signal.SIGTERM or code is None or code >= 0:
            return f"the kernel ended by itself (status {code})"
        if hasattr(signal, "SIGKILL") and code == -signal.SIGKILL:
            return why_killed(peak, self.kills)
        return f"killed: the kernel died of {signal.Signals(-code).name}"


@contextlib.contextmanager
def started(*, cwd: Path, log: IO[Any], env: Mapping[str, str] | None = None) -> Iterator[Kernel]:
    """Start a kernel of this very Python, and end it with the block.

    It talks over Unix sockets in a private folder of its own. Over TCP, kernels started together now and then
    take each other's port; over sockets with the default name, two started in one folder do so always.

    Parameters
    ----------
    cwd : Path
        Its current folder.
    log : file
        Where its process writes what does not pass through jupyter: the last words of one that crashes.
    env : mapping, optional
        Environment variables on top of this process's and `ENVIRONMENT`.

    Yields
    ------
    Kernel
        Started, not yet waited for: it boots while the caller goes on.
    """
    from jupyter_core.utils import run_sync

    _sweep(Path(_short_folder()))
    folder = Path(tempfile.mkdtemp(prefix=f"gr-{os.getpid()}-", dir=_short_folder()))
    manager = _manager(folder)
    try:
        # an in-memory history: the shared file would be locked by kernels that start together
        arguments = ["--HistoryManager.hist_file=:memory:", f"--IPKernelApp.outstream_class={STREAM}"]
        environment = {**os.environ, **ENVIRONMENT, **(env or {})}
        run_sync(manager.start_kernel)(
            env=environment, cwd=str(cwd), extra_arguments=arguments, stdout=log, stderr=log
        )
        kernel = Kernel(manager, manager.provisioner.process, kills_counted())
        try:
            yield kernel
            run_sync(manager.shutdown_kernel)()
        finally:
            kernel.kill()  # also what it left running
            _release(manager, kernel)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _release(manager: Any, kernel: Kernel) -> None:
    """Close the sockets and reap the process."""
    from jupyter_core.utils import run_sync

    if manager.spoken_through is not None:
        manager.spoken_through.stop_channels()
    run_sync(manager.cleanup_resources)()
    with contextlib.suppress(subprocess.TimeoutExpired):
        kernel.process.wait(timeout=10)


def _manager(folder: Path) -> Any:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        """Remembers its client: papermill does not stop the one of a kernel that it did not start."""

        spoken_through: Any = None

        def client(self, **kwargs: Any) -> Any:
            self.spoken_through = super().client(**kwargs)
            return self.spoken_through

    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager = Manager(connection_file=str(folder / "connection.json"))
    manager._kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python")
    if sys.platform != "win32":
        manager.transport = "ipc"
        manager.ip = str(folder / "k")
    return manager


def _sweep(folder: Path) -> None:
    """Remove the folders of sockets that killed processes left."""
    for left in folder.glob("gr-*-*"):
        pid = left.name.split("-")[1]
        if pid.isdecimal() and not process_lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    if len(usual) <= LONGEST_PREFIX - 20 or sys.platform == "win32":
        return usual
    return "/tmp"
