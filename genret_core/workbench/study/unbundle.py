"""A bundle read back into a study folder, from whoever it comes.

Nothing in the file is believed: names, sizes and hashes are checked, what is written stays in one folder, and
pages are made anew here, so that no script of somebody else's comes along.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from genret_core.errors import BadInput
from genret_core.files import atomic_folder
from genret_core.readable import readable
from genret_core.workbench import project
from genret_core.workbench.study.bundle import FORMAT, MANIFEST, TOP
from genret_core.workbench.study.file import load

Say = Callable[[str], None]
FOLDERS = ("cells", "corpus", "evaluation", "notebooks", "pretrained")
REMADE = (".html", ".js")  # pages and their scripts are not taken over
MOST = 1_000_000  # files
LARGEST_TEXT = 64_000_000  # bytes of the list of files, or of the study's file
SUSPECT = 200  # times smaller than what it holds: what texts and tables never are on the whole
SMALL = 100_000_000  # bytes that may be so in any case
SPARE = 500_000_000  # bytes that are left free on the disk


@dataclass(frozen=True)
class Opened:
    """A bundle in its folder.

    Attributes
    ----------
    folder : Path
        The study folder.
    new : bool
        Whether it was made now; else the same bundle lay there already.
    lacks : tuple of str
        What was not packed, and what that means, a sentence each.
    """

    folder: Path
    new: bool
    lacks: tuple[str, ...]


def read_bundle(path: str | Path, out: str | Path | None = None) -> Opened:
    """Unpack a bundle into `runs/<name>`.

    Parameters
    ----------
    path : path-like
        The zip.
    out : path-like, optional
        Where study folders lie; by default `runs` of the project.

    Returns
    -------
    Opened
        Its pages are not there yet: `study.rebuild` makes them.

    Raises
    ------
    BadInput
        If it is no bundle, is damaged, reaches outside of its folder, is larger than the disk, or another
        study lies where it would go. Nothing was written then.
    """
    path = Path(path).expanduser()
    runs = Path(out).expanduser().resolve() if out is not None else project.project_root() / "runs"
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(path, archive, runs)
    except FileNotFoundError:
        raise BadInput(f"there is no file {path}.") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, RuntimeError, zlib.error) as error:
        raise BadInput(f"{path} is not a zip file, or a damaged one: {readable(error, 200)}.") from None


def _read(path: Path, archive: zipfile.ZipFile, runs: Path) -> Opened:
    entries = _entries(path, archive)
    manifest = _manifest(path, archive, entries)
    name = str(manifest["study"])
    lacks = _lacks(name, manifest)
    folder = runs / name
    if folder.exists():
        if not _same(folder, manifest):
            raise BadInput(
                f"{folder} is there already and is not this bundle; move it, or give --out another folder."
            )
        return Opened(folder, False, lacks)
    _room(path, entries, runs)
    runs.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as part:
        for relative, noted in manifest["files"].items():
            if not relative.endswith(REMADE):
                _extract(path, archive, entries[f"{name}/{relative}"], part / relative, noted)
        _check_study(path, part, name)
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    return Opened(folder, True, lacks)


def _entries(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """List what is in the archive; every name stays inside, is a plain file, and stands once."""
    infos = archive.infolist()
    if len(infos) > MOST:
        raise BadInput(f"{path} holds {len(infos):,} files, more than any study; it was not unpacked.")
    entries: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for info in infos:
        name = info.filename
        mode = stat.S_IFMT(info.external_attr >> 16)
        if mode == stat.S_IFDIR or name.endswith("/"):
            continue
        if wrong := _wrong(name, mode, info):
            raise BadInput(f"{path}: {readable(name, 80)!r} {wrong}; nothing was unpacked.")
        if name.casefold() in folded:
            raise BadInput(f"{path} holds {readable(name, 80)!r} twice; nothing was unpacked.")
        folded.add(name.casefold())
        entries[name] = info
    return entries


def _wrong(name: str, mode: int, info: zipfile.ZipInfo) -> str:
    """Say what is wrong with an entry; "" if nothing is."""
    parts = name.split("/")
    if name != readable(name, 4_000) or "\\" in name or ":" in name:
        return "is no name of a file of ours"
    if PurePosixPath(name).is_absolute() or any(part in ("", ".", "..") for part in parts):
        return "leads out of the study's folder"
    if max(map(len, parts)) > 200 or len(parts) > 12:
        return "is no name of a file of ours"
    if mode not in (0, stat.S_IFREG):
        return "is a link or a device"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that no study is"
    return ""


def _manifest(path: Path, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> dict[str, Any]:
    """Read the list of files, and see that it lists just what is there and belongs to a study."""
    found = [name for name in entries if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")]
    if len(found) != 1:
        raise BadInput(f"{path} is no bundle of a study: `genret report STUDY --bundle` makes one.")
    name = found[0].partition("/")[0]
    try:
        manifest = json.loads(_small(path, archive, entries[found[0]]))
        files, written = dict(manifest["files"]), manifest["format"]
        fits = manifest["study"] == name and all({"size", "sha256"} <= set(one) for one in files.values())
    except (ValueError, KeyError, TypeError, RecursionError):
        fits, files, written = False, {}, None
    if not fits:
        raise BadInput(f"{path}: its {MANIFEST} cannot be read; pack the study again.")
    if written != FORMAT:
        raise BadInput(
            f"{path} has format {readable(written, 20)}, and this genret reads {FORMAT}; pack it anew."
        )
    listed = {f"{name}/{one}" for one in files}
    for other in sorted(listed ^ (set(entries) - {found[0]}))[:1]:
        raise BadInput(f"{path}: {readable(other, 80)!r} is not both listed and there; pack the study again.")
    for one in files:
        if one not in TOP and one.partition("/")[0] not in FOLDERS:
            raise BadInput(f"{path}: {readable(one, 80)!r} does not belong to a study; nothing was unpacked.")
    return dict(manifest)


def _same(folder: Path, manifest: dict[str, Any]) -> bool:
    try:
        return bool(json.loads((folder / MANIFEST).read_text(encoding="utf-8")) == manifest)
    except (OSError, ValueError):
        return False


def _room(path: Path, entries: dict[str, zipfile.ZipInfo], runs: Path) -> None:
    """Refuse what is larger than the disk, and what is packed tighter than a study can be."""
    size = sum(info.file_size for info in entries.values())
    packed = path.stat().st_size
    if size > SMALL and size > SUSPECT * packed:
        raise BadInput(
            f"{path} would become {size / packed:,.0f} times larger, as no study does; not unpacked."
        )
    there = next(one for one in (runs, *runs.parents) if one.exists())
    free = shutil.disk_usage(there).free
    if size + SPARE > free:
        raise BadInput(
            f"{path} takes {size / 1e9:.1f} GB unpacked, and {there} has {free / 1e9:.1f} GB left."
        )


def _extract(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, noted: dict[str, Any]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = info.file_size
    with archive.open(info) as source, target.open("xb") as out:
        while block := source.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise BadInput(f"{path}: {info.filename!r} is larger than it says; nothing was unpacked.")
            digest.update(block)
            out.write(block)
    if left or digest.hexdigest() != noted["sha256"]:
        raise BadInput(f"{path}: {info.filename!r} is not what was packed; get the file again.")


def _small(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > LARGEST_TEXT:
        raise BadInput(f"{path}: {info.filename!r} is too large to be what it says; nothing was unpacked.")
    with archive.open(info) as source:
        return source.read(LARGEST_TEXT)


def _check_study(path: Path, folder: Path, name: str) -> None:
    """See that the study's file is one, whole, and names the folder."""
    file = folder / "study.yaml"
    if not file.is_file() or file.stat().st_size > 1_000_000:
        raise BadInput(f"{path} holds no study.yaml; nothing was unpacked.")
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError, RecursionError):
        raise BadInput(f"{path}: its study.yaml cannot be read; nothing was unpacked.") from None
    if not isinstance(raw, dict) or "extends" in raw:  # as it was run, a study says everything itself
        raise BadInput(f"{path}: its study.yaml is not one that was run; nothing was unpacked.")
    if load(folder).name != name:
        raise BadInput(f"{path}: its study is not called {name!r}; nothing was unpacked.")


def _lacks(name: str, manifest: dict[str, Any]) -> tuple[str, ...]:
    told = []
    if not manifest.get("checkpoints"):
        told.append(
            f"{name} came without checkpoints: its results can be read and fitted again; new searches need "
            "them, from whoever packed it (--checkpoints), or trained anew (--fresh)"
        )
    if not manifest.get("corpus"):
        told.append(f"{name} came without its corpus: reports can be read, but few notebooks can run again")
    return tuple(told)
