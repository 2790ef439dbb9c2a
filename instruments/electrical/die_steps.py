"""Distances of dies as wafer maps write them, in micrometres."""

import math

from instruments.adapter import Source
from instruments.errors import CorruptField, UnsupportedVersion
from instruments.units import Unit, convert, unit_of

_MIL = Unit("mil", "length", -7, 254.0)


def length_unit(source: Source, symbol: str) -> Unit:
    """Return the unit of length that ``symbol`` writes, mil too; raises UnsupportedVersion when it is none."""
    if symbol.strip().lower() in ("mil", "mils"):
        return _MIL
    unit = unit_of(symbol, "the step of dies", source.name)
    if unit.dimension != "length":
        message = "the unit of the step of dies is no length"
        raise UnsupportedVersion(message, file=source.name, expected="a length", found=symbol[:40])
    return unit


def length_um(source: Source, text: str, unit: Unit) -> float:
    """Return the length in micrometres; raises CorruptField when ``text`` is no positive number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise CorruptField("the step of dies is no positive number", file=source.name, found=text[:60])
    return convert(value, unit, unit_of("um", "the step of dies"))
