"""Laws and objectives against each other on the same points.

- `compare`: laws ranked by what they say of points that they did not see
- `criteria`: what a law is judged by: AICc, BIC, F tests, held-out errors
- `held_out`: points left out in turn, the largest held out, one more at a time
- `residual_tests`: runs of sign and F tests
- `by_objective`: one law under several objectives
- `families`, `sharing`: one exponent or one floor for several families
- `telling`: the comparison in words and as a table
"""
