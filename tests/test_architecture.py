"""The four wings: arrows go one way, nothing heavy is imported early, modules stay readable."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "genret_core"
MODULES = sorted(CORE.rglob("*.py"))
MAY_IMPORT = {
    "retrieval": {"retrieval"},
    "modeling": {"modeling", "retrieval"},
    "scaling": {"scaling"},
    "workbench": {"workbench", "modeling", "retrieval", "scaling"},
}
NEVER = {  # wing -> packages it does not import anywhere, not even inside a function
    "scaling": {"torch", "transformers", "plotly", "matplotlib", "ipywidgets", "IPython"},
    "retrieval": {"plotly", "ipywidgets", "papermill"},
    "modeling": {"plotly", "ipywidgets", "papermill"},
}
ROOMS: dict[str, set[str]] = {  # package of the workbench -> what else of the workbench it imports
    "pool": set(),
    "replicates": set(),
    "figures": set(),
    "notebook": {"pool", "params", "project", "report"},
    "report": {"notebook"},
    "sites": {"pool", "notebook", "documents", "project"},
}
HEAVY = {"torch", "transformers", "peft"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}


def imports(path: Path, *, everywhere: bool) -> Iterator[str]:
    """Give the modules that a file imports: all of them, or only those imported when it is."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.body if everywhere else []
            todo += node.orelse
        elif everywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)


def wing(path: Path) -> str:
    return path.relative_to(CORE).parts[0]


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_arrows_between_wings_go_one_way(name: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in MODULES
        if wing(path) == name
        for module in imports(path, everywhere=True)
        if module.startswith("genret_core.") and module.split(".")[1] in set(MAY_IMPORT) - MAY_IMPORT[name]
    ]
    assert not wrong


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_rooms_of_the_workbench_that_stand_alone(name: str) -> None:
    for path in (CORE / "workbench" / name).glob("*.py"):
        for module in imports(path, everywhere=True):
            if module.startswith("genret_core.workbench."):
                assert module.split(".")[2] in {name, *ROOMS[name]}, f"{path.relative_to(ROOT)}: {module}"


@pytest.mark.parametrize(
    "package",
    sorted(path.parent for path in (CORE / "workbench").rglob("__init__.py")),
    ids=lambda path: path.name,
)
def test_packages_of_the_workbench_say_what_is_in_them(package: Path) -> None:
    told = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    inside = packages | {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert not {name for name in inside if f"`{name}`" not in told}


def test_the_root_imports_no_wing() -> None:
    for path in CORE.glob("*.py"):
        for module in imports(path, everywhere=True):
            assert not (module.startswith("genret_core.") and module.split(".")[1] in MAY_IMPORT), path


@pytest.mark.parametrize("name", sorted(NEVER))
def test_packages_that_a_wing_never_imports(name: str) -> None:
    for path in MODULES:
        if wing(path) == name:
            for module in imports(path, everywhere=True):
                assert module.split(".")[0] not in NEVER[name], f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("name", ["retrieval", "scaling", "workbench"])
def test_no_module_imports_torch_when_it_is_imported(name: str) -> None:
    for path in MODULES:
        if wing(path) == name:
            early = {module.split(".")[0] for module in imports(path, everywhere=False)}
            assert not early & HEAVY, f"{path.relative_to(ROOT)} imports {early & HEAVY} at import time"


def test_retrieval_imports_torch_only_where_it_searches() -> None:
    users = {
        path.stem
        for path in MODULES
        if wing(path) == "retrieval"
        and any(module.split(".")[0] in HEAVY for module in imports(path, everywhere=True))
    }
    search = {"batches", "beam_search", "decoders", "shared_prompt", "own_caches", "plain_calls"}
    assert users <= search | {"token_index", "top_valid", "tokenizer"}, users


@pytest.mark.parametrize(
    "module",
    [
        "genret_core.workbench.cli.app",
        "genret_core.workbench.study.run",
        "genret_core.workbench.runs",
        "genret_core.workbench.execute",
        "genret_core.workbench.report.exporter",
        "genret_core.modeling",
        "genret_core.scaling",
    ],
)
def test_starts_without_torch(module: str) -> None:
    """Follow the imports for real: what a wing does not import itself may come in by another."""
    heavy = ", ".join(repr(name) for name in sorted(HEAVY))
    code = f"import sys, {module}; sys.exit(', '.join(n for n in ({heavy},) if n in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_that_computes() -> None:
    heavy = ("torch", "numpy", "pandas", "pydantic", "plotly", "papermill", "rich")
    code = (
        "import sys; from genret_core.workbench.cli.app import build; build();"
        f"sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CORE)))
def test_modules_have_names_and_a_readable_length(path: Path) -> None:
    assert path.stem not in EMPTY_NAMES
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 380, "it says two things"
    assert not text or ast.get_docstring(ast.parse(text)), "a module says what it is for"
