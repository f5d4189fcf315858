"""What to spend next, and on what.

- `allocation`: the model size and the pairs that make a law of both lowest for a budget
- `budgets`: what that gives back
- `isocost`: what a run costs, and what a budget buys
- `reach`: what it takes to reach a target
- `next_run`: the run that would narrow a target most
- `candidates`: what that gives back
- `information`: what points, and one point more, tell of a target
"""

from genret_core.scaling.planning.allocation import allocate
from genret_core.scaling.planning.budgets import Allocation, Allocations
from genret_core.scaling.planning.candidates import Candidate, NextRun
from genret_core.scaling.planning.next_run import next_run
from genret_core.scaling.planning.reach import Reach, reach

__all__ = [
    "Allocation",
    "Allocations",
    "Candidate",
    "NextRun",
    "Reach",
    "allocate",
    "next_run",
    "reach",
]
