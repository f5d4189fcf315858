"""Readers: where a corpus comes from. Each is a function ``read(folder, **parameters) -> Corpus``."""

from __future__ import annotations

import difflib
import inspect
import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from genret_core.errors import BadInput
from genret_core.retrieval.corpus import Corpus
from genret_core.retrieval.readers import beir, docstrings, synthetic, unjudged
from genret_core.retrieval.readers.jsonl import find

Reader = Callable[..., Corpus]
"""Called with a folder, and with the parameters of a study's corpus section as keyword arguments."""

READERS: dict[str, Reader] = {
    "docstrings": docstrings.read,
    "beir": beir.read,
    "synthetic": synthetic.read,
}


def read_corpus(reader: str, folder: str | os.PathLike[str], parameters: Mapping[str, Any]) -> Corpus:
    """Write a corpus with a reader chosen by name.

    Raises
    ------
    BadInput
        If the reader or a parameter is unknown (the nearest name is given), or a value has the wrong type.
    """
    settled = check_reader(reader, parameters)
    return READERS[reader](folder, **settled)


def is_collection(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a collection in BEIR's layout, with judgements or without."""
    return find(Path(path) / "corpus.jsonl") is not None


def read_collection(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Corpus:
    """Write a corpus from a collection in BEIR's layout as it is; it needs no judgements."""
    if unjudged.is_unjudged(path):
        return unjudged.read(folder, path=str(path))
    return read_corpus("beir", folder, {"path": str(path)})


def check_reader(reader: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check a reader's name, and the names and types of its parameters, without reading anything.

    Returns
    -------
    dict
        The parameters with their types settled ("500" becomes 500).
    """
    if reader not in READERS:
        raise BadInput(f"no reader is called {reader!r}{_nearest(reader, READERS)}")
    known = dict(list(inspect.signature(READERS[reader]).parameters.items())[1:])
    hints = typing.get_type_hints(READERS[reader])
    settled = {}
    for name, value in parameters.items():
        if name not in known:
            raise BadInput(f"the reader {reader} has no parameter {name!r}{_nearest(name, known)}")
        try:
            settled[name] = TypeAdapter(hints[name], config=_CONFIG).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise BadInput(f"the reader {reader}: {name} is {value!r}: {reason}.") from None
    missing = [name for name, parameter in known.items() if parameter.default is inspect.Parameter.empty]
    for name in missing:
        if name not in settled:
            raise BadInput(f"the reader {reader} needs the parameter {name!r}.")
    return settled


_CONFIG = ConfigDict(arbitrary_types_allowed=True)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=2)
    return f"; did you mean {' or '.join(near)}?" if near else f"; choose one of {', '.join(known)}."
