"""The titles of a table of samples: what the columns mean, their units, and numbers in the lines above them."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from instruments.adapter import Source
from instruments.errors import CorruptField
from instruments.probing.delimited_text import Opening, to_number

UNKNOWN_UNIT = "unknown"
ARBITRARY_UNIT = "a.u."
TIME_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
    "ps": 1e-12,
    "fs": 1e-15,
}
TIME_NAMES = frozenset({"time", "t", "x-axis", "x", "timestamp", "times", "zeit"})
COUNTER_NAMES = frozenset({"sample", "samples", "index", "n", "point", "sequence"})
UNITS = {"volt": "V", "volts": "V", "ampere": "A", "amp": "A", "amps": "A", "watt": "W", "reflectance": ARBITRARY_UNIT}
NAME_AND_UNIT = (
    re.compile(r"(?P<name>.*?)\s*[(\[](?P<unit>[^()\[\]]*)[)\]]"),
    re.compile(r"(?P<name>.*?)\s*/\s*(?P<unit>[^/\s]+)"),
    re.compile(r"(?P<name>.*?)\s+in\s+(?P<unit>\S+)"),
    re.compile(r"in\s+(?P<unit>\S+)(?P<name>)"),
    re.compile(r"(?P<name>time|t)_(?P<unit>[a-zµμ]+)", re.IGNORECASE),
    re.compile(r"(?P<name>.+)_(?P<unit>mV|uV|V|mA|uA|nA|A|v|a)"),
)


@dataclass(frozen=True)
class Heading:
    """The meaning of the columns.

    Attributes:
        writer: who wrote the file, for example ``rigol``.
        names: of the value columns.
        units: of the value columns.
        axis: what the first column holds: ``"time"``, ``"counter"``, or ``""`` when it is a value as well.
        time_scale_s: seconds of one printed unit of time.
        t0_s: time of the first sample, where the header says it.
        dt_s: sampling interval, where the header says it.
        rows: declared number of rows.
        segments: number of segments, all of the same length.
        trigger_offsets_s: one for each segment.
        digital: the values are logic levels of parallel lines.
        metadata: the header as it stands.
        warnings: what was assumed.
    """

    writer: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    axis: str = "time"
    time_scale_s: float = 1.0
    t0_s: float | None = None
    dt_s: float | None = None
    rows: int | None = None
    segments: int = 1
    trigger_offsets_s: tuple[float | None, ...] = (0.0,)
    digital: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def metadata_of(opening: Opening) -> dict[str, Any]:
    """Return the header as it stands."""
    return {"header": [line[:2000] for line in opening.header]}


def normal_unit(text: str) -> str:
    """Return the symbol for a spelled-out unit, the text itself for any other, ``unknown`` for none."""
    text = text.strip().strip("()[]").strip()
    return UNITS.get(text.lower(), text) or UNKNOWN_UNIT


def name_and_unit(cell: str) -> tuple[str, str]:
    """Return the name and the unit in a column's title; the unit is empty when there is none."""
    for pattern in NAME_AND_UNIT:
        match = pattern.fullmatch(cell)
        if match is not None:
            return match["name"].strip() or cell, match["unit"].strip()
    return cell, "reflectance" if cell.lower() == "reflectance" else ""


def number_in(source: Source, text: str, what: str) -> float:
    """Return the finite number in ``text``; raises CorruptField, naming ``what`` it is, when it is none."""
    number = to_number(text, "," in text)
    if number is None or not math.isfinite(number):
        raise CorruptField(f"{what} is no number", file=source.name, found=text[:40])
    return number


def count_in(source: Source, text: str, what: str) -> int:
    """Return the count in ``text``, at least 1; raises CorruptField when it is none."""
    number = number_in(source, text, what)
    if number != int(number) or number < 1:
        raise CorruptField(f"{what} is no count", file=source.name, found=text[:40])
    return int(number)


def interval_in(source: Source, text: str, what: str) -> float:
    """Return the positive number in ``text``; raises CorruptField when it is none."""
    number = number_in(source, text, what)
    if number <= 0:
        raise CorruptField(f"{what} is not positive", file=source.name, found=text[:40])
    return number
