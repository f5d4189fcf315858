"""Joint replicates: the uncertainty of points that share their queries.

- `resampling`: queries resampled once for all points together; the spread between seeds, pooled.
- `series`: points along one axis with their replicates: slopes, interpolation and correlation of all at once.
"""
