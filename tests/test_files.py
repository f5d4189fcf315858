"""Files and folders that appear whole: who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from genret_core.files import atomic, atomic_folder


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_files_have_the_modes_that_the_user_asked_for(tmp_path: Path, mask: int) -> None:
    """Also those that a library made for its user alone, as safetensors does."""
    before = os.umask(mask)
    try:
        with atomic_folder(tmp_path / "folder") as part:
            (part / "inner").mkdir(mode=0o700)
            for path in (part / "weights.safetensors", part / "inner" / "more"):
                path.touch(mode=0o600)
            (part / "link").symlink_to("/etc/hostname")
        with atomic(tmp_path / "file") as part:
            part.chmod(0o600)
    finally:
        os.umask(before)
    files = (
        tmp_path / "folder" / "weights.safetensors",
        tmp_path / "folder" / "inner" / "more",
        tmp_path / "file",
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~mask}
    folders = (tmp_path / "folder", tmp_path / "folder" / "inner")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o777 & ~mask}
