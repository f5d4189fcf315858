"""An index whose files or whose building went wrong: a refusal with the reason, or a clean restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genret_core.errors import BadInput
from genret_core.files import content_key
from genret_core.retrieval import checksums, index_files
from genret_core.retrieval.build_folder import LOCK, PART, _hold, build_folder
from genret_core.retrieval.token_index import TokenIndex

SEP = 1
ARRAYS = [f"{name}.npy" for name in index_files.ARRAYS]


def make(folder, n=3_000, seed=0, **options) -> TokenIndex:
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 50, n).astype(np.uint16)
    ids[99::100] = SEP
    ids[-1] = SEP
    starts = np.concatenate([[0], np.flatnonzero(ids == SEP) + 1])
    settings = {"vocab_size": 50, "tokenizer_key": "t", "separator_id": SEP, **options}
    return TokenIndex.build(ids, starts, folder, **settings)


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "index")
    return tmp_path / "index"


def write_header(folder, change, *, sealed=False):
    header = json.loads((folder / "header.json").read_text()) | change
    if sealed:
        header.pop("seal")
        header["seal"] = content_key(header)
    (folder / "header.json").write_text(json.dumps({k: v for k, v in header.items() if v is not None}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 99}, "version 99"),
        ({"separator_id": 2}, "header.json was changed"),
        ({"max_depth": 4}, "header.json was changed"),
        ({"tokenizer_key": "other"}, "header.json was changed"),
        ({"seal": "0"}, "header.json was changed"),
        ({"seal": None}, "lacks seal"),
        ({"max_depth": None}, "lacks max_depth"),
    ],
)
def test_an_edited_header_is_refused(folder, change, sentence):
    write_header(folder, change)
    with pytest.raises(BadInput, match=sentence):
        TokenIndex.open(folder)


@pytest.mark.parametrize("cut", [0, 1, 7, 100, -1, -40])
def test_a_header_cut_short_is_refused(folder, cut):
    text = (folder / "header.json").read_bytes()
    (folder / "header.json").write_bytes(text[:cut].rstrip(b"}\n"))
    with pytest.raises(BadInput, match="damaged"):
        TokenIndex.open(folder)


def test_another_tokenizer_is_refused(folder):
    TokenIndex.open(folder, tokenizer_key="t")
    with pytest.raises(BadInput, match="tokenizer t, not other"):
        TokenIndex.open(folder, tokenizer_key="other")


@pytest.mark.parametrize(("n", "bits"), [(3_000_000_000, 32), (2**32 - 2**20, 32), (2**32 - 65, 64)])
def test_a_position_and_the_tokens_behind_it_fit_their_type(n, bits):
    """Near 2^32 a position alone would fit, but not the place 64 tokens behind it."""
    assert 8 * index_files.row_type(n).itemsize == bits
    assert n - 1 + 64 < 2**bits


def test_a_folder_without_an_index_is_refused_and_left_alone(tmp_path):
    with pytest.raises(BadInput, match="no token index"):
        TokenIndex.open(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="is no index"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_cut_at_random_bytes_are_refused(folder, name):
    whole = (folder / name).read_bytes()
    rng = np.random.default_rng(len(whole))
    for size in [0, 1, len(whole) - 1, *rng.integers(0, len(whole), 5)]:
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(BadInput, match=f"{name} has {size} bytes where {len(whole)}"):
            TokenIndex.open(folder)
    (folder / name).unlink()
    with pytest.raises(BadInput, match=f"{name} is missing"):
        TokenIndex.open(folder)


@pytest.mark.parametrize("name", ARRAYS)
def test_any_changed_byte_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    rng = np.random.default_rng(len(whole))
    for place in rng.integers(0, len(whole), 10):
        (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadInput, match=f"{name} was changed"):
            TokenIndex.open(folder)
    (folder / name).write_bytes(whole)
    TokenIndex.open(folder)


def test_a_large_index_is_read_whole_only_after_its_files_were_touched(folder, monkeypatch):
    """Blocks of 512 bytes, and of each file the first and the last are read at once."""
    monkeypatch.setattr(checksums, "BLOCK", 512)
    monkeypatch.setattr(checksums, "WHOLE", 0)
    monkeypatch.setattr(checksums, "SAMPLED", 2)
    arrays = {name[:-4]: checksums.of_file(folder / name) for name in ARRAYS}
    write_header(folder, {"blocks": arrays}, sealed=True)
    reads: list[int] = []
    plain = checksums._hash
    monkeypatch.setattr(checksums, "_hash", lambda block: reads.append(len(block)) or plain(block))

    def opened() -> int:
        reads.clear()
        TokenIndex.open(folder)
        return sum(reads)

    total = sum((folder / name).stat().st_size for name in ARRAYS)
    assert opened() < total / 2
    (folder / checksums.NOTE).unlink()  # as after copying the folder without its times
    assert opened() == total
    assert opened() < total / 2

    path = folder / "suffixes.npy"
    whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(BadInput, match=r"suffixes\.npy was changed since it was written, between bytes 5,"):
        TokenIndex.open(folder)
    os.utime(path, ns=times)  # a byte that flipped on the disk leaves the time as it was
    TokenIndex.open(folder)
    with pytest.raises(BadInput, match=r"suffixes\.npy was changed"):
        TokenIndex.verify(folder)


def test_a_folder_that_cannot_be_written_to_is_read(folder, monkeypatch):
    monkeypatch.setattr(checksums, "WHOLE", 0)
    (folder / checksums.NOTE).unlink()

    def refuse(path, value):
        raise PermissionError

    monkeypatch.setattr(checksums, "write_json", refuse)
    assert TokenIndex.open(folder).n_tokens == 3_000


def test_files_of_two_indexes_do_not_mix(tmp_path, folder):
    make(tmp_path / "other", seed=1)
    (tmp_path / "other" / "tokens.npy").replace(folder / "tokens.npy")
    with pytest.raises(BadInput, match=r"tokens\.npy was changed"):
        TokenIndex.open(folder)


def older(folder) -> None:
    """Make it an index of version 1, as finished studies have them: no checksums."""
    write_header(folder, {"version": 1, "blocks": None, "seal": None, "n_ahead": None})
    (folder / checksums.NOTE).unlink()


def test_an_index_of_version_1_is_read_and_checked_for_fit(folder):
    before = TokenIndex.open(folder).suffixes.tolist()
    older(folder)
    assert TokenIndex.open(folder, tokenizer_key="t").suffixes.tolist() == before
    with pytest.raises(BadInput, match="without checksums"):
        TokenIndex.verify(folder)
    tokens = np.load(folder / "tokens.npy")
    np.save(folder / "tokens.npy", np.roll(tokens, 1))
    with pytest.raises(BadInput, match="do not belong together"):
        TokenIndex.open(folder)
    np.save(folder / "tokens.npy", tokens)
    write_header(folder, {"n_tokens": 5})
    with pytest.raises(BadInput, match="do not belong together"):
        TokenIndex.open(folder)


@pytest.mark.parametrize("change", [{"bytes": []}, {"vocab_size": "x"}])
def test_a_header_of_version_1_with_odd_fields_is_refused(folder, change):
    older(folder)
    write_header(folder, change)
    with pytest.raises(BadInput, match="damaged"):
        TokenIndex.open(folder)


def test_an_array_of_version_1_that_is_none_is_refused(folder):
    older(folder)
    size = (folder / "first.npy").stat().st_size
    (folder / "first.npy").write_bytes(b"x" * size)
    with pytest.raises(BadInput, match=r"first\.npy is damaged"):
        TokenIndex.open(folder)


def test_building_again_keeps_what_is_there_and_refuses_another_corpus(folder):
    header = (folder / "header.json").read_bytes()
    make(folder)
    assert (folder / "header.json").read_bytes() == header
    for change in ({"seed": 1}, {"n": 2_000}):
        with pytest.raises(BadInput, match="another corpus"):
            make(folder, **change)
    with pytest.raises(BadInput, match="up to 64 tokens only"):
        make(folder, max_depth=65)


BUILD = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from test_token_index_files import make
{before}
try:
    make({folder!r}, n={n}, **{options})
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(3)
"""


def run_build(folder, n, before="", **options) -> subprocess.Popen[str]:
    code = BUILD.format(
        tests=os.path.dirname(__file__), folder=str(folder), n=n, before=before, options=options
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("limit", [1_000, 50_000, 150_000, 430_000])
def test_a_file_too_large_for_the_disk_is_said_and_leaves_nothing(tmp_path, limit):
    """A limit on file sizes stands for a full disk: 100,000 tokens take 200 kB and 400 kB."""
    before = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    limited = run_build(tmp_path / "index", 100_000, before)
    said, _ = limited.communicate()
    if limit == 430_000:
        assert limited.returncode == 0
        TokenIndex.verify(tmp_path / "index")
        return
    assert limited.returncode == 3
    assert said.startswith("BadInput")
    assert "no room for the index" in said
    assert not list(tmp_path.iterdir())
    assert make(tmp_path / "index", n=100_000).n_tokens == 100_000


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_build_that_is_killed_leaves_a_clean_restart(tmp_path, jobs):
    """Killed at different moments; the next build sweeps up and gives the same index."""
    folder, n = tmp_path / "there" / "index", 400_000
    whole = make(tmp_path / "whole", n=n, rows_in_memory=20_000)
    for moment in (0.0, 0.1, 0.3):
        building = run_build(folder, n, rows_in_memory=20_000, jobs=jobs)
        while building.poll() is None and not list(folder.parent.glob(f".index.*{PART}")):
            time.sleep(0.005)
        time.sleep(moment)
        building.send_signal(signal.SIGKILL)
        building.wait()
        if not folder.exists():
            assert len({path.stem for path in folder.parent.iterdir()}) == 1  # the rest was swept up
            with pytest.raises(BadInput, match="no token index"):
                TokenIndex.open(folder)
    index = make(folder, n=n, rows_in_memory=20_000)
    assert [path.name for path in folder.parent.iterdir()] == ["index"]
    np.testing.assert_array_equal(index.suffixes, whole.suffixes)


def test_a_build_that_still_runs_is_not_swept_up(tmp_path):
    with build_folder(tmp_path / "index") as first:
        (first / "work").write_text("half done")
        with build_folder(tmp_path / "index") as second:
            (second / "work").write_text("done")
        assert (first / "work").read_text() == "half done"
    assert (tmp_path / "index" / "work").read_text() == "done"
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_whatever_a_killed_build_left_is_swept_up(tmp_path, monkeypatch):
    (tmp_path / f".index.killed-first{LOCK}").touch()  # before its folder was made
    (tmp_path / f".index.killed{LOCK}").touch()
    (tmp_path / f".index.killed{PART}").mkdir()
    (tmp_path / f".other.killed{LOCK}").touch()  # not ours to remove
    held = []

    def swept_up_first(lock):
        if not held:  # between making the lock and holding it
            for path in tmp_path.glob(f".index.*{LOCK}"):
                path.unlink()
        held.append(_hold(lock))
        return held[-1]

    with build_folder(tmp_path / "index") as part:
        assert {path.name for path in tmp_path.iterdir()} == {
            f".other.killed{LOCK}", part.name, part.with_suffix(LOCK).name,
        }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {f".other.killed{LOCK}", "index"}
    monkeypatch.setattr("genret_core.retrieval.build_folder._hold", swept_up_first)
    with build_folder(tmp_path / "index") as part:
        assert len(held) == 2 and part.with_suffix(LOCK).is_file()


def test_a_sorting_process_that_dies_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BadInput, match="ended early"):
        make(tmp_path / "index", n=100_000, rows_in_memory=20_000, jobs=2)
    assert not list(tmp_path.iterdir())
