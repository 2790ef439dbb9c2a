"""A law of drift fitted to units that differ: by maximum marginal likelihood, accepted by its score and information."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtri, stdtrit

from analysis.degradation.errors import DegradationError, NotFitted
from analysis.degradation.laws import Law
from analysis.degradation.mixed_effects import Block, Modes, Structure, arrange, evaluate, find_modes
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale, measure_scale

SCORE_TOLERANCE = 1e-3
MOST_UNITS_FITTED = 300
_STARTING_ENERGIES_EV = (0.3, 0.7, 1.1)
_HIGHEST_ENERGY_EV = 4.0


@dataclass(frozen=True)
class Form:
    """How a law is used: what differs between units, and the sign of the drift.

    Attributes:
        law: the shape.
        direction: 1 or -1: amplitudes are ``direction exp(alpha)``, alpha normal; 0: amplitudes are normal.
        level: whether units have a level of their own, fixed to the origin otherwise.
        random_shape: whether the first parameter of the shape differs between units.
        several_temperatures: whether there is an activation energy.
    """

    law: Law
    direction: int
    level: bool
    random_shape: bool
    several_temperatures: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of a path, in order."""
        level = ("level",) if self.level else ()
        energy = ("ea_ev",) if self.several_temperatures else ()
        return (*level, "amplitude", *(each.name for each in self.law.shape), *energy)

    def structure(self) -> Structure:
        """Return the form as the likelihood needs it."""
        first = 1 if self.level else 0
        random = tuple(range(first + 1)) + ((first + 1,) if self.random_shape else ())
        return Structure(self.names, random, self.path)

    def path(self, theta: Floats, time: Floats, inverse_temperature: Floats) -> tuple[Floats, Floats]:
        """Return path and slopes in the sense of :data:`analysis.degradation.mixed_effects.PathFunction`.

        ``theta`` is ``(…, units, k)``, ``time`` ``(units, readouts)``, ``inverse_temperature`` ``(units, 1)``.
        """
        first = 1 if self.level else 0
        parts = [theta[..., place, None] for place in range(theta.shape[-1])]
        energy = parts[-1] if self.several_temperatures else None
        s = time if energy is None else time * np.exp(np.clip(-energy * inverse_temperature, -60, 60))
        count = len(self.law.shape)
        value, by_shape, by_log = self.law.evaluate(s, tuple(parts[first + 1 : first + 1 + count]))
        amplitude = self.direction * np.exp(np.clip(parts[first], -60, 60)) if self.direction else parts[first]
        drift = amplitude * value
        slopes = [np.ones_like(drift)] if self.level else []
        slopes.append(drift if self.direction else np.broadcast_to(value, drift.shape))
        slopes += [amplitude * each for each in by_shape]
        if energy is not None:
            slopes.append(-amplitude * by_log * inverse_temperature)
        path = drift + parts[0] if self.level else drift
        return path, np.stack(np.broadcast_arrays(*slopes), axis=-1)


@dataclass(frozen=True)
class LawFit:
    """A fitted law.

    Attributes:
        form: the law and how it is used.
        scale: of the readouts that it was fitted to.
        phi: float64 ``(parameters,)``, in scaled numbers.
        covariance: ``(parameters, parameters)``, inverse of the observed information.
        log_likelihood: in the readouts' own unit.
        rows, units: what it was fitted to.
        score_norm: how far the score is from 0, in standard errors.
    """

    form: Form
    scale: Scale
    phi: Floats
    covariance: Floats
    log_likelihood: float
    rows: int
    units: int
    score_norm: float

    @property
    def structure(self) -> Structure:
        """Parameters and random effects."""
        return self.form.structure()

    @property
    def aicc(self) -> float:
        """Akaike's criterion with the correction for few readouts."""
        number = len(self.phi)
        left = self.rows - number - 1
        if left <= 0:
            return float("inf")
        return -2 * self.log_likelihood + 2 * number + 2 * number * (number + 1) / left

    @property
    def between(self) -> int:
        """Units left to tell how units differ, their means (and slope over temperature) taken; 1 or more."""
        return max(self.units - 1 - self.form.several_temperatures, 1)

    @property
    def differing(self) -> frozenset[str]:
        """Parameters that units, not readouts, tell: those that differ between units, and the activation energy."""
        return frozenset(self.structure.names[place] for place in self.structure.random) | {"ea_ev"}

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its unit's path, in the readouts' unit."""
        return self.structure.unpack(self.phi)[2] * self.scale.value

    def modes(self, block: Block) -> Modes:
        """Return the random effects of the units of ``block``, which is of this fit's scale."""
        return find_modes(self.structure, self.phi, block)


def fit_law(paths: ReadoutPaths, form: Form, scale: Scale | None = None) -> LawFit:
    """Return ``form`` fitted to ``paths`` in the numbers of ``scale``, which is measured if not given.

    Raises:
        NotFitted: there is no accepted maximum, and why.
        BadReadouts: there is nothing to fit.
    """
    scale = scale or measure_scale(paths)
    block = arrange(thin_units(paths), scale)
    structure = form.structure()
    rows, units = int(block.there.sum()), int(block.there.any(axis=1).sum())
    name = f"the {form.law.name} law"
    if rows <= structure.parameters + 1 or units < 2:
        raise NotFitted(name, f"{rows} readouts of {units} units are too few for {structure.parameters} parameters")
    starts = sorted(
        ((evaluate(structure, phi, block).value, place, phi) for place, phi in enumerate(_starts(form, block))),
        key=lambda each: (-each[0], each[1]),
    )
    reasons: list[str] = []
    found: list[tuple[float, Floats, Floats, float]] = []
    for value, _, phi in starts[:3]:
        if found:
            break
        if not np.isfinite(value):
            reasons.append("its likelihood is not finite where the search starts")
            continue
        try:
            found.append(_climb(form, block, phi))
        except NotFitted as error:
            reasons.append(error.why)
    if not found:
        raise NotFitted(name, reasons[0] if reasons else "no starting point was found")
    value, phi, covariance, norm = max(found, key=lambda each: each[0])
    own = value - rows * float(np.log(scale.value))
    return LawFit(form, scale, phi, covariance, own, rows, units, norm)


def thin_units(paths: ReadoutPaths, most: int = MOST_UNITS_FITTED) -> ReadoutPaths:
    """Return ``paths`` of at most ``most`` units, evenly chosen among them."""
    if paths.units <= most:
        return paths
    chosen = np.zeros(paths.units, np.bool_)
    chosen[np.linspace(0, paths.units - 1, most).round().astype(int)] = True
    return paths.take(chosen[paths.unit])


def _starts(form: Form, block: Block) -> list[Floats]:
    """Starting points: lines on each shape, unit by unit."""
    shapes: list[tuple[float, ...]] = [()]
    for parameter in form.law.shape:
        shapes = [(*each, start) for each in shapes for start in parameter.start]
    energies: Sequence[float | None] = _STARTING_ENERGIES_EV if form.several_temperatures else (None,)
    found = []
    for shape in shapes:
        for energy in energies:
            phi = _start(form, block, shape, energy)
            if phi is not None:
                found.append(phi)
    return found


def _start(form: Form, block: Block, shape: tuple[float, ...], energy: float | None) -> Floats | None:
    s = block.time if energy is None else block.time * np.exp(-energy * block.inverse_temperature)
    value = form.law.evaluate(s, tuple(np.asarray(each) for each in shape))[0]
    lines, residuals = [], []
    for unit in range(len(s)):
        there = block.there[unit] > 0
        if there.sum() < (2 if form.level else 1):
            continue
        design = np.column_stack([np.ones(there.sum()), value[unit, there]])[:, 0 if form.level else 1 :]
        line = np.linalg.lstsq(design, block.value[unit, there], rcond=None)[0]
        residuals.append(block.value[unit, there] - design @ line)
        lines.append(line)
    if not lines:
        return None
    table = np.asarray(lines)
    if form.direction:
        drift = table[:, -1] * form.direction
        small = max(float(np.median(np.abs(drift))) * 0.05, 1e-6)
        table[:, -1] = np.log(np.maximum(drift, small))
    sigma = max(float(np.sqrt(np.mean(np.concatenate(residuals) ** 2))), 1e-5)
    root = np.zeros((table.shape[1] + form.random_shape,) * 2)
    np.fill_diagonal(root, [*np.maximum(table.std(axis=0), 0.3 * sigma), *([0.2] if form.random_shape else [])])
    means = [*table.mean(axis=0), *shape, *([] if energy is None else [energy])]
    return np.asarray([*means, *root[form.structure().lower], np.log(sigma)])


def _climb(form: Form, block: Block, start: Floats) -> tuple[float, Floats, Floats, float]:
    """Return value, place, covariance and score norm of the maximum uphill of ``start``."""
    structure = form.structure()
    name = f"the {form.law.name} law"
    last: list[Floats | None] = [None]

    def minus(phi: Floats) -> tuple[float, Floats]:
        here = evaluate(structure, phi, block, last[0])
        if not np.isfinite(here.value) or not np.isfinite(here.score).all():
            return 1e30, np.zeros_like(phi)
        last[0] = here.modes.z
        return -here.value, -here.score

    bounds = _bounds(form)
    found = minimize(minus, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 120, "ftol": 1e-9})
    phi = np.asarray(found.x, np.float64)
    _refuse_edges(form, phi)
    modes = last[0]
    information = np.eye(len(phi))
    norm = np.inf
    for _ in range(12):
        here = evaluate(structure, phi, block, modes)
        modes = here.modes.z
        information = -_slopes_of_score(structure, phi, block, modes)
        values = np.linalg.eigvalsh(_scaled(information))
        if values[0] <= 1e-10:
            raise NotFitted(name, "the readouts do not identify its parameters: the information is singular")
        step = np.linalg.solve(information, here.score)
        norm = float(np.sqrt(max(float(here.score @ step), 0.0)))
        if norm <= 0.01 * SCORE_TOLERANCE:
            break
        phi = phi + step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        _refuse_edges(form, phi)
    if norm > SCORE_TOLERANCE:
        raise NotFitted(name, f"the search ended where the score is {norm:.2g} standard errors from zero")
    return here.value, phi, np.asarray(np.linalg.inv(information), np.float64), norm


def _bounds(form: Form) -> list[tuple[float | None, float | None]]:
    structure = form.structure()
    bounds: list[tuple[float | None, float | None]] = [(-25.0, 25.0)] * len(structure.names)
    first = 1 if form.level else 0
    for place, parameter in enumerate(form.law.shape):
        bounds[first + 1 + place] = (parameter.lowest, parameter.highest)
    if form.several_temperatures:
        bounds[len(structure.names) - 1] = (-_HIGHEST_ENERGY_EV, _HIGHEST_ENERGY_EV)
    return [*bounds, *[(-8.0, 8.0)] * len(structure.lower[0]), (-18.0, 6.0)]


def _refuse_edges(form: Form, phi: Floats) -> None:
    first = 1 if form.level else 0
    for place, parameter in enumerate(form.law.shape):
        value = phi[first + 1 + place]
        if not parameter.lowest + 0.05 < value < parameter.highest - 0.05:
            raise NotFitted(
                f"the {form.law.name} law", f"its {parameter.name} runs away: the readouts do not show its curve"
            )


def _slopes_of_score(structure: Structure, phi: Floats, block: Block, modes: Floats | None) -> Floats:
    slopes = np.empty((len(phi), len(phi)))
    for place in range(len(phi)):
        step = 1e-4 * max(1.0, abs(float(phi[place]))) if place < len(structure.names) else 1e-5
        ends = []
        for sign in (1.0, -1.0):
            moved = phi.copy()
            moved[place] += sign * step
            ends.append(evaluate(structure, moved, block, modes).score)
        slopes[place] = (ends[0] - ends[1]) / (2 * step)
    return np.asarray((slopes + slopes.T) / 2)


def _scaled(information: Floats) -> Floats:
    size = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    return np.asarray(information / np.outer(size, size))


def natural_parameters(fit: LawFit, level: float = 0.9) -> list[dict[str, float | str]]:
    """Return mean, standard error and interval of each parameter of ``fit``; ``level`` is two-sided.

    Each is in its own unit. Positive parameters have their interval on the logarithm. ``amplitude`` is the median
    unit's; ``spread_…`` are standard deviations between units: of logarithms where the parameter is positive. Maximum
    likelihood takes units for more alike than they are, as it does not count the means that it estimates: of what
    differs between units, and of the activation energy, errors are those of restricted likelihood to that order
    (Pinheiro & Bates 2000, sec. 2.2.5 and 2.4.2), and intervals by Student's t.
    """
    form, scale = fit.form, fit.scale
    means, root, sigma = fit.structure.unpack(fit.phi)
    errors = np.sqrt(np.diag(fit.covariance))
    restricted = float(np.sqrt(fit.units / fit.between))
    of_rows, of_units = float(ndtri((1 + level) / 2)), float(stdtrit(fit.between, (1 + level) / 2))
    hours = {each.name for each in form.law.shape if each.hours}
    shape = {each.name for each in form.law.shape}
    rows: list[dict[str, float | str]] = []
    for place, name in enumerate(fit.structure.names):
        mean, error = float(means[place]), float(errors[place]) * (restricted if name in fit.differing else 1.0)
        quantile = of_units if name in fit.differing else of_rows
        low, high = mean - quantile * error, mean + quantile * error
        if name in shape or (name == "amplitude" and form.direction):
            factor = scale.time_h if name in hours else form.direction * scale.value if name == "amplitude" else 1.0
            low, mean, high = (factor * float(np.exp(each)) for each in (low, mean, high))
            error, low, high = abs(mean) * error, min(low, high), max(low, high)
        elif name in ("level", "amplitude"):
            shift = scale.origin if name == "level" else 0.0
            low, mean, high = (shift + scale.value * each for each in (low, mean, high))
            error *= scale.value
        rows.append({"name": name, "value": mean, "standard_error": error, "low": low, "high": high})
    for place, which in enumerate(fit.structure.random):
        name = fit.structure.names[which]
        size = float(np.sqrt((root[place] ** 2).sum()))
        logarithmic = name in shape or (name == "amplitude" and bool(form.direction))
        rows.append({"name": f"spread_{name}", "value": size if logarithmic else size * scale.value})
    rows.append({"name": "noise", "value": sigma * scale.value})
    return rows


def refused(error: DegradationError) -> str:
    """Return why ``error`` was raised, in words that follow a method's name."""
    return error.why if isinstance(error, NotFitted) else str(error)
