"""The files of a token index: what may go in, and what is refused when they are opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from genret_core.errors import BadInput
from genret_core.files import content_key, read_json, write_json
from genret_core.retrieval import checksums
from genret_core.retrieval.build_folder import FULL
from genret_core.retrieval.npy_stream import NO_ARRAY

VERSION = 2
READABLE = (1, 2)  # version 1 had no checksums
ARRAYS = ("tokens", "suffixes", "doc_starts", "first")
COUNTS = ("n_tokens", "n_documents", "vocab_size", "separator_id", "max_depth")
LONGEST_IN_32_BITS = 2**32 - 2**20  # a token looked at stands up to `max_depth` behind a position
CHUNK = 4_000_000  # entries read at once
AGAIN = "remove the folder and build the index again"


def checked_counts(ids: np.ndarray, doc_starts: np.ndarray, vocab_size: int, separator_id: int) -> np.ndarray:
    """Check a token stream and give the cumulative counts of its tokens, int64[vocab_size + 1]."""
    n = len(ids)
    if not len(doc_starts) > 1 or doc_starts[0] != 0 or doc_starts[-1] != n or np.diff(doc_starts).min() < 1:
        raise BadInput(
            f"doc_starts must rise from 0 to the number of tokens ({n}), one entry per document and one."
        )
    counts = np.zeros(vocab_size, np.int64)
    for start in range(0, n, CHUNK):
        chunk = np.asarray(ids[start : start + CHUNK])
        if chunk.min() < 0 or chunk.max() >= vocab_size:
            where = start + int(np.flatnonzero((chunk < 0) | (chunk >= vocab_size))[0])
            raise BadInput(f"token {where} is {ids[where]}, outside the vocabulary of {vocab_size} tokens.")
        counts += np.bincount(chunk.astype(np.int64), minlength=vocab_size)
    open_ended = np.flatnonzero(ids[doc_starts[1:] - 1] != separator_id)
    if len(open_ended):
        raise BadInput(f"document {open_ended[0]} does not end in the separator (token {separator_id}).")
    if counts[separator_id] != len(doc_starts) - 1:
        inside = int(counts[separator_id]) - (len(doc_starts) - 1)
        raise BadInput(f"the separator (token {separator_id}) stands inside documents, {inside} times.")
    return np.concatenate([[0], np.cumsum(counts)])


def has_index(folder: Path) -> bool:
    """Tell whether an index is there; refuse a folder with something else."""
    if (folder / "header.json").exists():
        return True
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadInput(f"{folder} exists and is no index; choose another folder for the index.")
    return False


def token_type(vocab_size: int) -> np.dtype[Any]:
    """Type that holds every token."""
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


def row_type(n_tokens: int) -> np.dtype[Any]:
    """Type that holds every position, and what a prefix adds to it."""
    return np.dtype(np.uint32 if n_tokens <= LONGEST_IN_32_BITS else np.uint64)


def reserve(handle: int, size: int, path: Path) -> None:
    """Give an open file its size and the disk space for it.

    A mapped file without its space on the disk would kill the process as soon as the disk is full.
    """
    try:
        os.posix_fallocate(handle, 0, max(1, size))
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            error.filename = str(path)
            raise
        os.ftruncate(handle, size)  # a system or file system that cannot reserve


def create(path: Path, dtype: Any, n: int) -> np.ndarray:
    """Make an array on disk, to be filled; its space is reserved."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file,
            {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (n,)},
        )
        file.flush()
        reserve(file.fileno(), file.tell() + n * np.dtype(dtype).itemsize, path)
    return np.load(path, mmap_mode="r+")


def seal(folder: Path, header: dict[str, Any]) -> None:
    """Write checksums, header and the note that all was well; the arrays are complete on disk."""
    for name in ARRAYS:
        with (folder / f"{name}.npy").open("rb") as file:
            os.fsync(file.fileno())
    header = {
        "version": VERSION,
        **header,
        "bytes": {name: (folder / f"{name}.npy").stat().st_size for name in ARRAYS},
        "blocks": {name: checksums.of_file(folder / f"{name}.npy") for name in ARRAYS},
    }
    checksums.note(folder, [f"{name}.npy" for name in ARRAYS])
    write_json(folder / "header.json", header | {"seal": content_key(header)})


def read_header(folder: Path) -> dict[str, Any]:
    """Read the header, or raise BadInput."""
    path = folder / "header.json"
    try:
        header = read_json(path)
        version = header["version"]
    except FileNotFoundError:
        raise BadInput(f"{folder}: there is no token index here (no header.json); build one.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{path} is damaged; {AGAIN}.") from None
    if version not in READABLE:
        raise BadInput(f"{folder}: the index has version {version}, this is {VERSION}; {AGAIN}.")
    wanted = (*COUNTS, "tokenizer_key", "bytes", *(("blocks", "seal") if version > 1 else ()))
    missing = [name for name in wanted if name not in header]
    if missing:
        raise BadInput(f"{path} lacks {', '.join(missing)}; {AGAIN}.")
    if version > 1 and header.pop("seal") != content_key(header):
        raise BadInput(f"{path} was changed since the index was built; {AGAIN}.")
    if not all(isinstance(header[name], int) for name in COUNTS) or not isinstance(header["bytes"], dict):
        raise BadInput(f"{path} is damaged; {AGAIN}.")
    return header


def check_arrays(folder: Path, header: dict[str, Any], *, every_byte: bool = False) -> None:
    """Refuse arrays that are missing, cut short or changed; see `checksums.check`."""
    sizes = {f"{name}.npy": header["bytes"].get(name) for name in ARRAYS}
    for name, expected in sizes.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError:
            raise BadInput(f"{path} is missing; {AGAIN}.") from None
        if size != expected:
            raise BadInput(f"{path} has {size} bytes where {expected} are expected; {AGAIN}.")
    if "blocks" in header:
        blocks = {f"{name}.npy": header["blocks"][name] for name in ARRAYS}
        checksums.check(folder, blocks, every_byte=every_byte)
    elif every_byte:
        raise BadInput(f"{folder}: the index was built without checksums; build it again to have them.")


def map_array(folder: Path, name: str) -> np.ndarray:
    """Map one array read-only, or raise BadInput if it is no array."""
    path = folder / f"{name}.npy"
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError, TypeError, EOFError, *NO_ARRAY):
        raise BadInput(f"{path} is damaged; {AGAIN}.") from None
