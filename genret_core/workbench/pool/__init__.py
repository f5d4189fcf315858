"""The pool: jobs in subprocesses, as many at a time as there are cores, and what is seen of them.

- `local`: the engine of one machine: a process per job, its status, its log and its end.
- `progress`: what a person sees meanwhile: bars in a terminal, a plain line now and then elsewhere.

What the engine offers can be imported from here.
"""

from genret_core.workbench.pool.local import (
    ONE_THREAD,
    Job,
    JobFailed,
    Outcome,
    Progress,
    Watch,
    process_lives,
    read_status,
    run_jobs,
    warm,
)

__all__ = [
    "ONE_THREAD",
    "Job",
    "JobFailed",
    "Outcome",
    "Progress",
    "Watch",
    "process_lives",
    "read_status",
    "run_jobs",
    "warm",
]
