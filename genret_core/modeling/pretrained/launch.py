"""A cell that is trained by several processes of this machine, or of several as accelerate's file says.

The processes train together and the first one saves; the caller then measures what was saved. A process says
how far it is in lines of JSON on its standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import write_json
from genret_core.modeling.pretrained.backbone import PretrainedBackbone
from genret_core.modeling.spec import CellSpec

Tell = Callable[..., None]

LAUNCHED = "GENRET_LAUNCHED"  # in the environment of the processes that are started here


class LaunchFailed(RuntimeError):
    """Processes that ended without a result; the sentence says why."""


def is_one_of_several() -> bool:
    """Whether this process was started as one of several that train together."""
    return LAUNCHED in os.environ


def train_together(spec: CellSpec, device: str, tell: Tell) -> None:
    """Start the processes that `PretrainedBackbone.launch` asks for and wait until the cell is saved.

    Raises
    ------
    BadInput
        An input is missing, or the file is none.
    LaunchFailed
        The processes ended without saving the cell.
    """
    backbone = spec.backbone
    assert isinstance(backbone, PretrainedBackbone)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.json"
        write_json(path, spec.with_evaluations((), ()).to_dict())
        kind = device.partition(":")[0]  # each process takes the device of its own number
        command = [*launcher(backbone.launch), "-m", __name__, str(path), kind]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_surroundings())
        assert process.stdout is not None
        failure: dict[str, Any] = {}
        try:
            for line in process.stdout:
                told = _read(line)
                if "error" in told:
                    failure = told
                elif "stage" in told:
                    tell(told["stage"], told["done"], told["total"], told["loss"])
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if failure.get("kind") == "BadInput":
        raise BadInput(failure["error"])
    if code or failure:
        raise LaunchFailed(failure.get("error", f"the processes ended with status {code}; see the log."))


def launcher(launch: int | str | None) -> list[str]:
    """Give the command that starts several processes.

    Parameters
    ----------
    launch : int or str
        Processes on this machine, or a file of `accelerate config`.
    """
    if isinstance(launch, int):
        own = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        return [*own, "--nproc_per_node", str(launch)]
    file = Path(str(launch)).expanduser()
    if not file.is_file():
        raise BadInput(f"launch: there is no file {file}; write one with `accelerate config --config_file`.")
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file)]


def _surroundings() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {LAUNCHED: "true", "PYTHONPATH": os.pathsep.join(paths)}
    return {"OMP_NUM_THREADS": "1", **os.environ, **own}


def _read(line: str) -> dict[str, Any]:
    """Read a line of JSON; others (of libraries) are passed on."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    sys.stderr.write(line)
    return {}


def main(path: str, device: str) -> int:
    """Train a cell as one of several processes."""
    from genret_core.modeling.cells import CellFailed, run_cell

    spec = CellSpec.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def say(**told: Any) -> None:
        os.write(1, (json.dumps(told) + "\n").encode())  # at once: lines of several processes stay whole

    def tell(stage: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        say(stage=stage, done=done, total=total, loss=loss)

    try:
        run_cell(spec, tell, device=device)
    except (BadInput, CellFailed) as error:
        say(error=str(error), kind=type(error).__name__)
        return 1
    part()
    return 0


def part() -> None:
    """Take leave of the other processes; one that just ends may be aborted by a thread of gloo at work."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    ended = main(*sys.argv[1:])
    sys.stderr.flush()
    os._exit(ended)  # everything is written; a thread of torch that outlives the interpreter would abort it
