"""JupyterLab and Voila for the tests in this folder: on this machine alone, with settings of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOKEN = "for-this-test"
NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
PLACES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
STARTS, ENDS = 60, 20  # seconds


@contextmanager
def lab(folder: Path, notebook: Path) -> Iterator[str]:
    """Serve a copy of a notebook in a JupyterLab that nobody has used before; give its address."""
    root = folder / "root"
    root.mkdir()
    shutil.copy(notebook, root / notebook.name)
    places = {
        name: folder / name.lower()
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
        )
    }
    settings = folder / "app" / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(NO_NEWS))
    port = _free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={root}", f"--LabApp.app_settings_dir={settings}", "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    env = {**os.environ, **places, "PYTHONPATH": str(ROOT)}
    with _running(command, folder / "lab.log", env) as process:
        _answers(f"http://127.0.0.1:{port}/api?token={TOKEN}", process, folder / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={TOKEN}"


@contextmanager
def app(folder: Path, *arguments: str) -> Iterator[str]:
    """Run `genret explore`; give the address that it prints, and see that Ctrl-C ends it."""
    command = [sys.executable, "-m", "genret_core.workbench.cli.app", "explore", "--no-browser", *arguments]
    log = folder / "explore.log"
    with _running(
        [*command, "--port", str(_free_port())], log, {**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        until = time.monotonic() + STARTS
        while not (found := re.search(r"http://\S+", log.read_text())):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield found[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(ENDS) == 0, log.read_text()
        assert log.read_text().rstrip().endswith("stopped")


@contextmanager
def _running(command: list[str], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, env=env, cwd=log.parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def _answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS
    while True:
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
