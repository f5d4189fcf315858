"""`genret explore`: what it refuses before anything starts, and the server that it starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genret_core.errors import BadInput
from genret_core.workbench.cli.app import build
from genret_core.workbench.explorer import app
from genret_core.workbench.explorer.given import Given
from genret_core.workbench.explorer.sources import published_source

POINTS = "size,loss\n1e6,1.52\n1e7,0.698\n1e8,0.421\n1e9,0.332\n"


@pytest.fixture
def points(tmp_path: Path) -> Path:
    file = tmp_path / "it's mine.csv"
    file.write_text(POINTS)
    return file


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a server would be started."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(app, "_voila", started)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.csv"], "nothing.csv"),
        (["{points}", "--y", "los"], "los"),
        (["{points}", "--study", "runs/demo"], "give one of the two"),
        (["--x", "size"], "no file is given"),
        (["--study", "no-such-study"], "no-such-study"),
        (["{empty}"], "empty.csv"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    arguments: list[str], told: str, points: Path, never: None
) -> None:
    (points.parent / "empty.csv").write_text("size,loss\n")
    places = {"points": str(points), "empty": str(points.parent / "empty.csv")}
    ended = CliRunner().invoke(build(), ["explore", *(one.format(**places) for one in arguments)])
    assert ended.exit_code == 2, ended.output
    assert told in ended.stderr and ended.stderr.count("\n") == 1


def test_without_voila_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, never: None) -> None:
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=re.escape("genret[app]")):
        app.serve("1", say=print)


def test_a_taken_port_is_refused_and_not_replaced(never: None) -> None:
    pytest.importorskip("voila")
    with socket.socket() as taken:
        taken.bind((app.HOST, 0))
        taken.listen()
        with pytest.raises(BadInput, match="--port"):
            app.serve("1", port=taken.getsockname()[1], say=print)


def test_the_cell_opens_the_same_points(points: Path) -> None:
    given = Given(str(points), x="size", y="loss")
    cell = given.code().rsplit("\n", 1)
    names: dict[str, object] = {"Explorer": lambda source, **_: source}
    exec(cell[0].replace("from genret_core.workbench.explorer.explorer import Explorer", ""), names)
    assert eval(cell[1], names).sha256 == given.source().sha256
    assert Given().source().sha256 == published_source().sha256


def test_it_listens_here_alone_behind_a_token_until_ctrl_c(points: Path, tmp_path: Path) -> None:
    pytest.importorskip("voila")
    command = [sys.executable, "-m", "genret_core.workbench.cli.app", "explore", "--no-browser", str(points)]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == f"{points.name}: 4 points\n"
        address = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S{20,})", server.stdout.readline())
        assert address
        (notebook,) = tmp_path.glob("genret-explore-*/*.ipynb")
        assert address[2] not in notebook.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=30) as page:
            assert "/login" in page.url  # no kernel for whoever has no token
        port = f"{int(address[1]):04X}"
        if Path("/proc/net/tcp").exists():
            here = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            assert {one for one in here if one.endswith(f":{port}")} >= {f"0100007F:{port}"}
            assert f"00000000:{port}" not in here
        began = time.monotonic()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0 and time.monotonic() - began < 30
        assert server.stdout.read().endswith("stopped\n")
    assert not list(tmp_path.glob("genret-explore-*"))
