"""Parameters: declared once, in a notebook's tagged cell, and checked from there.

The cell tagged `parameters` holds annotated assignments, each with a comment that says what it is::

    study_dir: str = "runs/demo"   # the study to read
    draws: int = 1000              # resamplings behind each interval
    exclude: list[str] = []        # backbones left out of the fit

From it come the help text, the validator and the coercion of values, for the command line (`check`) and
inside the kernel (`check_globals`), so that plain papermill refuses and coerces as `genret run` does.
"""

from __future__ import annotations

import ast
import functools
import io
import json
import os
import tokenize
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model

from genret_core.errors import BadInput
from genret_core.workbench.documents import nearest, read_mapping

_SCALARS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_TAG = "parameters"
Fields = tuple[tuple[str, str, str | None], ...]
"""Of each parameter: name, type as text, default as JSON (None: it has to be given)."""


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell.

    Attributes
    ----------
    name : str
        The variable.
    type : str
        Its annotation as written: `int`, `float`, `str`, `bool`, `list[...]`, any of them with `| None`.
    default : object
        Its value when nobody says otherwise.
    help : str
        The comment behind it.
    """

    name: str
    type: str
    default: Any
    help: str


def declared(notebook: str | os.PathLike[str]) -> list[Parameter]:
    """Read the parameters of a notebook from its tagged cell, without running anything.

    Raises
    ------
    BadInput
        If the file is no notebook, has no single cell tagged `parameters`, or that cell holds something other
        than annotated literals of the allowed types.
    """
    path = Path(notebook)
    cells = [cell for cell in _cells(path) if _TAG in cell.get("metadata", {}).get("tags", [])]
    if len(cells) != 1:
        raise BadInput(f"{path} has {len(cells)} cells tagged '{_TAG}'; give that tag to exactly one cell.")
    source = "".join(cells[0]["source"])
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise BadInput(f"{path}, parameters cell, line {error.lineno}: {error.msg}.") from error
    comments = _comments(source)
    return [_parameter(path, node, comments) for node in body if not _is_docstring(node)]


def validator(notebook: str | os.PathLike[str]) -> type[BaseModel]:
    """Build the pydantic model of a notebook's parameters; unknown names are refused."""
    return _model(_fields(notebook))


def check(values: Mapping[str, Any], notebook: str | os.PathLike[str]) -> dict[str, Any]:
    """Give every parameter of a notebook its value: those given, coerced to their types, and the defaults.

    Parameters
    ----------
    values : mapping
        Values by name, as read from YAML, the command line or Python ("1e-3" becomes 0.001 for a float).
    notebook : path-like
        The notebook whose parameters cell declares them.

    Returns
    -------
    dict
        Plain Python values of all parameters, in the order of the cell.

    Raises
    ------
    BadInput
        For an unknown name (with the nearest known one) and for a value that its type cannot take.
    """
    fields, where = _fields(notebook), f"the parameters of {Path(notebook).name}"
    known = [name for name, _, _ in fields]
    for name in values:
        if name not in known:
            raise BadInput(f"'{name}' is not among {where}{nearest(str(name), known)}")
    return _validated(fields, dict(values), where)


def check_globals(namespace: dict[str, Any]) -> None:
    """Check and coerce the parameters of the running notebook in place.

    Call it as `check_globals(globals())` in the first cell after the parameters cell: what papermill injected
    between the two is then refused or coerced by the types written in the parameters cell.

    Parameters
    ----------
    namespace : dict
        The notebook's `globals()`; its annotations say which names are parameters. Annotations that no
        parameter can have belong to other cells and are left alone.

    Raises
    ------
    BadInput
        For a value that its type cannot take; a notebook shows the sentence without a traceback.
    """
    texts = {name: _type_text(annotation) for name, annotation in _annotations(namespace).items()}
    fields = tuple(
        (name, text, None)
        for name, text in texts.items()
        if name in namespace and not name.startswith("_") and _type(text) is not None
    )
    given = {name: namespace[name] for name, _, _ in fields}
    namespace.update(_validated(fields, given, "the parameters cell"))


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file of `name: value` lines; what is wrong in it is told with file and line (`BadInput`)."""
    return dict(read_mapping(Path(path)).value)


# ---- the parameters cell -----------------------------------------------------------------------------------


def _cells(path: Path) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return [cell for cell in notebook["cells"] if cell.get("cell_type") == "code"]
    except FileNotFoundError as error:
        raise BadInput(f"There is no notebook at {path}.") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadInput(f"{path} cannot be read as a notebook: {error}.") from error


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parameter(path: Path, node: ast.stmt, comments: dict[int, str]) -> Parameter:
    where = f"{path}, parameters cell, line {node.lineno}"
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        form = "`name: type = default  # what it is`"
        raise BadInput(f"{where}: '{ast.unparse(node)}' is not of the form {form}.")
    text = ast.unparse(node.annotation)
    if _type(text) is None:
        allowed = "int, float, str, bool, list[...] of these, and `| None`"
        raise BadInput(
            f"{where}: the type {text} of '{node.target.id}' cannot be a parameter's; use {allowed}."
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise BadInput(f"{where}: the default of '{node.target.id}' must be a plain value.") from error
    name = node.target.id
    default = _validated(((name, text, None),), {name: default}, where)[name]
    return Parameter(name, text, default, comments.get(node.end_lineno or node.lineno, ""))


def _fields(notebook: str | os.PathLike[str]) -> Fields:
    return tuple((p.name, p.type, json.dumps(p.default)) for p in declared(notebook))


# ---- types and values --------------------------------------------------------------------------------------


def _type(text: str) -> Any | None:
    """Turn a written annotation into a type, or None if it is not on the list; nothing is evaluated."""
    try:
        return _type_of(ast.parse(text, mode="eval").body)
    except SyntaxError:
        return None


def _type_of(node: ast.expr) -> Any | None:
    if isinstance(node, ast.Name):
        return _SCALARS.get(node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "list":
        inner = _type_of(node.slice)
        return None if inner is None else list[inner]  # type: ignore[valid-type]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = node.left, node.right
        if isinstance(left, ast.Constant) and left.value is None:
            left, right = right, left
        inner = _type_of(left)
        if inner is not None and isinstance(right, ast.Constant) and right.value is None:
            return inner | None
    return None


def _annotations(namespace: Mapping[str, Any]) -> Mapping[str, Any]:
    found = namespace.get("__annotations__")
    if not found and callable(lazy := namespace.get("__annotate__")):  # Python 3.14 computes them on demand
        found = lazy(1)
    return found or {}


def _type_text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    if typing.get_origin(annotation) is None and not isinstance(annotation, types.UnionType):
        return getattr(annotation, "__name__", "")
    return str(annotation)


def _plain(value: Any) -> Any:
    """Turn numpy values, paths and tuples into what YAML would have given."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _no_flags(value: Any) -> Any:
    """Keep `yes` and `no` of YAML from becoming the numbers 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted here, not true or false")
    return value


def _strict_numbers(kind: Any) -> Any:
    """Put the guard against truth values on every number inside a type."""
    if kind in (int, float):
        return typing.Annotated[kind, BeforeValidator(_no_flags)]
    if typing.get_origin(kind) is list:
        return types.GenericAlias(list, (_strict_numbers(typing.get_args(kind)[0]),))
    if isinstance(kind, types.UnionType):
        return _strict_numbers(typing.get_args(kind)[0]) | None
    return kind


@functools.lru_cache(maxsize=256)
def _model(fields: Fields) -> type[BaseModel]:
    columns: dict[str, Any] = {}
    for name, text, default in fields:
        kind: Any = _strict_numbers(_type(text))
        kind = typing.Annotated[kind, BeforeValidator(_plain)]
        columns[name] = (kind, ... if default is None else json.loads(default))
    config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())
    return create_model("Parameters", __config__=config, **columns)


def _validated(fields: Fields, values: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        return _model(fields).model_validate(values).model_dump()
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        wanted = next(text for field, text, _ in fields if field == name)
        raise BadInput(f"'{name}' in {where} must be {wanted}, not {values[name]!r}.") from error
