from __future__ import annotations

from pathlib import Path

import pytest

import genret_core
from genret_core.workbench import project


def test_root_is_found_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "runs" / "deep").mkdir(parents=True)
    for start in (tmp_path, tmp_path / "notebooks", tmp_path / "runs" / "deep"):
        monkeypatch.chdir(start)
        assert project.project_root() == tmp_path
        assert project.resolve("runs/demo") == tmp_path / "runs" / "demo"
    assert project.resolve("/a/b") == Path("/a/b")


def test_elsewhere_it_is_the_package_s_own_project_or_the_folder_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(genret_core.__file__).resolve().parents[1]
    wanted = checkout if (checkout / "notebooks").is_dir() else tmp_path
    assert project.project_root(tmp_path) == wanted
    monkeypatch.setattr(project, "__file__", str(tmp_path / "site-packages" / "project.py"))
    assert project.project_root(tmp_path) == tmp_path
