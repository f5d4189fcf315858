"""What differs between a study as it was run and as it is asked for now, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genret_core.errors import BadInput
from genret_core.modeling import StudyFolder
from genret_core.workbench.study.file import StudySpec, load

# What may change without any cell becoming another one: cells, searches and notebooks have keys of their own,
# so that a wider grid trains only what is new.
FREE = (
    *("note", "grid", "search", "contrasts", "seed_noise"),
    *("notebooks", "notebook_parameters", "notebook_timeout", "jobs"),
)
SHOWN = 4  # changes that a sentence names


@dataclass(frozen=True)
class Change:
    """A value that is another one now; None stands for a key that is not there."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        """Write it for people: `recipe.batch_queries from 8 to 4`."""
        return f"{self.key} from {_text(self.before)} to {_text(self.now)}"


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings, as `recipe.batch_queries`; lists stay whole."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Compare two nested mappings key by key, in the order of the keys."""
    old, new = flat(before), flat(now)
    keys = sorted({*old, *new})
    return [Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def changes_of_cells(before: StudySpec, now: StudySpec) -> list[Change]:
    """List the values that make other cells of those that both studies have; a ladder may grow."""
    old, new = _fixed(before), _fixed(now)
    both = old["ladders"].keys() & new["ladders"].keys()
    for values in (old, new):
        values["ladders"] = {name: rung for name, rung in values["ladders"].items() if name in both}
    return differences(old, new)


def study_before(folder: Path) -> StudySpec | None:
    """Read the study that a folder was last run as; None if there is none, or none that can be read."""
    if not StudyFolder(folder).study_file.is_file():
        return None
    try:
        return load(folder)
    except BadInput:
        return None


def listed(changes: list[Change]) -> str:
    """Write changes behind each other, the first few in full."""
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return ", ".join(map(str, changes[:SHOWN])) + more


def _fixed(spec: StudySpec) -> dict[str, Any]:
    values = spec.model_dump(mode="json", exclude={*FREE, "ladders"})
    return {**values, "ladders": {rung.name: rung.to_dict() for rung in spec.backbones}}


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)
