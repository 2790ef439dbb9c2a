"""TDMS files of National Instruments: every channel with samples, in native numbers with its linear scale.

npTDMS reads what the objects are and their properties; the samples are taken from where an own walk over the segments
(``tdms_walk``) says that they lie, block by block. The two must agree about every channel's type and number of values.
Time is in the properties ``wf_increment`` and ``wf_start_offset``; where they are missing it is unknown.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.documents import plain
from instruments.errors import CorruptField, CountMismatch, InstrumentError, NotThisFormat, UnsupportedVersion
from instruments.probing.tdms_blocks import read_texts, read_values
from instruments.probing.tdms_scaling import Scaling, find_scaling
from instruments.probing.tdms_walk import (
    BOOLEAN,
    DAQMX_RAW,
    INDEX_TAG,
    TAG,
    TEXT,
    TIMESTAMP,
    WalkedChannel,
    WalkedFile,
    walk_tdms,
)
from instruments.records import Record, Samples, Segment, Table, Waveform

COMPLEX = (0x08000C, 0x10000D)
UNKNOWN_UNIT = "unknown"
TEXT_UNITS = {"text": ""}
TIMESTAMP_UNITS = {"seconds_since_1904": "s", "fraction_s": "s"}
TIME_UNITS = frozenset({"s", "sec", "second", "seconds"})

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class _Channel:
    """One channel as npTDMS describes it, with what the walk found of it."""

    group: str
    channel: str
    levels: tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
    walked: WalkedChannel
    path: Path

    @property
    def name(self) -> str:
        return f"{self.group}/{self.channel}"


class TdmsAdapter:
    """Reads a TDMS file, or a bundle of one and its index, into one waveform per channel."""

    name = "tdms"
    version = "2"
    formats = ("tdms",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for a segment's tag at the beginning of ``source``, or for a bundle of a file and its index."""
        if source.is_bundle:
            if _member(source) is not None:
                return Sniff(Confidence.CERTAIN, "the bundle is a .tdms file and its index")
            return Sniff(Confidence.NO, "a bundle of other files")
        if source.head.startswith(TAG):
            return Sniff(Confidence.CERTAIN, "it begins with a TDMS segment")
        if source.head.startswith(INDEX_TAG):
            return Sniff(Confidence.CERTAIN, "it begins with a segment of a TDMS index")
        return Sniff(Confidence.NO, "it does not begin with TDSm")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what each channel of ``source`` holds, by the lead-ins and metadata of its segments.

        Raises:
            Truncated, CountMismatch, CorruptField, UnsupportedVersion, ReadingLimit: as ``read``.
        """
        return _from_channels(source, _descriptions)

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"tdms"`` and a record for each channel: a waveform, of texts and time stamps a table.

        Raises:
            Truncated: the file ends within a segment, or the last one was never finished.
            CountMismatch: the raw data are not whole chunks, or npTDMS and the walk disagree.
            CorruptField, UnsupportedVersion, ReadingLimit: something cannot be right, or is not known.
        """
        return _from_channels(source, _records)


def _from_channels(
    source: Source, make: Callable[[list[_Channel], tuple[str, ...]], Iterable[_Made]]
) -> tuple[str, tuple[_Made, ...]]:
    path = _member(source) if source.is_bundle else source.path
    if path is None:
        raise NotThisFormat("the bundle is not one .tdms file with its index", file=source.name)
    walked = walk_tdms(path, source.name)
    try:
        channels, empty = _agree(path, walked)
        return "tdms", tuple(make(channels, _file_warnings(empty)))
    except InstrumentError as error:
        error.file = source.name
        raise


def _member(source: Source) -> Path | None:
    names = sorted(source.members)
    files = [name for name in names if name.lower().endswith(".tdms")]
    others = [name for name in names if name not in files]
    if len(files) != 1 or any(name.lower() != f"{files[0].lower()}_index" for name in others):
        return None
    return source.members[files[0]]


def _agree(path: Path, walked: WalkedFile) -> tuple[list[_Channel], list[str]]:
    """Return the channels with samples, and the names of those without; npTDMS and the walk must agree.

    Raises:
        CorruptField: npTDMS refuses the file.
        CountMismatch: they do not agree.
    """
    import nptdms  # noqa: PLC0415 - loaded only where a TDMS file is read
    from nptdms.log import log_manager  # noqa: PLC0415

    log_manager.set_level(logging.ERROR)  # what it warns of, the walk has refused
    try:
        with path.open("rb") as stream:
            file = nptdms.TdmsFile.read_metadata(stream, raw_timestamps=True)
        version = {"tdms_version": file.tdms_version}
        found = [
            (group, channel, len(channel), getattr(channel.data_type, "enum_value", None))
            for group in file.groups()
            for channel in group.channels()
        ]
    except Exception as error:
        raise CorruptField(f"npTDMS refuses the file: {error!r}") from error
    left = {name: channel for name, channel in walked.channels.items() if channel.count}
    channels, empty = [], []
    for group, channel, count, type_code in found:
        name = f"{group.name}/{channel.name}"
        known = left.pop(channel.path, None)
        if count != (known.count if known else 0):
            message = f"npTDMS and the walk over the segments disagree about the values of {name}"
            raise CountMismatch(message, expected=known.count if known else 0, found=count)
        if known is None:
            empty.append(name)
            continue
        if type_code != known.type_code:
            message = f"npTDMS and the walk over the segments disagree about the type of {name}"
            raise CountMismatch(message, expected=known.type_code, found=type_code)
        levels = (channel.properties, group.properties, {**file.properties, **version})
        channels.append(_Channel(group.name, channel.name, levels, known, path))
    if left:
        message = "the walk over the segments found a channel that npTDMS does not know"
        raise CountMismatch(message, expected=next(iter(left))[:80])
    if not channels:
        raise CorruptField("the file holds no samples")
    return channels, empty


def _file_warnings(empty: list[str]) -> tuple[str, ...]:
    if not empty:
        return ()
    return (f"{len(empty)} channels hold no samples: {', '.join(empty[:5])}",)


def _records(channels: list[_Channel], warnings: tuple[str, ...]) -> Iterator[Record]:
    for channel in channels:
        if channel.walked.type_code == TEXT:
            yield _texts(channel, warnings)
        elif channel.walked.type_code == TIMESTAMP:
            yield _timestamps(channel, warnings)
        else:
            for waveform in _waveforms(channel, warnings):
                yield waveform.measured()


def _descriptions(channels: list[_Channel], warnings: tuple[str, ...]) -> Iterator[RecordDescription]:
    for channel in channels:
        if channel.walked.type_code in (TEXT, TIMESTAMP):
            yield _describe_table(channel, warnings)
        else:
            yield from map(describe_record, _waveforms(channel, warnings))


def _waveforms(channel: _Channel, warnings: tuple[str, ...]) -> Iterator[Waveform]:
    for part in ("real", "imaginary") if channel.walked.type_code in COMPLEX else ("",):
        yield _waveform(channel, warnings, part)


def _describe_table(channel: _Channel, warnings: tuple[str, ...]) -> RecordDescription:
    units = TEXT_UNITS if channel.walked.type_code == TEXT else TIMESTAMP_UNITS
    meta = {"columns": units, "vendor": _vendor_metadata(channel)}
    return RecordDescription("table", channel.name, channel.walked.count, "rows", None, None, 1, meta, warnings)


def _vendor_metadata(channel: _Channel, scaling: Scaling | None = None) -> dict[str, Any]:
    own, group, file = (
        {key: plain(value if isinstance(value, bool | int | float) else str(value)) for key, value in level.items()}
        for level in channel.levels
    )
    found: dict[str, Any] = {
        "channel": own,
        "group": group,
        "file": file,
        "type_code": channel.walked.type_code,
        "pieces": len(channel.walked.places),
    }
    if scaling is not None and scaling.types:
        found["scales"] = list(scaling.types)
    return found


def _waveform(channel: _Channel, warnings: tuple[str, ...], part: str) -> Waveform:
    own, walked = channel.levels[0], channel.walked
    scaling = find_scaling(channel.levels, walked.scale_id, channel.name)
    if walked.type_code == DAQMX_RAW and not scaling.types:
        raise CorruptField(f"channel {channel.name} has raw DAQmx data without the scale that gives them a unit")
    if part and scaling.types:
        raise CorruptField(f"channel {channel.name} is complex and has a scale")
    digital = walked.type_code == BOOLEAN or walked.bit is not None or "NI_LineNames" in own or "LineNumber" in own
    unit, unit_warnings = _unit(own, digital=digital)
    dt_s, t0_s, time_warnings = _time(own)
    dt_s, t0_s, changes = _changes(channel, dt_s, t0_s)
    time_warnings += changes
    native = walked.places[0].dtype.newbyteorder("<")
    if part:
        native = np.dtype("<f4" if native.itemsize == 8 else "<f8")
    dtype = np.dtype("<f8") if scaling.compute else native
    blocks = partial(_blocks, channel, scaling, part)
    return Waveform(
        name=f"{channel.name} ({part})" if part else channel.name,
        samples=Samples(dtype, walked.count, blocks),
        unit=unit,
        dt_s=dt_s,
        segments=(Segment(walked.count, t0_s),),
        gain=scaling.gain,
        offset=scaling.offset,
        kind="digital_lines" if digital else "waveform",
        vendor_metadata=_vendor_metadata(channel, scaling),
        warnings=(*warnings, *unit_warnings, *time_warnings, *_decimation(channel)),
    )


def _blocks(channel: _Channel, scaling: Scaling, part: str) -> Iterator[NDArray[Any]]:
    walked = channel.walked
    for block in read_values(channel.path, walked.places):
        piece = block if not part else block.real if part == "real" else block.imag
        if walked.bit is not None:
            piece = (piece >> walked.bit) & 1
        if walked.type_code == BOOLEAN:
            piece = (piece != 0).astype(np.uint8)
        little = np.ascontiguousarray(piece, piece.dtype.newbyteorder("<"))
        yield scaling.compute(little) if scaling.compute else little


def _unit(own: Mapping[str, Any], *, digital: bool) -> tuple[str, tuple[str, ...]]:
    if digital:
        return "logic level", ()
    for key in ("unit_string", "NI_UnitDescription"):
        text = str(own.get(key, "")).strip()
        if text:
            return text, ()
    return UNKNOWN_UNIT, ("the properties give no unit",)


def _time(own: Mapping[str, Any]) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return dt_s and t0_s, ``None`` where they are unknown, and what is doubtful about them."""
    axis = str(own.get("wf_xunit_string", "s")).strip() or "s"
    label = str(own.get("wf_xname", "Time")).strip() or "Time"
    if axis.lower() not in TIME_UNITS or label.lower() not in ("time", "t"):
        return None, None, (f"the axis is {label} in {axis}, not time in seconds",)
    interval, start = _finite(own.get("wf_increment")), _finite(own.get("wf_start_offset"))
    if interval is None or interval <= 0:
        what = "there is no wf_increment" if "wf_increment" not in own else "wf_increment is not a positive number"
        return None, None, (f"{what}: the distance of samples is unknown",)
    if start is None:
        return interval, None, ("there is no wf_start_offset: the time of the first sample is unknown",)
    return interval, start, ()


def _changes(
    channel: _Channel, dt_s: float | None, t0_s: float | None
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return dt_s and t0_s where all data were taken alike, and what to say of data that were not.

    Raises:
        UnsupportedVersion: a later part of the data has another unit or scale.
    """
    changed = channel.walked.changed
    meaning = sorted(name for name in changed if name.startswith(("NI_", "unit_")))
    if meaning:
        message = f"the property {meaning[0]} of channel {channel.name} changes after some of its data"
        raise UnsupportedVersion(message)
    times = sorted(changed & {"wf_increment", "wf_start_offset", "wf_xname", "wf_xunit_string"})
    if times:
        return None, None, (f"{times[0]} changes after some of the data: the distance of samples is unknown",)
    if "wf_start_time" in changed:
        return dt_s, t0_s, ("wf_start_time changes after some of the data: they may be several acquisitions in a row",)
    return dt_s, t0_s, ()


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


def _decimation(channel: _Channel) -> tuple[str, ...]:
    level = channel.levels[1].get("DecimationLevel", 0)
    return (f"a decimated copy (level {level})",) if isinstance(level, int) and level > 0 else ()


def _texts(channel: _Channel, warnings: tuple[str, ...]) -> Table:
    try:
        found = list(read_texts(channel.path, channel.walked.places))
    except ValueError as error:
        raise CorruptField(f"the texts of channel {channel.name} are damaged: {error}") from error
    values = np.array(found, np.dtypes.StringDType())
    metadata = _vendor_metadata(channel)
    return Table(channel.name, {"text": values}, TEXT_UNITS, vendor_metadata=metadata, warnings=warnings)


def _timestamps(channel: _Channel, warnings: tuple[str, ...]) -> Table:
    """Time stamps are whole seconds since 1904-01-01 00:00 UTC and a fraction in steps of 2**-64 s."""
    blocks = list(read_values(channel.path, channel.walked.places))
    seconds = np.concatenate([block["seconds"].astype(np.int64) for block in blocks])
    fraction = np.concatenate([block["fraction"].astype(np.float64) * 2.0**-64 for block in blocks])
    columns = {"seconds_since_1904": seconds, "fraction_s": fraction}
    metadata = _vendor_metadata(channel)
    return Table(channel.name, columns, TIMESTAMP_UNITS, vendor_metadata=metadata, warnings=warnings)
