"""The commands. Each imports what it needs when it is called, so that `genret --help` answers at once.

- `app`: `genret` itself, and how bad input and failure are told.
- `studies`: `genret study`, `genret cells`, `genret run`; `runs`: `genret runs`; `reports`: `genret report`.
- `corpora`: `genret corpus`; `index`: `genret index`; `retrieval`: `genret search`.
- `cgl`: `genret cgl`.
- `fitting`: `genret fit`, `compare`, `predict`, `cross`, `plan`.
- `explore`: `genret explore`.
- `points`: `genret points`; `contrasts`: `genret contrasts`.
- `machine`: `genret doctor`.
"""
