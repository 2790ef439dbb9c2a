"""Readouts of one parameter of several units, at whatever times each unit was read.

What every method here starts from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.degradation.errors import BadReadouts

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BOLTZMANN_EV_PER_K = 8.617333262e-5
ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True)
class Conditions:
    """Constants that turn temperatures into rates; part of every answer."""

    boltzmann_ev_per_k: float = BOLTZMANN_EV_PER_K
    zero_celsius_k: float = ZERO_CELSIUS_K


@dataclass(frozen=True)
class ReadoutPaths:
    """Readouts in the order of their units, and of time within a unit.

    Attributes:
        names: the units.
        unit: int64 of shape ``(rows,)``: which of ``names`` a readout is of.
        time_h: float64 ``(rows,)``, hours under stress.
        value: float64 ``(rows,)``, in the unit of the parameter.
        temperature_c: float64 ``(units,)``; NaN where it is not known.
        conditions: constants for temperatures.
    """

    names: tuple[str, ...]
    unit: Whole
    time_h: Floats
    value: Floats
    temperature_c: Floats
    conditions: Conditions = Conditions()

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.names)

    @property
    def rows(self) -> int:
        """How many readouts there are."""
        return len(self.value)

    @property
    def temperatures(self) -> Floats:
        """The distinct known temperatures in °C, ascending."""
        return np.unique(self.temperature_c[np.isfinite(self.temperature_c)])

    @property
    def first_row(self) -> Whole:
        """Row of each unit's first readout, int64 ``(units,)``."""
        return np.asarray(np.searchsorted(self.unit, np.arange(self.units), side="left"), np.int64)

    @property
    def last_row(self) -> Whole:
        """Row of each unit's last readout, int64 ``(units,)``."""
        return np.asarray(np.searchsorted(self.unit, np.arange(self.units), side="right") - 1, np.int64)

    @property
    def last_h(self) -> Floats:
        """Hours of each unit's last readout, float64 ``(units,)``."""
        return self.time_h[self.last_row]

    def take(self, rows: NDArray[np.bool_]) -> "ReadoutPaths":
        """Return the readouts where ``rows``, bool of shape ``(rows,)``; units without any are left out.

        Raises:
            BadReadouts: none is left.
        """
        kept, unit = np.unique(self.unit[rows], return_inverse=True)
        if not len(kept):
            raise BadReadouts("no readouts are left")
        return ReadoutPaths(
            tuple(self.names[each] for each in kept),
            unit.astype(np.int64),
            self.time_h[rows],
            self.value[rows],
            self.temperature_c[kept],
            self.conditions,
        )

    def with_unit(self, name: str) -> int:
        """Return the place of the unit called ``name``.

        Raises:
            BadReadouts: there is none.
        """
        if name not in self.names:
            raise BadReadouts(f"there is no unit {name}")
        return self.names.index(name)


def collect_paths(
    names: Sequence[str], time_h: Floats, value: Floats, temperature_c: Floats, conditions: Conditions | None = None
) -> ReadoutPaths:
    """Return the readouts as paths; those without a value are left out.

    ``names`` is the unit of each readout, ``time_h`` (hours), ``value`` and ``temperature_c`` (°C, NaN where unknown)
    are float64 of shape ``(rows,)``, in any order; ``conditions`` are the constants, CODATA by default.

    Raises:
        BadReadouts: a time is negative or no number, a unit had several temperatures, temperatures are known of some
            units only, or nothing is left.
    """
    kept = np.isfinite(value)
    if not kept.any():
        raise BadReadouts("there are no readouts with a value")
    if not (np.isfinite(time_h[kept]).all() and (time_h[kept] >= 0).all()):
        raise BadReadouts("a readout has no time, or a negative one")
    labels = np.asarray(names, np.str_)[kept]
    units, unit = np.unique(labels, return_inverse=True)
    order = np.lexsort((time_h[kept], unit))
    temperatures = temperature_c[kept]
    found = temperatures[order][np.searchsorted(unit[order], np.arange(len(units)))]
    other = (temperatures != found[unit]) & ~(np.isnan(temperatures) & np.isnan(found[unit]))
    if other.any():
        each = int(unit[np.argmax(other)])
        number = len(np.unique(temperatures[unit == each]))
        raise BadReadouts(
            f"the unit {units[each]} was under {number} temperatures: give the readouts of one stress at a time"
        )
    known = np.isfinite(found)
    if known.any() and not known.all():
        raise BadReadouts(
            f"the temperature of {int((~known).sum())} of {len(units)} units is not known; give all or none"
        )
    return ReadoutPaths(
        tuple(str(each) for each in units),
        unit[order].astype(np.int64),
        np.asarray(time_h[kept][order], np.float64),
        np.asarray(value[kept][order], np.float64),
        found,
        conditions or Conditions(),
    )


@dataclass(frozen=True)
class Scale:
    """How readouts are made numbers near one, and how temperatures enter.

    Attributes:
        time_h: hours that become 1.
        value: change that becomes 1.
        origin: value that becomes 0.
        fixed_origin: whether every unit starts at exactly ``origin`` at 0 h because the readouts are changes since
            then; those rows tell nothing and are left out of fits.
        reference_k: temperature in kelvin whose time is real time; ``None`` without several temperatures.
        conditions: constants for temperatures.
    """

    time_h: float
    value: float
    origin: float
    fixed_origin: bool
    reference_k: float | None
    conditions: Conditions

    def inverse_temperatures(self, temperature_c: Floats) -> Floats:
        """Return ``(1/T - 1/T0)/k`` in 1/eV of ``temperature_c`` in °C, any shape.

        Zeros without several temperatures.
        """
        if self.reference_k is None:
            return np.zeros_like(temperature_c)
        kelvin = temperature_c + self.conditions.zero_celsius_k
        return np.asarray((1.0 / kelvin - 1.0 / self.reference_k) / self.conditions.boltzmann_ev_per_k)


def measure_scale(paths: ReadoutPaths) -> Scale:
    """Return the scale of ``paths``.

    Raises:
        BadReadouts: no time passes, or all readouts are the same.
    """
    last = float(paths.time_h.max())
    if last <= 0:
        raise BadReadouts("all readouts are at 0 h: nothing can have degraded")
    start = paths.time_h == 0
    starts = paths.value[start]
    fixed = bool(start.any() and np.ptp(starts) == 0 and len(np.unique(paths.unit[start])) == paths.units > 1)
    origin = float(starts[0]) if fixed else float(np.median(paths.value[paths.first_row]))
    size = float(np.sqrt(np.mean((paths.value - origin) ** 2)))
    if size == 0 or np.ptp(paths.value) == 0:
        raise BadReadouts("all readouts are the same: there is no degradation and no noise to compare it with")
    temperatures = paths.temperatures
    several = len(temperatures) > 1
    middle = float(temperatures[len(temperatures) // 2]) + paths.conditions.zero_celsius_k if several else None
    return Scale(last, size, origin, fixed, middle, paths.conditions)


@dataclass(frozen=True)
class Targets:
    """Where a method is to say what a unit's readout will be.

    Attributes:
        unit: int64 of shape ``(rows,)``: units of the history that is given with it.
        time_h: float64 ``(rows,)``.
    """

    unit: Whole
    time_h: Floats
