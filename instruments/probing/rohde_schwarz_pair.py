"""Rohde & Schwarz RTO, RTE and RTP exports: ``x.bin`` (settings as XML) and ``x.Wfm.bin`` (samples), as a bundle.

Source: the user manuals (RTO6 1801.6687.02, chapter 12.2.1 "Waveform export files") and, for the 8 bytes of header,
the maker's own MATLAB reader. The samples of all channels alternate; the acquisitions of a history follow one another,
the newest last, each behind its time stamp if stamps are exported.

Two counts must agree: 8 bytes, and ``SignalHardwareRecordLength`` rows of all channels for each acquisition, are the
samples' file; and ``HardwareXStart`` plus the settling samples must lead to ``XStart`` in steps of the resolution. With
interleaved x/y every sample's own time is compared too.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, Truncated
from instruments.probing.rohde_schwarz_settings import Capture, Settings, Trace, read_capture
from instruments.records import Record, Samples, Segment, Waveform

PAYLOAD = ".wfm.bin"
BLOCK_BYTES = 1 << 22
_HEADER_BYTES = 8
_STRAY = 1e-2


@dataclass(frozen=True)
class _Pair:
    """The two files of one capture; ``rest`` are the bundle's other members."""

    settings: Path
    payload: Path
    rest: tuple[str, ...]


class RohdeSchwarzPairAdapter:
    """Reads single captures and histories, block by block; the acquisitions of a history are segments."""

    name = "rohde_schwarz_pair"
    version = "2"
    formats = ("rohde-schwarz",)
    reach = Reach.HEADER

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

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the waveforms of the capture are, by its settings and the stamps of its acquisitions.

        Raises:
            CorruptField, CountMismatch, Truncated, UnsupportedVersion, ReadingLimit: as ``read``.
        """
        return "rohde-schwarz", tuple(map(describe_record, _open(source)[2]))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return a waveform for each channel of the capture, two for an envelope: minimum and maximum.

        Raises:
            CorruptField: one of the two files is missing, or a setting is not right.
            CountMismatch, Truncated: the payload is not as long as the settings say, or its own times are others.
            UnsupportedVersion: logic lines, spectra, a signal format that is not known.
        """
        pair, capture, waveforms = _open(source)
        if capture.has_times:
            _check_times(pair, capture, source.name)
        _check_envelopes(pair, capture, source.name)
        return "rohde-schwarz", tuple(waveform.measured() for waveform in waveforms)


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
    return _Pair(source.members[settings], source.members[payload], rest)


def _open(source: Source) -> tuple[_Pair, Capture, list[Waveform]]:
    """Return the waveforms, whose samples nobody has looked at yet."""
    if not source.is_bundle:
        raise _half(source)
    pair = _find_pair(source)
    settings = Settings(pair.settings, source.name)
    capture = read_capture(settings)
    _check_payload(pair, capture, source.name)
    segments, warnings = _segments(pair, capture)
    if pair.rest:
        warnings.insert(0, f"{len(pair.rest)} other files were not read: {', '.join(pair.rest[:5])}")
    kept = settings.values()
    return (
        pair,
        capture,
        [
            Waveform(
                name=trace.name,
                samples=Samples(
                    capture.row["values"].base,
                    capture.kept * capture.acquisitions,
                    partial(_read_blocks, pair.payload, capture, trace),
                ),
                unit=trace.unit,
                dt_s=capture.dt_s,
                segments=segments,
                gain=trace.gain,
                offset=trace.offset,
                kind=trace.kind,
                vendor_metadata={"settings": kept},
                warnings=tuple(warnings),
            )
            for trace in capture.traces
        ],
    )


def _check_payload(pair: _Pair, capture: Capture, name: str) -> None:
    """Compare the samples' file with the settings: its length and its header."""
    size, expected = pair.payload.stat().st_size, _HEADER_BYTES + capture.acquisitions * capture.block_bytes
    if size != expected:
        kind = Truncated if size < expected else CountMismatch
        raise kind("the samples' file is not as long as the settings say", file=name, expected=expected, found=size)
    with pair.payload.open("rb") as file:
        header = struct.unpack("<II", file.read(_HEADER_BYTES))
    if header != (capture.code, capture.stored):
        message, wanted = "the samples' header is not what the settings say", str((capture.code, capture.stored))
        raise CountMismatch(message, file=name, expected=wanted, found=str(header))


def _segments(pair: _Pair, capture: Capture) -> tuple[tuple[Segment, ...], list[str]]:
    """Return a segment for each acquisition, with what is doubtful of their times."""
    count, warnings = capture.acquisitions, []
    starts, stamps = np.full(count, capture.t0_s), np.zeros(count)
    if capture.stamped or capture.has_times:
        first = _HEADER_BYTES + capture.lead_bytes + capture.leading * capture.row.itemsize
        with pair.payload.open("rb") as file:
            for index in range(count):
                place = index * capture.block_bytes
                if capture.stamped:
                    file.seek(_HEADER_BYTES + place)
                    (stamps[index],) = struct.unpack("<d", file.read(8))
                if capture.has_times:
                    file.seek(first + place)
                    (starts[index],) = struct.unpack("<d", file.read(8))
    offsets: list[float | None] = [0.0] if count == 1 else [None] * count
    if count > 1 and not (capture.stamped and np.isfinite(stamps).all()):
        warnings.append("the acquisitions have no time stamps; when they were triggered is not known")
    elif count > 1 and (np.diff(stamps) <= 0).any():
        warnings.append("the acquisitions' time stamps do not increase; when they were triggered is not known")
    elif count > 1:
        offsets = (stamps - stamps[0]).tolist()
    rows = zip(starts.tolist(), offsets, strict=True)
    return tuple(Segment(capture.kept, start, offset) for start, offset in rows), warnings


def _rows(path: Path, capture: Capture) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the rows kept, of shape ``(acquisitions, rows)``, with the number of the first row of each block."""
    keep = slice(capture.leading, capture.leading + capture.kept)
    with path.open("rb") as file:
        if capture.block_bytes <= BLOCK_BYTES:
            whole = np.dtype([("before", np.uint8, (capture.lead_bytes,)), ("rows", capture.row, (capture.stored,))])
            most = BLOCK_BYTES // capture.block_bytes
            file.seek(_HEADER_BYTES)
            for done in range(0, capture.acquisitions, most):
                yield 0, np.fromfile(file, whole, min(capture.acquisitions - done, most))["rows"][:, keep]
            return
        most = max(1, BLOCK_BYTES // capture.row.itemsize)
        first = _HEADER_BYTES + capture.lead_bytes + capture.leading * capture.row.itemsize
        for acquisition in range(capture.acquisitions):
            file.seek(first + acquisition * capture.block_bytes)
            for done in range(0, capture.kept, most):
                yield done, np.fromfile(file, capture.row, min(capture.kept - done, most))[None]


def _read_blocks(path: Path, capture: Capture, trace: Trace) -> Iterator[NDArray[Any]]:
    for _, rows in _rows(path, capture):
        yield np.ascontiguousarray(rows["values"][..., trace.column]).ravel()


def _check_times(pair: _Pair, capture: Capture, name: str) -> None:
    """Compare the time of every sample with that of the first of its acquisition and the interval."""
    start = np.zeros(0)
    for done, rows in _rows(pair.payload, capture):
        times = rows["time"]
        if done == 0:
            start = times[:, :1]
        expected = start + capture.dt_s * np.arange(done, done + times.shape[1])
        limit = _STRAY * capture.dt_s + 4 * np.finfo(np.float64).eps * np.abs(expected)
        wrong = ~(np.abs(times - expected) <= limit)
        late = ~(np.abs(start - capture.t0_s) <= capture.dt_s)
        if wrong.any() or late.any():
            which = np.unravel_index(int(wrong.argmax()), wrong.shape) if wrong.any() else (int(late.argmax()), 0)
            message = f"the time of sample {done + int(which[1])} is not that of the settings"
            wanted = float(expected[which]) if wrong.any() else capture.t0_s
            raise CountMismatch(message, file=name, expected=wanted, found=float(times[which]))


def _check_envelopes(pair: _Pair, capture: Capture, name: str) -> None:
    """Refuse an envelope whose minimum is above its maximum: then the values are not what they are said to be."""
    columns = [trace.column for trace in capture.traces if trace.kind == "envelope_min"]
    for done, rows in _rows(pair.payload, capture) if columns else ():
        for column in columns:
            wrong = rows["values"][..., column] > rows["values"][..., column + 1]
            if wrong.any():
                message = "the minimum of an envelope is above its maximum"
                found = done + int(np.unravel_index(int(wrong.argmax()), wrong.shape)[1])
                raise CountMismatch(message, file=name, expected="minimum, maximum", found=f"sample {found}")
