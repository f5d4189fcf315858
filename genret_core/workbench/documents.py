"""Parameter files: YAML read safely, and whatever is wrong in it told by file, line and key."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from genret_core.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """The safe loader, for which `1e-3` is a number, and a key stands once and is text."""


# PyYAML follows YAML 1.1, where a float needs its point: `lr: 1e-3` would arrive as text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.[\d_]*)?|\.[\d_]+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Any:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue  # `<<: *defaults`
        name = loader.construct_object(key, deep=True)
        if not isinstance(name, str):  # `on` is a truth value to YAML
            written = f"'{key.value}'" if isinstance(key, yaml.ScalarNode) else "here"
            raise yaml.MarkedYAMLError(
                problem=f"the key {written} is not text; put it in quotes", problem_mark=key.start_mark
            )
        if name in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key '{name}' stands here a second time", problem_mark=key.start_mark
            )
        seen.add(name)
    value: dict[str, Any] = {}
    yield value
    value.update({str(key): entry for key, entry in loader.construct_mapping(node, deep=True).items()})


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@dataclass(frozen=True)
class Document:
    """A parameter file: what it holds, and where each key stands."""

    path: Path
    value: dict[str, Any]
    node: yaml.Node | None = None

    def where(self, location: Sequence[str | int]) -> str:
        """Name the place of a key, such as (`grid`, 0, `methods`), as `file:line`."""
        node, line = self.node, 1
        for step in location:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if getattr(k, "value", None) == str(step)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return f"{self.path}:{line}"


def read_mapping(path: Path) -> Document:
    """Read a YAML file of `key: value` lines; an empty one holds none.

    Raises
    ------
    BadInput
        With file and line, if the file is missing, is no YAML, repeats a key, has a key that is not text, or
        holds something else than keys.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    try:
        node = loader.get_single_node()
        value = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise BadInput(f"{path}{line}: {error.problem or error.context or 'this is not YAML'}.") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise BadInput(f"{path} cannot be read: it is nested too deeply.") from None
    finally:
        loader.dispose()
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"{path}:1: expected `key: value` pairs, found a {type(value).__name__}.")
    return Document(path, value or {}, node)


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list those there are: the end of an error sentence."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"; there are: {shown}." if names else "; there are none."


def validate(model: type[Model], document: Document) -> Model:
    """Turn a document into a model.

    Raises
    ------
    BadInput
        For the first thing that is wrong: place, key, value and what was expected.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        problems = sorted(
            error.errors(include_url=False), key=lambda problem: problem["type"] not in _UNKNOWN
        )
        more = f" ({len(problems) - 1} more are wrong.)" if len(problems) > 1 else ""
        where = document.where([step for step in problems[0]["loc"] if not _is_tag(step)])
        raise BadInput(f"{where}: {_sentence(model, problems[0])}{more}") from None


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # told first: a misspelt key is missing, too


def _sentence(model: type[BaseModel], problem: Any) -> str:
    tagged = problem["loc"]
    location = [step for step in tagged if not _is_tag(step)]
    key = ".".join(str(step) for step in location) or "the study"
    if problem["type"] in _UNKNOWN:
        return f"'{key}' is not known here{nearest(str(location[-1]), _fields(model, tagged[:-1]))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing."
    message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, BadInput):
        return f"{message}."
    if isinstance(cause, ValueError):
        return f"{key}: {message}" + ("" if message.endswith("?") else ".")
    shown = repr(problem.get("input"))
    shown = shown if len(shown) < 60 else shown[:57] + "…"
    return f"'{key}' is {shown}: {message[:1].lower()}{message[1:]}."


def _fields(model: type[Any], location: Sequence[str | int]) -> list[str]:
    """List the keys that the model or dataclass at `location` takes."""
    here: Any = model
    field: Any = None
    for step in location:
        if _is_tag(step):
            here = next((s for s in _sections_in(field) if getattr(s, "tag", None) == step), here)
        elif isinstance(step, str) and here is not None:
            field = _annotations(here).get(step)
            here = next(_sections_in(field), None)
    return list(_annotations(here)) if here is not None else []


def _annotations(section: Any) -> dict[str, Any]:
    if hasattr(section, "model_fields"):
        return {name: field.annotation for name, field in section.model_fields.items()}
    return {field.name: field.type for field in dataclasses.fields(section)}


def _sections_in(annotation: Any) -> Iterator[Any]:
    """Find the models and dataclasses inside an annotation such as `tuple[Ladder, ...]`."""
    if isinstance(annotation, type) and (
        hasattr(annotation, "model_fields") or dataclasses.is_dataclass(annotation)
    ):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _sections_in(part)


def _is_tag(step: str | int) -> bool:
    """Whether a step of a location names one of several kinds of section, and no key."""
    return isinstance(step, str) and step.startswith("~")


def read_value(text: str) -> Any:
    """Read one value as YAML does: `3`, `1e-3`, `[1, 2]`, `null`, `word`; what it cannot read stays text."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError:
        return text
    finally:
        loader.dispose()
