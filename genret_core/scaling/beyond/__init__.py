"""What fits say where nothing was measured, and where two of them meet.

- `extrapolation`, `predictions`: values with their interval, the factor beyond the data, the spread of laws
- `crossing`, `meeting`: every place where two curves meet, with its interval
- `refits`: the curves of all replicates or resamples
"""
