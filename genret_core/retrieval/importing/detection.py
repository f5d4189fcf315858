"""What a file holds, told by its name and its first characters."""

from __future__ import annotations

import ast
import csv
import json
import re
from pathlib import Path

from genret_core.errors import BadInput
from genret_core.retrieval.importing.dpr import HEADER
from genret_core.retrieval.importing.huggingface import is_dataset
from genret_core.retrieval.importing.json_stream import json_stream
from genret_core.retrieval.importing.sources import Source, complaining, opened

KINDS = {
    "passages": "passages as DPR keeps them (id, text, title; quoted as csv)",
    "questions": "questions with answers as DPR keeps them",
    "open-questions": "questions with answers as NQ-open keeps them",
    "contexts": "questions with their passages as DPR keeps them",
    "source": "questions of MINDER's training lines",
    "target": "identifiers of MINDER's training lines",
    "pseudo-queries": "pseudo-questions of passages",
    "titled": "documents as id, title and text, without quoting",
    "documents": "documents as id and text, without quoting",
    "queries": "queries as id and text, without quoting",
    "codes": "codes of documents as RIPOR keeps them",
    "query-lines": "pseudo-questions of documents as RIPOR keeps them, for training",
    "query-object": "questions with their documents as SLGR keeps them",
    "qrels": "judgements as RIPOR keeps them (JSON)",
    "judgements": "judgements as a table",
    "scores": "scored prefixes of RIPOR, from which nothing is imported",
    "squad": "paragraphs and questions as SQuAD keeps them",
    "beir-documents": "documents in BEIR's layout",
    "beir-queries": "queries in BEIR's layout",
    "beside": "what an import kept beside a collection",
    "beside-codes": "codes that an import kept beside a collection",
    "hf": "a data set of Hugging Face",
}
_COLLECTIONS = ("passages", "titled", "documents", "beir-documents")
_BEIR = ("beir-documents", "beir-queries", "judgements", "beside", "beside-codes")
_RIPOR = ("codes", "query-lines", "query-object", "qrels", "documents", "queries", "scores", "judgements")
FORMATS = {
    "dpr": ("passages", "questions", "contexts", "open-questions"),
    "minder": ("source", "target", "pseudo-queries", "questions", "contexts", *_COLLECTIONS),
    "ripor": _RIPOR,
    "slgr": (*_RIPOR, "source", "target", "passages"),
    "kilt": ("titled", "queries", "judgements", "qrels"),
    "raw": ("documents", "queries", "judgements", "qrels"),
    "squad": ("squad",),
    "beir": _BEIR,
    "hf": ("hf",),
}
_HEAD = 1 << 20
_ROWS = 20
_RECORDS = {
    "query-lines": {"docid", "query"},
    "scores": {"qid", "smtids"},
    "open-questions": {"question", "answer"},
    "beside-codes": {"_id", "codes"},
}


def kind_of(path: Path, format: str | None = None) -> str:
    """Tell what a file holds.

    Parameters
    ----------
    path : Path
    format : str, optional
        Of `FORMATS`: only what belongs to it is considered.

    Returns
    -------
    str
        Of `KINDS`.

    Raises
    ------
    BadInput
        If it is nothing that can be imported, or may be two things.
    """
    kinds = _candidates(path)
    allowed = FORMATS[format] if format else tuple(KINDS)
    left = [kind for kind in kinds if kind in allowed]
    if not left:
        raise BadInput(
            f"{path} looks like {KINDS[kinds[0]]}, which is not of the format {format}; leave --format out "
            "or name another one."
        )
    if left[:2] == ["documents", "queries"] and not _named(path):
        raise BadInput(
            f"{path} holds ids and texts, of documents or of queries: say documents={path.name} or "
            f"queries={path.name} (with its folder)."
        )
    if left[:2] == ["pseudo-queries", "query-object"]:
        raise BadInput(
            f"{path} holds lists of texts: say pseudo-queries={path.name} (questions of passage ids) or "
            f"query-object={path.name} (passage ids of questions), with its folder."
        )
    return left[0]


def _candidates(path: Path) -> list[str]:
    plain = path.name.removesuffix(".gz")
    if plain.endswith((".source", ".target")):
        return [plain.rsplit(".", 1)[1]]
    if plain.endswith((".zip", ".tar", ".tgz", ".bz2", ".xz")):
        raise BadInput(f"{path} is an archive; unpack it first (.gz alone is read as it is).")
    with path.open("rb") as file:
        start = file.read(2)
    if plain.endswith((".pkl", ".pickle")) or start in (b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise BadInput(
            f"{path} is a pickle, which can run any program when it is read; if you trust it, make JSON "
            f"of it: python -c \"import json, pickle; json.dump(pickle.load(open('{path.name}', 'rb')), "
            f"open('{path.stem}.json', 'w'))\"."
        )
    if is_dataset(path):
        return ["hf"]
    source = Source(path, path.name, "train")
    head = _head(source)
    if not head:
        raise BadInput(f"{path} is empty; there is nothing to import.")
    first = head[0].lstrip()[:1]
    return _of_json(source, head[0]) if first in ("{", "[") else _of_table(path, head)


def _head(source: Source) -> list[str]:
    """Give the first lines that are not empty, and no more of a file than `_HEAD` characters."""
    found: list[str] = []
    read = number = 0
    with complaining(source, lambda: number), opened(source) as file:
        while len(found) < _ROWS and read < _HEAD and (line := file.readline(_HEAD - read)):
            read, number = read + len(line), number + 1
            if line.strip() and (line.endswith("\n") or read < _HEAD or not found):
                found.append(line.rstrip("\r\n"))
    return found


# ---- JSON ----


def _of_json(source: Source, line: str) -> list[str]:
    if line.lstrip().startswith("{"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and (kind := _of_record(source.path, record)):
            return [kind]
    with json_stream(source) as stream:
        if stream.peek() == "[":
            for where, item in stream.array():
                return [_of_item(source.path, item, where)]
        else:
            for where, key in stream.object():
                if key in ("data", "version") and stream.peek() in ("[", '"'):
                    return ["squad"]
                return _of_member(source.path, key, stream.value(), where)
    raise BadInput(f"{source.path} is empty; there is nothing to import.")


def _of_record(path: Path, record: dict[str, object]) -> str | None:
    for kind, keys in _RECORDS.items():
        if keys <= set(record):
            return kind
    if {"_id", "text"} <= set(record):
        is_query = "title" not in record and "quer" in path.name.lower()
        return "beir-queries" if is_query else "beir-documents"
    if "_id" in record and set(record) & {"answers", "queries", "negative", "hard_negative"}:
        return "beside"
    return None


def _of_item(path: Path, item: object, where: str) -> str:
    if isinstance(item, dict) and "positive_ctxs" in item:
        return "contexts"
    if isinstance(item, dict) and "ctxs" in item:
        raise BadInput(
            f"{path} holds what a retriever found ('ctxs'), not a collection; give what it searched."
        )
    raise BadInput(
        f"{where}: no known format begins so; DPR's arrays have items with 'question' and 'positive_ctxs'."
    )


def _of_member(path: Path, key: str, value: object, where: str) -> list[str]:
    name = path.name.lower()
    if isinstance(value, dict):
        return ["qrels"]
    if isinstance(value, str) or (isinstance(value, list) and value and type(value[0]) is int):
        return ["codes"]
    if isinstance(value, list):
        if "pid2query" in name or "pseudo" in name:
            return ["pseudo-queries"]
        if "query_to_doc" in name:
            return ["query-object"]
        spaced = any(" " in str(one) for one in value)
        if spaced != (" " in key.strip()):
            return ["pseudo-queries" if spaced else "query-object"]
        return ["pseudo-queries", "query-object"]
    raise BadInput(f"{where}: no known format holds such a value under {key!r}; what is the file?")


# ---- tables ----


def _of_table(path: Path, head: list[str]) -> list[str]:
    rows = list(csv.reader(head, delimiter="\t"))
    plain = [line.split("\t") for line in head]
    names = {name.strip().lower() for name in plain[0]}
    if {"id", "text"} <= names <= set(HEADER):
        return ["titled", "passages"] if plain[0][1].strip().lower() == "title" else ["passages"]
    if "query-id" in names or all(_is_judgement(fields) for fields in plain):
        return ["judgements"]
    if all(len(fields) == 2 for fields in rows) and all(_is_list(fields[1]) for fields in rows):
        return ["questions"]
    width = min(len(fields) for fields in plain)
    if width >= 3:
        second, third = (sum(len(fields[place]) for fields in plain) for place in (1, 2))
        dpr_like = path.name.startswith("psgs") or second > third
        return ["passages", "titled"] if dpr_like else ["titled", "passages"]
    if width == 2:
        return ["queries", "documents"] if _named(path) == "queries" else ["documents", "queries"]
    raise BadInput(
        f"{path}: no known format begins so: {head[0][:60]!r} has no tab in it (are there spaces where tabs "
        "belong?) and is no JSON."
    )


def _is_judgement(fields: list[str]) -> bool:
    parts = fields if len(fields) > 1 else fields[0].split()
    if len(parts) not in (3, 4) or not re.fullmatch(r"-?\d+", parts[-1].strip()):
        return False
    return len(parts) == 3 or parts[1] in ("0", "Q0")


def _is_list(text: str) -> bool:
    try:
        return isinstance(ast.literal_eval(text), list)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False


def _named(path: Path) -> str | None:
    """Tell documents from queries by the name of a file, or of its folder."""
    for name in (path.name.lower(), path.parent.name.lower()):
        if re.search(r"collection|corpus|passage|psgs|docs|documents", name):
            return "documents"
        if re.search(r"quer|question|topics|(?<![a-z])(train|dev|val|test)(?![a-z])", name):
            return "queries"
    return None
