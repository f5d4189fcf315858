"""Bundles: the same bytes each time, whole when read back, and nothing believed of a file from elsewhere."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from genret_core.errors import BadInput
from genret_core.workbench.pool import read_status, write_status
from genret_core.workbench.runs import Study, open_study
from genret_core.workbench.study.bundle import write_bundle
from genret_core.workbench.study.page import write_page
from genret_core.workbench.study.unbundle import read_bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from many_cells import finished_study

HOST = "node-of-mine"
LOGGED = "what the cell printed\n"
Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = finished_study(tmp_path_factory.mktemp("made") / "runs", 2, 1, 1)
    found = open_study(folder)
    for cell in found.plan:
        (found.layout.cell(cell.key) / "log.txt").write_text(LOGGED)
        (found.layout.cell(cell.key) / "beat.json").write_text("{}")
        write_status(found.layout.cell(cell.key), "running", name="a cell", host=HOST)
        write_status(found.layout.cell(cell.key), "done", name="a cell")
    stray = folder / "cells" / "0123456789abcdef"  # of a grid that was given up
    stray.mkdir()
    (stray / "cell.json").write_text("{}")
    (folder / "cells" / found.plan[0].key / "link").symlink_to("/etc/hostname")
    (folder / "lock.json").write_text("{}")
    return found


def test_the_same_study_gives_the_same_bytes_and_comes_back_whole(study: Study, tmp_path: Path) -> None:
    first = write_bundle(study, tmp_path / "a.zip")
    for file in study.folder.rglob("*.json"):
        file.touch()
    write_bundle(study, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert set(first.parts) == {"reports", "results", "corpus"} and first.bytes > 0
    found = read_bundle(tmp_path / "a.zip", tmp_path / "runs")
    assert found.new and found.folder == tmp_path / "runs" / "many" and "checkpoints" in found.lacks[0]
    there = open_study(found.folder)
    assert set(there.progress()["state"]) == {"done"}  # nothing is trained again
    pd.testing.assert_frame_equal(there.results, study.results)
    assert there.corpus.n_documents == study.corpus.n_documents
    names = {path.name for path in found.folder.rglob("*")}
    assert not names & {"model.safetensors", "beat.json", "lock.json", "link", "0123456789abcdef"}
    assert (found.folder / "cells" / there.plan[0].key / "log.txt").read_text() == LOGGED
    key = there.plan[0].key
    assert read_status(study.layout.cell(key))["host"] == HOST
    assert (
        "host" not in read_status(there.layout.cell(key)) and there.progress().shape == study.progress().shape
    )
    packed = zipfile.ZipFile(tmp_path / "a.zip")
    assert not [name for name in packed.namelist() if HOST.encode() in packed.read(name)]
    again = read_bundle(tmp_path / "a.zip", tmp_path / "runs")
    assert not again.new and again.folder == found.folder


def test_weights_and_corpus_on_request(study: Study, tmp_path: Path) -> None:
    write_bundle(study, tmp_path / "a.zip", checkpoints=True, corpus=False)
    found = read_bundle(tmp_path / "a.zip", tmp_path / "runs")
    key = study.plan[0].key
    assert (found.folder / "cells" / key / "checkpoint" / "model.safetensors").is_file()
    assert not (found.folder / "corpus").exists() and "corpus" in found.lacks[0]
    assert len(pd.read_parquet(found.folder / "results.parquet")) == len(study.results)


def test_another_study_is_not_overwritten(study: Study, tmp_path: Path) -> None:
    write_bundle(study, tmp_path / "a.zip")
    other = tmp_path / "runs" / "many"
    other.mkdir(parents=True)
    (other / "study.yaml").write_text("mine")
    with pytest.raises(BadInput, match="is not this bundle"):
        read_bundle(tmp_path / "a.zip", tmp_path / "runs")
    assert [path.name for path in other.iterdir()] == ["study.yaml"]


def test_a_study_that_runs_is_not_packed(study: Study, tmp_path: Path) -> None:
    kept = study.layout.status_file.read_text()
    from genret_core.workbench.pool.status import write_status

    write_status(study.folder, "running")
    try:
        with pytest.raises(BadInput, match="runs now"):
            write_bundle(study, tmp_path / "a.zip")
    finally:
        study.layout.status_file.write_text(kept)
    assert not list(tmp_path.iterdir())


# ---- files from elsewhere ----


@pytest.fixture(scope="module")
def packed(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Entries:
    path = tmp_path_factory.mktemp("packed") / "a.zip"
    write_bundle(study, path, corpus=False)
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def listed(entries: Entries, name: str, content: bytes) -> None:
    """Put a file into a bundle as its own list says."""
    manifest = json.loads(entries["many/bundle.json"])
    noted = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"][name.removeprefix("many/")] = noted
    entries["many/bundle.json"] = json.dumps(manifest).encode()
    entries[name] = content


def zipped(path: Path, entries: Entries, change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change is not None:
                change(info)
            archive.writestr(info, content)
    return path


def refused(path: Path, tmp_path: Path, words: str) -> None:
    runs = tmp_path / "deep" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=words) as told:
        read_bundle(path, runs)
    assert "\n" not in str(told.value) and "\x1b" not in str(told.value)
    assert set(tmp_path.rglob("*")) == before  # nothing stays, not even in part


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../out.txt", "leads out"),
        ("many/../../out.txt", "leads out"),
        ("/tmp/genret-out.txt", "leads out"),
        ("many/cells//x", "leads out"),
        ("many/./x", "leads out"),
        ("C:/out.txt", "no name of a file"),
        ("many\\..\\out.txt", "leads out|no name of a file|does not belong"),
        ("many/cells/\x1b[31mred", "no name of a file"),
        ("many/cells/\u202egpj.exe", "no name of a file"),
        ("many/cells/" + "x" * 300, "no name of a file"),
        ("many/.ssh/authorized_keys", "does not belong"),
        ("many/setup.py", "does not belong"),
        ("many/CELLS.parquet", "twice"),
    ],
)
def test_names_stay_inside(packed: Entries, tmp_path: Path, name: str, words: str) -> None:
    entries = dict(packed)
    listed(entries, name, b"outside")
    refused(zipped(tmp_path / "a.zip", entries), tmp_path, words)


def test_links_and_devices_are_refused(packed: Entries, tmp_path: Path) -> None:
    entries = dict(packed)
    listed(entries, "many/cells/link", b"/etc/passwd")
    for mode in (0o120777, 0o060666, 0o010666):

        def change(info: zipfile.ZipInfo, mode: int = mode) -> None:
            info.external_attr = (mode if info.filename.endswith("link") else 0o100644) << 16

        refused(zipped(tmp_path / "a.zip", entries, change), tmp_path, "a link or a device")


def test_a_bomb_is_not_unpacked(packed: Entries, tmp_path: Path) -> None:
    entries = dict(packed)
    listed(entries, "many/cells/zeros", bytes(150_000_000))
    refused(zipped(tmp_path / "a.zip", entries), tmp_path, "times larger")


def test_what_was_changed_on_the_way_is_found(packed: Entries, tmp_path: Path) -> None:
    changed = {**packed, "many/study.yaml": packed["many/study.yaml"] + b"\n# more"}
    refused(zipped(tmp_path / "a.zip", changed), tmp_path, "is not what was packed")
    lacking = {name: content for name, content in packed.items() if name != "many/results.parquet"}
    refused(zipped(tmp_path / "b.zip", lacking), tmp_path, "not both listed and there")
    more = {**packed, "many/cells/more.json": b"{}"}
    refused(zipped(tmp_path / "c.zip", more), tmp_path, "not both listed and there")
    whole = zipped(tmp_path / "d.zip", packed).read_bytes()
    (tmp_path / "d.zip").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "d.zip", tmp_path, "damaged")
    (tmp_path / "e.zip").write_bytes(b"no zip")
    refused(tmp_path / "e.zip", tmp_path, "not a zip file")
    refused(zipped(tmp_path / "f.zip", {"readme.txt": b"hello"}), tmp_path, "no bundle of a study")
    refused(tmp_path / "none.zip", tmp_path, "there is no file")


def test_any_damage_is_refused_or_does_no_harm(study: Study, packed: Entries, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", packed).read_bytes()
    rng = random.Random(0)
    runs = tmp_path / "runs"
    ends = {"refused": 0, "read": 0}
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 3])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "b.zip").write_bytes(
            damaged[: rng.randrange(len(damaged))] if rng.random() < 0.1 else damaged
        )
        try:
            read_bundle(tmp_path / "b.zip", runs)
        except BadInput as told:
            ends["refused"] += 1
            assert "\n" not in str(told) and len(str(told)) < 400
            assert not runs.exists() or not list(runs.iterdir())
            continue
        ends["read"] += 1  # a date, say
        pd.testing.assert_frame_equal(open_study(runs / "many").results, study.results)
        shutil.rmtree(runs)
    assert min(ends.values()) > 0


def test_other_ways_of_packing_are_refused(packed: Entries, tmp_path: Path) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_LZMA

    refused(zipped(tmp_path / "a.zip", packed, change), tmp_path, "packed in a way")


def test_a_study_file_is_read_with_care(packed: Entries, tmp_path: Path) -> None:
    for text, words in (
        (b"name: many\nextends: ../../../etc/passwd\n", "not one that was run"),
        (b"!!python/object/apply:os.system ['touch /tmp/genret-out']", "cannot be read"),
        (packed["many/study.yaml"].replace(b"name: many", b"name: ../../out", 1), "names a folder"),
        (packed["many/study.yaml"].replace(b"name: many", b"name: other", 1), "not called 'many'"),
    ):
        entries = dict(packed)
        listed(entries, "many/study.yaml", text)
        refused(zipped(tmp_path / "a.zip", entries), tmp_path, words)


def test_pages_of_others_are_left_out(packed: Entries, tmp_path: Path) -> None:
    entries = dict(packed)
    for name in ("many/index.html", "many/plotly.min.js", "many/notebooks/05-01234567/report.html"):
        listed(entries, name, b"<script>alert(1)</script>")
    found = read_bundle(zipped(tmp_path / "a.zip", entries), tmp_path / "runs")
    assert not list(found.folder.rglob("*.html")) and not list(found.folder.rglob("*.js"))


def test_a_moved_bundle_keeps_its_links(study: Study, tmp_path: Path) -> None:
    write_page(study, [])
    write_bundle(study, tmp_path / "a.zip", corpus=False)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "stick")
    page = tmp_path / "stick" / "many" / "index.html"
    links = {part.partition('"')[0] for part in page.read_text().split('href="')[1:]}
    assert {"study.yaml", "results.parquet"} <= links and any(link.endswith("log.txt") for link in links)
    assert all((page.parent / link).is_file() for link in links)
    shutil.rmtree(tmp_path / "stick")
