"""Studies that were run: listed, shown, compared, cleaned, repeated.

- `listing`: what there is below a folder (`genret runs ls`).
- `found`: a study, one of its cells or one of its notebook runs, by the name that a person gives.
- `shown`: one of them with its parameters, origin, files and the end of its log (`genret runs show`).
- `diff`: two of them: parameters, origins, metrics (`genret runs diff`).
- `pairing`: the SE of a difference on the same queries.
- `leftovers`: what can go from a study's folder, and how much that frees (`genret runs gc`).
- `numbers`: the numbers that an executed notebook shows.
- `reproduce`: one of them run again from what was recorded, and compared (`genret reproduce`).
- `verdict`: whether two tables of results say the same.
"""
