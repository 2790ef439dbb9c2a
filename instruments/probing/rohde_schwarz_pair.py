"""Rohde & Schwarz RTO and RTP exports: ``x.bin`` (settings as XML) and ``x.Wfm.bin`` (samples), as a bundle.

Values come through RigolWFM (BSD-3-Clause). The count does not: 8 bytes of header, then ``SignalHardwareRecordLength``
rows of every channel, must be the payload's length; and ``HardwareXStart`` plus the settling samples must lead to
``XStart`` in steps of ``Resolution``.
"""

import re
import struct
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from instruments.adapter import Confidence, Sniff, Source
from instruments.errors import (
    CorruptField,
    CountMismatch,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.guarded_xml import parse_xml
from instruments.records import Record, Samples, Segment, Waveform, finite_range

PAYLOAD = ".wfm.bin"
MAX_SETTINGS_BYTES = 16 << 20
MAX_PAYLOAD_BYTES = 512 << 20
FORMATS = {"INT8BIT": (0, 1, 0), "INT16BIT": (1, 2, 0), "FLOAT": (4, 4, 0), "XYDOUBLEFLOAT": (6, 4, 8)}
"""Signal format: its code in the payload's header, bytes of a sample, bytes of a time before each row."""
UNITS = {"eRS_UNIT_LEVEL_V": "V", "eRS_UNIT_V": "V", "eRS_UNIT_A": "A", "eRS_UNIT_LEVEL_A": "A"}


@dataclass(frozen=True)
class _Pair:
    """The two files of one capture; ``rest`` are the bundle's other members."""

    settings: Path
    payload: Path
    stem: str
    rest: tuple[str, ...]


class RohdeSchwarzPairAdapter:
    """Reads single captures; histories are refused."""

    name = "rohde_schwarz_pair"
    version = "1"
    formats = ("rohde-schwarz",)

    def sniff(self, source: Source) -> Sniff:
        """Look for the pair in a bundle, or for one half of it in a single file."""
        if source.is_bundle:
            stems = _stems(source.members)
            if "session.json" in source.members or not stems:
                return Sniff(Confidence.NO, "the bundle is no .bin with its .Wfm.bin, or a probing session")
            return Sniff(Confidence.CERTAIN, f"the bundle has {stems[0]}.bin and its payload")
        if source.head.startswith(b"<?xml") and b"<Database" in source.head[:400] and b"eRS_" in source.head:
            return Sniff(Confidence.CERTAIN, "settings of a Rohde & Schwarz oscilloscope")
        if source.name.lower().endswith(PAYLOAD):
            return Sniff(Confidence.LIKELY, "named as the samples of a Rohde & Schwarz oscilloscope")
        return Sniff(Confidence.NO, "neither settings nor samples of a Rohde & Schwarz oscilloscope")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return a waveform for each channel of the capture.

        Raises:
            CorruptField: one of the two files is missing, or a setting is not right.
            CountMismatch, Truncated: the payload is not as long as the settings say.
            UnsupportedVersion: a history, or a trace that is no normal or averaged waveform.
        """
        if not source.is_bundle:
            raise _half(source)
        pair = _find_pair(source)
        settings = _read_settings(pair.settings, source.name)
        count, width = _check_payload(pair, settings, source.name)
        warnings = (f"{len(pair.rest)} other files were not read: {', '.join(pair.rest[:5])}",) if pair.rest else ()
        dt_s, t0_s = _time_axis(settings, count, source.name)
        header = _parse(pair, source.name)
        channels = [
            (channel.name, data)
            for channel, data in zip(header.ch, header.channel_data, strict=True)
            if data is not None
        ]
        if len(channels) != width or any(len(data) != count for _, data in channels):
            found = ", ".join(str(len(data)) for _, data in channels)
            message = "the reader and the settings disagree about the samples"
            raise CountMismatch(message, file=source.name, expected=f"{width} x {count}", found=found)
        if abs(header.x_increment - dt_s) > 1e-6 * dt_s or abs(header.x_origin - t0_s) > 1e-3 * dt_s:
            message = "the reader and the settings disagree about the time axis"
            found = f"{header.x_origin}, {header.x_increment}"
            raise CountMismatch(message, file=source.name, expected=f"{t0_s}, {dt_s}", found=found)
        return "rohde-schwarz", tuple(
            _waveform(name, data, (dt_s, t0_s), settings, warnings) for name, data in channels
        )


def _stems(members: Mapping[str, Path]) -> list[str]:
    lower = {member.lower(): member for member in members}
    stems = [member[: -len(".bin")] for member in members if member.lower().endswith(".bin")]
    return sorted(stem for stem in stems if stem.lower() + PAYLOAD in lower)


def _half(source: Source) -> CorruptField | NotThisFormat:
    if source.head.startswith(b"<?xml"):
        stem = source.name[: -len(".bin")] if source.name.lower().endswith(".bin") else source.name
        message = "these are settings without samples; upload them in one bundle"
        return CorruptField(message, file=source.name, expected=f"{stem}.Wfm.bin", found="one file")
    if source.name.lower().endswith(PAYLOAD):
        message = "these are samples without their settings; upload them in one bundle"
        expected = source.name[: -len(PAYLOAD)] + ".bin"
        return CorruptField(message, file=source.name, expected=expected, found="one file")
    return NotThisFormat("neither settings nor samples of a Rohde & Schwarz oscilloscope", file=source.name)


def _find_pair(source: Source) -> _Pair:
    stems = _stems(source.members)
    if len(stems) != 1:
        message = "the bundle does not hold one capture"
        raise CorruptField(message, file=source.name, expected=1, found=len(stems))
    lower = {member.lower(): member for member in source.members}
    settings, payload = lower[stems[0].lower() + ".bin"], lower[stems[0].lower() + PAYLOAD]
    rest = tuple(sorted(set(source.members) - {settings, payload}))
    return _Pair(source.members[settings], source.members[payload], stems[0], rest)


def _read_settings(path: Path, name: str) -> dict[str, dict[str, str]]:
    """Return the attributes of every named property."""
    size = path.stat().st_size
    if size > MAX_SETTINGS_BYTES:
        raise ReadingLimit("the settings are too long", file=name, expected=MAX_SETTINGS_BYTES, found=size)
    data = path.read_bytes()
    if re.search(rb"<!(DOCTYPE|ENTITY)", data, re.IGNORECASE):
        raise CorruptField("the settings declare entities, which such files never do", file=name)
    root = parse_xml(name, data)
    settings: dict[str, dict[str, str]] = {}
    for element in root.iter():
        settings.setdefault(element.get("Name", ""), dict(element.attrib))
    return settings


def _value(settings: Mapping[str, Mapping[str, str]], key: str, name: str) -> str:
    value = settings.get(key, {}).get("Value")
    if value is None:
        raise CorruptField(f"the settings have no {key}", file=name)
    return value


def _number(settings: Mapping[str, Mapping[str, str]], key: str, name: str) -> float:
    text = _value(settings, key, name)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise CorruptField(f"{key} is no number", file=name, found=text[:40])
    return number


def _check_payload(pair: _Pair, settings: Mapping[str, Mapping[str, str]], name: str) -> tuple[int, int]:
    """Return samples of a channel and channels, after the payload's length was found to be right."""
    if int(_number(settings, "NumberOfAcquisitions", name)) != 1:
        found = _value(settings, "NumberOfAcquisitions", name)
        raise UnsupportedVersion("histories are not read", file=name, expected=1, found=found)
    trace = _value(settings, "TraceType", name).removeprefix("eRS_TRACE_TYPE_")
    if trace not in ("NORMAL", "AVERAGE"):
        message = "the trace is no normal or averaged waveform"
        raise UnsupportedVersion(message, file=name, expected="NORMAL or AVERAGE", found=trace[:40])
    signal = _value(settings, "SignalFormat", name).removeprefix("eRS_SIGNAL_FORMAT_")
    if signal not in FORMATS:
        raise UnsupportedVersion("the signal format is not supported", file=name, found=signal[:40])
    code, width, time_width = FORMATS[signal]
    channels = 1
    if _value(settings, "MultiChannelExport", name).endswith("_ON"):
        state = settings.get("MultiChannelExportState", {})
        channels = sum(1 for key, value in state.items() if key.startswith("I_") and value.endswith("_ON"))
    stored, kept = (
        int(_number(settings, "SignalHardwareRecordLength", name)),
        int(_number(settings, "RecordLength", name)),
    )
    leading = int(_number(settings, "LeadingSettlingSamples", name))
    if not (kept > 0 and leading >= 0 and leading + kept <= stored and channels > 0):
        raise CorruptField("the record lengths are not right", file=name, expected=stored, found=leading + kept)
    size = pair.payload.stat().st_size
    if size > MAX_PAYLOAD_BYTES:
        raise ReadingLimit("the samples are too many", file=name, expected=MAX_PAYLOAD_BYTES, found=size)
    expected = 8 + stored * (time_width + channels * width)
    if size != expected:
        kind = Truncated if size < expected else CountMismatch
        raise kind("the samples' file is not as long as the settings say", file=name, expected=expected, found=size)
    with pair.payload.open("rb") as file:
        header = struct.unpack("<II", file.read(8))
    if header != (code, stored):
        message = "the samples' header is not what the settings say"
        raise CountMismatch(message, file=name, expected=str((code, stored)), found=str(header))
    return kept, channels


def _time_axis(settings: Mapping[str, Mapping[str, str]], count: int, name: str) -> tuple[float, float]:
    """Return interval and first time, after two ways to them were compared."""
    dt_s, t0_s = _number(settings, "SignalResolution", name), _number(settings, "XStart", name)
    span = _number(settings, "XStop", name) - t0_s
    hardware = _number(settings, "HardwareXStart", name) + _number(settings, "LeadingSettlingSamples", name) * dt_s
    if not dt_s > 0 or abs(span - count * dt_s) > 1e-6 * span or abs(hardware - t0_s) > 1e-2 * dt_s:
        message = "the settings contradict one another about the time axis"
        raise CorruptField(
            message, file=name, expected=f"{count} x {dt_s} s from {hardware}", found=f"{span} s from {t0_s}"
        )
    return dt_s, t0_s


def _parse(pair: _Pair, name: str) -> Any:
    # Imported here: it brings a plotting library along, which no other reading needs.
    from RigolWFM import rohde_schwarz  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="faultlight-pair-") as folder:
        settings = Path(folder) / "pair.bin"
        settings.symlink_to(pair.settings.absolute())
        (Path(folder) / "pair.Wfm.bin").symlink_to(pair.payload.absolute())
        try:
            return rohde_schwarz.from_file(str(settings)).header
        except Exception as error:
            text = f"{type(error).__name__}: {error}".replace(folder, "")
            raise CorruptField(f"the reader RigolWFM refuses the pair: {text[:300]}", file=name) from error


def _waveform(
    channel: str,
    data: Any,
    axis: tuple[float, float],
    settings: Mapping[str, Mapping[str, str]],
    warnings: tuple[str, ...],
) -> Waveform:
    samples = Samples.of(np.asarray(data, "<f4"))
    low, high = finite_range(samples.blocks())
    kept = {key: value["Value"] for key, value in settings.items() if "Value" in value}
    return Waveform(
        name=channel,
        samples=samples,
        unit=UNITS.get(settings.get("BaseUnit", {}).get("Value", ""), "unknown"),
        dt_s=axis[0],
        segments=(Segment(samples.count, axis[1], 0.0),),
        minimum=low,
        maximum=high,
        vendor_metadata={"reader": "RigolWFM", "settings": kept},
        warnings=warnings,
    )
