"""Spatial signatures of defects against chance, at a stated false-discovery rate.

The null hypothesis is complete spatial randomness: as many defects, anywhere in the inspected region, independently.
A statistic's p-value is its rank among those of simulated maps (G. A. Barnard, 1963), exact for any statistic; the
p-values of all statistics are adjusted together (Benjamini and Hochberg). What is found is taken out and the rest is
asked again, since a cluster also fills strips and rings: later findings are given that the earlier ones are no chance.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.mask.inspected_regions import Region
from analysis.mask.signature_statistics import Members, ReticleField, Statistics, Window

Array = NDArray[np.float64]

RATE = 0.05
SIMULATIONS = 399
MOST_SIGNATURES = 8
FEWEST_DEFECTS = 6
MOST_DEFECTS = 20_000


@dataclass(frozen=True)
class SignatureTest:
    """A statistic of the whole map against chance.

    Attributes:
        kind: ``cluster``, ``ring``, ``scratch`` or ``repeater``.
        surprise: the statistic, see ``signature_statistics``.
        typical: its median in simulated maps.
        p_value: part of simulated maps with as large a statistic.
        adjusted: the smallest false-discovery rate at which it is found.
    """

    kind: str
    surprise: float
    typical: float
    p_value: float
    adjusted: float


@dataclass(frozen=True)
class Signature:
    """A signature that was found.

    Attributes:
        kind: as of its test.
        members: its defects, places in the map.
        p_value: of its test in the round in which it was found.
        about: where and how large it is.
    """

    kind: str
    members: Members
    p_value: float
    about: dict[str, float]


@dataclass(frozen=True)
class SignatureReport:
    """What a map shows.

    Attributes:
        tests: of the whole map.
        signatures: found one after another, the clearest first.
        left: defects that are in no signature.
        rate: false-discovery rate.
        simulations: simulated maps that each p-value is from.
    """

    tests: tuple[SignatureTest, ...]
    signatures: tuple[Signature, ...]
    left: Members
    rate: float
    simulations: int


class SignatureFinder:
    """Finds signatures in maps of one region; maps of as many defects share their simulations.

    Args:
        region: what was inspected.
        field: the reticle field, if the sample was printed field by field.
        rate: false-discovery rate.
        simulations: maps by chance, at least ``ceil(tests / rate)``, so that one finding alone can be significant.
        numbers: for the simulations.
    """

    def __init__(
        self,
        region: Region,
        field: ReticleField | None = None,
        *,
        rate: float = RATE,
        simulations: int = SIMULATIONS,
        numbers: np.random.Generator,
    ) -> None:
        self.statistics = Statistics(region, field)
        least = math.ceil(len(self.statistics.kinds) / rate) if 0 < rate < 1 else 0
        if not 0 < rate < 1 or simulations < least:
            raise ValueError(f"a rate is between 0 and 1, not {rate}, and needs {least} simulations, not {simulations}")
        self.region, self.rate, self.simulations = region, rate, simulations
        self._numbers = numbers
        self._by_count: dict[int, dict[str, Array]] = {}

    def find(self, xy_um: Array) -> SignatureReport:
        """Return what a map shows.

        Args:
            xy_um: places of the defects about the sample's centre, ``(n, 2)``.

        Raises:
            ValueError: a place is not finite, or there are too few defects or too many.
        """
        xy_um = np.asarray(xy_um, np.float64)
        if xy_um.ndim != 2 or xy_um.shape[1:] != (2,) or not np.isfinite(xy_um).all():
            raise ValueError(f"places are finite and (n, 2), not {xy_um.shape}")
        if not FEWEST_DEFECTS <= len(xy_um) <= MOST_DEFECTS:
            message = f"{len(xy_um)} defects: a signature needs at least {FEWEST_DEFECTS}, at most {MOST_DEFECTS}"
            raise ValueError(message)
        left: Members = np.arange(len(xy_um))
        first, found = self._test(xy_um)
        tests = first
        signatures: list[Signature] = []
        while len(signatures) < MOST_SIGNATURES:
            best = self._clearest(tests, len(left))
            if best is None:
                break
            taken = self._windows(best.kind, found, xy_um[left])
            signatures += [Signature(best.kind, left[each.members], best.p_value, each.about) for each in taken]
            left = np.delete(left, np.unique(np.concatenate([each.members for each in taken])))
            if len(left) < FEWEST_DEFECTS:
                break
            tests, found = self._test(xy_um[left])
        return SignatureReport(first, tuple(signatures), left, self.rate, self.simulations)

    def _test(self, xy_um: Array) -> tuple[tuple[SignatureTest, ...], dict[str, Window]]:
        chance = self.chance(len(xy_um))
        found = {kind: statistic(xy_um) for kind, statistic in self.statistics.kinds.items()}
        p_values = {
            kind: (1 + int((chance[kind] >= window.surprise).sum())) / (1 + self.simulations)
            for kind, window in found.items()
        }
        adjusted = false_discovery_adjusted(np.asarray(list(p_values.values())))
        tests = tuple(
            SignatureTest(
                kind, found[kind].surprise, float(np.median(chance[kind])), p_values[kind], float(adjusted[place])
            )
            for place, kind in enumerate(found)
        )
        return tests, found

    def chance(self, count: int) -> dict[str, Array]:
        """Return the statistics of simulated maps of ``count`` defects: ``(simulations,)`` of each kind."""
        if count not in self._by_count:
            drawn = [self.region.draw(count, self._numbers) for _ in range(self.simulations)]
            self._by_count[count] = {
                kind: np.array([statistic(each).surprise for each in drawn])
                for kind, statistic in self.statistics.kinds.items()
            }
        return self._by_count[count]

    def _clearest(self, tests: tuple[SignatureTest, ...], count: int) -> SignatureTest | None:
        """Return the significant test that stands out most from chance; ranks alone tie at the smallest p-value."""
        chance = self.chance(count)
        significant = [each for each in tests if each.adjusted <= self.rate and each.surprise > 0]
        return max(
            significant,
            key=lambda each: (each.surprise - chance[each.kind].mean()) / max(float(chance[each.kind].std()), 1e-9),
            default=None,
        )

    def _windows(self, kind: str, found: dict[str, Window], xy_um: Array) -> list[Window]:
        """Return the windows of a finding: of repeaters all whose surprise chance alone hardly reaches anywhere."""
        if kind != "repeater":
            return [found[kind]]
        bound = float(np.quantile(self.chance(len(xy_um))[kind], 1 - self.rate, method="higher"))
        return [each for each in self.statistics.repeaters(xy_um) if each.surprise > bound] or [found[kind]]
