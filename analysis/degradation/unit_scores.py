"""One number per unit for what follows: how likely it passes a threshold, or how unlike the others it drifts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.degradation.forecasting import Forecaster
from analysis.degradation.law_fit import LawFit
from analysis.degradation.mixed_effects import arrange
from analysis.degradation.readout_paths import Floats, ReadoutPaths
from analysis.degradation.thresholds import Threshold, cross


@dataclass(frozen=True)
class CrossingScores:
    """How likely each unit passes a threshold by a horizon.

    Attributes:
        names: the units, as in the readouts.
        probability: float64 ``(units,)``; 1 where readouts until the horizon show it.
        low, high: the same shape: what it may be by the other methods and the error of the draws.
        crossed: bool ``(units,)``: whether the readouts show it, whenever.
    """

    names: tuple[str, ...]
    probability: Floats
    low: Floats
    high: Floats
    crossed: np.ndarray


def score_crossings(
    fitted: Sequence[Forecaster],
    history: ReadoutPaths,
    threshold: Threshold,
    horizon_h: float,
    stretches: Sequence[float] = (),
    seed: int = 0,
) -> CrossingScores:
    """Return P(passes ``threshold`` by ``horizon_h``) of every unit of ``history``.

    Arguments and errors of :func:`cross`.

    ``fitted`` begins with the method that is used, ``stretches`` are the calibrations of each; ``seed`` makes the draws
    repeatable.
    """
    found = cross(fitted, history, threshold, horizon_h, stretches, seed)
    return CrossingScores(
        tuple(each.unit for each in found),
        np.asarray([each.probability for each in found]),
        np.asarray([each.low for each in found]),
        np.asarray([each.high for each in found]),
        np.asarray([each.state == "crossed" for each in found], np.bool_),
    )


@dataclass(frozen=True)
class DriftScores:
    """How unlike the others each unit drifts; needs no threshold.

    Attributes:
        names: the units, as in the readouts.
        faster: float64 ``(units,)``: the unit's amplitude in standard deviations of the population, positive for more
            drift
            than the median unit has.
        error: the same shape: its standard error, from the unit's own readouts; near 1 where they tell nothing.
        distance: the same shape: all random effects together, Mahalanobis distance from the median unit.
        freedom: how many random effects: ``distance**2`` of a unit like the others is chi-squared with so many.
    """

    names: tuple[str, ...]
    faster: Floats
    error: Floats
    distance: Floats
    freedom: int


def score_drift(fit: LawFit, history: ReadoutPaths) -> DriftScores:
    """Return how the units of ``history`` drift beside the population of ``fit``.

    Scores are posterior modes of the standardized effects, drawn towards 0 where a unit has few readouts.
    """
    modes = fit.modes(arrange(history, fit.scale))
    structure = fit.structure
    place = structure.random.index(structure.names.index("amplitude"))
    _, root, _ = structure.unpack(fit.phi)
    row = root[place] / max(float(np.sqrt((root[place] ** 2).sum())), 1e-300)
    # Without a sign of its own the amplitude counts as more drift in the direction of the median unit's.
    sign = 1.0 if fit.form.direction else float(np.sign(fit.phi[structure.names.index("amplitude")]) or 1.0)
    spread = np.einsum("q,uqr->ur", row, modes.factor)
    return DriftScores(
        history.names,
        sign * (modes.z @ row),
        np.sqrt((spread**2).sum(axis=1)),
        np.sqrt((modes.z**2).sum(axis=1)),
        len(structure.random),
    )
