"""The optimum of a fit, by variable projection.

- `objective`: what is minimised: squares, or a loss of residuals on a log or logit scale
- `projection`: the linear half, amplitude and floor in closed form
- `descent`: damped Gauss-Newton in several nonlinear unknowns, for a batch of fits
- `robust`: damped Newton in all unknowns, for losses that are not squares of y
- `solutions`: what was found, and the certificate of the search
- `search`: the global optimum of the points
- `resampled`: the best fit of every resample, warm from it
"""
