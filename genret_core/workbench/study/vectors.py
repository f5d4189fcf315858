"""Files that a study is given (vectors, codes, a tokenizer), told apart by content and not by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.files import read_json, write_json
from genret_core.retrieval.codebook import CodebookConfig

NOTE = "vectors.json"
_BLOCK = 1 << 22
_TOKENIZER = ("*token*.json", "vocab*", "merges*", "*.model", "*.tiktoken")


def vectors_key(folder: Path, config: CodebookConfig, *, note: bool = False) -> str:
    """Hash the files that the vectors of a codebook are made from.

    A file is read anew only when its size or date has changed. Once noted in the study, the files may go: the
    codebook that was made of them stays.

    Parameters
    ----------
    folder : Path
        The study folder.
    config : CodebookConfig
    note : bool
        Whether to note the hash in the study folder.

    Returns
    -------
    str
        Empty for `tfidf`, which the corpus and the configuration settle.

    Raises
    ------
    BadInput
        The files are not there, and nothing is noted of them.
    """
    if config.embedding == "tfidf":
        return ""
    return _noted(folder, f"{config.embedding} {config.model or ''}".strip(), lambda: _files(config), note)


def tokenizer_key(folder: Path, hub: str | None, *, note: bool = False) -> str:
    """Hash the files of a published tokenizer, as `vectors_key` does those of vectors.

    Parameters
    ----------
    hub : str or None
        Name, or folder; None: it is trained on the corpus, which with its settings settles it.
    """
    return "" if hub is None else _noted(folder, f"tokenizer {hub}", lambda: _tokenizer_files(hub), note)


def _noted(folder: Path, place: str, find: Callable[[], tuple[Path, ...]], note: bool) -> str:
    at = folder / "corpus" / NOTE
    known = read_json(at) if at.is_file() else {}
    try:
        files = find()
    except BadInput:
        if place in known:
            return str(known[place]["key"])
        raise
    seen = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    if place in known and known[place]["files"] == seen:
        return str(known[place]["key"])
    key = _hash(files)
    if note:
        write_json(at, {**known, place: {"key": key, "files": seen}})
    return key


def check_codes(folder: Path, config: CodebookConfig) -> None:
    """Note the content of given codes with the study, and refuse codes that have changed since.

    Their place is in the codebook's key and not their content, so that they may move away; what was made of
    them stays.

    Raises
    ------
    BadInput
        The file holds other codes than when the study was made.
    """
    if config.codes is None:
        return
    file = Path(os.path.expandvars(config.codes)).expanduser()
    at = folder / "corpus" / NOTE
    known = read_json(at) if at.is_file() else {}
    place = f"codes {config.codes}"
    if not file.is_file():
        return  # whoever needs them says so
    seen = [[file.name, file.stat().st_size, file.stat().st_mtime_ns]]
    if place in known and known[place]["files"] == seen:
        return
    key = _hash((file,))
    if place in known and known[place]["key"] != key:
        raise BadInput(
            f"the codes in {file} have changed since this study was made with them; give the study another "
            "`name`, or start it anew with --fresh."
        )
    write_json(at, {**known, place: {"key": key, "files": seen}})


def _files(config: CodebookConfig) -> tuple[Path, ...]:
    if config.model is not None:
        from genret_core.modeling.text_encoder import ModelFolder

        return ModelFolder.find(config.model).files()
    from genret_core.retrieval.given_vectors import vector_files

    return vector_files(config.embedding)


def _tokenizer_files(hub: str) -> tuple[Path, ...]:
    folder = Path(hub).expanduser()
    if not folder.is_dir():
        from genret_core.modeling.pretrained.source import cached

        name, _, revision = hub.partition("@")
        folder = cached(name, revision or None).folder
    return tuple(sorted({path for pattern in _TOKENIZER for path in folder.glob(pattern) if path.is_file()}))


def _hash(files: tuple[Path, ...]) -> str:
    """Hash names and contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:16]
