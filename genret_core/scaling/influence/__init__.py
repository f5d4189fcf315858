"""What hangs on a single row.

- `rows`: each row left out by a real refit: outliers, and rows that rule the exponent
- `moved`: each value moved up and down
"""
