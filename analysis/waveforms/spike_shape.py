"""The spike that all edges of a net have in common, learned from the pooled fit: it moves with its edge.

The fit has the spike's value at every knot. Single knots are as noisy as a sample over the root of the edges, so that
the spike is described by a few Hermite functions around the edge instead, as many as the fit is significantly better
with (Bayesian information criterion, here several times as strict: G. Schwarz, Annals of Statistics 6(2), 1978).
Correlated noise makes neighbouring knots alike, as a spike does, so that the price is raised by its spectral density. A
shift common to all edges cannot be told from another shape of spike: only what one edge does beside the others is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.waveforms.delay_fit import Fit
from analysis.waveforms.noise import NoiseModel

TERMS = (2, 4, 6, 8)
"""Hermite functions that are tried."""
REACH = 5.0
"""Edge widths around an edge in which a spike is looked for."""
STRICTNESS = 4.0
"""By what the price of a term is multiplied."""


@dataclass(frozen=True)
class SpikeShape:
    """A spike as a part of the swing.

    Attributes:
        centre_s, width_s: of the Hermite functions, seconds after the edge's simulated time.
        coefficients: float64 of shape ``(terms,)``.
    """

    centre_s: float
    width_s: float
    coefficients: NDArray[np.float64]

    def at(self, offsets_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spike ``offsets_s`` seconds (any shape) after the edge's simulated time, in swings."""
        place = (offsets_s - self.centre_s) / self.width_s
        total = np.zeros_like(place)
        for term, coefficient in enumerate(_hermite(place, len(self.coefficients))):
            total += self.coefficients[term] * coefficient
        return total


def learn_spike(fit: Fit, baseline_terms: int) -> SpikeShape | None:
    """Return the spike of ``fit``, whose first ``baseline_terms`` nuisances are the baseline; ``None`` without one."""
    rising, falling = fit.design.edges
    if not (rising and falling) or not fit.amplitude:
        return None
    count = fit.design.knots_s.size
    block = slice(baseline_terms, baseline_terms + count)
    values = fit.nuisance[block] / fit.amplitude
    nuisance = fit.design.nuisance[:, block]
    seen = np.asarray(nuisance.multiply(nuisance).sum(axis=0), np.float64).ravel()
    centre_s, width_s = fit.posterior.delay_s, fit.posterior.width_s
    place = (fit.design.knots_s - centre_s) / width_s
    near = (np.abs(place) < REACH) & (seen > 0)
    if near.sum() <= 2 * TERMS[-1]:
        return None
    weights = np.sqrt(seen[near]) * abs(fit.amplitude) / fit.noise.sigma()
    target = values[near] * weights
    price = STRICTNESS * np.log(near.sum()) * _slowness(fit.noise)
    best, chosen = float(target @ target), None
    for terms in TERMS:
        columns = np.stack(list(_hermite(place[near], terms)), axis=1) * weights[:, None]
        coefficients, *_ = np.linalg.lstsq(columns, target, rcond=None)
        left = target - columns @ coefficients
        worth = float(left @ left) + price * terms
        if worth < best:
            best, chosen = worth, coefficients
    return None if chosen is None else SpikeShape(centre_s, width_s, np.asarray(chosen, np.float64))


def _slowness(noise: NoiseModel) -> float:
    """Return the spectral density of ``noise`` at the lowest frequencies over that of white noise as large, or 1."""
    density = (noise.innovation / (1.0 - float(noise.coefficients.sum()))) ** 2
    return max(1.0, density / noise.sigma() ** 2)


def _hermite(place: NDArray[np.float64], terms: int) -> list[NDArray[np.float64]]:
    """Return the first Hermite functions at ``place``, by their recursion (orthonormal, Abramowitz & Stegun 22.7)."""
    functions = [np.pi**-0.25 * np.exp(-0.5 * place**2)]
    functions.append(np.sqrt(2.0) * place * functions[0])
    for term in range(2, terms):
        functions.append(np.sqrt(2.0 / term) * place * functions[-1] - np.sqrt((term - 1) / term) * functions[-2])
    return functions[:terms]
