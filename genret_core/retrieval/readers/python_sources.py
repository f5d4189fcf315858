"""Docstrings of installed packages, found by parsing their sources; nothing is imported."""

from __future__ import annotations

import ast
import gc
import importlib.util
import inspect
import os
import platform
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from genret_core.errors import BadInput

STDLIB = "stdlib"

# tests, examples, generated tables, other projects' code carried along, and tools that nobody imports
_SKIPPED = frozenset(
    (
        *("test", "tests", "testing", "_testing", "examples", "_examples", "benchmarks", "__pycache__"),
        *("site-packages", "dist-packages", "_vendor", "_vendored", "vendor", "extern", "_extern"),
        *("externals", "third_party", "array_api_compat", "array_api_extra", "distutils", "idlelib"),
        *("lib2to3", "turtledemo", "pydoc_data", "encodings", "ensurepip"),
    )
)
_SKIPPED_FILES = frozenset(("conftest.py", "setup.py", "__config__.py", "_version.py", "version.py"))


class Docstring(NamedTuple):
    """The docstring of a public class or function.

    `name` is its dotted name, `owner` the class it is a method of (or empty), `parameters` the names of its
    parameters.
    """

    name: str
    owner: str
    parameters: tuple[str, ...]
    text: str


def versions_of(packages: list[str]) -> dict[str, str]:
    """Versions of packages; that of `stdlib` is Python's."""
    return {name: platform.python_version() if name == STDLIB else _version(name) for name in packages}


def docstrings(package: str) -> Iterator[Docstring]:
    """Read the docstrings of a package (or of `stdlib`), in the order of its files.

    Docstrings given to compiled functions by ``add_newdoc("module", "function", "text")`` are found too.

    Raises
    ------
    BadInput
        If the package is not installed or has no Python sources.
    """
    root = _root(package)
    for path in _files(root):
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a few old files declare another encoding
        if '"""' not in source and "'''" not in source:
            continue
        parts = [part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"]
        module = ".".join([*([] if package == STDLIB else [package]), *parts])
        try:
            with _quietly():
                tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue  # a template, or a later Python
        yield from _of_body(tree.body, module)


def _root(package: str) -> Path:
    if package == STDLIB:
        return Path(sysconfig.get_path("stdlib"))
    found = None
    if package.isidentifier():  # a dotted name would import its parent
        found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise BadInput(f"the package {package!r} is not installed here (or is no package); leave it out.")
    return Path(next(iter(found.submodule_search_locations)))


def _files(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if name not in _SKIPPED and "." not in name)
        for name in sorted(names):
            if name.endswith(".py") and name not in _SKIPPED_FILES and not name.startswith("test_"):
                yield Path(folder, name)


def _of_body(body: list[ast.stmt], prefix: str, owner: str = "") -> Iterator[Docstring]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_"):
                continue
            text = ast.get_docstring(node)
            name = f"{prefix}.{node.name}"
            if text:
                yield Docstring(name, owner, _parameters(node), text)
            if isinstance(node, ast.ClassDef):
                yield from _of_body(node.body, name, node.name)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _added(node.value, prefix)


def _added(call: ast.Call, prefix: str) -> Iterator[Docstring]:
    if not (isinstance(call.func, ast.Name) and call.func.id == "add_newdoc" and call.args):
        return
    *names, last = call.args
    if isinstance(last, ast.Tuple):  # (method, text)
        *method, last = last.elts
        names += method
    words = [name.value for name in names if isinstance(name, ast.Constant)]
    if (
        isinstance(last, ast.Constant)
        and isinstance(last.value, str)
        and all(isinstance(w, str) for w in words)
    ):
        name = ".".join(str(word) for word in words)
        owner = str(words[-2]) if len(words) > 2 else ""  # (module, class, method)
        yield Docstring(
            name if len(words) > 1 else f"{prefix}.{name}", owner, (), inspect.cleandoc(last.value)
        )


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> tuple[str, ...]:
    if isinstance(node, ast.ClassDef):
        starts = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        return _parameters(starts[0]) if starts else ()
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return tuple(argument.arg for argument in arguments if argument.arg not in ("self", "cls"))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        homes = metadata.packages_distributions().get(package)
        return metadata.version(homes[0]) if homes else "unknown"


@contextmanager
def _quietly() -> Iterator[None]:
    """Parse without the garbage collector (three times as fast) and without warnings about the sources."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if collecting:
            gc.enable()
