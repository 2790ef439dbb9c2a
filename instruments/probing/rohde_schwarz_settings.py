"""What the settings of a Rohde & Schwarz RTO, RTE or RTP export say of its samples' file.

Source: the user manuals (RTO6 1801.6687.02, chapter 12.2.1 "Waveform export files"): properties of the header file,
order of the values, conversion of raw codes, number of values in the file.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from instruments.errors import CorruptField, CountMismatch, ReadingLimit, UnsupportedVersion
from instruments.guarded_xml import parse_xml

MAX_SETTINGS_BYTES = 16 << 20
MAX_ACQUISITIONS = 1_000_000
FORMATS = {"INT8BIT": (0, "<i1"), "INT16BIT": (1, "<i2"), "FLOAT": (4, "<f4"), "XYDOUBLEFLOAT": (6, "<f4")}
"""Signal format: its code in the payload's header and the type of a value."""
UNITS = {"eRS_UNIT_LEVEL_V": "V", "eRS_UNIT_V": "V", "eRS_UNIT_A": "A", "eRS_UNIT_LEVEL_A": "A"}
_ON = "eRS_ONOFF_ON"
_STAMP_BYTES = 8


@dataclass(frozen=True)
class Trace:
    """One waveform of the export: the ``column`` of each sample's values, with ``value = gain * code + offset``."""

    name: str
    column: int
    kind: str
    unit: str
    gain: float
    offset: float


@dataclass(frozen=True)
class Capture:
    """How the samples' file is laid out.

    Attributes:
        code: of the signal format, in the file's header.
        row: of one sample: ``time`` (float64, only with interleaved x/y) and ``values`` of all channels.
        stored: samples of one acquisition in the file, with settling samples before and after.
        leading: settling samples before the waveform.
        kept: samples of the waveform.
        acquisitions: how many follow one another.
        stamped: each is preceded by a time stamp (float64).
        dt_s, t0_s: interval and time of the first sample kept, seconds.
        traces: the waveforms.
    """

    code: int
    row: np.dtype[Any]
    stored: int
    leading: int
    kept: int
    acquisitions: int
    stamped: bool
    dt_s: float
    t0_s: float
    traces: tuple[Trace, ...]

    @property
    def lead_bytes(self) -> int:
        """Bytes of an acquisition before its first row."""
        return _STAMP_BYTES if self.stamped else 0

    @property
    def block_bytes(self) -> int:
        """Bytes of one acquisition."""
        return self.lead_bytes + self.stored * self.row.itemsize

    @property
    def has_times(self) -> bool:
        """Each sample comes with its time."""
        return "time" in (self.row.names or ())


class Settings:
    """The named properties of the header file, each with its attributes."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the XML at ``path`` of the bundle ``name``.

        Raises:
            ReadingLimit, CorruptField: it is too long, damaged, or has entities.
        """
        size = path.stat().st_size
        if size > MAX_SETTINGS_BYTES:
            raise ReadingLimit("the settings are too long", file=name, expected=MAX_SETTINGS_BYTES, found=size)
        data = path.read_bytes()
        if re.search(rb"<!(DOCTYPE|ENTITY)", data, re.IGNORECASE):
            raise CorruptField("the settings declare entities, which such files never do", file=name)
        self.name = name
        self.properties: dict[str, dict[str, str]] = {}
        for element in parse_xml(name, data).iter():
            self.properties.setdefault(element.get("Name", ""), dict(element.attrib))

    def values(self) -> dict[str, str]:
        """Return the value of every property that has one."""
        return {key: value["Value"] for key, value in self.properties.items() if "Value" in value}

    def has(self, key: str) -> bool:
        """Tell whether there is such a property."""
        return key in self.properties

    def text(self, key: str, attribute: str = "Value") -> str:
        """Return an attribute of a property, which must be there."""
        value = self.properties.get(key, {}).get(attribute)
        if value is None:
            wanted = key if attribute == "Value" else f"{key} {attribute}"
            raise CorruptField(f"the settings have no {wanted}", file=self.name)
        return value

    def word(self, key: str, prefix: str) -> str:
        """Return the value of a property without the prefix of its kind."""
        return self.text(key).removeprefix(prefix)

    def number(self, key: str, attribute: str = "Value") -> float:
        """Return an attribute of a property as a finite number."""
        text = self.text(key, attribute)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise CorruptField(f"{key} is no number", file=self.name, found=text[:40])
        return number

    def count(self, key: str, attribute: str = "Value") -> int:
        """Return an attribute of a property as a whole number, not negative."""
        number = self.number(key, attribute)
        if number < 0 or number != int(number):
            raise CorruptField(f"{key} is no count", file=self.name, found=self.text(key, attribute)[:40])
        return int(number)

    def is_on(self, key: str) -> bool:
        """Tell whether a switch is on; one that is not there is off."""
        return self.properties.get(key, {}).get("Value", "").endswith("_ON")


def read_capture(settings: Settings) -> Capture:
    """Return the layout that ``settings`` describe, after two ways to the time axis were compared.

    Raises:
        CorruptField, CountMismatch: a property is missing or not right, or contradicts another.
        UnsupportedVersion: the export is no normal, averaged or envelope waveform over time.
    """
    name = settings.name
    _check_kind(settings)
    signal = settings.word("SignalFormat", "eRS_SIGNAL_FORMAT_")
    if signal not in FORMATS:
        raise UnsupportedVersion("the signal format is not supported", file=name, found=signal[:40])
    code, kind = FORMATS[signal]
    if signal == "INT16BIT" and settings.word("ByteOrder", "eRS_BYTE_ORDER_") != "LSB_FIRST":
        message = "16-bit codes with the most significant byte first are not read: the manual and the readers disagree"
        raise UnsupportedVersion(message, file=name, expected="LSB_FIRST", found=settings.text("ByteOrder")[:40])
    stored, kept = settings.count("SignalHardwareRecordLength"), settings.count("RecordLength")
    leading, acquisitions = settings.count("LeadingSettlingSamples"), settings.count("NumberOfAcquisitions")
    traces = _traces(settings, np.dtype(kind))
    if not (kept > 0 and leading + kept <= stored):
        raise CorruptField("the record lengths are not right", file=name, expected=stored, found=leading + kept)
    if not 0 < acquisitions <= MAX_ACQUISITIONS:
        message = "the number of acquisitions is not right"
        raise CorruptField(message, file=name, expected=f"1 to {MAX_ACQUISITIONS}", found=acquisitions)
    columns = 1 + max(trace.column for trace in traces)
    time = [("time", "<f8")] if signal.startswith("XY") else []
    dt_s, t0_s = _time_axis(settings, kept, leading)
    return Capture(
        code=code,
        row=np.dtype([*time, ("values", kind, (columns,))]),
        stored=stored,
        leading=leading,
        kept=kept,
        acquisitions=acquisitions,
        stamped=settings.is_on("TimestampState"),
        dt_s=dt_s,
        t0_s=t0_s,
        traces=traces,
    )


def _check_kind(settings: Settings) -> None:
    """Refuse what is no waveform over time."""
    trace = settings.word("TraceType", "eRS_TRACE_TYPE_")
    if trace not in ("NORMAL", "AVERAGE", "ENVELOPE"):
        message = "the trace is no normal, averaged or envelope waveform"
        expected = "NORMAL, AVERAGE or ENVELOPE"
        raise UnsupportedVersion(message, file=settings.name, expected=expected, found=trace[:40])
    source = settings.properties.get("SourceType", {}).get("Value", "")
    if "DIGITAL" in source or "MSO" in source:
        # RTOReadBin (MATLAB, ubit1) takes the least significant bit first, RTxReadBin (Python) the most significant.
        message = (
            "logic lines and buses are not read: the maker's own two readers take the bits in opposite order; "
            "export them as .csv with interleaved x/y"
        )
        raise UnsupportedVersion(message, file=settings.name, found=source.removeprefix("eRS_SIGNAL_SOURCE_TYPE_"))
    unit = settings.properties.get("XStart", {}).get("UnitName", "s")
    if unit != "s":
        message = "the horizontal unit is not the second; this is no waveform over time"
        raise UnsupportedVersion(message, file=settings.name, expected="s", found=unit[:20])


def _traces(settings: Settings, dtype: np.dtype[Any]) -> tuple[Trace, ...]:
    """Return the waveforms in the order of their values in each sample."""
    if settings.is_on("MultiChannelExport"):
        state = settings.properties.get("MultiChannelExportState", {})
        places = sorted(key for key, value in state.items() if key.startswith("I_") and value == _ON)
        prefix, envelope = "MultiChannel", None
    else:
        places, prefix, envelope = ["Value"], "", settings.text("TraceType").endswith("ENVELOPE")
    traces: list[Trace] = []
    for place in places:
        count = 2 if envelope else 1
        if settings.has(f"{prefix}InterleavedTraceCount"):
            count = settings.count(f"{prefix}InterleavedTraceCount", place)
        if count not in (1, 2) or (envelope is not None and count != 1 + envelope):
            message = "the values of each sample are neither one nor, in an envelope, two"
            raise CountMismatch(message, file=settings.name, expected="1 or 2", found=count)
        gain, offset = _scale(settings, prefix, place) if dtype.kind == "i" else (1.0, 0.0)
        label, unit = _label(settings, prefix, place), _unit(settings, prefix, place)
        for kind in ("waveform",) if count == 1 else ("envelope_min", "envelope_max"):
            traces.append(Trace(label, len(traces), kind, unit, gain, offset))
    if not traces:
        raise CorruptField("no channel is exported", file=settings.name)
    return tuple(traces)


def _label(settings: Settings, prefix: str, place: str) -> str:
    source = settings.text(f"{prefix}Source", place).removeprefix("eRS_SIGNAL_SOURCE_").upper()
    channel = re.search(r"(?:CH|C)(\d)", source)
    return f"CH{channel[1]}" if channel else source or "waveform"


def _unit(settings: Settings, prefix: str, place: str) -> str:
    own = settings.properties.get("MultiChannelViewUnit", {}).get(place, "") if prefix else ""
    return UNITS.get(own) or UNITS.get(settings.properties.get("BaseUnit", {}).get("Value", ""), "unknown")


def _scale(settings: Settings, prefix: str, place: str) -> tuple[float, float]:
    """Return gain and offset of raw codes, as the manual gives them ("Data conversion")."""
    scale = settings.number(f"{prefix}VerticalScale", place)
    levels, divisions = settings.number("NofQuantisationLevels"), settings.number("VerticalDivisionCount")
    if not (levels > 0 and divisions > 0 and scale > 0):
        message, found = "the vertical scale is not right", f"{scale} x {divisions} / {levels}"
        raise CorruptField(message, file=settings.name, found=found)
    position = settings.number(f"{prefix}VerticalPosition", place)
    return scale * divisions / levels, settings.number(f"{prefix}VerticalOffset", place) - scale * position


def _time_axis(settings: Settings, kept: int, leading: int) -> tuple[float, float]:
    """Return interval and first time, after two ways to them were compared."""
    dt_s, t0_s = settings.number("SignalResolution"), settings.number("XStart")
    span = settings.number("XStop") - t0_s
    hardware = settings.number("HardwareXStart") + leading * dt_s
    if not dt_s > 0 or abs(span - kept * dt_s) > 1e-6 * span or abs(hardware - t0_s) > 1e-2 * dt_s:
        message = "the settings contradict one another about the time axis"
        expected, found = f"{kept} x {dt_s} s from {hardware}", f"{span} s from {t0_s}"
        raise CorruptField(message, file=settings.name, expected=expected, found=found)
    return dt_s, t0_s
