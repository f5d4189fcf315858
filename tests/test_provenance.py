"""What is recorded of the code that made a number, against checkouts made by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from genret_core.provenance import code_state, provenance, source_key


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "checkout" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("one = 1\n")
    (package.parent / "notebooks").mkdir()
    (package.parent / ".gitignore").write_text("venv/\n")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    return package


def test_a_clean_checkout_is_its_commit(package: Path) -> None:
    assert code_state(package) == (git(package, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("pack/new.py", True),
        ("pack/deep/er/new.py", True),
        ("notebooks/13_mine.ipynb", True),
        ("pack/notes.txt", False),
        ("scratch.py", False),  # of the checkout, but nothing that the package could run
        ("venv/lib/other.py", False),
    ],
)
def test_source_files_that_git_does_not_know_count(package: Path, path: str, dirty: bool) -> None:
    file = package.parent / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("two = 2\n")
    assert code_state(package)[1] is dirty


def test_a_changed_file_counts_wherever_it_is(package: Path) -> None:
    (package.parent / ".gitignore").write_text("venv/\nruns/\n")
    assert code_state(package)[1] is True


def test_an_installed_package_is_not_of_the_checkout_around_it(package: Path) -> None:
    """A virtual environment inside someone's own repository: its commit says nothing about the package."""
    installed = package.parent / "venv" / "lib" / "pack"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("one = 1\n")
    assert code_state(installed) == (None, None)
    elsewhere = package.parent.parent / "pack"
    elsewhere.mkdir()
    (elsewhere / "__init__.py").write_text("one = 1\n")
    assert code_state(elsewhere) == (None, None)
    assert source_key(elsewhere) == source_key(package) == source_key(installed)
    (elsewhere / "__init__.py").write_text("one = 2\n")
    assert source_key(elsewhere) != source_key(package)


def test_what_is_recorded() -> None:
    found = provenance()
    assert {"commit", "dirty", "source", "cpu", "cores", "memory", "gpu", "cuda", "created"} <= set(found)
    assert found["cores"] >= 1 and (found["memory"] is None or found["memory"] > 0.1)
    assert found["versions"]["numpy"]
