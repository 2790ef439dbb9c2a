"""Physics laws side by side: each fitted, weighed by Akaike's criterion, and forecast from as a mixture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.degradation.errors import DegradationError, NotFitted
from analysis.degradation.law_draws import draw_effects, draw_parameters
from analysis.degradation.law_fit import Form, LawFit, fit_law, refused, thin_units
from analysis.degradation.laws import LAWS
from analysis.degradation.mixed_effects import arrange
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale, Targets, measure_scale

FAR = 10.0
"""A law whose criterion is worse by more has no part in forecasts."""

_PARAMETER_DRAWS = 25
_ELABORATED = 3
_STRAIGHT = np.log(3.0)


@dataclass(frozen=True)
class JudgedLaw:
    """A law and what became of it.

    Attributes:
        name: of the law.
        fit: ``None`` where it was refused, and ``reason`` says why.
        difference: of AICc from the best, ``None`` where refused.
        weight: Akaike's, among all that were fitted; 0 where refused.
        reason: why there is no fit.
    """

    name: str
    fit: LawFit | None
    difference: float | None
    weight: float
    reason: str = ""


def choose_direction(paths: ReadoutPaths, scale: Scale) -> int:
    """Return 1 or -1 where the readouts of every unit of ``paths`` rise, or fall; 0 where they disagree.

    ``scale`` says where they start from.
    """
    signs = set()
    for each in range(paths.units):
        own = paths.unit == each
        time, value = paths.time_h[own], paths.value[own]
        if scale.fixed_origin:
            signs.add(float(np.sign(((value - scale.origin) * time).sum())))
        elif np.ptp(time) > 0:
            signs.add(float(np.sign(((value - value.mean()) * (time - time.mean())).sum())))
    return int(signs.pop()) if len(signs) == 1 else 0


def judge_laws(paths: ReadoutPaths, names: Sequence[str] = tuple(LAWS)) -> tuple[JudgedLaw, ...]:
    """Return the laws ``names`` fitted to ``paths``, best first, the refused last.

    Every law has random amplitudes, and levels unless all readouts start at one value; of the best few it is also tried
    whether the shape differs between units.

    Raises:
        BadReadouts: there is nothing to fit.
    """
    scale = measure_scale(paths)
    direction = choose_direction(paths, scale)
    several = scale.reference_k is not None
    fits: dict[str, LawFit] = {}
    reasons: dict[str, str] = {}
    for name in names:
        try:
            fits[name] = fit_law(paths, Form(LAWS[name], direction, not scale.fixed_origin, False, several), scale)
        except DegradationError as error:
            reasons[name] = refused(error)
    plain = sorted(fits, key=lambda each: fits[each].aicc)
    bent = [each for each in plain if LAWS[each].shape and _curved(fits[each])]
    for name in bent[:_ELABORATED]:
        form = Form(LAWS[name], direction, not scale.fixed_origin, True, several)
        try:
            richer = fit_law(paths, form, scale)
        except DegradationError:
            continue
        if name not in fits or richer.aicc < fits[name].aicc:
            fits[name] = richer
    best = min((fit.aicc for fit in fits.values()), default=np.inf)
    raw = {name: float(np.exp(-0.5 * (fit.aicc - best))) for name, fit in fits.items()}
    total = sum(raw.values())
    judged = [JudgedLaw(name, fit, fit.aicc - best, raw[name] / total) for name, fit in fits.items()]
    judged.sort(key=lambda each: each.difference or 0.0)
    return (*judged, *(JudgedLaw(name, None, None, 0.0, reasons[name]) for name in names if name not in fits))


def _curved(fit: LawFit) -> bool:
    """Whether the first parameter of the shape shows: a path that is all but straight has none to differ by unit."""
    parameter = fit.form.law.shape[0]
    return not parameter.hours or bool(fit.phi[1 + fit.form.level] < _STRAIGHT)


@dataclass(frozen=True)
class LawForecaster:
    """Forecasts from one law or a mixture of several.

    Attributes:
        name: of the method.
        laws: as judged, best first.
    """

    name: str
    laws: tuple[JudgedLaw, ...]

    @property
    def members(self) -> list[tuple[LawFit, float]]:
        """The fits that take part, with weights that add to 1."""
        near = [(each.fit, each.weight) for each in self.laws if each.fit and (each.difference or 0.0) <= FAR]
        total = sum(weight for _, weight in near)
        return [(fit, weight / total) for fit, weight in near]

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its path, in the readouts' unit."""
        return float(np.sqrt(sum(weight * fit.noise**2 for fit, weight in self.members)))

    @property
    def parameters(self) -> int:
        """How many numbers the best law has."""
        return len(self.members[0][0].phi)

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths drawn at ``targets``, float64 ``(count, rows)``, given the readouts in ``history``.

        Each draw is one path of one unit under one set of parameters; ``seed`` makes it repeatable.
        """
        generator = np.random.default_rng(seed)
        shares = np.asarray([weight for _, weight in self.members])
        counts = np.floor(shares * count).astype(int)
        counts[np.argsort(counts - shares * count, kind="stable")[: count - counts.sum()]] += 1
        parts = [
            _draw(fit, history, targets, int(number), generator)
            for (fit, _), number in zip(self.members, counts, strict=True)
            if number
        ]
        return np.concatenate(parts)


def _draw(fit: LawFit, history: ReadoutPaths, targets: Targets, count: int, generator: np.random.Generator) -> Floats:
    block = arrange(history, fit.scale)
    start = fit.modes(block).z
    time = (targets.time_h / fit.scale.time_h)[:, None]
    inverse = block.inverse_temperature[targets.unit]
    many = min(count, _PARAMETER_DRAWS)
    drawn = draw_parameters(fit, many, generator)
    parts = []
    for place, phi in enumerate(drawn):
        number = count // many + (place < count % many)
        theta = draw_effects(fit, phi, block, number, generator, start)
        path, _ = fit.form.path(theta[:, targets.unit], time, inverse)
        parts.append(fit.scale.origin + fit.scale.value * path[..., 0])
    return np.concatenate(parts)


def fit_laws(paths: ReadoutPaths) -> LawForecaster:
    """Return the mixture of all physics laws fitted to ``paths``.

    Raises:
        NotFitted: no law is.
        BadReadouts: there is nothing to fit.
    """
    return _forecaster("physics-laws", judge_laws(paths))


def fit_power_law(paths: ReadoutPaths) -> LawForecaster:
    """Return the mixed power law fitted to ``paths``; raises what :func:`fit_laws` raises."""
    return _forecaster("mixed-power-law", judge_laws(paths, ("power",)))


def _forecaster(name: str, laws: tuple[JudgedLaw, ...]) -> LawForecaster:
    if laws[0].fit is None:
        raise NotFitted(name, laws[0].reason)
    return LawForecaster(name, laws)


def drift_test(paths: ReadoutPaths) -> tuple[float, float]:
    """Return the likelihood ratio of a straight drift, alike or different by unit, against none, and its p-value.

    Normal amplitudes are used, so that no drift is a special case. Tested are the mean amplitude, its spread at its
    edge, and the spread's covariance with the levels where units have levels: the mixture in halves of chi-squared with
    1 and 2 degrees of freedom holds without levels, with 2 and 3 with them (Self & Liang 1987; Stram &
    Lee 1994). ``paths`` are the readouts.

    Raises:
        NotFitted, BadReadouts: neither can be fitted.
    """
    from scipy.stats import chi2  # noqa: PLC0415  (slow to import, seldom needed)

    paths = thin_units(paths)
    scale = replace(measure_scale(paths), reference_k=None)
    form = Form(LAWS["linear"], 0, not scale.fixed_origin, False, False)
    with_drift = fit_law(paths, form, scale)
    without = _no_drift(paths, scale)
    statistic = max(2 * (with_drift.log_likelihood - without), 0.0)
    freedom = 2 if form.level else 1
    return statistic, float(0.5 * chi2.sf(statistic, freedom) + 0.5 * chi2.sf(statistic, freedom + 1))


def _no_drift(paths: ReadoutPaths, scale: Scale) -> float:
    """Log likelihood of units at rest, each with its own normal level unless the origin is fixed."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415

    block = arrange(paths, scale)
    counts = block.there.sum(axis=1)
    total = counts.sum()
    if scale.fixed_origin:
        variance = float((block.value**2).sum() / total)
        value = -0.5 * total * (np.log(2 * np.pi * variance) + 1)
        return float(value - total * np.log(scale.value))
    means = block.value.sum(axis=1) / np.maximum(counts, 1)
    within = float(((block.value - means[:, None]) ** 2 * block.there).sum())

    def minus(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        weights = counts / (1 + counts * ratio)
        centre = (weights * means).sum() / weights.sum()
        squares = within + float((weights * (means - centre) ** 2).sum())
        return float(total * np.log(squares / total) + np.log1p(counts * ratio).sum())

    least = min(float(minimize_scalar(minus, bounds=(-20, 15), method="bounded").fun), minus(-30.0))
    return float(-0.5 * (least + total * (np.log(2 * np.pi) + 1)) - total * np.log(scale.value))
