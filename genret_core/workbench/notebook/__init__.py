"""One notebook, run with nobody watching; it knows nothing of studies. `workbench.execute` is its face.

- `job`: what is asked of a run: notebook, parameters, folder, time limit.
- `kernel`: one kernel for one notebook, with its own sockets and environment; gone when the notebook ends.
- `limits`: how much of its output is kept.
- `stream`: a kernel's stdout and stderr, up to that limit.
- `run`: from queued to done, through papermill.
- `record`: what is known of a run: its state while it goes on, its record afterwards, and its key.
"""
