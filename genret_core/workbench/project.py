"""Where the project stands, whatever folder one works in."""

from __future__ import annotations

import os
from pathlib import Path


def project_root(start: str | os.PathLike[str] | None = None) -> Path:
    """Find the project: the nearest folder upward that has `pyproject.toml` and `notebooks/`.

    papermill runs a notebook in the caller's folder and JupyterLab in the notebook's own; seen from here both
    are inside the same project.

    Parameters
    ----------
    start : path-like, optional
        Where to begin; the current folder by default.

    Returns
    -------
    Path
        The project of `start`; failing that, the one this package is installed from (an editable install);
        failing that (a plain install, used in a folder of its own), `start` itself.
    """
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    return here


def resolve(path: str | os.PathLike[str]) -> Path:
    """Make a path absolute; a relative one is meant from the project root, never from the current folder."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_root() / path
