"""Log odds of several heads put together by a logistic regression whose weights are not negative.

Stacked generalization (Wolpert, Neural Networks 5, 1992) with the constraint of Breiman ("Stacked regressions", Machine
Learning 24, 1996). The ridge pulls the weights to the mean of the heads, which is what little data should give.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from analysis.latent_risk.evidence import Flags, Floats

RIDGE = 1.0


@dataclass(frozen=True)
class Stack:
    """Fused log odds are ``intercept + scores @ weights``; ``weights`` float64 ``(heads,)``, none negative."""

    intercept: float
    weights: Floats

    def fuse(self, scores: Floats) -> Floats:
        """Return the log odds, float64 ``(units,)``, of ``scores``, float64 ``(units, heads)``."""
        return np.asarray(self.intercept + scores @ self.weights, np.float64)


def fit_stack(scores: Floats, failed: Flags) -> Stack:
    """Return the stack that fits ``scores``, float64 ``(units, heads)``, to ``failed``, bool ``(units,)``."""
    heads = scores.shape[1]
    target = np.full(heads, 1.0 / heads)
    sign = np.where(failed, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        margin = sign * (parameters[0] + scores @ parameters[1:])
        pull = parameters[1:] - target
        slope = -sign * special.expit(-margin)
        gradient = np.concatenate([[slope.sum()], scores.T @ slope + RIDGE * pull])
        return float(-special.log_expit(margin).sum() + 0.5 * RIDGE * pull @ pull), gradient

    start = np.concatenate([[0.0], target])
    bounds = [(None, None), *([(0.0, None)] * heads)]
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds,
                              options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8})  # fmt: skip
    return Stack(float(found.x[0]), np.asarray(found.x[1:], np.float64))
