"""The pool: jobs in subprocesses, as many at a time as there are cores, and what is seen of them.

- `job`: what every engine takes and gives: jobs, outcomes, and who looks on.
- `local`: the engine of one machine: a process per job, and what becomes of one that dies.
- `worker`: what happens inside a job's process, whichever engine started it.
- `devices`: GPUs, shared out among workers.
- `status`: `status.json` of cells and notebooks alike, and the truth about it.
- `heartbeat`: the sign of life beside it, with progress and memory.
- `process`: which process it is, and whether it still lives.
- `memory`: what a process and its descendants take, and whether the system killed for lack of it.
- `claim`: locks: who is at work on a folder, and what becomes of a lock that was left behind.
- `line`: the jobs that wait for their turn, and those that another command is at.
- `progress`: what a person sees meanwhile: bars in a terminal, a plain line now and then elsewhere.

What engines offer can be imported from here.
"""

from genret_core.workbench.pool.heartbeat import Heartbeat
from genret_core.workbench.pool.job import Job, JobFailed, Outcome, Progress, Watch, told_end
from genret_core.workbench.pool.local import run_jobs, warm
from genret_core.workbench.pool.process import process_lives
from genret_core.workbench.pool.status import read_status, write_status
from genret_core.workbench.pool.worker import ONE_THREAD, work

__all__ = [
    "ONE_THREAD",
    "Heartbeat",
    "Job",
    "JobFailed",
    "Outcome",
    "Progress",
    "Watch",
    "process_lives",
    "read_status",
    "run_jobs",
    "told_end",
    "warm",
    "work",
    "write_status",
]
