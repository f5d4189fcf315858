"""The test study, run once for every test that reads one."""

from __future__ import annotations

from pathlib import Path

import pytest

from genret_core.workbench.runs import Study, open_study


@pytest.fixture(scope="session")
def test_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """`params/test`, trained and measured; without its notebooks."""
    from genret_core.workbench.study import run_study

    out: Path = tmp_path_factory.mktemp("runs")
    outcome = run_study("test", out=out, only=[], say=lambda line: None)
    assert outcome.ok, outcome.failures
    return open_study(outcome.folder)
