"""The explorer as an app: Voila on this machine alone, behind a token, until Ctrl-C."""

from __future__ import annotations

import html
import importlib
import importlib.util
import logging
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput

HOST = "127.0.0.1"  # never another: whoever reaches the page runs code
PORT = 8866
CULLED = 3600  # seconds after which the kernel of a page that nobody has open any more is stopped
UNUSED = ("jupyterlab-plotly", "@voila-dashboards/jupyterlab-preview")  # of JupyterLab: slow to load
SHARE = Path(__file__).parent / "share"
LACKING = (
    "The app needs Voila: pip install 'genret[app]', or open notebooks/09_fit_explorer.ipynb in JupyterLab."
)


def serve(code: str, *, port: int | None = None, browser: bool = True, say: Callable[[str], None]) -> None:
    """Serve the output of one cell as a page until Ctrl-C or SIGTERM.

    Parameters
    ----------
    code : str
        The cell.
    port : int, optional
        To listen on; by default 8866, or any that is free.
    browser : bool
        Open the page in a browser.
    say : callable
        Told the address.

    Raises
    ------
    BadInput
        If Voila is not installed or the port is taken.
    """
    if importlib.util.find_spec("voila") is None:
        raise BadInput(LACKING, code="no_voila")
    port = _port(port)
    token = secrets.token_urlsafe(24)
    address = f"http://{HOST}:{port}/?token={token}"
    with tempfile.TemporaryDirectory(prefix="genret-explore-") as folder:
        notebook = Path(folder) / "fit explorer.ipynb"
        _write(notebook, code)
        voila = _voila(notebook, port, token)
        from tornado.ioloop import IOLoop

        def ready() -> None:
            say(f"The fit explorer is at {address}\nCtrl-C stops it.")
            if browser:
                _open(address, Path(folder))

        IOLoop.current().add_callback(ready)  # runs when the server listens
        voila.start()  # returns after Ctrl-C, kernels stopped


def _voila(notebook: Path, port: int, token: str) -> Any:
    places = [str(SHARE), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(places)  # where the page's template is found
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits are slower on more
    Config = importlib.import_module("traitlets.config").Config
    config = Config()
    config.Voila = Config(
        ip=HOST, port=port, port_retries=0, token=token, open_browser=False, log_level=logging.WARNING
    )
    config.VoilaConfiguration = Config(
        template="genret", show_margins=False, show_tracebacks=False, extension_denylist=list(UNUSED)
    )
    config.MappingKernelManager = Config(cull_idle_timeout=CULLED, cull_interval=60)
    app = importlib.import_module("voila.app").Voila(config=config, config_file_paths=[])
    app.initialize([str(notebook)])
    return app


def _write(notebook: Path, code: str) -> None:
    import nbformat

    here = f"import os\nos.chdir({os.getcwd()!r})"  # paths mean what they mean in the shell
    v4 = nbformat.v4
    cells = [v4.new_code_cell(here), v4.new_code_cell(code)]
    spec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), notebook)


def _port(wanted: int | None) -> int:
    for port in [PORT, 0] if wanted is None else [wanted]:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, port))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    raise BadInput(f"Port {wanted} is taken or not allowed; give another --port, or none for a free one.")


def _open(address: str, folder: Path) -> None:
    """Open the address by way of a file that only its owner can read: command lines are seen by all."""
    page = folder / "open.html"
    page.touch(mode=0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">', encoding="utf-8")
    webbrowser.open(page.as_uri())
