"""What the lines above the numbers say: the writer, the columns with their units, the time axis, declared counts.

Writers known by their headers: this project (``time_s,reflectance``), LeCroy, Keysight, PicoScope, Rigol, Tektronix,
Rohde & Schwarz, and any table whose first column is a time.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, UnsupportedVersion
from instruments.probing.delimited_text import Opening, split, to_number

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
COMMENT = re.compile(r"\s*(#(?!\d+,)|%|!|//)")


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


def read_heading(source: Source, opening: Opening) -> Heading:
    """Return what the header of ``opening`` says.

    Raises:
        NotThisFormat: the first column is no time, so that this is some other table.
        UnsupportedVersion, CorruptField, CountMismatch: the writer is known, and its header is not right.
    """
    delimiter = opening.dialect.delimiter
    kept = [line for line in opening.header if not COMMENT.match(line)]
    if delimiter == " ":  # "time (ns)" is one title
        kept = [re.sub(r"(?<=[^\s)\]])\s+(?=[(\[])", "", line) for line in kept]
    lines = [split(line, delimiter) for line in kept]
    lines = [line for line in lines if any(line)]
    first = lines[0] if lines else []
    keys = {line[0].lower() for line in lines if line}
    if first and first[0].upper().startswith("LECROY"):
        heading = _lecroy(source, lines)
    elif keys & {"waveform type", "sample interval", "zero index"}:
        heading = _tektronix(source, lines, opening)
    elif first and first[0].lower() == "x" and len(lines) > 1 and lines[1][0].lower() == "sequence":
        heading = _rigol(source, lines, opening)
    elif not lines:
        heading = _bare(opening)
    else:
        heading = _table(source, lines, opening)
    values = opening.dialect.columns - (heading.axis != "")
    if values < 1 or len(heading.names) != values:
        message = "the header names another number of columns than the rows have"
        raise CorruptField(message, file=source.name, expected=values, found=len(heading.names))
    return heading


def _metadata(opening: Opening) -> dict[str, Any]:
    return {"header": [line[:2000] for line in opening.header]}


def _trimmed(cells: Sequence[str]) -> list[str]:
    trimmed = list(cells)
    while trimmed and not trimmed[-1]:
        trimmed.pop()
    return trimmed


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


def _number(source: Source, text: str, what: str) -> float:
    number = to_number(text, False)
    if number is None or not math.isfinite(number):
        raise CorruptField(f"{what} is no number", file=source.name, found=text[:40])
    return number


def _count(source: Source, text: str, what: str) -> int:
    number = _number(source, text, what)
    if number != int(number) or number < 1:
        raise CorruptField(f"{what} is no count", file=source.name, found=text[:40])
    return int(number)


def _interval(source: Source, text: str, what: str) -> float:
    number = _number(source, text, what)
    if number <= 0:
        raise CorruptField(f"{what} is not positive", file=source.name, found=text[:40])
    return number


def _lecroy(source: Source, lines: list[list[str]]) -> Heading:
    """``LECROYmodel,serial`` / ``Segments,n,SegmentSize,m`` / titles / ``#1,date,offset`` each / ``Time,Ampl``."""
    metadata = {"instrument": lines[0][0][len("LECROY") :], "serial": lines[0][1] if len(lines[0]) > 1 else ""}
    sizes = next((line for line in lines if line[0].lower() == "segments"), None)
    if sizes is None or len(sizes) < 4:
        raise CorruptField("the LeCroy header does not say Segments and SegmentSize", file=source.name)
    segments = _count(source, sizes[1], "Segments")
    size = _count(source, sizes[3], "SegmentSize")
    triggers = [line for line in lines if line[0].startswith("#")]
    if len(triggers) != segments:
        message = "the LeCroy header has another number of trigger lines than Segments"
        raise CountMismatch(message, file=source.name, expected=segments, found=len(triggers))
    offsets = tuple(_number(source, line[2], "a trigger time") if len(line) > 2 else None for line in triggers)
    titles = lines[-1]
    if titles[0].lower() != "time":
        raise CorruptField("the LeCroy columns do not begin with Time", file=source.name, found=titles[0][:40])
    metadata["trigger_times"] = [line[1] for line in triggers if len(line) > 1]  # type: ignore[assignment]
    names = tuple(_trimmed(titles[1:]))
    warnings = ("the LeCroy text gives no vertical unit",)
    return Heading(
        "lecroy",
        names,
        (UNKNOWN_UNIT,) * len(names),
        rows=segments * size,
        segments=segments,
        trigger_offsets_s=offsets,
        metadata=metadata,
        warnings=warnings,
    )


def _rigol(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """``X,CH1,…,Start,Increment`` / ``Sequence,Volt,…,start,increment``: the first column counts from 0."""
    titles, units = _trimmed(lines[0]), _trimmed(lines[1])
    if [title.lower() for title in titles[-2:]] != ["start", "increment"] or len(units) != len(titles):
        message = "the Rigol header has a sequence number but no Start and Increment"
        raise CorruptField(message, file=source.name, found=",".join(lines[0])[:80])
    return Heading(
        "rigol",
        tuple(titles[1:-2]),
        tuple(normal_unit(unit) for unit in units[1:-2]),
        axis="counter",
        t0_s=_number(source, units[-2], "Start"),
        dt_s=_interval(source, units[-1], "Increment"),
        metadata=_metadata(opening),
    )


def _tektronix(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """Lines of key and value, then ``TIME,<channel>,…``; sample ``i`` is at ``(i - Zero Index) * Sample Interval``."""
    keys = {line[0].lower(): line[1] if len(line) > 1 else "" for line in lines}
    for key in ("waveform type", "record length", "sample interval", "zero index"):
        if not keys.get(key):
            raise CorruptField(f"the Tektronix header has no {key.title()}", file=source.name)
    kind = keys["waveform type"].upper()
    iq = any(key.startswith("iq_") for key in keys)
    if iq or kind not in ("ANALOG", "DIGITAL"):
        found = "interleaved I and Q" if iq else kind[:40]
        message = "this kind of Tektronix text waveform is not supported; export the .wfm file"
        raise UnsupportedVersion(message, file=source.name, expected="ANALOG or DIGITAL", found=found)
    if keys.get("horizontal units", "s").lower() != "s":
        found = keys["horizontal units"][:20]
        raise UnsupportedVersion("the horizontal unit is not the second", file=source.name, expected="s", found=found)
    titles = _trimmed(lines[-1])
    if titles[0].upper() != "TIME":
        raise CorruptField("the Tektronix columns do not begin with TIME", file=source.name, found=titles[0][:40])
    interval = _interval(source, keys["sample interval"], "Sample Interval")
    names = tuple(titles[1:])
    unit = "logic level" if kind == "DIGITAL" else normal_unit(keys.get("vertical units", ""))
    return Heading(
        "tektronix",
        names,
        (unit,) * len(names),
        t0_s=-_number(source, keys["zero index"], "Zero Index") * interval,
        dt_s=interval,
        rows=_count(source, keys["record length"], "Record Length"),
        digital=kind == "DIGITAL",
        metadata=_metadata(opening),
    )


def _bare(opening: Opening) -> Heading:
    """Rohde & Schwarz payload tables have no header: one value a line, or a time in seconds and values."""
    columns = opening.dialect.columns
    metadata = _metadata(opening)
    if columns == 1:
        warnings = ("the file has no header: time axis, unit and where an acquisition begins are unknown",)
        return Heading("bare", ("column 1",), (UNKNOWN_UNIT,), axis="", metadata=metadata, warnings=warnings)
    names = tuple(f"column {index}" for index in range(2, columns + 1))
    warnings = ("the file has no header: the first column is taken for seconds, the unit is unknown",)
    return Heading("bare", names, (UNKNOWN_UNIT,) * len(names), metadata=metadata, warnings=warnings)


def _table(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """Titles, perhaps with units in them or on the line below; earlier lines are notes."""
    columns = opening.dialect.columns
    full = [_trimmed(line) for line in lines]
    candidates = [index for index, line in enumerate(full) if line and _axis(line[0])[0]]
    if not candidates:
        found = lines[-1][0][:40]
        raise NotThisFormat("the first column is not a time", file=source.name, expected="a time", found=found)
    place = candidates[0]
    titles = full[place]
    below = full[place + 1] if place + 1 < len(full) else []
    if place + 2 < len(full):
        message = "there are lines between the titles and the numbers that are not understood"
        raise NotThisFormat(message, file=source.name, found=",".join(lines[place + 2])[:60])
    pairs = [name_and_unit(title) for title in titles]
    if below:
        pairs = [
            (name, unit or (below[index] if index < len(below) else "")) for index, (name, unit) in enumerate(pairs)
        ]
    if len(pairs) != columns:
        message = "the header names another number of columns than the rows have"
        raise CorruptField(message, file=source.name, expected=columns, found=len(pairs))
    axis, unit = _axis(titles[0])
    unit = unit or (below[0] if below else "")
    warnings: list[str] = []
    scale = 1.0
    if axis == "counter":
        warnings.append("the first column counts samples: the time axis is unknown")
    elif not unit.strip("()[] "):
        if titles[0].lower() == "x":
            raise NotThisFormat("the first column has no unit of time", file=source.name, found=titles[0])
        warnings.append("the time column has no unit; seconds are assumed")
    else:
        known = TIME_UNITS.get(unit.strip("()[] ")) or TIME_UNITS.get(unit.strip("()[] ").lower())
        if known is None:
            raise NotThisFormat("the first column is not a time", file=source.name, expected="a time", found=unit[:40])
        scale = known
    units = tuple(normal_unit(unit) for _, unit in pairs[1:])
    if UNKNOWN_UNIT in units:
        warnings.append("a value column has no unit")
    return Heading(
        writer=_writer(titles, below),
        names=tuple(name or f"column {index}" for index, (name, _) in enumerate(pairs[1:], 2)),
        units=units,
        axis=axis,
        time_scale_s=scale,
        metadata=_metadata(opening),
        warnings=tuple(warnings),
    )


def _axis(title: str) -> tuple[str, str]:
    """Return what a first column called ``title`` holds, ``""`` for neither time nor counter, and its unit."""
    name, unit = name_and_unit(title)
    if title.lower() in ("second", "seconds", "s", "time (s)"):
        return "time", "s"
    if name.lower() in TIME_NAMES or (title.lower().startswith("in ") and unit.lower() in TIME_UNITS):
        return "time", unit
    return ("counter", "") if name.lower() in COUNTER_NAMES else ("", "")


def _writer(titles: Sequence[str], below: Sequence[str]) -> str:
    if titles[0].lower() == "x-axis":
        return "keysight"
    if titles[0].lower() == "x":
        return "rigol"
    if below and below[0].startswith("("):
        return "picoscope"
    if [title.lower() for title in titles] == ["time_s", "reflectance"]:
        return "faultlight"
    return "table"
