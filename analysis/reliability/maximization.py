"""The maximum of a log likelihood by Newton's method with exact derivatives, or the reason why there is none.

A fit is accepted by what is true at the point, not by how the search ended: the score must vanish, measured in standard
errors (``sqrt(g' I^-1 g)``, the same in all parametrizations), and the information must be positive definite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from analysis.reliability.errors import NotConverged, NotIdentified, UnboundedLikelihood
from analysis.reliability.jets import Floats, Jet

Objective = Callable[[Floats], Jet]

SCORE_TOLERANCE = 1e-6
CONDITION_LIMIT = 1e13
_MOST_STEPS = 80
_FARTHEST = 200.0


@dataclass(frozen=True)
class Maximum:
    """Where a log likelihood is largest.

    Attributes:
        theta: float64 of shape ``(k,)``.
        value: log likelihood there.
        covariance: float64 of shape ``(k, k)``, inverse of the observed information.
        score_norm: how far the score is from 0, in standard errors.
        condition: condition number of the information after its diagonal is scaled to 1.
        steps: Newton steps taken.
    """

    theta: Floats
    value: float
    covariance: Floats
    score_norm: float
    condition: float
    steps: int


def maximize(objective: Objective, start: Floats, name: str) -> Maximum:
    """Return the maximum that is uphill of ``start``, float64 of shape ``(k,)``.

    ``objective`` gives the log likelihood with its derivatives; ``name`` is the model's, for errors.

    Raises:
        NotConverged, NotIdentified, UnboundedLikelihood: there is no such maximum, and why.
    """
    theta = np.asarray(start, np.float64).copy()
    here = objective(theta)
    if not np.isfinite(here.value[0]):
        raise NotConverged(name, float("inf"), 0)
    damping = 0.0
    best_norm = np.inf
    for step in range(_MOST_STEPS):
        gradient, information = here.slope[:, 0], -here.curvature[:, :, 0]
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            raise UnboundedLikelihood(name, "its derivatives are not finite where the search went")
        direction, damping = _direction(gradient, information, damping)
        norm = float(np.sqrt(max(float(gradient @ direction), 0.0)))
        if damping == 0.0:
            if norm <= 1e-11 or (norm <= SCORE_TOLERANCE and norm >= 0.5 * best_norm):
                return _accepted(theta, here, name, step)
            best_norm = min(best_norm, norm)
        moved, theta_next, there = _search(objective, theta, here, direction)
        if not moved:
            if damping == 0.0 and norm <= SCORE_TOLERANCE:
                return _accepted(theta, here, name, step)
            damping = max(damping * 10, 1e-3)
            if damping > 1e8:
                break
            continue
        damping = damping / 10 if damping > 1e-6 else 0.0
        theta, here = theta_next, there
        if np.abs(theta - start).max() > _FARTHEST:
            raise UnboundedLikelihood(name, "a parameter runs away to infinity while the likelihood still grows")
    return _accepted(theta, here, name, _MOST_STEPS)


def invert_information(information: Floats, name: str) -> tuple[Floats, float]:
    """Return the inverse of ``information``, ``(k, k)``, and its condition number after scaling; ``name`` for errors.

    Raises:
        NotIdentified: it is not positive definite, or singular to double precision.
    """
    scale = np.sqrt(np.abs(np.diag(information)))
    if not (scale > 0).all() or (np.diag(information) <= 0).any():
        raise NotIdentified(name, "the information about a parameter is zero")
    scaled = information / np.outer(scale, scale)
    values = np.linalg.eigvalsh(scaled)
    if values[0] <= 0 or values[-1] / values[0] > CONDITION_LIMIT:
        raise NotIdentified(name, "the information matrix is not positive definite at the best point found")
    inverse = cho_solve(cho_factor(scaled), np.eye(len(scaled)))
    return inverse / np.outer(scale, scale), float(values[-1] / values[0])


def _direction(gradient: Floats, information: Floats, damping: float) -> tuple[Floats, float]:
    """Newton's step, damped until the matrix is positive definite."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-12))
    scaled = information / np.outer(scale, scale)
    while damping < 1e14:
        try:
            factor = cho_factor(scaled + damping * np.eye(len(scaled)))
        except np.linalg.LinAlgError:
            damping = max(damping * 10, 1e-4)
            continue
        return cho_solve(factor, gradient / scale) / scale, damping
    return gradient / scale**2, damping


def _search(objective: Objective, theta: Floats, here: Jet, direction: Floats) -> tuple[bool, Floats, Jet]:
    """Halve the step until the likelihood does not fall."""
    longest = np.abs(direction).max()
    length = min(1.0, 5.0 / longest) if longest > 0 else 1.0
    slack = 1e-12 * abs(float(here.value[0]))
    for _ in range(8):
        candidate = theta + length * direction
        there = objective(candidate)
        if np.isfinite(there.value[0]) and there.value[0] >= here.value[0] - slack:
            return True, candidate, there
        length /= 4
    return False, theta, here


def _accepted(theta: Floats, here: Jet, name: str, steps: int) -> Maximum:
    gradient, information = here.slope[:, 0], -here.curvature[:, :, 0]
    covariance, condition = invert_information(information, name)
    norm = float(np.sqrt(max(float(gradient @ covariance @ gradient), 0.0)))
    if norm > SCORE_TOLERANCE:
        raise NotConverged(name, norm, steps)
    return Maximum(theta, float(here.value[0]), covariance, norm, condition, steps)
