"""The last readout carried forward: the simplest forecast, which every other method must beat to be of use.

A unit wanders from its last readout as a Wiener process without drift; how fast, and how much of a step is noise, is
taken from the steps between readouts of all units by least squares of their squares on the time between.
"""

from dataclasses import dataclass

import numpy as np

from analysis.degradation.errors import NotFitted
from analysis.degradation.readout_paths import Floats, ReadoutPaths, Targets


@dataclass(frozen=True)
class WalkForecaster:
    """Units that wander.

    Attributes:
        noise: standard deviation of a readout about its path, in the readouts' unit.
        rate: variance of the path that an hour adds.
        firsts: mean and standard deviation of a unit's first readout, for units without any.
        parameters: how many numbers were estimated.
    """

    noise: float
    rate: float
    firsts: tuple[float, float]
    parameters: int = 2
    name: str = "last-value"

    def draw(self, history: ReadoutPaths, targets: Targets, count: int, seed: int = 0) -> Floats:
        """Return ``count`` paths ``(count, rows)`` at ``targets``, given the readouts in ``history``; by ``seed``.

        At and before a unit's last readout the path is that readout, which is all that this method knows.
        """
        generator = np.random.default_rng(seed)
        found = np.empty((count, len(targets.time_h)))
        for unit in np.unique(targets.unit):
            rows = np.flatnonzero(targets.unit == unit)
            own = np.flatnonzero(history.unit == unit)
            if len(own):
                last_h = float(history.time_h[own[-1]])
                start = history.value[own[-1]] + self.noise * generator.standard_normal(count)
            else:
                last_h, start = 0.0, self.firsts[0] + self.firsts[1] * generator.standard_normal(count)
            order = rows[np.argsort(targets.time_h[rows], kind="stable")]
            gaps = np.diff(np.maximum(targets.time_h[order], last_h), prepend=last_h)
            steps = generator.standard_normal((count, len(order))) * np.sqrt(self.rate * gaps)
            found[:, order] = start[:, None] + np.cumsum(steps, axis=1)
        return found


def fit_random_walk(paths: ReadoutPaths) -> WalkForecaster:
    """Return how the units of ``paths`` wander.

    Raises:
        NotFitted: no unit has two readouts.
    """
    same = np.diff(paths.unit) == 0
    if not same.any():
        raise NotFitted("last-value", "no unit has two readouts")
    gap, square = np.diff(paths.time_h)[same], np.diff(paths.value)[same] ** 2
    mean = float(square.mean())
    spread = float(((gap - gap.mean()) ** 2).sum())
    # Readouts at even distances do not tell noise from wandering: then all of a step is taken as wandering.
    slope = float(((gap - gap.mean()) * square).sum() / spread) if spread > 0 else mean / float(gap.mean() or 1.0)
    slope = float(np.clip(slope, 0.0, mean / max(float(gap.mean()), 1e-300)))
    noise = float(np.sqrt(max(mean - slope * float(gap.mean()), 0.0) / 2))
    firsts = paths.value[paths.first_row]
    return WalkForecaster(noise, slope, (float(firsts.mean()), float(firsts.std())))
