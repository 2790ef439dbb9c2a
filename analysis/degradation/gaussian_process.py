"""Gaussian process regression of units' paths: a power-law trend, what all units share, what each has.

And noise. Exact.

Rasmussen & Williams 2006, ch. 2 and 2.7: the trend's coefficients have a flat prior and are integrated out, so that the
likelihood is the restricted one. Hyperparameters are where it, times weak lognormal priors, is largest.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from analysis.degradation.errors import NotFitted
from analysis.degradation.law_fit import thin_units
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale, Targets, measure_scale

MOST_ROWS = 1200
_JITTER = 1e-9
_NAMES = ("level", "slope", "wander", "wander_length", "shared", "shared_length", "exponent", "noise", "ea_ev")
_PRIOR_CENTRE = (-1.0, -1.0, -2.0, -1.0, -2.0, -1.0, -0.2, -3.0, 0.7)
_PRIOR_WIDTH = (1.5, 1.5, 1.5, 0.7, 1.5, 0.7, 0.5, 2.0, 0.4)


@dataclass(frozen=True)
class Rows:
    """Readouts as the process sees them: tensors of shape ``(rows,)``, float64 but ``unit``.

    Attributes:
        unit: int64.
        time: scaled by the longest.
        inverse_temperature: in 1/eV, 0 without several temperatures.
        value: scaled.
    """

    unit: torch.Tensor
    time: torch.Tensor
    inverse_temperature: torch.Tensor
    value: torch.Tensor


@dataclass(frozen=True)
class ProcessForecaster:
    """A fitted process.

    Attributes:
        scale: of the readouts.
        wiener: whether units wander as a Wiener process rather than smoothly (Matérn 3/2).
        hyperparameters: float64 ``(9,)``: logarithms, the activation energy itself.
        paths: the readouts that it was fitted to.
        log_posterior: at the hyperparameters, of scaled readouts.
    """

    scale: Scale
    wiener: bool
    hyperparameters: Floats
    paths: ReadoutPaths
    log_posterior: float
    name: str = "gaussian-process"

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its path, in the readouts' unit."""
        return float(np.exp(self.hyperparameters[_NAMES.index("noise")])) * self.scale.value

    @property
    def parameters(self) -> int:
        """How many numbers were estimated."""
        return len(_NAMES) - (self.scale.reference_k is None)

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths ``(count, rows)`` at ``targets``, jointly for each unit, given ``history``.

        By ``seed``.

        Units of the fit that are not in ``history`` are given as they were fitted.
        """
        others = ~np.isin(np.asarray(self.paths.names), np.asarray(history.names))
        rest = thin_to_rows(self.paths.take(others[self.paths.unit]), MOST_ROWS) if others.any() else None
        generator = np.random.default_rng(seed)
        found = np.zeros((count, len(targets.time_h)))
        # Units share little once their own readouts are known: beyond the limit of exactness they are taken in groups.
        size = max(1, MOST_ROWS * history.units // max(history.rows, 1))
        for first in range(0, history.units, size):
            group = (history.unit >= first) & (history.unit < first + size)
            wanted = (targets.unit >= first) & (targets.unit < first + size)
            if wanted.any():
                found[:, wanted] = self._draw_group(history, rest, group, wanted, targets, count, generator)
        return found

    def _draw_group(
        self,
        history: ReadoutPaths,
        rest: ReadoutPaths | None,
        group: np.ndarray,
        wanted: np.ndarray,
        targets: Targets,
        count: int,
        generator: np.random.Generator,
    ) -> Floats:
        scale = self.scale
        given = arrange_rows(history, scale, history.unit, group)
        if rest is not None:
            more = arrange_rows(rest, scale, rest.unit + history.units, np.ones(rest.rows, np.bool_))
            given = Rows(*(torch.cat([getattr(given, name), getattr(more, name)]) for name in _FIELDS))
        unit = targets.unit[wanted]
        at = Rows(
            torch.from_numpy(unit),
            torch.from_numpy(targets.time_h[wanted] / scale.time_h),
            torch.from_numpy(scale.inverse_temperatures(history.temperature_c)[unit]),
            torch.zeros(len(unit), dtype=torch.float64),
        )
        phi = torch.from_numpy(self.hyperparameters)
        with torch.no_grad():
            mean, covariances = _condition(phi, given, at, wiener=self.wiener, level=not scale.fixed_origin)
        found = np.zeros((count, len(unit)))
        for place, covariance in covariances:
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 0))
            found[:, place] = mean[place] + generator.standard_normal((count, len(place))) @ root.T
        return scale.origin + scale.value * found


_FIELDS = ("unit", "time", "inverse_temperature", "value")


def arrange_rows(paths: ReadoutPaths, scale: Scale, unit: np.ndarray, kept: np.ndarray) -> Rows:
    """Return the readouts of ``paths`` where ``kept``, bool ``(rows,)``, in the numbers of ``scale``.

    Of units ``unit``.
    """
    kept = kept & ~(scale.fixed_origin & (paths.time_h == 0))
    inverse = scale.inverse_temperatures(paths.temperature_c)[paths.unit]
    return Rows(
        torch.from_numpy(unit[kept]),
        torch.from_numpy(paths.time_h[kept] / scale.time_h),
        torch.from_numpy(inverse[kept]),
        torch.from_numpy((paths.value[kept] - scale.origin) / scale.value),
    )


def thin_to_rows(paths: ReadoutPaths, most: int) -> ReadoutPaths:
    """Return ``paths`` of as many units, evenly chosen, as have about ``most`` readouts together."""
    return paths if paths.rows <= most else thin_units(paths, max(2, most * paths.units // paths.rows))


def fit_gaussian_process(paths: ReadoutPaths) -> ProcessForecaster:
    """Return the process fitted to ``paths``, units wandering smoothly or as a Wiener process, whichever is likelier.

    Raises:
        NotFitted: neither can be fitted.
        BadReadouts: there is nothing to fit.
    """
    scale = measure_scale(paths)
    rows = arrange_rows(thinned := thin_to_rows(paths, MOST_ROWS), scale, thinned.unit, np.ones(thinned.rows, np.bool_))
    if len(rows.value) < 4:
        raise NotFitted("gaussian-process", f"{len(rows.value)} readouts are too few")
    found = [_maximize(rows, scale, wiener=wiener) for wiener in (False, True)]
    best = max(range(2), key=lambda each: found[each][0])
    value, phi = found[best]
    if not np.isfinite(value):
        raise NotFitted("gaussian-process", "its covariance is not positive definite wherever the search went")
    return ProcessForecaster(scale, bool(best), phi, paths, value)


def _maximize(rows: Rows, scale: Scale, *, wiener: bool) -> tuple[float, Floats]:
    several = scale.reference_k is not None
    centre = np.asarray(_PRIOR_CENTRE) * np.asarray([1.0] * 8 + [float(several)])
    last = len(_NAMES) if several else len(_NAMES) - 1

    def minus(free: Floats) -> tuple[float, Floats]:
        phi = torch.tensor(np.concatenate([free, centre[last:]]), requires_grad=True)
        try:
            value = -_log_posterior(phi, rows, wiener=wiener, level=not scale.fixed_origin)
        except RuntimeError:  # not positive definite there
            return 1e30, np.zeros(last)
        (slope,) = torch.autograd.grad(value, phi)
        return value.item(), slope.numpy()[:last]

    start = centre[:last].copy()
    found = minimize(
        minus, start, jac=True, method="L-BFGS-B", bounds=_bounds(last), options={"maxiter": 80, "ftol": 1e-8}
    )
    value = -float(found.fun) if found.fun < 1e29 else -np.inf
    return value, np.concatenate([found.x, centre[last:]])


def _bounds(last: int) -> list[tuple[float, float]]:
    reach = [
        (centre - 5 * width, centre + 5 * width) for centre, width in zip(_PRIOR_CENTRE, _PRIOR_WIDTH, strict=True)
    ]
    return reach[:last]


def _time(phi: torch.Tensor, rows: Rows) -> torch.Tensor:
    return rows.time * torch.exp(torch.clamp(-phi[8] * rows.inverse_temperature, -30, 30))


def _trend(phi: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return torch.exp(torch.exp(phi[6]) * torch.log(torch.clamp(s, min=1e-12)))


def _kernel(phi: torch.Tensor, a: Rows, b: Rows, *, wiener: bool) -> torch.Tensor:
    """Covariance of paths ``(rows of a, rows of b)``, without noise."""
    s, t = _time(phi, a), _time(phi, b)
    amplitudes = torch.exp(2 * phi[:5])
    own = amplitudes[0] + amplitudes[1] * torch.outer(_trend(phi, s), _trend(phi, t))
    if wiener:
        own = own + amplitudes[2] * torch.minimum(s[:, None], t[None, :])
    else:
        own = own + amplitudes[2] * _matern(s, t, phi[3])
    same = (a.unit[:, None] == b.unit[None, :]).to(own.dtype)
    return same * own + amplitudes[4] * _matern(s, t, phi[5])


def _matern(s: torch.Tensor, t: torch.Tensor, log_length: torch.Tensor) -> torch.Tensor:
    distance = np.sqrt(3.0) * torch.abs(s[:, None] - t[None, :]) * torch.exp(-log_length)
    covariance: torch.Tensor = (1 + distance) * torch.exp(-distance)
    return covariance


def _design(phi: torch.Tensor, rows: Rows, *, level: bool) -> torch.Tensor:
    trend = _trend(phi, _time(phi, rows))[:, None]
    return torch.cat([torch.ones_like(trend), trend], dim=1) if level else trend


def _noisy(phi: torch.Tensor, rows: Rows, *, wiener: bool) -> torch.Tensor:
    covariance = _kernel(phi, rows, rows, wiener=wiener)
    noisy: torch.Tensor = covariance + (torch.exp(2 * phi[7]) + _JITTER) * torch.eye(
        len(rows.time), dtype=torch.float64
    )
    return noisy


def _log_posterior(phi: torch.Tensor, rows: Rows, *, wiener: bool, level: bool) -> torch.Tensor:
    factor = torch.linalg.cholesky(_noisy(phi, rows, wiener=wiener))
    design = _design(phi, rows, level=level)
    both = torch.linalg.solve_triangular(factor, torch.cat([design, rows.value[:, None]], dim=1), upper=False)
    white, value = both[:, :-1], both[:, -1]
    gram = torch.linalg.cholesky(white.T @ white)
    projected = torch.linalg.solve_triangular(gram, (white.T @ value)[:, None], upper=False)
    likelihood = -0.5 * ((value**2).sum() - (projected**2).sum())
    likelihood = likelihood - torch.log(torch.diagonal(factor)).sum() - torch.log(torch.diagonal(gram)).sum()
    centre, width = (torch.tensor(each, dtype=torch.float64) for each in (_PRIOR_CENTRE, _PRIOR_WIDTH))
    posterior: torch.Tensor = likelihood - 0.5 * (((phi - centre) / width)[: len(_NAMES)] ** 2).sum()
    return posterior


def _condition(
    phi: torch.Tensor, given: Rows, at: Rows, *, wiener: bool, level: bool
) -> tuple[Floats, list[tuple[np.ndarray, Floats]]]:
    """Mean ``(rows,)`` at ``at`` given ``given``, and each unit's places with their covariance."""
    factor = torch.linalg.cholesky(_noisy(phi, given, wiener=wiener))
    cross = torch.linalg.solve_triangular(factor, _kernel(phi, given, at, wiener=wiener), upper=False)
    white = torch.linalg.solve_triangular(factor, _design(phi, given, level=level), upper=False)
    value = torch.linalg.solve_triangular(factor, given.value[:, None], upper=False)
    gram = white.T @ white
    beta = torch.linalg.solve(gram, white.T @ value)
    left = _design(phi, at, level=level) - cross.T @ white
    mean = (cross.T @ value + left @ beta)[:, 0].numpy()
    found = []
    for unit in torch.unique(at.unit):
        place = torch.nonzero(at.unit == unit)[:, 0]
        part = Rows(at.unit[place], at.time[place], at.inverse_temperature[place], at.value[place])
        own = _kernel(phi, part, part, wiener=wiener) - cross[:, place].T @ cross[:, place]
        own = own + left[place] @ torch.linalg.solve(gram, left[place].T)
        found.append((place.numpy(), own.numpy()))
    return mean, found
