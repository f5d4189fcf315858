"""The optimum of a fit, by variable projection.

- `projection`: the linear half, amplitude and floor in closed form
- `descent`: damped Gauss-Newton in several nonlinear unknowns, for a batch of fits
- `search`: the global optimum of the points and of every draw, and the certificate of the search
"""
