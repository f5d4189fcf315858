"""Everything that a user chose in the explorer, as plain data: comparable, undoable, written as YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from genret_core.errors import BadInput

OBJECTIVES = ("ols", "relative", "huber", "lad", "logit")
AXES = ("log_x", "linear", "log_log")
BANDS = ("band", "curves", "none")
FARTHEST = 6.0  # decades beyond the data
DRAWS = 20_000  # most resamples


@dataclass(frozen=True)
class State:
    """What is shown, and how it is fitted.

    Attributes
    ----------
    focus : str
        The series that parameters, verdicts and tabs speak of.
    shown : tuple of str
        The series that are drawn, the focus among them.
    law : str
    objective : str
    delta : float
        Of the Huber loss.
    sd : float or None
        Known standard deviation of y; None: as the source has it, else judged by the residuals.
    excluded : tuple of (int, str)
        Rows of the source that are left out, each with its reason; in order of the rows.
    bootstrap : int
        Resamples behind the intervals; 0: the profile (replicates where a study has them).
    axes : {"log_x", "linear", "log_log"}
        `log_log` is of y minus a floor.
    floor : float or None
        That floor; None: the fitted one.
    band : {"band", "curves", "none"}
    ahead : float
        Decades beyond the largest x that are predicted.
    overlay : str or None
        Identifier of a published law that is drawn too, e.g. `table1:t5`.
    hold_out : int
        So many of the largest sizes of every series are targets, and not fitted.
    clip, rho, chance : bool
        Keep predictions to the range of y; show a second axis of rho; show the chance line.
    level : float
        Of intervals and bands.
    tab : str
        The tab that is open.
    curve : tuple of (str, float) or None
        Parameters of a curve picked in the profile map, drawn beside the fit.
    """

    focus: str
    shown: tuple[str, ...]
    law: str = "model_size"
    objective: str = "ols"
    delta: float = 1e-3
    sd: float | None = None
    excluded: tuple[tuple[int, str], ...] = ()
    bootstrap: int = 0
    axes: str = "log_x"
    floor: float | None = None
    band: str = "band"
    ahead: float = 0.0
    overlay: str | None = None
    hold_out: int = 0
    clip: bool = True
    rho: bool = False
    chance: bool = True
    level: float = 0.95
    tab: str = "fit"
    curve: tuple[tuple[str, float], ...] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "shown", tuple(_each(self.shown, "shown")))
        put(self, "excluded", _exclusions(self.excluded))
        if self.curve is not None:
            pairs = _each(self.curve.items() if isinstance(self.curve, Mapping) else self.curve, "curve")
            put(self, "curve", tuple((str(name), _number(value, "curve")) for name, value in pairs))
        for name in ("delta", "ahead", "level"):
            put(self, name, _number(getattr(self, name), name))
        for name in ("sd", "floor"):
            if getattr(self, name) is not None:
                put(self, name, _number(getattr(self, name), name))
        for name in ("bootstrap", "hold_out"):
            put(self, name, _count(getattr(self, name), name))
        _check(self)

    def but(self, **changes: Any) -> State:
        """Give the state with changes.

        A new focus is shown; a focus that is no longer shown moves to the first series that is; a picked
        curve is forgotten with the law and the series it is of.

        Raises
        ------
        BadInput
            In one sentence.
        """
        _known(changes)
        if "focus" in changes and "shown" not in changes and changes["focus"] not in self.shown:
            changes["shown"] = (*self.shown, changes["focus"])
        if "shown" in changes and "focus" not in changes and self.focus not in tuple(changes["shown"]):
            changes["focus"] = next(iter(changes["shown"]), self.focus)
        moved = any(key in changes and changes[key] != getattr(self, key) for key in ("law", "focus"))
        if moved and "curve" not in changes:
            changes["curve"] = None
        return replace(self, **changes)

    @property
    def reasons(self) -> dict[int, str]:
        """Reason of every row that is left out."""
        return dict(self.excluded)

    def to_dict(self) -> dict[str, Any]:
        """Give it JSON-ready."""
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        value["shown"] = list(self.shown)
        value["excluded"] = [{"row": row, "reason": reason} for row, reason in self.excluded]
        value["curve"] = None if self.curve is None else dict(self.curve)
        return value

    def to_yaml(self) -> str:
        """Write it as YAML, from which `from_yaml` makes the same state."""
        import yaml

        return str(yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True))

    @classmethod
    def from_yaml(cls, text: str) -> State:
        """Read what `to_yaml` wrote.

        Raises
        ------
        BadInput
            For text that is no state; unknown keys are refused.
        """
        import yaml

        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            told = " ".join(str(error).split())
            raise BadInput(f"This is no state of the explorer, as it is not YAML ({told}).") from None
        if not isinstance(value, dict) or not {"focus", "shown"} <= set(value):
            raise BadInput("This is no state of the explorer: give `focus`, `shown` and what differs.")
        _known(value)
        return cls(**value)


def _known(values: Mapping[Any, Any]) -> None:
    there = [field.name for field in fields(State)]
    for key in values:
        if key not in there:
            near = get_close_matches(str(key), there, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}."
            raise BadInput(f"A state of the explorer has no {key!r}; {hint}")


def _check(state: State) -> None:
    """Refuse what cannot be shown."""
    from genret_core.scaling import get_law

    if not state.shown:
        raise BadInput("No series is shown; choose at least one.")
    if len(set(state.shown)) < len(state.shown):
        raise BadInput("A series is shown twice; name each once.")
    if not all(isinstance(name, str) for name in (state.focus, state.law, state.tab, *state.shown)):
        raise BadInput("The series, the law and the tab are names; write them as text.")
    if state.focus not in state.shown:
        raise BadInput(f"The series {state.focus!r} is in focus but not shown; show it too.")
    get_law(state.law)
    for name, allowed in (("objective", OBJECTIVES), ("axes", AXES), ("band", BANDS)):
        if getattr(state, name) not in allowed:
            raise BadInput(f"{name} is {getattr(state, name)!r}; choose {', '.join(allowed)}.")
    for name in ("clip", "rho", "chance"):
        if not isinstance(getattr(state, name), bool):
            raise BadInput(f"{name} is {getattr(state, name)!r}, but it is yes or no (true or false).")
    if state.sd is not None and state.sd <= 0:
        raise BadInput(f"The noise is {state.sd:g}, but a standard deviation must be positive.")
    if state.delta <= 0:
        raise BadInput(f"delta is {state.delta:g}, but the width of the Huber loss must be positive.")
    if not 0 < state.level < 1:
        raise BadInput(f"level is {state.level:g}, but a confidence level lies between 0 and 1, e.g. 0.95.")
    if not 0 <= state.ahead <= FARTHEST:
        raise BadInput(f"ahead is {state.ahead:g}; predict between 0 and {FARTHEST:g} decades beyond.")
    if state.bootstrap > DRAWS:
        raise BadInput(f"bootstrap is {state.bootstrap:,}; draw {DRAWS:,} resamples or fewer.")
    if state.overlay is not None:
        from genret_core.scaling import published

        if not isinstance(state.overlay, str):
            raise BadInput("overlay is the name of a published law, such as table1:t5.")
        published.find(state.overlay)


def _exclusions(value: Any) -> tuple[tuple[int, str], ...]:
    """Put exclusions in order of their rows; the last reason of a row counts."""
    found: dict[int, str] = {}
    for one in _each(value, "excluded"):
        if isinstance(one, Mapping):
            row, reason = one.get("row"), one.get("reason")
        else:
            row, reason = one if isinstance(one, (tuple, list)) and len(one) == 2 else (one, "")
        number = _count(row, "excluded")
        if number < 1:
            raise BadInput(f"excluded names row {number}, but rows are counted from 1.")
        found[number] = str(reason or "")
    return tuple(sorted(found.items()))


def _each(value: Any, name: str) -> list[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise BadInput(f"{name} is {value!r}, but it is a list.")
    return list(value)


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{name} is {value!r}, but it must be a finite number.")
    return number


def _count(value: Any, name: str) -> int:
    number = _number(value, name)
    if number != int(number) or number < 0:
        raise BadInput(f"{name} is {value!r}, but it must be a whole number, 0 or more.")
    return int(number)
