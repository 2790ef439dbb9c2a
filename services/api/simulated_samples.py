"""What a stored simulation says a digitiser would have recorded, sample by sample beside a measured waveform."""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.blobs import BlobStore
from services.api.waveform_samples import StoredSamples

_BLOCK = 1 << 18
_REACH = 6.0
"""Standard deviations of an edge beyond which it is over."""
_STEPS = np.linspace(-_REACH, _REACH, 4097)
_EDGE = np.asarray([0.5 * (1 + math.erf(at / math.sqrt(2))) for at in _STEPS])
"""The smoothed step (the normal distribution's integral), in steps fine enough for 1e-6 by interpolation."""


class NoSimulation(ValueError):  # noqa: N818
    """A simulation does not hold what was asked for; the message says what."""


@dataclass(frozen=True)
class Fit:
    """How a combination of nets was scaled to a waveform's settled levels, by least squares over its cycles.

    Attributes:
        offset, swing: ``level = offset + swing * combination``, in the waveform's unit.
        swing_sigma: standard error of the swing; ``None`` where it cannot be told.
        residual: standard deviation of what is left of a cycle's level; ``None`` where too few cycles are left to tell.
        cycles: how many were compared.
    """

    offset: float
    swing: float
    swing_sigma: float | None
    residual: float | None
    cycles: int


@dataclass(frozen=True)
class SimulatedTrace:
    """A combination of nets over the loop.

    Attributes:
        values: float64 of shape ``(cycles,)``, in the waveform's unit.
        cycle_s: seconds of a cycle.
        edge_s: standard deviation of an edge, seconds.
        shift_s: how much later everything is drawn.
    """

    values: NDArray[np.float64]
    cycle_s: float
    edge_s: float
    shift_s: float

    def at(self, first: int, count: int, scale: tuple[float, float]) -> NDArray[np.float64]:
        """Return the values at samples ``first`` … ``first + count - 1``, float64 ``(count,)``.

        Sample ``k`` lies at ``scale[0] + k * scale[1]`` seconds. Edges lie at the beginnings of cycles; the loop goes
        on for ever. Cycles are filled whole, and only samples near a change are looked at one by one; where edges
        are so wide that they overlap, they add up.
        """
        begin, step = scale[0] - self.shift_s + first * scale[1], scale[1]
        low, high = math.floor(begin / self.cycle_s), math.floor((begin + (count - 1) * step) / self.cycle_s)
        beyond = 1 + math.ceil(_REACH * self.edge_s / self.cycle_s)
        cycles = np.arange(low - beyond, high + beyond + 1)
        starts = cycles.astype(np.float64) * self.cycle_s - begin
        places = np.clip(np.ceil(starts / step), 0, count).astype(np.int64)
        inner = slice(beyond + 1, len(cycles) - beyond)
        levels = self.values[np.arange(low, high + 1) % self.values.size]
        found = np.repeat(levels, np.diff(places[inner], prepend=0, append=count))
        if self.edge_s > 0:
            self._smooth(found, cycles, starts / step, self.edge_s / step)
        return found

    def _smooth(
        self, found: NDArray[np.float64], cycles: NDArray[np.int64], starts: NDArray[np.float64], edge: float
    ) -> None:
        """Make the steps of ``found`` edges: at the beginnings of ``cycles``, ``starts`` samples after the first one.

        ``edge`` is the standard deviation of an edge, in samples.
        """
        change = self.values[cycles % self.values.size] - self.values[(cycles - 1) % self.values.size]
        changed = change != 0
        at, change = starts[changed], change[changed]
        first = np.clip(np.ceil(at - _REACH * edge), 0, found.size).astype(np.int64)
        stop = np.clip(np.floor(at + _REACH * edge) + 1, first, found.size).astype(np.int64)
        lengths = stop - first
        which = np.repeat(np.arange(lengths.size), lengths)
        index = np.arange(int(lengths.sum())) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)
        part = np.interp((index - at[which]) / edge, _STEPS, _EDGE) - (index >= np.ceil(at)[which])
        np.add.at(found, index, change[which] * part)


class Simulation:
    """The document of a ``simulation`` result: what nets do, in a good die or under one of its suspects."""

    def __init__(self, document: Mapping[str, Any], suspect: int = 0) -> None:
        """Take ``document``; ``suspect`` counts its suspects from 1, 0 is the good die."""
        if suspect > len(document["suspects"]):
            raise NoSimulation(f"the simulation has {len(document['suspects'])} suspects, not {suspect}")
        self.cycle_s, self.cycles = float(document["cycle_s"]), int(document["cycles"])
        self.edge_s = float(document["edge_sigma_s"])
        if self.edge_s > self.cycle_s:
            raise NoSimulation(
                f"edges of {self.edge_s:.3g} s blur cycles of {self.cycle_s:.3g} s into one another: nothing can be "
                "drawn cycle by cycle"
            )
        self._nets = {each["net"]: each["bits"] for each in document["nets"]}
        self._waveforms = {each["file"]: each for each in document["waveforms"]}
        self._suspect = document["suspects"][suspect - 1] if suspect else None

    def combine(self, mixture: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
        """Return the weighted sum of nets by cycle, float64 ``(cycles,)``; raises :class:`NoSimulation`."""
        total = np.zeros(self.cycles)
        for net, weight in mixture:
            total += weight * self._values(net)
        return total

    def _values(self, net: str) -> NDArray[np.float64]:
        if net not in self._nets:
            raise NoSimulation(f"the simulation does not hold the net {net}: ask for one that does")
        good = self._bits(self._nets[net])
        changes = (self._suspect or {}).get("changes", {}).get(net)
        if self._suspect is None or changes is None:
            return good
        return np.asarray(good + float(self._suspect["activity"]) * (np.abs(good - self._bits(changes)) - good))

    def _bits(self, text: str) -> NDArray[np.float64]:
        return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[: self.cycles].astype(np.float64)

    def own_net(self, file: str) -> str:
        """Return the net that the waveform of ``file`` was probed on; raises :class:`NoSimulation`."""
        return str(self._waveform(file)["net"])

    def fit(self, file: str, combination: NDArray[np.float64]) -> Fit:
        """Scale ``combination`` to the settled levels of the waveform of ``file``; raises :class:`NoSimulation`."""
        found = self._waveform(file)
        if found["levels"] is None:
            raise NoSimulation(f"the levels of {file} cannot be read: {found['refused']}")
        try:
            levels = np.frombuffer(base64.b64decode(found["levels"]), "<f4").astype(np.float64)
        except (binascii.Error, ValueError) as error:
            raise NoSimulation(f"the levels of {file} are damaged") from error
        return fit_levels(levels, combination)

    def _waveform(self, file: str) -> Mapping[str, Any]:
        if file not in self._waveforms:
            raise NoSimulation(f"the simulation is of a session without the waveform {file}")
        found: Mapping[str, Any] = self._waveforms[file]
        return found


def fit_levels(levels: NDArray[np.float64], combination: NDArray[np.float64]) -> Fit:
    """Return the least-squares line from ``combination`` to ``levels``, both ``(cycles,)``; NaN levels do not count.

    A combination that never changes says nothing of the swing, which is then 0.
    """
    covered = np.isfinite(levels)
    x, y = combination[covered], levels[covered]
    if not x.size:
        raise NoSimulation("no cycle of the waveform was covered")
    x_mean, y_mean = float(x.mean()), float(y.mean())
    spread = float(((x - x_mean) ** 2).sum())
    swing = float(((x - x_mean) * (y - y_mean)).sum()) / spread if spread > 0 else 0.0
    left = y - y_mean - swing * (x - x_mean)
    free = x.size - (2 if spread > 0 else 1)
    residual = math.sqrt(float((left**2).sum()) / free) if free > 0 else None
    sigma = residual / math.sqrt(spread) if spread > 0 and residual is not None else None
    return Fit(y_mean - swing * x_mean, swing, sigma, residual, int(x.size))


def compared_extremes(
    blobs: BlobStore, stored: StoredSamples, edges: NDArray[np.int64], scale: tuple[float, float], trace: SimulatedTrace
) -> NDArray[np.float64]:
    """Return minimum and maximum by bin of measured, simulated and difference: float64 ``(3, bins, 2)``.

    Bin ``i`` are the samples ``edges[i]`` up to, not including, ``edges[i + 1]``; sample ``k`` was taken at
    ``scale[0] + k * scale[1]`` seconds. A bin without a finite measured value is NaN in measured and difference.
    """
    bins = len(edges) - 1
    found = np.full((3, bins, 2), np.nan)
    for start, samples in stored.blocks(blobs, int(edges[0]), int(edges[-1]), _BLOCK):
        with np.errstate(over="ignore", invalid="ignore"):
            measured = stored.values(samples)
        simulated = trace.at(start, measured.size, scale)
        begin = int(np.searchsorted(edges, start, side="right")) - 1
        end = int(np.searchsorted(edges, start + measured.size, side="left"))
        places = np.maximum(edges[begin:end] - start, 0)
        for row, values in enumerate((measured, simulated, measured - simulated)):
            part = found[row, begin:end]
            smallest, largest = _extremes(values, places)
            part[:, 0], part[:, 1] = np.fmin(part[:, 0], smallest), np.fmax(part[:, 1], largest)
    return found


def _extremes(
    values: NDArray[np.float64], places: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the finite extremes of the pieces of ``values`` that begin at ``places``, NaN where there are none."""
    smallest, largest = np.minimum.reduceat(values, places), np.maximum.reduceat(values, places)
    if np.isfinite(smallest).all() and np.isfinite(largest).all():
        return smallest, largest
    finite = np.where(np.isfinite(values), values, np.nan)
    return np.fmin.reduceat(finite, places), np.fmax.reduceat(finite, places)
