"""The fit explorer: which law holds, and how sure one can be.

One state, what follows from it, and panels that show it. What is chosen and what follows:

- `state`: everything that a user chose, as data; `source`: a table of points, and what its columns mean.
- `sources`: points from the published study, a file, an upload or a data frame; `study_source`: from a study;
  `guessing`: which columns of a file are the points; `reading`: text as a table.
- `calls`: what `fit` is asked for a series of points; `fits`: points and fits of a state; `answers`: what
  only some of the tabs ask; `shown`: everything that follows; `memory`: so that nothing is computed twice.
- `desk`: the current state, undo, snapshots, and who must be told.
- `export`: everything that can be taken away, as text or files; `record`: the fit as YAML; `latex`: as a row;
  `page`: as one HTML file; `code`: as a cell of code.

What is seen:

- `explorer`: the page put together; `static`: what stands in for it in a report; `theme`: its looks.
- `view`, `view_traces`, `view_parts`, `view_axes`, `view_ahead`, `live_figure`: the main figure.
- `verdict_strip`, `parameter_table`, `sentence`: what the fit says of itself; `prose`: numbers and laws as
  people write them.
- `controls`, `law_controls`, `figure_controls`, `floor_strip`, `points_pane`, `save_pane`: what can be
  chosen.
- `tab_stage`: what the tabs share; `laws_tab`, `laws_tab_figure`; `residuals_tab`, `residuals_tab_figure`;
  `profile_tab`, `profile_tab_figure`, `profile_tab_words`; `families_tab`, `families_tab_figure`;
  `budget_tab`, `budget_tab_figure`; `checklist_tab`, `checklist_tab_items`.
- `tours`, `tour_steps`, `tour_texts`: guided tours on the published points.
- `app`, `given`: the explorer as an app of its own.
"""
