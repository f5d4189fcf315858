"""The person's side of the house: parameters, runs, notebooks, figures, reports and commands."""
