"""The workflow for forks: it runs what the Makefile offers, on the Pythons that the project declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / ".github" / "workflows" / "test.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return dict(yaml.safe_load(PATH.read_text(encoding="utf-8")))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return list(workflow["jobs"]["test"]["steps"])


def test_it_makes_what_the_makefile_offers(workflow: dict[Any, Any]) -> None:
    made = [word for step in steps(workflow) for word in re.findall(r"make ([a-z-]+)", step.get("run", ""))]
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert made == ["install", "test"] and set(made) <= targets


def test_oldest_and_newest_python_are_those_of_the_project(workflow: dict[Any, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = [c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)]
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == [known[0], known[-1]]
    assert known == sorted(known, key=lambda v: int(v.split(".")[1]))
    assert project["requires-python"] == f">={known[0]}"


def test_it_can_read_and_nothing_more(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in PATH.read_text() and "pull_request_target" not in PATH.read_text()
    checkout = next(step for step in steps(workflow) if "checkout" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False


def test_pip_is_cached_by_what_is_pinned(workflow: dict[Any, Any]) -> None:
    python = next(step for step in steps(workflow) if "setup-python" in step.get("uses", ""))
    assert python["with"]["cache"] == "pip"
    for name in python["with"]["cache-dependency-path"].split():
        assert (ROOT / name).is_file()
