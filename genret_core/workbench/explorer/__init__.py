"""The fit explorer: which law holds, and how sure one can be.

- `state`: everything that a user chose, as data; `source`: a table of points, and what its columns mean.
- `sources`: points from the published study, a file, an upload or a data frame; `study_source`: from a study;
  `guessing`: which columns of a file are the points; `reading`: text as a table.
- `calls`: what `fit` is asked for a series of points; `fits`: points and fits of a state; `answers`: what
  only some of the tabs ask; `shown`: everything that follows; `memory`: so that nothing is computed twice.
- `desk`: the current state, undo, snapshots, and who must be told.
- `export`: everything that can be taken away, as text or files; `record`: the fit as YAML; `latex`: as a row;
  `page`: as one HTML file; `code`: as a cell of code.
"""
