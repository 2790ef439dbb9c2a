"""Which of many dies stand out by their waveforms on the same nets, without any simulation.

A waveform is a multiple of what its net does, of either sign, with some of the neighbours that the spot reaches, which
differs from die to die with the beam's placement. So the waveforms of good dies lie, but for noise, in a subspace of
few dimensions through the origin, whatever gains and signs they have. It is found robustly: principal directions of
waveforms of unit length (Locantore et al., "Robust principal component analysis for functional data", Test 8, 1999),
then concentration steps on the :data:`KEPT` of the dies that are nearest to it (Hubert, Rousseeuw, Vanden Branden,
"ROBPCA", Technometrics 47, 2005). Directions count while their singular value is above what noise of the known size
makes (Marchenko and Pastur). A die's score on a net is the larger of two, each on the scale of the population:

* its distance from the subspace, over its own noise and the usual spread between dies;
* its angle to the waveform that the dies have in common: a dead net that shows its neighbours lies in the subspace.

The fit is the same whatever the order of the dies, so that scores of good dies are exchangeable, and comparing ranks
keeps the promised rate exactly (full conformal prediction: Vovk, Gammerman, Shafer, 2005).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.anomaly.population import PopulationError
from analysis.anomaly.reference import BASELINE_TERMS
from analysis.anomaly.scale import LogScale
from analysis.anomaly.thresholds import (
    CalibrationError,
    conformal_p_values,
    conformal_threshold,
    false_discovery_adjusted,
)

LEAST_DIES = 8
LEAST_CYCLES = 12
KEPT = 0.75
"""Part of the dies that the subspace is learned from: up to a quarter may be faulty."""
CYCLE_RATE = 0.05
"""False-discovery rate among the cycles of a waveform."""
_EDGE_MARGIN = 1.1
_MOST_DIRECTIONS = 0.25
_STEPS = 10
_REWEIGHTINGS = 20
_BIWEIGHT = 4.685
_MAD_OF_NORMAL = 0.6744898
_SHRINK = 0.7
_TINY = 1e-12
Progress = Callable[[float], None]


@dataclass(frozen=True)
class NetLevels:
    """The same net on many dies.

    Attributes:
        values: float64 of shape ``(dies, cycles)``, levels, in any unit, of the cycles that all dies cover.
        sigmas: float64 of shape ``(dies,)``, standard error of a level of each die, in its unit.
    """

    values: NDArray[np.float64]
    sigmas: NDArray[np.float64]

    def of(self, dies: NDArray[np.int64]) -> "NetLevels":
        """Return the levels of some of the ``dies``, int64 of shape ``(n,)``."""
        return NetLevels(self.values[dies], self.sigmas[dies])


@dataclass(frozen=True)
class NetFit:
    """How the dies lie about what they have in common on one net.

    Attributes:
        scores: float64 of shape ``(dies,)``, standard deviations (of a log-normal score) beyond the usual.
        follows: float64 of that shape: cosine of a die's waveform with the common one, 0..1.
        baseline: float64 of that shape: distance from the median waveform over its own size, root of the mean square
            of its levels; the simple way, for comparison.
        directions: float64 of shape ``(k, cycles)``: orthonormal; the common waveform first.
        learned: bool of shape ``(dies,)``: the dies that they were learned from.
    """

    scores: NDArray[np.float64]
    follows: NDArray[np.float64]
    baseline: NDArray[np.float64]
    directions: NDArray[np.float64]
    learned: NDArray[np.bool_]
    _rows: NDArray[np.float64]
    _scale: NDArray[np.float64]

    def differences(self, die: int) -> NDArray[np.float64]:
        """Return of the ``die`` of this number what is left of each cycle over its standard error: ``(cycles,)``.

        The fit of the directions is not bent by cycles that differ (Tukey's biweight).
        """
        return _robust_residual(self._rows[die], self.directions, float(self._scale[die]))


@dataclass(frozen=True)
class NetShare:
    """A die on one net: score, cosine and baseline as in :class:`NetFit`.

    Attributes:
        net: its name.
        score, follows, baseline: of this die.
        usual_follows: median of the cosines of the dies it is compared with.
        z: float64 of shape ``(cycles,)``: difference of each cycle over its standard error; ``None`` unless the die is
            an alarm.
    """

    net: str
    score: float
    follows: float
    usual_follows: float
    baseline: float
    z: NDArray[np.float64] | None

    @property
    def different(self) -> NDArray[np.int64]:
        """The cycles that differ, at the false-discovery rate :data:`CYCLE_RATE`."""
        if self.z is None:
            return np.empty(0, np.int64)
        return np.flatnonzero(false_discovery_adjusted(2 * stats.norm.sf(np.abs(self.z))) <= CYCLE_RATE)


@dataclass(frozen=True)
class DieJudgement:
    """What is said of one die.

    Attributes:
        score: the largest of its scores on the nets.
        p_value: of its being like the others of its class; ``None`` when that cannot be promised.
        threshold: scores above it are alarms.
        alarm: whether it is one; ``None`` when that cannot be said.
        baseline_score, baseline_p_value: the same by distance from the median waveform.
        calibrated_on: dies of its class that it is compared with.
        nets: what each net adds.
        reason: why nothing can be said; else empty.
    """

    score: float
    p_value: float | None
    threshold: float | None
    alarm: bool | None
    baseline_score: float
    baseline_p_value: float | None
    calibrated_on: int
    nets: tuple[NetShare, ...]
    reason: str


def fit_net(levels: NetLevels) -> NetFit:
    """Return how the dies of ``levels`` lie about what they have in common.

    Raises:
        PopulationError: fewer than 8 dies or 12 cycles, or a number is not finite.
    """
    cycles = _checked(levels)
    rows, sigmas = _unit_rows(levels)
    basis, kept, spread = _robust_subspace(rows, sigmas, cycles - BASELINE_TERMS)
    scale = np.sqrt(sigmas**2 + spread**2)
    away = np.maximum(1 - np.sum((rows @ basis.T) ** 2, axis=1), 0.0) / scale**2
    follows = np.minimum(np.abs(rows @ basis[0]), 1.0)
    angle = 1 - follows
    scores = np.maximum(LogScale.of(away).standardise(away), LogScale.of(angle).standardise(angle))
    baseline = _distance_from_median(rows, basis[0])
    return NetFit(np.asarray(scores, np.float64), follows, baseline, basis, kept, rows, scale)


def judge_dies(
    nets: Mapping[str, NetLevels],
    classes: Sequence[str],
    reference: NDArray[np.bool_],
    alpha: float,
    progress: Progress = lambda _fraction: None,
) -> tuple[DieJudgement, ...]:
    """Return which dies stand out, with false alarms in at most a part ``alpha`` of the good dies of each class.

    ``nets`` has by name the levels of the same dies in the same order, ``classes`` the class of each, ``reference``
    (bool of shape ``(dies,)``) those that are known to be good. Without any, each die is compared with the others of
    its class: at most a part ``alpha`` of them can be alarms then. With some, each other die is compared with these
    alone, and they are not judged. ``progress`` is told the part that is done.

    Raises:
        PopulationError: there are too few dies or cycles, a number is not finite, or nothing is to be judged.
        CalibrationError: no class has the dies that ``alpha`` takes, or it is not between 0 and 1.
    """
    if not nets:
        raise PopulationError("there is no net that all dies were probed on")
    if reference.all():
        raise PopulationError("all dies are known to be good: there is none to judge")
    _refuse_too_few(classes, reference, alpha)
    known = np.flatnonzero(reference)
    if not known.size:
        question = _Question({net: fit_net(levels) for net, levels in nets.items()}, list(classes), alpha)
        return tuple(question.judge(place) for place in range(len(classes)))
    judged = []
    for place in range(len(classes)):
        progress(place / len(classes))
        if reference[place]:
            judged.append(_unjudged())
            continue
        members = np.append(known, place)
        fits = {net: fit_net(levels.of(members)) for net, levels in nets.items()}
        judged.append(_Question(fits, [classes[each] for each in members], alpha).judge(len(known)))
    return tuple(judged)


@dataclass(frozen=True)
class _Question:
    """Fits of the same dies on all nets, their classes, and the rate that is promised."""

    fits: Mapping[str, NetFit]
    classes: Sequence[str]
    alpha: float

    def judge(self, place: int) -> DieJudgement:
        scores = np.max([fit.scores for fit in self.fits.values()], axis=0)
        distances = [fit.baseline for fit in self.fits.values()]
        plain = np.max([LogScale.of(each).standardise(each) for each in distances], axis=0)
        label = self.classes[place]
        others = [each for each, own in enumerate(self.classes) if own == label and each != place]
        own, simple = float(scores[place]), float(plain[place])
        try:
            threshold = conformal_threshold(scores[others], self.alpha)
        except CalibrationError as error:
            reason = f"class {label}: {error}" if label else str(error)
            return DieJudgement(own, None, None, None, simple, None, len(others), self._shares(place, False), reason)
        p_value = float(conformal_p_values(scores[[place]], scores[others])[0])
        plain_p = float(conformal_p_values(plain[[place]], plain[others])[0])
        alarm = own > threshold.value
        shares = self._shares(place, alarm)
        return DieJudgement(own, p_value, threshold.value, alarm, simple, plain_p, len(others), shares, "")

    def _shares(self, place: int, in_detail: bool) -> tuple[NetShare, ...]:
        return tuple(
            NetShare(
                net,
                float(fit.scores[place]),
                float(fit.follows[place]),
                float(np.median(fit.follows)),
                float(fit.baseline[place]),
                fit.differences(place) if in_detail else None,
            )
            for net, fit in self.fits.items()
        )


def _unjudged() -> DieJudgement:
    return DieJudgement(np.nan, None, None, None, np.nan, None, 0, (), "known to be good: not judged")


def _refuse_too_few(classes: Sequence[str], reference: NDArray[np.bool_], alpha: float) -> None:
    """Refuse when no class has enough dies to compare with for ``alpha``; told by the largest class."""
    counted = [label for label, known in zip(classes, reference, strict=True) if known or not reference.any()]
    asked = {label for label, known in zip(classes, reference, strict=True) if not known}
    most = max(counted.count(label) for label in asked) - (0 if reference.any() else 1)
    conformal_threshold(np.zeros(most), alpha)


def _checked(levels: NetLevels) -> int:
    dies, cycles = (int(size) for size in levels.values.shape)
    if dies < LEAST_DIES:
        raise PopulationError(f"{dies} dies are too few to learn from; {LEAST_DIES} are needed")
    if cycles < LEAST_CYCLES:
        raise PopulationError(f"{cycles} cycles are in all waveforms; {LEAST_CYCLES} are needed")
    if not (np.isfinite(levels.values).all() and np.isfinite(levels.sigmas).all()):
        raise PopulationError("a level is not finite")
    return cycles


def _unit_rows(levels: NetLevels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows without offset and slow drift, of unit length, and the standard error of their levels."""
    place = np.linspace(-1.0, 1.0, levels.values.shape[1])
    drift, _ = np.linalg.qr(np.stack([place**power for power in range(BASELINE_TERMS)], axis=1))
    centred = levels.values - levels.values.mean(axis=1, keepdims=True)
    rows = centred - (centred @ drift) @ drift.T
    lengths = np.maximum(np.linalg.norm(rows, axis=1), np.finfo(np.float64).tiny)
    return rows / lengths[:, None], np.maximum(levels.sigmas / lengths, _TINY)


def _robust_subspace(
    rows: NDArray[np.float64], sigmas: NDArray[np.float64], freedom: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """Return directions (rows, the common waveform first), which dies they are from, and the spread between dies."""
    count = int(np.ceil(KEPT * len(rows)))
    _, _, turned = np.linalg.svd(rows, full_matrices=False)
    kept = np.argsort(1 - np.abs(rows @ turned[0]), kind="stable")[:count]
    for _ in range(_STEPS):
        basis = _directions(rows[kept], sigmas[kept], freedom)
        left = np.maximum(1 - np.sum((rows @ basis.T) ** 2, axis=1), 0.0) / max(1, freedom - len(basis))
        spread = np.sqrt(max(0.0, float(np.median(left - sigmas**2))))
        nearest = np.argsort(left / (sigmas**2 + spread**2), kind="stable")[:count]
        if np.array_equal(np.sort(nearest), np.sort(kept)):
            break
        kept = nearest
    learned = np.zeros(len(rows), np.bool_)
    learned[kept] = True
    return basis, learned, float(spread)


def _directions(rows: NDArray[np.float64], sigmas: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    _, values, turned = np.linalg.svd(rows, full_matrices=False)
    edge = _EDGE_MARGIN * np.mean(sigmas**2) * (np.sqrt(len(rows)) + np.sqrt(freedom)) ** 2
    most = max(1, int(_MOST_DIRECTIONS * min(len(rows), freedom)))
    return np.asarray(turned[: int(np.clip(np.sum(values**2 > edge), 1, most))], np.float64)


def _robust_residual(row: NDArray[np.float64], basis: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    weights = np.ones(row.size)
    residual = row
    for step in range(_REWEIGHTINGS):
        root = np.sqrt(weights)
        amounts, *_ = np.linalg.lstsq(basis.T * root[:, None], row * root, rcond=None)
        residual = row - amounts @ basis
        # The limit shrinks to the noise, so that the first fit, which all cycles bend, decides nothing.
        limit = _BIWEIGHT * max(sigma, float(np.median(np.abs(residual))) / _MAD_OF_NORMAL * _SHRINK**step)
        weights = np.clip(1 - (residual / limit) ** 2, 1e-6, None) ** 2
    return np.asarray(residual / sigma, np.float64)


def _distance_from_median(rows: NDArray[np.float64], common: NDArray[np.float64]) -> NDArray[np.float64]:
    signs = np.where(rows @ common < 0, -1.0, 1.0)
    median = np.median(rows * signs[:, None], axis=0)
    size = float(median @ median)
    gains = rows @ median / (size if size > 0 else 1.0)
    residual = rows - gains[:, None] * median
    spread = np.sqrt(np.mean(residual**2, axis=1))
    return np.asarray(spread / np.maximum(np.abs(gains) * np.sqrt(size / rows.shape[1]), _TINY), np.float64)
