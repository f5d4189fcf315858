"""Settings of every test: one thread, no network, no colours; the test study, run once for all of them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from genret_core.workbench.runs import Study
    from genret_core.workbench.study import StudyOutcome

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["NO_COLOR"] = "1"
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background; Ctrl-C is tested all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_outcome(tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    """`genret study test`: cells, tables, notebooks and the page; what failed is in its `failures`."""
    from genret_core.workbench.study import run_study

    return run_study("test", out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def test_study(test_outcome: StudyOutcome) -> Study:
    """The test study, opened for reading."""
    from genret_core.workbench.runs import open_study

    return open_study(test_outcome.folder)
