"""A latent ordinary differential equation of drift: units start differently, one learned flow moves them all.

Chen et al. 2018 and Rubanova et al. 2019, cut to few units: the state ``z`` starts at a unit's own ``z0``, normal
over units, and follows ``dz/ds = f(z)``, a small network; the path is ``level + w (z(s) - z0)``. Temperature speeds
``s`` up by a learned activation energy. ``z0`` has a normal posterior of its own for each unit while the flow is
learned (variational), and one by Gauss-Newton for the readouts given when forecasting. The flow is integrated by the
classical Runge-Kutta rule with fixed steps and read between them by cubic Hermite polynomials: an answer does not
depend on which units are asked together. Several flows are learned side by side from different starts; their spread
is part of the bands. Everything random is drawn on the CPU from a seed, in double precision.
"""

from dataclasses import dataclass

import numpy as np
import torch

from analysis.degradation.errors import NotFitted
from analysis.degradation.law_fit import thin_units
from analysis.degradation.law_mixture import choose_direction
from analysis.degradation.mixed_effects import arrange
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Scale, Targets, measure_scale
from analysis.device import choose_device

STATES = 3
HIDDEN = 12
MEMBERS = 3
STEPS = 12
"""Runge-Kutta steps over the longest time seen."""

_ROUNDS = 450
_MOST_UNITS = 100
_LEAST_NOISE = 1e-3
_MOST_STEPS = 40 * STEPS
_DECAY = 1e-2
_RATE = 0.01
_LONGEST = 10.0
_NEWTON_STEPS = 10
_STEP = 1e-5
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Readings:
    """Readouts of units side by side, as tensors in scaled numbers.

    Attributes:
        time, value, there: float64 ``(units, readouts)``, of :class:`analysis.degradation.mixed_effects.Block`.
        inverse_temperature: ``(units, 1)``.
    """

    time: torch.Tensor
    value: torch.Tensor
    there: torch.Tensor
    inverse_temperature: torch.Tensor


def arrange_readings(paths: ReadoutPaths, scale: Scale, device: torch.device) -> Readings:
    """Return ``paths`` in the numbers of ``scale`` on ``device``."""
    block = arrange(paths, scale)
    parts = (block.time, block.value, block.there, block.inverse_temperature)
    return Readings(*(torch.from_numpy(part).to(device) for part in parts))


def start_weights(direction: int, *, level: bool, seed: int, device: torch.device) -> Weights:
    """Return weights of :data:`MEMBERS` flows before learning, drawn by ``seed``, on ``device``.

    ``direction`` is that of the drift, ``level`` whether units have a level of their own.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, size: float = 1.0) -> torch.Tensor:
        return size * torch.randn(MEMBERS, *shape, generator=generator, dtype=torch.float64)

    weights = {
        "inner": normal(STATES, HIDDEN, size=0.7),
        "inner_bias": normal(1, HIDDEN, size=0.3),
        "outer": normal(HIDDEN, STATES, size=0.2),
        "outer_bias": normal(1, STATES, size=0.1),
        "read": normal(STATES, 1, size=0.2),
        "noise": torch.full((MEMBERS, 1, 1), -2.0, dtype=torch.float64),
        "level": torch.tensor([[[0.0, -1.5]]], dtype=torch.float64).repeat(MEMBERS, 1, 1) * float(level),
        "energy": torch.full((MEMBERS, 1, 1), 0.7, dtype=torch.float64),
    }
    weights["read"][:, 0] = 1.0
    weights["outer_bias"][:, :, 0] = float(direction or 1)
    return {name: value.to(device).requires_grad_() for name, value in weights.items()}


def _flow(weights: Weights, z: torch.Tensor) -> torch.Tensor:
    """``f(z)``, ``z`` of shape ``(members, units, states)``."""
    hidden = torch.tanh(torch.baddbmm(weights["inner_bias"], z, weights["inner"]))
    return torch.baddbmm(weights["outer_bias"], hidden, weights["outer"])


def follow(weights: Weights, z0: torch.Tensor, s: torch.Tensor, longest: float) -> torch.Tensor:
    """Return ``w (z(s) - z0)`` under ``weights``, ``(members, units, readouts)``, at times ``s`` of that shape.

    ``z0`` is ``(members, units, states)``; steps are of :data:`STEPS` to a unit of time, as many as reach ``longest``.
    """
    count = min(max(int(np.ceil(longest * STEPS)), 1), _MOST_STEPS)
    width = 1.0 / STEPS
    states, slopes = [z0], []
    for _ in range(count):
        z = states[-1]
        first = _flow(weights, z)
        second = _flow(weights, z + 0.5 * width * first)
        third = _flow(weights, z + 0.5 * width * second)
        fourth = _flow(weights, z + width * third)
        slopes.append(first)
        states.append(z + width / 6 * (first + 2 * second + 2 * third + fourth))
    slopes.append(_flow(weights, states[-1]))
    read = weights["read"]
    path = torch.cat([torch.bmm(state - z0, read) for state in states], dim=2)
    slope = torch.cat([torch.bmm(each, read) for each in slopes], dim=2) * width
    place = torch.clamp((s.detach() * STEPS).floor().long(), 0, count - 1)
    part = s * STEPS - place
    here, there = (torch.gather(path, 2, place + each) for each in (0, 1))
    left, right = (torch.gather(slope, 2, place + each) for each in (0, 1))
    square, cube = part**2, part**3
    return (
        (2 * cube - 3 * square + 1) * here
        + (cube - 2 * square + part) * left
        + (3 * square - 2 * cube) * there
        + (cube - square) * right
    )


def _paths(
    weights: Weights, effects: torch.Tensor, time: torch.Tensor, inverse: torch.Tensor, longest: float
) -> torch.Tensor:
    """Paths ``(members, units, readouts)`` of units with ``effects`` ``(members, units, states + 1)``.

    The last a level.
    """
    s = time * torch.exp(torch.clamp(-weights["energy"] * inverse, -30, 30))
    level = weights["level"][:, :, :1] + torch.exp(weights["level"][:, :, 1:]) * effects[:, :, STATES:]
    given = (weights["level"] != 0).any().to(level.dtype)
    return given * level + follow(weights, effects[:, :, :STATES], s, longest)


def longest_time(weights: Weights, time: torch.Tensor, inverse: torch.Tensor) -> float:
    """Return the longest ``s`` under ``weights`` of ``time`` ``(units, readouts)``; ``inverse`` is ``(units.

    1)``, 1/eV.
    """
    with torch.no_grad():
        return float((time * torch.exp(torch.clamp(-weights["energy"] * inverse, -30, 30))).max())


@dataclass(frozen=True)
class FlowForecaster:
    """Learned flows.

    Attributes:
        scale: of the readouts.
        weights: of all flows.
        level: whether units have a level of their own.
        device: where they are.
    """

    scale: Scale
    weights: Weights
    level: bool
    device: torch.device
    name: str = "latent-ode"

    @property
    def noise(self) -> float:
        """Standard deviation of a readout about its path, in the readouts' unit."""
        return float(_noise(self.weights).mean()) * self.scale.value

    @property
    def parameters(self) -> int:
        """How many numbers one flow has."""
        return int(sum(value.numel() for value in self.weights.values()) / MEMBERS)

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths ``(count, rows)`` at ``targets``, given the readouts in ``history``; by ``seed``."""
        with torch.no_grad():
            readings = arrange_readings(history, self.scale, self.device)
            mode, factor = infer_effects(self.weights, readings, level=self.level)
            time = torch.from_numpy(targets.time_h / self.scale.time_h).to(self.device)
            unit = torch.from_numpy(targets.unit).to(self.device)
            inverse = readings.inverse_temperature[unit]
            longest = longest_time(self.weights, time[:, None], inverse)
            generator = torch.Generator().manual_seed(seed)
            many = -(-count // MEMBERS)
            normal = torch.randn(many, *mode.shape, generator=generator, dtype=torch.float64).to(self.device)
            found = np.empty((many * MEMBERS, len(targets.unit)))
            order, counts = torch.unique(unit, return_counts=True)
            width = int(counts.max())
            times, places = self._side_by_side(time, unit, order, width)
            for place in range(many):
                effects = mode + torch.einsum("mupq,muq->mup", factor, normal[place])
                drawn = _paths(self.weights, effects[:, order], times, readings.inverse_temperature[order], longest)
                for member in range(MEMBERS):
                    found[place * MEMBERS + member] = drawn[member][places].cpu().numpy()
        return np.asarray(self.scale.origin + self.scale.value * found[:count])

    @staticmethod
    def _side_by_side(
        time: torch.Tensor, unit: torch.Tensor, order: torch.Tensor, width: int
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Times of each unit in a row ``(units, width)``, and where each target lies in it."""
        row = torch.searchsorted(order, unit)
        column = torch.zeros_like(row)
        for place in range(len(order)):
            own = row == place
            column[own] = torch.arange(int(own.sum()), device=row.device)
        times = torch.zeros(len(order), width, dtype=torch.float64, device=time.device)
        times[row, column] = time
        return times, (row, column)


def _noise(weights: Weights) -> torch.Tensor:
    return torch.exp(weights["noise"]) + _LEAST_NOISE


def infer_effects(weights: Weights, readings: Readings, *, level: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each unit's likeliest effects ``(members, units, states + 1)`` and the root of their covariance.

    ``readings`` are the units', ``weights`` the flows'. The covariance is ``root root'``, ``root`` of shape
    ``(members, units, states + 1, states + 1)``; by damped Gauss-Newton steps from the mean of the population, whose
    effects are standard normal. ``level`` is whether the last one counts.
    """
    units, size = len(readings.time), STATES + 1
    device = readings.time.device
    longest = longest_time(weights, readings.time, readings.inverse_temperature)
    sigma = _noise(weights)
    effects = torch.zeros(MEMBERS, units, size, dtype=torch.float64, device=device)
    damping = torch.full((MEMBERS, units, 1, 1), 1e-3, dtype=torch.float64, device=device)
    identity = torch.eye(size, dtype=torch.float64, device=device)

    def residual(point: torch.Tensor) -> torch.Tensor:
        several = point.shape[1] // units
        time, inverse = readings.time.repeat(several, 1), readings.inverse_temperature.repeat(several, 1)
        path = _paths(weights, point, time, inverse, longest)
        return (readings.value.repeat(several, 1) - path) * readings.there.repeat(several, 1) / sigma

    def loss(point: torch.Tensor, off: torch.Tensor) -> torch.Tensor:
        return (off**2).sum(2) + (point**2).sum(2)

    off = residual(effects)
    curvature = identity.expand(MEMBERS, units, size, size)
    for _ in range(_NEWTON_STEPS):
        # All effects are moved at once, as further units.
        moved = (effects[:, None] + _STEP * identity[:, None]).reshape(MEMBERS, size * units, size)
        slopes = (residual(moved).reshape(MEMBERS, size, units, -1) - off[:, None]) / _STEP
        slopes = slopes.permute(0, 2, 3, 1)
        curvature = slopes.transpose(2, 3) @ slopes + identity
        gradient = (slopes.transpose(2, 3) @ off[..., None])[..., 0] + effects
        step = -torch.linalg.solve(curvature + damping * identity, gradient[..., None])[..., 0]
        new = effects + torch.clamp(step, -1.0, 1.0)
        off_new = residual(new)
        better = loss(new, off_new) <= loss(effects, off)
        effects = torch.where(better[..., None], new, effects)
        off = torch.where(better[..., None], off_new, off)
        damping = torch.where(better[..., None, None], damping / 4, damping * 16)
    root = torch.linalg.inv(torch.linalg.cholesky(curvature)).transpose(2, 3)
    if not level:
        root = root.clone()
        root[:, :, STATES] = 0.0
    return effects, root


def fit_latent_ode(paths: ReadoutPaths, seed: int = 0, device: str = "cpu", rounds: int = _ROUNDS) -> FlowForecaster:
    """Return flows learned from ``paths``, from starts drawn by ``seed``, on ``device``, in ``rounds`` steps of Adam.

    Raises:
        NotFitted: there are too few readouts, or learning leads to numbers that are not finite.
        BadReadouts: there is nothing to fit.
    """
    scale = measure_scale(paths)
    where = choose_device(device)
    thinned = thin_units(paths, _MOST_UNITS)
    readings = arrange_readings(thinned, scale, where)
    if int(readings.there.sum()) < 3 * thinned.units or thinned.units < 3:
        raise NotFitted("latent-ode", f"{paths.rows} readouts of {paths.units} units are too few to learn a flow from")
    level = not scale.fixed_origin
    weights = start_weights(choose_direction(paths, scale), level=level, seed=seed, device=where)
    if scale.reference_k is None:
        weights["energy"] = torch.zeros(MEMBERS, 1, 1, dtype=torch.float64, device=where)
    _learn(weights, readings, seed + 1, rounds)
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise NotFitted("latent-ode", "its weights did not stay finite")
    return FlowForecaster(scale, {name: value.detach() for name, value in weights.items()}, level, where)


def _learn(weights: Weights, readings: Readings, seed: int, rounds: int) -> None:
    """Move ``weights`` up the evidence's lower bound, the units' own posteriors with them."""
    units = len(readings.time)
    device = readings.time.device
    generator = torch.Generator().manual_seed(seed)
    centre = 0.1 * torch.randn(MEMBERS, units, STATES + 1, generator=generator, dtype=torch.float64)
    own = [centre.to(device).requires_grad_(), torch.full_like(centre, -1.5).to(device).requires_grad_()]
    learned = [value for value in weights.values() if value.requires_grad]
    adam = _Adam([*learned, *own], [_RATE] * len(learned) + [3 * _RATE] * len(own), rounds)
    counts = readings.there.sum()
    for _ in range(rounds):
        noise = torch.randn(centre.shape, generator=generator, dtype=torch.float64).to(device)
        effects = own[0] + torch.exp(own[1]) * noise
        longest = longest_time(weights, readings.time, readings.inverse_temperature)
        path = _paths(weights, effects, readings.time, readings.inverse_temperature, longest)
        sigma = _noise(weights)
        misfit = (((readings.value - path) / sigma) ** 2 * readings.there).sum((1, 2)) / 2
        misfit = misfit + counts * torch.log(sigma[:, 0, 0])
        apart = (0.5 * (own[0] ** 2 + torch.exp(2 * own[1])) - own[1]).sum((1, 2))
        decay = sum((weights[name] ** 2).sum((1, 2)) for name in ("inner", "outer"))
        energy = ((weights["energy"] - 0.7) ** 2).sum((1, 2)) / (2 * 0.3**2)
        total = (misfit + apart + _DECAY * counts * decay + energy).sum() / counts
        adam.step(torch.autograd.grad(total, adam.values))


class _Adam:
    """Kingma & Ba 2015 with falling steps; torch's own takes seconds to load what it needs to be compiled."""

    def __init__(self, values: list[torch.Tensor], rates: list[float], rounds: int) -> None:
        self.values, self.rates, self.rounds, self.count = values, rates, rounds, 0
        self.means = [torch.zeros_like(value) for value in values]
        self.squares = [torch.zeros_like(value) for value in values]

    def step(self, slopes: tuple[torch.Tensor, ...]) -> None:
        """Move the values down ``slopes``, none of which counts for more than a norm of ten together."""
        norm = torch.stack([(slope**2).sum() for slope in slopes]).sum().sqrt()
        short = torch.clamp(_LONGEST / (norm + 1e-12), max=1.0)
        fall = 0.5 * (1 + np.cos(np.pi * self.count / self.rounds)) + 0.01
        self.count += 1
        with torch.no_grad():
            for value, slope, rate, mean, square in zip(
                self.values, slopes, self.rates, self.means, self.squares, strict=True
            ):
                mean.mul_(0.9).add_(0.1 * short * slope)
                square.mul_(0.999).add_(0.001 * (short * slope) ** 2)
                ahead = mean / (1 - 0.9**self.count)
                value.sub_(fall * rate * ahead / (torch.sqrt(square / (1 - 0.999**self.count)) + 1e-8))
