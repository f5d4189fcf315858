"""Where a page's numbers come from, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from genret_core.readable import readable

LONGEST = 500  # characters of a value
# what a page shows in words, in a table of its own, or not at all
KNOWN = {
    "name", "state", "reason", "error", "started", "ended", "seconds", "title", "answer", "cell", "cells",
    "parameters", "parameter_order", "inputs", "timings", "provenance", "note", "peak_memory",
    "commit", "dirty", "source", "python", "os", "cpu", "cores", "memory", "gpu", "cuda", "versions",
    "created",
}  # fmt: skip


def strip(run: Mapping[str, Any], name: str) -> list[str]:
    """Give the words on top of a page: the notebook, its study, when."""
    study = str(run.get("parameters", {}).get("study_dir", "")).rstrip("/").rpartition("/")[2]
    words = [study, str(run.get("name") or name), when(run.get("ended"))]
    return [readable(word, 120) for word in words if word]


def facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give what is known of a run, as (label, text); nothing for a notebook that was not run here."""
    if not run:
        return []
    origin = run.get("provenance", {})
    memory, peak = origin.get("memory"), run.get("peak_memory")
    found = [
        ("notebook", str(run.get("name", ""))),
        ("code", commit(origin)),
        ("source", str(origin.get("source") or "")),
        ("started", when(run.get("started"))),
        ("ended", when(run.get("ended"))),
        ("took", seconds(run.get("seconds"))),
        ("Python", str(origin.get("python") or "")),
        ("system", str(origin.get("os") or "")),
        ("processor", machine(origin)),
        ("memory", f"{memory:g} GB" if isinstance(memory, (int, float)) else ""),
        ("peak memory", f"{peak:,.0f} MB" if isinstance(peak, (int, float)) else ""),
        ("graphics", ", CUDA ".join(str(origin[name]) for name in ("gpu", "cuda") if origin.get(name))),
    ]
    return [(label, readable(value, LONGEST)) for label, value in found if value] + _others(run, origin)


def _others(run: Mapping[str, Any], origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give what a record holds besides, such as seeds and parents."""
    rest = {
        **{k: v for k, v in origin.items() if k not in KNOWN},
        **{k: v for k, v in run.items() if k not in KNOWN},
    }
    return [
        (label.replace("_", " "), text) for label, text in pairs(rest) if text not in ("", "null", "{}", "[]")
    ]


def pairs(values: Mapping[str, Any], order: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Give values as texts, as JSON writes them, in the order of `order` where that is known."""
    names = [name for name in order or () if name in values]
    names += [name for name in values if name not in names]
    return [(readable(name, 80), readable(_text(values[name]), LONGEST)) for name in names]


def commit(origin: Mapping[str, Any]) -> str:
    """Name the code: its commit, and whether there was more than that."""
    if not origin.get("commit"):
        return f"genret {origin.get('versions', {}).get('genret', '')}".strip()
    more = " and changes that were not committed" if origin.get("dirty") else ""
    return f"commit {str(origin['commit'])[:10]}{more}"


def machine(origin: Mapping[str, Any]) -> str:
    """Name the processor and how many of its cores could be used."""
    cores = origin.get("cores")
    count = f"{cores} core{'s' if cores != 1 else ''}" if cores else ""
    return ", ".join(part for part in (str(origin.get("cpu") or ""), count) if part)


def when(stamp: str | None) -> str:
    """Write a time as people do: 12 March 2025, 14:05 UTC."""
    if not stamp:
        return ""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return readable(stamp, 40)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def seconds(value: float | None) -> str:
    """Write a duration: 0.8 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
