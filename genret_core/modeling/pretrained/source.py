"""Where a pretrained backbone's files lie, and what is in them: read from disk, never from the network."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json

WHOLE = 1 << 28  # bytes up to which a file of weights is hashed as a whole
BLOCKS, BLOCK = 256, 1 << 16  # of a larger one: evenly spaced blocks, and bytes of each


@dataclass(frozen=True)
class Source:
    """A model's folder.

    Attributes
    ----------
    name : str
        Name on the hub; empty for a folder.
    folder : Path
        The folder, or the snapshot in the hub's cache.
    revision : str or None
        Commit of the snapshot.
    """

    name: str
    folder: Path
    revision: str | None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it was written (`config.json`)."""
        return _config(self.folder / "config.json")

    @property
    def weight_files(self) -> list[Path]:
        """The safetensors files, in the order of their names.

        Raises
        ------
        BadInput
            There are none: weights in other formats are pickled and are not read.
        """
        index = self.folder / "model.safetensors.index.json"
        if index.is_file():
            names = sorted(set(read_json(index)["weight_map"].values()))
        else:
            names = ["model.safetensors"]
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            pickled = ", which holds pickled weights only" if list(self.folder.glob("*.bin")) else ""
            raise BadInput(
                f"{self.folder}{pickled}: {missing[0]} is missing; save the model as safetensors there, or "
                "name a revision that has them."
            )
        return [self.folder / name for name in names]

    def content(self, *, weights: bool = True) -> str:
        """Hash the configuration and, unless switched off, the weights."""
        found: dict[str, Any] = {"config": self.config}
        if weights:
            found["weights"] = {path.name: _file_hash(*_stamp(path)) for path in self.weight_files}
        return content_key(found)


def find_source(name: str, revision: str | None = None) -> Source:
    """Find a folder, or a model in the hub's cache.

    Parameters
    ----------
    name : str
        `~/models/mine`, or a name on the hub such as `google-t5/t5-base`.
    revision : str, optional
        Branch, tag or commit on the hub.

    Raises
    ------
    BadInput
        It is not on this machine, or is no transformers model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise BadInput(f"{name} is a folder and has no revision; leave revision out.")
        found = Source("", folder, None)
    elif name.startswith(("~", "/", ".")) or name.count("/") > 1:
        raise BadInput(f"there is no folder {name}.")
    else:
        found = cached(name, revision)
    if not (found.folder / "config.json").is_file():
        raise BadInput(f"{name}: there is no config.json in {found.folder}; it is no transformers model.")
    return found


@functools.lru_cache(maxsize=64)
def cached(name: str, revision: str | None) -> Source:
    """Find a snapshot in the hub's cache; it may hold a tokenizer alone.

    Raises
    ------
    BadInput
        It is not on this machine.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        asked = f" --revision {revision}" if revision else ""
        raise BadInput(
            f"the model {name!r} is not on this machine; download it once with `hf download {name}{asked}`, "
            "or give the folder that holds it."
        ) from None
    return Source(name, folder, folder.name)


def _config(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    return found


def _stamp(path: Path) -> tuple[str, int, int]:
    """Give the file itself (the cache links to it), its size and its time of change."""
    real = os.path.realpath(path)
    stat = os.stat(real)
    return real, stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=1024)
def _file_hash(path: str, size: int, changed: int) -> str:
    """Hash a file's size and bytes; of a very large one its header and evenly spaced blocks.

    Files of weights differ nearly everywhere when they differ at all, and reading 140 GB for a key would cost
    more than the cell.
    """
    digest = sha256(str(size).encode())
    with open(path, "rb") as file:
        if size <= WHOLE:
            while block := file.read(1 << 20):
                digest.update(block)
        else:
            header = 8 + int.from_bytes(file.read(8), "little")
            file.seek(0)
            digest.update(file.read(min(header, WHOLE)))
            for i in range(BLOCKS):
                file.seek((size - BLOCK) * i // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()
