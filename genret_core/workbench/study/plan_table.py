"""A plan for people: a line per cell (training, CGL, search: FLOPs), what it comes to, what was assumed."""

from __future__ import annotations

from genret_core.workbench.pool.progress import duration
from genret_core.workbench.study.bases import PlannedBase
from genret_core.workbench.study.plan import Plan, PlannedWork

UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")
HEAD = (
    f"  {'cell':32s} {'time':>12s} {'P':>7s} {'P_total':>7s} {'trained':>7s} {'steps':>7s} {'tokens':>7s} "
    f"{'training':>8s} {'CGL':>8s} {'search':>8s} {'memory':>8s} {'disk':>8s}"
)


def told(plan: Plan) -> str:
    """Write a plan."""
    lines = [f"{plan.name} in {plan.folder}", HEAD, *map(_base, plan.bases), *map(_line, plan.cells)]
    done = sum(work.done for work in plan.cells)
    lines.append(f"{len(plan.cells)} cells, {done} of them done{_rest(plan, len(plan.cells) - done)}")
    lines += [_totals(plan), _assumed(plan), *plan.notes]
    return "\n".join([*lines, f"notebooks: {', '.join(plan.notebooks) or 'none'}"])


def short(number: float | None, unit: str = "") -> str:
    """Write a number with three digits: `1.23M`; an empty text for none."""
    if number is None:
        return ""
    power = 0
    while abs(number) >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g}{UNITS[power]}{unit}"


def _base(one: PlannedBase) -> str:
    """Write what a backbone's pretraining takes, in the columns of the cells' training."""
    time = "done" if one.done else "" if one.seconds is None else duration(one.seconds)
    counts = " ".join(f"{short(n):>7s}" for n in (one.steps, one.tokens))
    return f"  {one.name:32s} {time:>12s} {'':23s} {counts} {short(one.flops):>8s}  {one.objective}"


def _line(work: PlannedWork) -> str:
    found, beams = work.found, [search.beam for search in work.cell.searches]
    time = "done" if work.done else "" if work.seconds is None else duration(work.seconds)
    columns = [
        f"{time:>12s}", *(f"{short(n):>7s}" for n in (found.P, found.P_total, found.trained)),
        *(f"{short(n):>7s}" for n in (found.steps, found.tokens)),
        *(f"{short(n):>8s}" for n in (found.train_flops, found.loss_flops, found.search_flops)),
        f"{short(found.memory, 'B'):>8s}", f"{short(found.checkpoint + found.results, 'B'):>8s}",
    ]  # fmt: skip
    searched = f"  beams {', '.join(map(str, dict.fromkeys(beams)))}" if beams else ""
    return f"  {work.cell.name:32s} {' '.join(columns)}{searched}".rstrip()


def _rest(plan: Plan, left: int) -> str:
    if not left:
        return ""
    if plan.seconds is None:
        return "; how long the rest takes is not known before the corpus has been read"
    some = "one worker" if plan.workers == 1 else f"{plan.workers} workers"
    return f"; the rest takes about {duration(plan.seconds)} with {some}"


def _totals(plan: Plan) -> str:
    train = [work.found.train_flops for work in plan.cells]
    known = None if None in train else sum(flops or 0.0 for flops in train)
    parts = [
        f"{short(known) or 'unknown'} FLOPs of training",
        f"{short(sum(work.found.loss_flops for work in plan.cells))} of CGL",
        f"{short(sum(work.found.search_flops for work in plan.cells))} of search",
        f"at most {short(max(work.found.memory for work in plan.cells), 'B')} of memory a cell",
        f"{short(plan.disk, 'B')} of disk" + (" besides the corpus and its index" * (plan.shared is None)),
    ]
    hours = plan.device_hours
    return "in all: " + ", ".join(parts) + (f", {hours:.3g} hours of the device" if hours is not None else "")


def _assumed(plan: Plan) -> str:
    data = plan.data
    where = "about, from the study's file" if data.about else "as read"
    counts = (("documents", data.documents), ("training queries", data.queries))
    told = [f"{name} {'unknown' if n is None else format(round(n), ',')}" for name, n in counts]
    lengths = ", ".join(f"{name} {n:.3g}" for name, n in data.identifier.items())
    return (
        f"data ({where}): {', '.join(told)}; tokens of a query about {data.prompt:.3g}, of an identifier: "
        f"{lengths}\n{plan.device.told}"
    )
